"""Tries on a loaded model whether texts that share a row are answered as they are alone.

No model says so: some read the whole prompt in both directions, count positions their own way or
keep more than keys and values. So a few words without a picture are read both ways.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from .positions import positions_of
from .refusal import CannotShareError
from .row import Piece, Row

_DIFFERENCE = {torch.float32: 1e-3, torch.float64: 1e-3}  # of the logits' deviation
_DIFFERENCE_IN_HALVES = 0.2  # wrong masks and positions give about 1
_PREFIX, _OWN = 8, 4  # tokens
_ROUTES = "moe_mm_token_type_ids"  # which a trial without a picture would not notice


def try_sharing(model: Any, words: Sequence[int]) -> None:
    """Raise a CannotShareError unless texts in one row get the logits that they get alone.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.
        words: Token ids of ordinary words, at least 16.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if _ROUTES in inspect.signature(type(base).forward).parameters:
        raise CannotShareError("it sends tokens of pictures and of text to different experts")
    prefix, own = list(words[:_PREFIX]), list(words[_PREFIX : _PREFIX + 2 * _OWN])
    texts = [own[:_OWN], own[:_OWN][::-1], own[_OWN:]]
    device = model.device
    inputs = {"input_ids": torch.tensor([prefix], device=device)}
    row = Row(model, inputs, positions_of(model, inputs), _PREFIX)
    numbers = [row.begin() for _ in texts]
    first = row.extend([Piece(n, text[:-1]) for n, text in zip(numbers, texts, strict=True)])
    last = row.extend([Piece(n, text[-1:]) for n, text in zip(numbers, texts, strict=True)])
    together = torch.stack([torch.cat(logits) for logits in zip(first, last, strict=True)])
    whole = torch.tensor([prefix + text for text in texts], device=device)
    alone = model(input_ids=whole, use_cache=False).logits[:, -2:]
    difference = (together - alone).float().abs().max() / alone.float().std()
    if not difference < _DIFFERENCE.get(alone.dtype, _DIFFERENCE_IN_HALVES):
        raise CannotShareError(
            f"its answers to questions in one row differ from those alone ({difference:.2g} of the"
            " logits' deviation)"
        )
