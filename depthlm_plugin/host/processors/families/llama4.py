"""Llama 4: tiles, and an overview after them. Values come in bfloat16: to one grey level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..family import Family
from ..grid import Grid, fixed, refusal


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return one size, a square canvas of at most three by three tiles.

    Images are fitted into a canvas of tiles, and padded. A square canvas is left alone, and the
    overview shows it at exactly 1 / tiles a side of the focal length, in every sample alike.
    """
    if image_processor.resize_to_max_canvas:
        raise refusal(
            image_processor,
            "it enlarges every image; set resize_to_max_canvas: false in its configuration",
        )
    # Three tiles (1008 px) are nearest to the published crops of 700-1200 x 1000-1400 px.
    side = min(3, math.isqrt(image_processor.max_patches)) * image_processor.size["height"]
    return fixed(image_processor, (side, side))


def _view_values(inputs: Mapping[str, Any]) -> Any:
    """Return the tiles (N, 3, H, W), without the overview that follows several of them."""
    values = inputs["pixel_values"]
    return values[:-1] if len(values) > 1 else values


FAMILY = Family(("Llama4ImageProcessor",), _grid, view_values=_view_values)
