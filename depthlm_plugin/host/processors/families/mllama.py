"""Llama 3.2 Vision: tiles, without an overview."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..family import Family
from ..grid import Grid, fixed


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return one size, the largest square canvas (two by two tiles of the published four).

    Images are scaled into the smallest canvas of tiles that holds them, and padded; this one is
    left alone.
    """
    side = math.isqrt(image_processor.max_image_tiles) * image_processor.size["height"]
    return fixed(image_processor, (side, side))


def _view_values(inputs: Mapping[str, Any]) -> Any:
    """Return the tiles of the view, without those that fill up to the tile limit."""
    return inputs["pixel_values"][:, :, : inputs["num_tiles"][0][0]]


FAMILY = Family(("MllamaImageProcessor",), _grid, view_values=_view_values)
