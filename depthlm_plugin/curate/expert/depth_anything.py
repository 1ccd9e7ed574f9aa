"""Depth Anything V2, metric: the model multiplies a sigmoid by its largest depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from .rule import Prediction, Rule, array_of


def _read(
    outputs: Any, processor: Any, config: Any, size_wh: tuple[int, int], focal_px: float | None
) -> Prediction:
    if getattr(processor, "do_pad", False):
        raise ConfigError(
            "preprocessor_config.json of the expert pads pictures (do_pad), and its depth maps"
            " would be shifted by that; Depth Anything's own does not"
        )
    width, height = size_wh
    # Bicubic, half-pixel centres, as pictures are resized before.
    [found] = processor.post_process_depth_estimation(outputs, target_sizes=[(height, width)])
    return Prediction(array_of(found["predicted_depth"]), float(config.max_depth))


def _refusal(config: Mapping[str, Any]) -> str:
    if config.get("depth_estimation_type", "relative") != "metric":
        return (
            "its depth_estimation_type is relative: inverse depth of unknown scale and shift;"
            " take a metric one, as Depth-Anything-V2-Metric-Indoor-Small-hf"
        )
    if not config.get("max_depth"):
        return "it is metric, but its config.json lacks the max_depth that makes it metres"
    return ""


RULE = Rule(
    "metres as the model gives them: max_depth * sigmoid (Yang et al. 2024, Depth Anything V2;"
    " transformers DepthAnythingForDepthEstimation)",
    _read,
    _refusal,
)
