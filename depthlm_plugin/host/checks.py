"""Checks of samples before they are tokenised, made with the model's own processor."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from datasets import Dataset

from ..errors import ConfigError, HostError
from ..views.view import window_size
from .board import limited_for_views, on_board, raise_cutoff, say_limits
from .open_views import is_view, views_as
from .processors.proof import prove
from .run import Run
from .tokens import ShortRuns, SizedProcessor, repeated_tokens

_TEXT_MARGIN = 16  # tokens: answers differ by a few digits


def check_views(
    dataset: Dataset, run: Run, data_args: Any, template: Any, tokenizer: Any, processor: Any
) -> str | None:
    """Return one of a dataset's largest views, or None where it has none, after these checks.

    Raises:
        ConfigError: For settings under which the host would shrink an image or cut off a sample.
        HostError: When the model's processor changes pixels, or counts and tokens that were found
            without pixels are not what it makes of pixels.
    """
    sizes: set[tuple[int, int]] = set()
    longest, most = 0, (0, 0)
    texts = zip(dataset["_prompt"], dataset["_response"], strict=True)
    for index, (images, turns) in enumerate(zip(dataset["_images"], texts, strict=True)):
        views_wh = [window_size(image) for image in filter(is_view, images or ())]
        sizes.update(views_wh)
        # Image tokens go with the area, all images of a sample together.
        letters = sum(len(turn["content"]) for side in turns for turn in side)
        length = sum(map(math.prod, views_wh)), letters
        if views_wh and length > most:
            longest, most = index, length
    if not sizes:
        return None
    by_area = sorted(sizes, key=math.prod)
    if on_board():
        say_limits(by_area[-1], processor)
    row = dataset[longest]
    uri: str = next(filter(is_view, row["_images"]))
    with _one_thread(), limited_for_views(processor):
        _check_sizes(by_area, run, processor)
        prove(template.mm_plugin, processor, by_area[-1])
        _check_length(row, data_args, template, tokenizer, processor)
    return uri


def _check_sizes(by_area: list[tuple[int, int]], run: Run, processor: Any) -> None:
    smallest, largest = by_area[0], by_area[-1]
    problems = []
    for name, size, fits in (
        ("image_max_pixels", largest, math.prod(largest) <= processor.image_max_pixels),
        ("image_min_pixels", smallest, math.prod(smallest) >= processor.image_min_pixels),
    ):
        if not fits:
            problems.append(
                f"a view has {size[0]}x{size[1]} = {math.prod(size)} pixels, but {name} is"
                f" {getattr(processor, name)}: LLaMA-Factory would resample it and change the focal"
                f" length, and so the metres; set {name}: {math.prod(size)}"
            )
    for size in by_area:
        problem = run.grid.problem(size)
        if problem:
            problems.append(
                f"a view of {size[0]}x{size[1]} {problem}: the model's processor would resample it"
                " and change the focal length; change focal_px or the crop to fit"
            )
            break
    if problems:
        raise ConfigError("depthlm: " + "; ".join(problems))


def _check_length(
    row: dict[str, Any],
    data_args: Any,
    template: Any,
    tokenizer: Any,
    processor: Any,
) -> None:
    """Refuse a cutoff_len below the longest sample, counted with pixels and without."""
    with views_as("blanks"):
        tokens = _encoded(row, template, tokenizer, processor)
    with views_as("shapes"):
        sized = SizedProcessor(processor)
        uri = next(filter(is_view, row["_images"]))
        names = repeated_tokens(template.mm_plugin, uri, tokenizer, sized)
        counted = _encoded(row, template, ShortRuns(tokenizer, names), sized)
    views = " and ".join(
        "{}x{}".format(*window_size(uri)) for uri in filter(is_view, row["_images"])
    )
    if counted != tokens:
        raise HostError(
            f"a {views} view takes {len(tokens)} tokens with its text, but"
            f" {len(counted)} were counted from its size: {type(processor).__name__} does not work"
            " as depthlm-plugin expects; please report it with the model's name"
        )
    least = -(-(len(tokens) + _TEXT_MARGIN) // 128) * 128
    if len(tokens) + _TEXT_MARGIN > data_args.cutoff_len and on_board():
        raise_cutoff(data_args, least)
    elif len(tokens) + _TEXT_MARGIN > data_args.cutoff_len:
        raise ConfigError(
            f"depthlm: a view of {views} with its questions and answers takes"
            f" {len(tokens)} tokens, but cutoff_len is {data_args.cutoff_len}: image or answer"
            f" would be cut off; set cutoff_len: {least}"
        )


def _encoded(row: dict[str, Any], template: Any, tokenizer: Any, processor: Any) -> list[int]:
    turns = row["_prompt"] + row["_response"]
    messages = template.mm_plugin.process_messages(turns, row["_images"], [], [], processor)
    first, _ = template.mm_plugin.process_token_ids(
        [], [], row["_images"], [], [], tokenizer, processor
    )
    prompt, answer = template.encode_oneturn(tokenizer, messages, row["_system"], row["_tools"])
    return list(first) + list(prompt) + list(answer)


@contextmanager
def _one_thread() -> Iterator[None]:
    # LLaMA-Factory forks its tokenising workers next. A thread pool that torch has started by then
    # is dead in the children, and they would wait for it forever.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
