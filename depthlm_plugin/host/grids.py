"""What size a model's own image processor turns an image into: it must be the size it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import HostError


@dataclass(frozen=True)
class Grid:
    """The sizes that an image processor leaves alone.

    Attributes:
        name: Class name of the image processor.
        multiple: Patch size x merge size, pixels: both sides must be multiples of it.
        min_pixels: Smallest area, pixels.
        max_pixels: Largest area, pixels.
        max_edge: Longest side, pixels, or None where only the area is limited.
    """

    name: str
    multiple: int
    min_pixels: int
    max_pixels: int | None
    max_edge: int | None = None

    def problem(self, size_wh: tuple[int, int]) -> str | None:
        """Return why the processor would resample an image of this size, or None."""
        width, height = size_wh
        if width % self.multiple or height % self.multiple:
            return f"is not a multiple of {self.multiple} px"
        if self.max_edge and max(size_wh) > self.max_edge:
            return f"is longer than the {self.max_edge} px that {self.name} accepts"
        if self.max_pixels and width * height > self.max_pixels:
            return f"has more than the {self.max_pixels} pixels that {self.name} accepts"
        if width * height < self.min_pixels:
            return f"has fewer than the {self.min_pixels} pixels that {self.name} enlarges to"
        return None


def grid_of(processor: Any) -> Grid:
    """Return the grid of a loaded processor.

    Raises:
        HostError: For a family whose resampling is not known: its focal length cannot be vouched
            for.
    """
    image_processor = getattr(processor, "image_processor", None)
    name = type(image_processor).__name__
    for family, make in _FAMILIES.items():
        if name.startswith(family):
            return make(name, image_processor, processor)
    raise HostError(
        f"image processor {name} is not known to keep one focal length, so its metres could not be"
        f" trusted; supported: {', '.join(_FAMILIES)}"
    )


def _qwen(name: str, image_processor: Any, processor: Any) -> Grid:
    size = image_processor.size
    return Grid(
        name,
        image_processor.patch_size * image_processor.merge_size,
        size["shortest_edge"],
        size["longest_edge"],
    )


def _pixtral(name: str, image_processor: Any, processor: Any) -> Grid:
    patch = image_processor.patch_size
    side = patch["height"] if not isinstance(patch, int) else patch
    multiple = side * getattr(processor, "spatial_merge_size", 1)
    # Above this edge the processor shrinks; the vision tower has no positions beyond it either.
    return Grid(name, multiple, multiple * multiple, None, image_processor.size["longest_edge"])


_FAMILIES = {"Qwen2VLImageProcessor": _qwen, "PixtralImageProcessor": _pixtral}
