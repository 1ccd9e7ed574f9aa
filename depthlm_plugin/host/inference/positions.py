"""Positions of a prompt's tokens, said aloud: none are left to what the model remembers.

Models of the Qwen-VL family place image tokens on a grid and text after its largest position
(M-RoPE). They keep the difference to a plain count on themselves (`rope_deltas`), where the next
picture overwrites it; so whoever asks about several pictures must give the positions.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

from ..mrope import with_token_types
from .refusal import CannotShareError


def positions_of(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Return the positions of one prompt's tokens: (1, length), or (3, 1, length) for M-RoPE.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.
        inputs: The whole prompt's: `input_ids` (1, length), and its pictures.

    Raises:
        CannotShareError: For a model that counts in a way that is not known here.
    """
    length = inputs["input_ids"].shape[1]
    rule = _rope_index(model)
    if rule is None:
        return torch.arange(length, device=inputs["input_ids"].device)[None]
    if "image_grid_thw" not in inputs:  # a text
        return torch.arange(length, device=inputs["input_ids"].device).expand(3, 1, -1)
    known = with_token_types(model, inputs)
    if "mm_token_type_ids" not in known:
        raise CannotShareError("its positions are counted in a way that is not known")
    taken = inspect.signature(rule).parameters
    found: torch.Tensor = rule(**{name: known[name] for name in known if name in taken})[0]
    return found


def text_after(positions: torch.Tensor, prefix: int) -> int:
    """Return the position of the first token after a prefix, from which text counts on by one.

    Args:
        positions: Of a whole prompt, as `positions_of` gives them.
        prefix: How many of its tokens are the prefix.

    Raises:
        CannotShareError: Where what follows is not counted so.
    """
    rest = positions[..., prefix:]
    first = int(rest.flatten()[0])
    counted = torch.arange(first, first + rest.shape[-1], device=rest.device)
    if not (rest == counted).all():
        raise CannotShareError("text after its pictures is not counted one by one")
    return first


def _rope_index(model: Any) -> Any:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    rule = getattr(getattr(base, "model", base), "get_rope_index", None)
    if rule is None and any(hasattr(part, "get_rope_index") for part in base.modules()):
        raise CannotShareError("its positions are counted in a way that is not known")
    return rule
