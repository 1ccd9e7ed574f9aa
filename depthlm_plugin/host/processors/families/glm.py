"""GLM-4.1V to GLM-4.6V and GLM-OCR: patches as Qwen-VL makes them, with limits of its own."""

from __future__ import annotations

from typing import Any

from ..family import Family
from ..grid import Grid, name_of, smart_resize


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return Qwen-VL's rule, whose limits count the frames that a still image is repeated to."""
    grid = smart_resize(image_processor, processor)
    frames, largest = image_processor.temporal_patch_size, image_processor.size["longest_edge"]
    smallest = -(-grid.min_pixels // frames)
    return Grid(name_of(image_processor), grid.multiple, smallest, largest // frames)


FAMILY = Family(("Glm4vImageProcessor", "Glm46VImageProcessor"), _grid)
