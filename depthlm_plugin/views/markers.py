"""Marks that point at a pixel: drawn after resampling, so never blurred.

Every mark is a set of whole pixels painted in one colour, found with integer arithmetic: the same
bits on every machine. A new one is a class with `_shape` and a line in `MARKERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from ..errors import ConfigError, GeometryError, did_you_mean
from ..geometry.arrays import Pixels

Color = tuple[int, int, int]
Offset = tuple[int, int]
RED: Color = (255, 0, 0)
LARGEST_PX = 200

# 3x5 digits, row after row: a font file or Pillow's text would not be the same on all machines.
_DIGITS = [
    "### #.# #.# #.# ###",
    ".#. ##. .#. .#. ###",
    "### ..# ### #.. ###",
    "### ..# ### ..# ###",
    "#.# #.# ### ..# ..#",
    "### #.. ### ..# ###",
    "### #.. ### #.# ###",
    "### ..# ..# .#. .#.",
    "### #.# ### #.# ###",
    "### #.# ### ..# ###",
]
_DIGIT_WIDTH, _DIGIT_HEIGHT = 3, 5


class Marker(Protocol):
    """A mark: `draw` paints it, `margin_px` is the room that it needs on every side."""

    @property
    def margin_px(self) -> int:
        """The smallest distance from the marked pixel to the image border, pixels."""
        ...

    def draw(self, pixels: Pixels, x: int, y: int) -> None:
        """Paint the mark for pixel (x, y) into an RGB image (H, W, 3), in place."""
        ...


@dataclass(frozen=True)
class ShapeMarker(ABC):
    """A mark made of whole pixels: hard edges, one colour, a contrast outline if wanted.

    Attributes:
        size_px: Size of the mark, pixels; what it measures is said by each class.
        color: RGB of the mark.
        outline: RGB of every pixel that touches the mark, corners included, or None. Neither the
            mark (but for the dot) nor its outline ever covers the marked pixel.
    """

    size_px: int = 5
    color: Color = RED
    outline: Color | None = None

    name: ClassVar[str]
    smallest_px: ClassVar[int]

    def __post_init__(self) -> None:
        if not self.smallest_px <= self.size_px <= LARGEST_PX:
            raise ConfigError(
                f"marker_px must be {self.smallest_px} to {LARGEST_PX} for marker {self.name!r},"
                f" found {self.size_px}"
            )

    @abstractmethod
    def _shape(self) -> set[Offset]:
        """Return the painted pixels, (dx, dy) from the marked one: x to the right, y down."""

    @cached_property
    def _layers(self) -> list[tuple[Color, NDArray[np.intp]]]:
        """The colours and their pixels (2, N) as (dy, dx); no pixel is in two layers."""
        shape = self._shape()
        layers = [(self.color, shape)]
        if self.outline is not None:
            steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            grown = {(dx + i, dy + j) for dx, dy in shape for i, j in steps}
            layers.append((self.outline, grown - shape - {(0, 0)}))
        return [
            (color, np.array(sorted((dy, dx) for dx, dy in offsets), dtype=np.intp).T)
            for color, offsets in layers
        ]

    @cached_property
    def margin_px(self) -> int:
        """How far mark and outline reach, pixels; they need the same room on all four sides."""
        return max(int(np.abs(offsets).max()) for _, offsets in self._layers)

    def draw(self, pixels: Pixels, x: int, y: int) -> None:
        """Paint the mark for pixel (x, y) into an RGB image (H, W, 3), in place.

        Raises:
            GeometryError: When (x, y) is nearer than `margin_px` to the image border.
        """
        height, width = pixels.shape[:2]
        margin = self.margin_px
        if not (margin <= x < width - margin and margin <= y < height - margin):
            raise GeometryError(
                f"the {self.name} mark at ({x}, {y}) does not fit into the {width}x{height} image:"
                f" it needs {margin} px on every side"
            )
        for color, (dy, dx) in self._layers:
            pixels[dy + y, dx + x] = color


class ArrowMarker(ShapeMarker):
    """The official arrow: red, 1 px wide, from the left, its tip **at** the pixel.

    The pixel itself stays unpainted. `size_px` is the shaft's length: x-1 .. x-size. The head is
    (x-2, y+-1) and (x-3, y+-2) (DepthLM §3.1, design §4). Its margin without an outline is the
    published border rule: the shaft's length on all sides.
    """

    name = "arrow"
    smallest_px = 3

    def _shape(self) -> set[Offset]:
        head = {(-1 - back, side * back) for back in (1, 2) for side in (-1, 1)}
        return head | {(-back, 0) for back in range(1, self.size_px + 1)}


class CrossMarker(ShapeMarker):
    """Four arms, 1 px wide, that stop one pixel short of the marked pixel.

    The pixel and its eight neighbours stay unpainted (an outline covers the neighbours).
    `size_px` is the distance from the pixel to the end of each arm: x+-2 .. x+-size.
    """

    name = "cross"
    smallest_px = 3

    def _shape(self) -> set[Offset]:
        reach = [step for way in (-1, 1) for step in range(way * 2, way * (self.size_px + 1), way)]
        return {(step, 0) for step in reach} | {(0, step) for step in reach}


class DotMarker(ShapeMarker):
    """A filled disc that covers the marked pixel; `size_px` is its radius (2 size + 1 wide)."""

    name = "dot"
    smallest_px = 1

    def _shape(self) -> set[Offset]:
        return _disc(self.size_px)


class RingMarker(ShapeMarker):
    """A circle, one pixel thick, around the marked pixel; its inside stays unpainted.

    `size_px` is its radius, to the outer edge: it is 2 size + 1 wide.
    """

    name = "ring"
    smallest_px = 2

    def _shape(self) -> set[Offset]:
        return _disc(self.size_px) - _disc(self.size_px - 1)


class BoxMarker(ShapeMarker):
    """A square frame, one pixel thick, around the marked pixel; its inside stays unpainted.

    `size_px` is the distance from the pixel to each side: it is 2 size + 1 wide.
    """

    name = "box"
    smallest_px = 2

    def _shape(self) -> set[Offset]:
        size = self.size_px
        side = range(-size, size + 1)
        return {(dx, dy) for dx in side for dy in side if size in (abs(dx), abs(dy))}


@dataclass(frozen=True)
class NumberedMarker(ShapeMarker):
    """A ring around the marked pixel with a number to its right; the inside stays unpainted.

    `size_px` is the ring's radius. The number's top is level with the ring's. Its digits are 3x5
    blocks of (2 size + 1) // 5 pixels, as tall as the ring or up to four pixels less; one block is
    left free before each digit. The margin depends on how many digits there are.
    """

    number: int = 1

    name = "numbered"
    smallest_px = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.number <= 99:
            raise ConfigError(f"a numbered marker shows 1 to 99, found {self.number}")

    def _shape(self) -> set[Offset]:
        size = self.size_px
        block_px = (2 * size + 1) // _DIGIT_HEIGHT
        shape = _disc(size) - _disc(size - 1)
        for place, digit in enumerate(str(self.number)):
            left = size + 1 + block_px * (1 + place * (_DIGIT_WIDTH + 1))
            for row, line in enumerate(_DIGITS[int(digit)].split()):
                for column, ink in enumerate(line):
                    if ink == "#":
                        corner = left + column * block_px, row * block_px - size
                        shape |= _square(corner, block_px)
        return shape


def _disc(radius_px: int) -> set[Offset]:
    # r (r + 1) is (r + 1/2)^2 rounded down: a radius measured to the pixels' outer edges.
    side = range(-radius_px, radius_px + 1)
    return {(i, j) for i in side for j in side if i * i + j * j <= radius_px * (radius_px + 1)}


def _square(corner: Offset, side_px: int) -> set[Offset]:
    left, top = corner
    return {(left + i, top + j) for i in range(side_px) for j in range(side_px)}


MARKERS: dict[str, type[ShapeMarker]] = {
    marker.name: marker
    for marker in (ArrowMarker, CrossMarker, DotMarker, RingMarker, BoxMarker, NumberedMarker)
}


def get_marker(
    name: str, size_px: int, *, color: Color = RED, outline: Color | None = None, number: int = 1
) -> Marker:
    """Return the marker called `name`; its shape is worked out once per process.

    Args:
        name: One of `MARKERS`.
        size_px: Its size, pixels, as its class defines it.
        color: RGB of the mark.
        outline: RGB of a contrast outline, or None.
        number: What a `numbered` marker shows, 1 to 99; the others have no number.

    Raises:
        ConfigError: When there is no such marker, or not in this size or with this number.
    """
    if name not in MARKERS:
        raise ConfigError(f"unknown marker {name!r}{did_you_mean(name, list(MARKERS))}")
    return _make_marker(name, size_px, color, outline, number)


@lru_cache(maxsize=256)
def _make_marker(
    name: str, size_px: int, color: Color, outline: Color | None, number: int
) -> Marker:
    if name == NumberedMarker.name:
        return NumberedMarker(size_px, color, outline, number)
    return MARKERS[name](size_px, color, outline)


def parse_color(value: object, key: str = "color") -> Color:
    """Return the RGB, 0..255 each, of a Pillow colour name, `#rrggbb` or three whole numbers.

    Args:
        value: What was given.
        key: What the error calls it.

    Raises:
        ConfigError: For anything else, colours with an alpha channel included.
    """
    channels: object = value
    if isinstance(value, str):
        try:
            channels = ImageColor.getrgb(value)
        except ValueError:
            channels = None
    if isinstance(channels, (list, tuple)) and len(channels) == 3:
        red, green, blue = channels
        if all(type(part) is int and 0 <= part <= 255 for part in channels):
            return red, green, blue
    raise ConfigError(
        f'{key} must be a colour name, "#rrggbb" (in YAML only with quotes: # begins a comment) or'
        f" three whole numbers from 0 to 255, found {value!r}"
    )


def format_color(color: Color) -> str:
    """Return a colour as six hex digits, `ff0000`; `parse_color` reads it behind a #."""
    return bytes(color).hex()


def name_color(color: Color) -> str:
    """Return Pillow's first name for a colour, else `#rrggbb`: one text for one colour."""
    names = (name for name in ImageColor.colormap if ImageColor.getrgb(name) == color)
    return next(names, "#" + format_color(color))
