"""Many texts that go on from one prefix, side by side in one row of a model's cache.

The prefix, a picture of a thousand tokens, is read once. Each text sees it and itself only: a 4D
mask says so, and positions are given. Memory and time of the mask grow with the square of what
stands in the row, so rows are kept short: `clear` begins the next one after the same prefix.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers import DynamicCache

from .refusal import CannotShareError

_ATTENTION = ("sdpa", "eager")  # which take a mask of any form
_FULL = "full_attention"
_NEAR = ("sliding_attention", "chunked_attention")  # full attention to a text that is short enough


class Piece(NamedTuple):
    """What a text goes on with.

    Attributes:
        text: The number of the text, as `Row.begin` gave it.
        tokens: Token ids.
        predictions: How many of the last tokens the next token is to be predicted from.
    """

    text: int
    tokens: Sequence[int]
    predictions: int = 1


class Row:
    """One row of a model's cache: a prefix, then the texts that go on from it.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.
        inputs: Of the prefix: `input_ids` (1, length), its pictures.
        positions: (1, length) or (3, 1, length), of the prefix's tokens.
        start: Position of the first token after it.

    Attributes:
        length: Tokens of the prefix.

    Raises:
        CannotShareError: For a model whose attention does not allow it.
    """

    def __init__(
        self, model: Any, inputs: dict[str, Any], positions: torch.Tensor, start: int
    ) -> None:
        self._model, self._start = model, start
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        config = base.config.get_text_config()
        if config._attn_implementation not in _ATTENTION:
            raise CannotShareError(
                f"its attention, {config._attn_implementation}, takes no such mask"
            )
        if others := _layers(config) - {_FULL, *_NEAR}:
            raise CannotShareError(f"it has layers of {', '.join(sorted(others))}")
        self._keeps = "logits_to_keep" in inspect.signature(type(base).forward).parameters
        self._dims = positions.dim()
        self.length = inputs["input_ids"].shape[1]
        keep = {"logits_to_keep": 1} if self._keeps else {}
        self._cache = DynamicCache()  # of all tokens: one made for the model might forget some
        model(**inputs, position_ids=positions, past_key_values=self._cache, use_cache=True, **keep)
        self._device, self._dtype = inputs["input_ids"].device, self._cache.layers[0].keys.dtype
        self.clear()

    def room(self, tokens: int) -> int:
        """Return how many texts of so many tokens fit into half of the memory that is free.

        What grows fastest is the mask of their first forward: with three numbers for each token
        and each that it might see, one of them the model's own copy.
        """
        free = _free_bytes(self._device)
        if free is None:
            return sys.maxsize
        tensors = [tensor for layer in self._cache.layers for tensor in (layer.keys, layer.values)]
        cached = sum(t.numel() * t.element_size() for t in tensors) / tensors[0].shape[-2]
        size = torch.finfo(self._dtype).bits // 8
        texts = 1
        while True:
            own = 2 * texts * tokens
            if own * cached * 2 + 3 * size * own * (self.length + own) > free / 2:
                return texts
            texts *= 2

    def clear(self) -> None:
        """Forget all texts; the prefix stays."""
        self._cache.crop(self.length)
        self._sees = torch.zeros((0, self.length), dtype=torch.bool, device=self._device)
        self._next: list[int] = []

    def begin(self) -> int:
        """Return the number of a new text, right after the prefix."""
        line = torch.ones((1, self.length), dtype=torch.bool, device=self._device)
        width = self._sees.shape[1] - self.length
        self._sees = torch.cat([self._sees, torch.nn.functional.pad(line, (0, width))])
        self._next.append(self._start)
        return len(self._next) - 1

    def fork(self, text: int, length: int) -> int:
        """Return the number of a new text that begins with the first tokens of another."""
        line = self._sees[text : text + 1].clone()
        own = line[0].nonzero()[self.length :, 0]
        line[0, own[length:]] = False
        self._sees = torch.cat([self._sees, line])
        self._next.append(self._start + length)
        return len(self._next) - 1

    def drop(self, text: int, tokens: int) -> None:
        """Take the last tokens of a text back; it no longer sees them."""
        if tokens:
            own = self._sees[text].nonzero()[:, 0]
            self._sees[text, own[-tokens:]] = False
            self._next[text] -= tokens

    def extend(self, pieces: Sequence[Piece]) -> list[torch.Tensor]:
        """Read what texts go on with, all in one forward; return logits of what follows.

        Returns:
            For each piece (predictions, vocabulary), from its last tokens.
        """
        counts = [len(piece.tokens) for piece in pieces]
        texts = torch.tensor([piece.text for piece in pieces], device=self._device)
        owners = texts.repeat_interleave(torch.tensor(counts, device=self._device))
        total = len(owners)
        own = (owners[:, None] == owners[None]).tril()
        seen = torch.cat([self._sees[owners], own], dim=1)
        mask = torch.zeros(seen.shape, dtype=self._dtype, device=self._device)
        mask.masked_fill_(~seen, torch.finfo(self._dtype).min)
        positions = torch.tensor(
            [
                self._next[piece.text] + at
                for piece, count in zip(pieces, counts, strict=True)
                for at in range(count)
            ],
            device=self._device,
        )[None]
        ends = torch.tensor(counts).cumsum(0).tolist()
        kept = [
            at
            for piece, end in zip(pieces, ends, strict=True)
            for at in range(end - piece.predictions, end)
        ]
        keep = {"logits_to_keep": torch.tensor(kept, device=self._device)} if self._keeps else {}
        tokens = [token for piece in pieces for token in piece.tokens]
        out = self._model(
            input_ids=torch.tensor([tokens], device=self._device),
            attention_mask=mask[None, None],
            position_ids=positions.expand(3, 1, -1) if self._dims == 3 else positions,
            past_key_values=self._cache,
            use_cache=True,
            **keep,
        )
        mine = torch.zeros((len(self._next), total), dtype=torch.bool, device=self._device)
        mine[owners, torch.arange(total, device=self._device)] = True
        self._sees = torch.cat([self._sees, mine], dim=1)
        for piece, count in zip(pieces, counts, strict=True):
            self._next[piece.text] += count
        logits = out.logits[0] if self._keeps else out.logits[0, kept]
        return list(logits.split([piece.predictions for piece in pieces]))


def _layers(config: Any) -> set[str]:
    """Return the kinds of layers of a text model."""
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        kinds = [_FULL if getattr(config, "sliding_window", None) is None else _NEAR[0]]
    return set(kinds)


def reach(model: Any) -> int | None:
    """Return the most tokens that a text and its prefix may have, as far as all layers see.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.

    Returns:
        The number, or None where all layers see everything.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = base.config.get_text_config()
    if not _layers(config) & set(_NEAR):
        return None
    sizes = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return min((size for size in sizes if size is not None), default=0)


def _free_bytes(device: torch.device) -> int | None:
    """Return the memory that is free on a device, or None where nobody says."""
    if device.type == "cuda":
        free: int = torch.cuda.mem_get_info(device)[0]
        return free
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # not Linux
        return None
