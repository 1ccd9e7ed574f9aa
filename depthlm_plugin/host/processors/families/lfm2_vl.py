"""LFM2-VL: patches within a budget of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..family import Family
from ..grid import Grid, name_of


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return the rule: sides are rounded to patch x downsampling, the area to the token limits.

    Larger images may become tiles and a thumbnail, but LLaMA-Factory counts the tokens of one
    picture an image, so a view must stay within one picture's limit.
    """
    multiple = image_processor.encoder_patch_size * image_processor.downsample_factor
    smallest, largest = image_processor.min_image_tokens, image_processor.max_image_tokens
    name = name_of(image_processor)
    return Grid(name, multiple, smallest * multiple**2, largest * multiple**2)


def _view_values(inputs: Mapping[str, Any]) -> Any:
    """Return the patches of the view, without those that fill up to the token limit."""
    return inputs["pixel_values"][inputs["pixel_attention_mask"].bool()]


FAMILY = Family(("Lfm2VlImageProcessor",), _grid, view_values=_view_values)
