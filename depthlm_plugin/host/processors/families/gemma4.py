"""Gemma 4: a budget of patches that every image fills."""

from __future__ import annotations

import math
from typing import Any

from ..family import Family
from ..grid import Grid, fixed


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return one size: images are scaled up or down to exactly the area of the budget.

    Of the sizes that fill it, the one nearest to 4:3 is taken (960x672 for 280 tokens).
    """
    tokens = image_processor.max_soft_tokens
    side = image_processor.patch_size * image_processor.pooling_kernel_size
    columns = min(
        (count for count in range(1, tokens + 1) if tokens % count == 0),
        key=lambda count: abs(math.log(count * count / tokens * 3 / 4)),
    )
    return fixed(image_processor, (columns * side, tokens // columns * side))


FAMILY = Family(("Gemma4ImageProcessor",), _grid)
