"""InternVL 3 and Intern-S1, which use GOT-OCR 2's image processor: one square."""

from __future__ import annotations

from typing import Any

from ..family import Family
from ..grid import Grid, refusal, resized


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return the rule: one square; `crop_to_patches` would make tiles of a size of their own."""
    if getattr(processor, "crop_to_patches", False):
        raise refusal(image_processor, "tiles are resized images; set crop_to_patches: false")
    if image_processor.crop_to_patches:
        raise refusal(
            image_processor,
            "tiles are resized images; set crop_to_patches: false in its configuration",
        )
    return resized(image_processor, processor)


FAMILY = Family(("GotOcr2ImageProcessor",), _grid)
