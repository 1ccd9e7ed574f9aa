"""Pixtral, Mistral Small 3.1, Ministral 3: images of their own size, in rows of patches."""

from __future__ import annotations

from typing import Any

from ..family import Family
from ..grid import Grid, name_of


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return the rule: sides are rounded up to patches, and a longest edge shrinks the image.

    The smaller images of a batch are padded on the right and below, and the model is told the
    sizes. Merged patches (Mistral Small 3.1, Ministral 3) must come out whole too.
    """
    patch, size = image_processor.patch_size, image_processor.size
    side = patch["height"] if not isinstance(patch, int) else patch
    multiple = side * getattr(processor, "spatial_merge_size", 1)
    longest = size.get("longest_edge") or min(size["height"], size["width"])
    # The vision tower has no positions beyond this edge either.
    return Grid(name_of(image_processor), multiple, multiple * multiple, None, longest)


FAMILY = Family(("PixtralImageProcessor",), _grid)
