"""The sizes that an image processor leaves alone, and the size rules that several families share.

Sizes are read from the loaded image processor, never written down here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import HostError


@dataclass(frozen=True)
class Grid:
    """The sizes that an image processor leaves alone.

    Attributes:
        name: Class name of the image processor.
        multiple: Patch size x merge size, pixels: both sides must be multiples of it.
        min_pixels: Smallest area, pixels.
        max_pixels: Largest area, pixels, or None where the area is not limited.
        max_edge: Longest side, pixels, or None where only the area is limited.
        fixed_wh: The only size (width, height) that it leaves alone, pixels; None where sizes vary.
    """

    name: str
    multiple: int
    min_pixels: int
    max_pixels: int | None
    max_edge: int | None = None
    fixed_wh: tuple[int, int] | None = None

    def problem(self, size_wh: tuple[int, int]) -> str | None:
        """Return why the processor would resample an image of this size, or None."""
        width, height = size_wh
        if self.fixed_wh:
            fixed_w, fixed_h = self.fixed_wh
            if size_wh == self.fixed_wh:
                return None
            return f"is not the {fixed_w}x{fixed_h} px that {self.name} accepts"
        if width % self.multiple or height % self.multiple:
            return f"is not a multiple of {self.multiple} px"
        if self.max_edge and max(size_wh) > self.max_edge:
            return f"is longer than the {self.max_edge} px that {self.name} accepts"
        if self.max_pixels and width * height > self.max_pixels:
            return f"has more than the {self.max_pixels} pixels that {self.name} accepts"
        if width * height < self.min_pixels:
            return f"has fewer than the {self.min_pixels} pixels that {self.name} enlarges to"
        return None


def name_of(image_processor: Any) -> str:
    """Return the class name of an image processor, as messages and grids give it."""
    return type(image_processor).__name__


def refusal(image_processor: Any, reason: str) -> HostError:
    """Return the error that refuses an image processor for this reason."""
    return HostError(
        f"image processor {name_of(image_processor)} cannot be trusted to keep one focal length,"
        f" and so metres: {reason}"
    )


def fixed(image_processor: Any, size_wh: tuple[int, int]) -> Grid:
    """Return the grid of an image processor that leaves one size (width, height) alone."""
    area = size_wh[0] * size_wh[1]
    return Grid(name_of(image_processor), 1, area, area, None, size_wh)


def smart_resize(image_processor: Any, processor: Any) -> Grid:
    """Return the grid of one that rounds both sides to multiples of patch x merge.

    An area outside of its limits is scaled into them.
    """
    size = image_processor.size
    multiple = image_processor.patch_size * image_processor.merge_size
    return Grid(name_of(image_processor), multiple, size["shortest_edge"], size["longest_edge"])


def resized(image_processor: Any, processor: Any) -> Grid:
    """Return the grid of one that resizes every image to one size.

    It may resize the shortest edge and crop the centre; that must cut nothing away.

    Raises:
        HostError: When it would crop a resized image to something smaller.
    """
    size = image_processor.size
    shortest = size.get("shortest_edge")
    size_wh = (size.get("width") or shortest, size.get("height") or shortest)
    if getattr(image_processor, "do_center_crop", False):
        crop = image_processor.crop_size
        crop_wh = (crop["width"], crop["height"])
        if crop_wh != size_wh:
            raise refusal(
                image_processor,
                "it resizes to {}x{} and then crops to {}x{}, which would cut marks away;"
                " give `size` and `crop_size` one value in preprocessor_config.json".format(
                    *size_wh, *crop_wh
                ),
            )
    return fixed(image_processor, size_wh)
