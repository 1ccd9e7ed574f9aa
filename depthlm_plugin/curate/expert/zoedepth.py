"""ZoeDepth: metres from bins of depth, those of the kind of scene that the model recognises."""

from __future__ import annotations

import math
from typing import Any

from .rule import Prediction, Rule, array_of


def _read(
    outputs: Any, processor: Any, config: Any, size_wh: tuple[int, int], focal_px: float | None
) -> Prediction:
    """Return the metres of a picture.

    The processor pads pictures by reflection and shrinks them with their corners kept in place
    (`align_corners`), but its post-processing enlarges depth maps with half-pixel centres: labels
    of a photograph of 4000 pixels would be up to 3 beside their places. So it is done here.
    """
    from torch.nn.functional import interpolate

    width, height = size_wh
    pad_x, pad_y = (
        int(math.sqrt(side / 2) * 3) if processor.do_pad else 0 for side in (width, height)
    )
    padded = interpolate(
        outputs.predicted_depth[:, None],
        size=(height + 2 * pad_y, width + 2 * pad_x),
        mode="bicubic",
        align_corners=True,
    )
    depth = padded[0, 0, pad_y : pad_y + height, pad_x : pad_x + width]
    bins = config.bin_configurations
    logits = outputs.domain_logits
    chosen = bins[0 if logits is None else int(logits[0].argmax())]
    return Prediction(array_of(depth), float(chosen["max_depth"]))


RULE = Rule(
    "metres as the model gives them, of the bins it chose (Bhat et al. 2023, ZoeDepth;"
    " transformers ZoeDepthForDepthEstimation)",
    _read,
    lambda config: "",
)
