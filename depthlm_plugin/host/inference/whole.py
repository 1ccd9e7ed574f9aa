"""Answers whole prompts with transformers' own `generate`, one by one or in batches.

Prompts of one length make a batch, so no row is padded: positions, image grids and windows are
those of each prompt alone, in every family.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..mrope import with_token_types
from .numbers import Numbers


def generate(
    model: Any,
    inputs: dict[str, Any],
    stop: Sequence[int],
    most: int,
    pad: int,
    numbers: Numbers | None = None,
) -> list[list[int]]:
    """Return the tokens that a model answers to prompts of one length with, greedily.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.
        inputs: `input_ids` (prompts, length) and all pictures.
        stop: Tokens that end an answer; the last of one.
        most: The most tokens of an answer.
        pad: The token that fills the rows of answers that have ended.
        numbers: If given, answers are of this form.
    """
    prompts = inputs["input_ids"]
    length = prompts.shape[1]

    def allowed(_: int, tokens: torch.Tensor) -> list[int]:
        said = tokens[length:].tolist()
        if not set(stop).isdisjoint(said):
            return [pad]
        assert numbers is not None
        return numbers.forced(said)[:1] or numbers.allowed(said)

    tokens = model.generate(
        **with_token_types(model, inputs),
        attention_mask=torch.ones_like(prompts),
        do_sample=False,
        # As LLaMA-Factory's evaluation and chat: a penalty, which some weights come with, would
        # keep a model from digits that stand in its prompt.
        repetition_penalty=1.0,
        max_new_tokens=most,
        eos_token_id=list(stop),
        pad_token_id=pad,
        prefix_allowed_tokens_fn=None if numbers is None else allowed,
    )
    return [ended(row, stop) for row in tokens[:, length:].tolist()]


def ended(tokens: Sequence[int], stop: Sequence[int]) -> list[int]:
    """Return an answer's tokens up to and with the first that ends it."""
    for at, token in enumerate(tokens):
        if token in stop:
            return list(tokens[: at + 1])
    return list(tokens)
