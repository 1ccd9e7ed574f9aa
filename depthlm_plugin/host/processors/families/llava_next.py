"""LLaVA-NeXT, its video models and Granite Vision 3: tiles, and an overview before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..family import Family
from ..grid import Grid, fixed, refusal, resized


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return one size, the square canvas of two by two tiles.

    Images are scaled into the best of a list of canvases, cut into tiles and preceded by a squashed
    overview. This canvas is left alone: its tiles hold the view as it is, and the overview the same
    view at exactly half the focal length, in every sample alike.
    """
    tile, _ = resized(image_processor, processor).fixed_wh or (0, 0)
    canvas = 2 * tile
    if [canvas, canvas] not in [
        list(pinpoint) for pinpoint in image_processor.image_grid_pinpoints
    ]:
        raise refusal(
            image_processor,
            f"its image_grid_pinpoints hold no {canvas}x{canvas}, the one canvas whose overview"
            " keeps fx = fy; add it in preprocessor_config.json",
        )
    return fixed(image_processor, (canvas, canvas))


def _view_values(inputs: Mapping[str, Any]) -> Any:
    """Return the tiles (1, 4, 3, H, W), without the overview before them."""
    return inputs["pixel_values"][:, 1:]


FAMILY = Family(("LlavaNextImageProcessor",), _grid, view_values=_view_values)
