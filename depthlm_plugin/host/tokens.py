"""Tokenises without pixels, for a view's number of image tokens follows from its size.

LLaMA-Factory decodes every image and runs the model's image processor on it to learn how many image
tokens to write, then tokenises a text of thousands of them. Here the processor sees tensors that
have a shape but no pixels, once per size, and the tokenizer sees each run of image tokens as one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ..errors import HostError

_REPEATED = 8  # tokens in a row: an image's, not a text's
_PLACEHOLDER = "<image>"  # LLaMA-Factory's


class SizedProcessor:
    """A processor, for tokenising only, whose image processor answers shapes.

    Everything else is the wrapped processor's. `image_processor` takes images as meta tensors and
    returns what the real one would, with tensors that take no memory in place of pixels.
    """

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self.image_processor = _SizedImageProcessor(processor.image_processor)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_processor"], name)

    def __reduce__(self) -> tuple[Any, ...]:  # without what it has memorised: fingerprints
        return SizedProcessor, (self._processor,)


class _SizedImageProcessor:
    def __init__(self, image_processor: Any) -> None:
        self._image_processor = image_processor
        self._answers: dict[str, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_image_processor"], name)

    def __call__(self, images: Any, **kwargs: Any) -> dict[str, Any]:
        if not _are_shapes(images):
            return self._image_processor(images, **kwargs)  # ordinary pictures beside views
        key = f"{_shapes(images)} {sorted(kwargs.items())}"
        if key not in self._answers:
            self._answers[key] = self._ask(images, kwargs)
        return dict(self._answers[key])

    def _ask(self, images: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._image_processor(images, **kwargs)
        except (NotImplementedError, RuntimeError, TypeError, AttributeError, ValueError):
            # One that looks at pixels gets black ones.
            answer = self._image_processor(_black(images), **kwargs)
        return {name: _without_pixels(value) for name, value in answer.items()}


def _are_shapes(images: Any) -> bool:
    if isinstance(images, (list, tuple)):
        return all(map(_are_shapes, images))
    return isinstance(images, torch.Tensor) and images.is_meta


def _shapes(images: Any) -> Any:
    return tuple(images.shape) if hasattr(images, "shape") else [_shapes(im) for im in images]


def _black(images: Any) -> Any:
    if not isinstance(images, torch.Tensor):
        return [_black(image) for image in images]
    return torch.zeros(images.shape, dtype=images.dtype)


def _without_pixels(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return torch.zeros((), dtype=value.dtype).expand(value.shape)
    if isinstance(value, list):
        return [_without_pixels(item) for item in value]
    return value


class ShortRuns:
    """A tokenizer that reads a run of one image token at the price of one token.

    Special tokens split the text, whatever stands beside them, so a run of n is its token's id n
    times. Texts that differ only in the length of their runs are tokenised once.

    Args:
        tokenizer: The model's tokenizer.
        tokens: The special tokens that views are expanded to in runs (`repeated_tokens`).
    """

    def __init__(self, tokenizer: Any, tokens: tuple[str, ...]) -> None:
        self._tokenizer = tokenizer
        self._tokens = tokens
        self._ids = set(tokenizer.convert_tokens_to_ids(list(tokens)))
        runs = "|".join(f"(?:{re.escape(token)})+" for token in tokens)
        self._runs = re.compile(runs or "(?!)")  # which matches nothing
        self._encode = lru_cache(maxsize=4096)(self._encode_short)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_tokenizer"], name)

    def __reduce__(self) -> tuple[Any, ...]:
        return ShortRuns, (self._tokenizer, self._tokens)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def encode(self, text: str, add_special_tokens: bool = False, **kwargs: Any) -> list[int]:
        """Return the token ids of a text, as the wrapped tokenizer does."""
        if add_special_tokens or kwargs:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens, **kwargs)
            return ids
        counts: list[int] = []

        def shorten(run: re.Match[str]) -> str:
            token = next(t for t in self._tokens if run[0].startswith(t))
            counts.append(len(run[0]) // len(token))
            return token

        short = self._encode(self._runs.sub(shorten, text))
        if not counts:
            return list(short)
        result: list[int] = []
        start = 0
        places = [place for place, token in enumerate(short) if token in self._ids]
        if len(places) != len(counts):
            raise HostError(
                f"{type(self._tokenizer).__name__} does not keep image tokens apart:"
                f" {len(counts)} runs of them became {len(places)} tokens in {text[:200]!r}"
            )
        for place, count in zip(places, counts, strict=True):
            result.extend(short[start:place])
            result.extend([short[place]] * count)
            start = place + 1
        result.extend(short[start:])
        return result

    def _encode_short(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))


def repeated_tokens(plugin: Any, uri: str, tokenizer: Any, processor: Any) -> tuple[str, ...]:
    """Return the special tokens that an image's placeholder is expanded to in numbers."""
    text = expanded(plugin, uri, processor)
    known = tokenizer.get_added_vocab()
    return tuple(token for token in known if text.count(token) >= _REPEATED)


def expanded(plugin: Any, uri: str, processor: Any) -> str:
    """Return what LLaMA-Factory's model plugin writes in place of one image."""
    turn = {"role": "user", "content": _PLACEHOLDER}
    text: str = plugin.process_messages([turn], [uri], [], [], processor)[0]["content"]
    return text


class TokenCheck:
    """Compares the image tokens of a batch with those that its views take.

    Samples may have been tokenised long ago (`tokenized_path`), for another model or other limits.
    """

    def __init__(self, plugin: Any, tokenizer: Any, processor: Any) -> None:
        self._plugin, self._tokenizer = plugin, tokenizer
        self._processor = SizedProcessor(processor)
        self._count_of: dict[tuple[int, int], tuple[tuple[int, ...], int]] = {}

    def __call__(self, input_ids: Any, uris: list[str], size_of: Callable[[str], Any]) -> None:
        """Raise a HostError unless `input_ids` (N,) holds as many image tokens as these views."""
        expected = 0
        ids: set[int] = set()
        for uri in uris:
            size_wh = size_of(uri)
            if size_wh not in self._count_of:
                self._count_of[size_wh] = self._count(uri)
            own_ids, count = self._count_of[size_wh]
            ids.update(own_ids)
            expected += count
        found = int(np.isin(np.asarray(input_ids), list(ids)).sum())
        if found != expected:
            raise HostError(
                f"a sample has {found} image tokens, but its {len(uris)} view(s) take {expected}:"
                " it was tokenised for another model or cut off; set overwrite_cache: true (or a"
                f" new tokenized_path), and cutoff_len high enough. The sample: {uris[0]}"
            )

    def _count(self, uri: str) -> tuple[tuple[int, ...], int]:
        text = expanded(self._plugin, uri, self._processor)
        tokens = repeated_tokens(self._plugin, uri, self._tokenizer, self._processor)
        ids = self._tokenizer.convert_tokens_to_ids(list(tokens))
        # Some plugins put an image's tokens before the text instead of into it.
        before, _ = self._plugin.process_token_ids(
            [], [], [uri], [], [], self._tokenizer, self._processor
        )
        count = sum(text.count(token) for token in tokens) + len(before)
        return tuple({*ids, *before}), count
