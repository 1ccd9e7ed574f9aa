"""Decodes what a model has generated, with the tags that its chat template made special tokens.

LLaMA-Factory 0.9.5 makes every stop word of a template a special token, and `</answer>` is one of
GLM-4.1V's and GLM-4.5V's. Decoded without special tokens, an answer would lose the tag that closes
it, and be read as cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


def decoded(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Return the text of generated tokens (L,): without special tokens, except tags of answers."""
    special = set(tokenizer.all_special_tokens)
    tags = {tokenizer.convert_tokens_to_ids(tag): tag for tag in _TAGS if tag in special}
    parts = []
    for tag, run in groupby(map(int, tokens), tags.get):
        ids = list(run)
        parts.append(tag * len(ids) if tag else tokenizer.decode(ids, skip_special_tokens=True))
    return "".join(parts)
