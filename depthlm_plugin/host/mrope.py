"""Restores image positions that LLaMA-Factory 0.9.5 loses with transformers 5.

Models of the Qwen-VL family place image tokens on a grid (M-RoPE). transformers 5 builds the grid
only when it is told which tokens are image tokens (`mm_token_type_ids`). LLaMA-Factory computes the
grid itself in training, but not in any run with predict_with_generate, nor in its chat and API
(repaired in `chat`): there the image tokens silently become a line of text. The demo's model, at
delta1 0.89 with the grid, scored 0.58 without it. Remove this once LLaMA-Factory passes them.
"""

from __future__ import annotations

import inspect
from typing import Any


def with_token_types(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return model inputs with `mm_token_type_ids`, where the model needs them to see a grid.

    ERNIE-4.5-VL also needs `moe_mm_token_type_ids`, in training too: without, LLaMA-Factory 0.9.5
    sends pictures through its experts for text.

    Args:
        model: The model, possibly wrapped by PEFT.
        inputs: Its inputs; `input_ids` (batch, length). Given `position_ids` are left to rule.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    inner = getattr(base, "model", base)
    rope_index = getattr(inner, "get_rope_index", None)
    image_token_id = getattr(base.config, "image_token_id", None)
    if "moe_mm_token_type_ids" in inspect.signature(type(base).forward).parameters:
        inputs = {"moe_mm_token_type_ids": _of_pictures(base.config, inputs["input_ids"])} | inputs
    if (
        rope_index is None
        or image_token_id is None
        or not {"mm_token_type_ids", "position_ids"}.isdisjoint(inputs)
        or "mm_token_type_ids" not in inspect.signature(rope_index).parameters
    ):
        return inputs
    return inputs | {"mm_token_type_ids": (inputs["input_ids"] == image_token_id).int()}


def _of_pictures(config: Any, input_ids: Any) -> Any:
    """Return (batch, length): 1 for pictures' tokens, their begin and end included, else 0."""
    begin, end = config.image_start_token_id, config.image_end_token_id
    return sum((input_ids == token).int() for token in (config.image_token_id, begin, end))
