"""Gives a depth run that LLaMA Board starts what the page cannot be told.

The page writes the recipe of a run and starts it as a process of its own. It gives limits of image
pixels that views exceed, on its evaluation tab no `depthlm:` block, and it always samples. Ordinary
pictures and datasets of such a run keep what the page says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from functools import wraps
from typing import Any

from llamafactory.extras import logging
from llamafactory.extras.misc import is_env_enabled

from ..config.block import DepthLMConfig, parse_block
from ..errors import ConfigError

logger = logging.get_logger("llamafactory.depthlm")

MOST_PIXELS = 2**26  # of a view; more would be memory that nobody meant to use
_MOST_TOKENS = 131_072  # what the page's own slider ends at
_SHOWN = ("focal_px", "crop_height", "crop_width")  # keys of the block that its advice shows


def on_board() -> bool:
    """Return whether LLaMA Board has started this run; its workers know it too."""
    return is_env_enabled("LLAMABOARD_ENABLED")


def limits_of_views() -> dict[str, int]:
    """Return LLaMA-Factory's limits of pixels that hold for views, where they are others."""
    return {"image_max_pixels": MOST_PIXELS, "image_min_pixels": 1} if on_board() else {}


@contextmanager
def limited_for_views(processor: Any) -> Iterator[None]:
    """Within this, the processor has the limits that hold for views."""
    before = {name: getattr(processor, name) for name in limits_of_views()}
    try:
        for name, limit in limits_of_views().items():
            setattr(processor, name, limit)
        yield
    finally:
        for name, limit in before.items():
            setattr(processor, name, limit)


def say_limits(largest_wh: tuple[int, int], processor: Any) -> None:
    """Log that the page's limit does not hold for views, of which one was `largest_wh` pixels."""
    width, height = largest_wh
    if width * height > processor.image_max_pixels:
        logger.info_rank0(
            f"depthlm: LLaMA Board's limit of {processor.image_max_pixels} image pixels holds for"
            f" ordinary pictures; a view has {width}x{height} = {width * height}, and stays as it"
            " is, for its metres depend on that"
        )


def untruncated(data_args: Any) -> Any:
    """Return data arguments under which no sample of a depth dataset is too long, on the page."""
    if not on_board():
        return data_args
    logger.info_rank0(
        f"depthlm: LLaMA Board's cutoff_len of {data_args.cutoff_len} holds for ordinary datasets;"
        " depth samples are never cut off"
    )
    data_args = copy(data_args)
    data_args.cutoff_len = max(data_args.cutoff_len, _MOST_TOKENS)
    return data_args


def raise_cutoff(data_args: Any, least: int) -> None:
    """Set a `cutoff_len` (tokens) in place of the page's, and log it."""
    logger.info_rank0(
        f"depthlm: cutoff_len is {least} instead of LLaMA Board's {data_args.cutoff_len}, which"
        " would cut off images or answers"
    )
    data_args.cutoff_len = least


def with_advice(get_dataset: Callable[..., Any]) -> Callable[..., Any]:
    """Return `get_dataset`, whose errors of the config say where on the page it is given."""

    @wraps(get_dataset)
    def advising(
        template: Any,
        model_args: Any,
        data_args: Any,
        training_args: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        try:
            return get_dataset(template, model_args, data_args, training_args, *args, **kwargs)
        except ConfigError as error:
            if on_board():
                error.add_note(_advice(data_args, training_args.do_train))
            raise

    return advising


def _advice(data_args: Any, trains: bool) -> str:
    if not trains:
        return (
            "On LLaMA Board, an evaluation is set up by the depthlm_config.json beside the weights,"
            " and by what its dataset's entry in dataset_info.json says, such as"
            ' "depthlm": {"points_per_record": "all"}.'
        )
    defaults = DepthLMConfig().to_dict()
    block = {key: defaults[key] for key in _SHOWN} | parse_block(data_args.depthlm)
    line = json.dumps({"optim": "adamw_torch", "depthlm": block})
    return (
        'On LLaMA Board, what the page has no field for goes into its "Extra arguments" (under'
        f' "Extra configurations"), in one line such as\n{line}'
    )
