"""Marks that point at a pixel: drawn after resampling, so never blurred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import ConfigError, did_you_mean

Pixels = NDArray[np.uint8]
RED = (255, 0, 0)


class Marker(Protocol):
    """A mark: `draw` paints it, `margin_px` is the room that it needs on every side."""

    @property
    def margin_px(self) -> int:
        """Smallest distance from the marked pixel to the image border, pixels."""
        ...

    def draw(self, pixels: Pixels, x: int, y: int) -> None:
        """Paint the mark for pixel (x, y) into an RGB image (H, W, 3), in place."""
        ...


@dataclass(frozen=True)
class ArrowMarker:
    """The official arrow: red, 1 px wide, from the left, its tip **at** the pixel.

    The pixel itself stays unpainted. `size_px` is the shaft's length: x-1 .. x-size. The head is
    (x-2, y+-1) and (x-3, y+-2) (DepthLM §3.1, design §4).
    """

    size_px: int = 5

    def __post_init__(self) -> None:
        if self.size_px < 3:
            raise ConfigError(f"marker_px must be at least 3 for an arrow, found {self.size_px}")

    @property
    def margin_px(self) -> int:
        """The published border rule: the shaft's length on all sides."""
        return self.size_px

    def draw(self, pixels: Pixels, x: int, y: int) -> None:
        """Paint the arrow that points at pixel (x, y) into an RGB image (H, W, 3), in place."""
        pixels[y, x - self.size_px : x] = RED
        for back in (1, 2):
            pixels[y - back, x - 1 - back] = RED
            pixels[y + back, x - 1 - back] = RED


MARKERS = {"arrow": ArrowMarker}


def get_marker(name: str, size_px: int) -> Marker:
    """Return the marker called `name` in its given size, pixels."""
    if name not in MARKERS:
        raise ConfigError(f"unknown marker {name!r}{did_you_mean(name, list(MARKERS))}")
    return MARKERS[name](size_px)
