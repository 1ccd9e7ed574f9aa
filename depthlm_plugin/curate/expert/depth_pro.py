"""Depth Pro: a canonical inverse depth, made metres by the focal length in pictures' widths."""

from __future__ import annotations

import math
from typing import Any

from .rule import Prediction, Rule, array_of

# Its post-processing ends at 10,000 m. Skies may be said nearer, and nothing is measured so far.
_FARTHEST_M = 1000.0


def _read(
    outputs: Any, processor: Any, config: Any, size_wh: tuple[int, int], focal_px: float | None
) -> Prediction:
    width, height = size_wh
    if focal_px is not None:
        fov_deg = 2 * math.degrees(math.atan(width / (2 * focal_px)))
        outputs.field_of_view = outputs.predicted_depth.new_tensor([fov_deg])
    # Inverse depth is scaled by width / focal_px, then enlarged: bilinear, half-pixel centres.
    [found] = processor.post_process_depth_estimation(outputs, target_sizes=[(height, width)])
    if focal_px is None:
        focal_px = float(found["focal_length"])
    return Prediction(array_of(found["predicted_depth"]), _FARTHEST_M, focal_px)


RULE = Rule(
    "focal_px / (width_px * canonical inverse depth) (Bochkovskii et al. 2024, Depth Pro, section"
    " 3; transformers DepthProImageProcessor)",
    _read,
    lambda config: "",
    takes_focal=True,
    predicts_focal=lambda config: bool(config.get("use_fov_model", False)),
)
