"""The checks of a `depthlm:` block: every bad value, with what was found and what was expected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..errors import ConfigError, did_you_mean
from ..geometry.camera import DEPTH_KINDS
from ..language.templates import REFERENCES, load_template
from ..sampling.mixture import PRESETS
from ..tasks import TASKS
from ..views.decode import EXIF_RULES
from ..views.markers import MARKERS, get_marker, parse_color

if TYPE_CHECKING:
    from .block import DepthLMConfig

RANGES = {"time_s": 0.1, "speed_m_s": 0.1, "pair_baseline_m": 0.0}
"""Keys that are ranges of numbers, and the least that they may be."""

_MOST_PACKED = 49  # questions an image: two numbered points each


def problems_of(config: DepthLMConfig) -> Iterator[str]:
    """Yield what is wrong with each bad value of a config."""
    if not _is_number(config.focal_px) or not 0 < config.focal_px < 1e5:
        yield f"focal_px must be a positive number of pixels, found {config.focal_px!r}"
    if not _is_number(config.max_upscale) or config.max_upscale <= 0:
        yield f"max_upscale must be a number above 0, found {config.max_upscale!r}"
    yield from _choice("resampling", config.resampling, ["fast", "reference"])
    for name in ("reference", "marker", "prompt"):
        if not isinstance(getattr(config, name), str):
            yield f"{name} must be one name, found {getattr(config, name)!r}"
            return  # the checks below look it up
    for name in ("crop_height", "crop_width"):
        yield from _range_problem(name, getattr(config, name))
    yield from _choice("reference", config.reference, list(REFERENCES))
    yield from _choice("marker", config.marker, list(MARKERS))
    if not _is_count(config.marker_px):
        yield f"marker_px must be a whole number of pixels above 0, found {config.marker_px!r}"
    elif config.marker in MARKERS:
        try:
            get_marker(config.mark_kind, config.marker_px)
        except ConfigError as error:
            yield str(error)
    yield from _color_problem("marker_color", config.marker_color)
    yield from _color_problem("marker_color_2", config.marker_color_2)
    if config.marker_outline is not None:
        yield from _color_problem("marker_outline", config.marker_outline)
    yield from _task_problems(config)
    yield from _packing_problems(config)
    for name in RANGES:
        yield from _span_problem(name, getattr(config, name))
    if not _is_number(config.order_ratio) or config.order_ratio < 1:
        yield f"order_ratio must be 1 or more, found {config.order_ratio!r}"
    if not _is_count(config.pair_rows):
        yield f"pair_rows must be a whole number above 0, found {config.pair_rows!r}"
    if not _is_number(config.pair_overlap) or not 0 <= config.pair_overlap <= 1:
        yield f"pair_overlap must be a share from 0 to 1, found {config.pair_overlap!r}"
    gap = config.pair_time_gap
    if gap is not None and (not _is_number(gap) or gap <= 0):
        yield f"pair_time_gap must be a number above 0 or null, found {gap!r}"
    if config.points_per_record != "all" and not _is_count(config.points_per_record):
        yield (
            "points_per_record must be a whole number above 0 or all, found"
            f" {config.points_per_record!r}"
        )
    yield from _choice("label", config.label, list(DEPTH_KINDS))
    low, high = config.min_depth_m, config.max_depth_m
    if not _is_number(low) or low < 0:
        yield f"min_depth_m must be 0 or more, found {low!r}"
    elif high is not None and (not _is_number(high) or high <= low):
        yield f"max_depth_m must be above min_depth_m ({low:g}) or null, found {high!r}"
    yield from _choice("on_error", config.on_error, ["raise", "skip"])
    if not isinstance(config.lazy, bool):
        yield f"lazy must be true or false, found {config.lazy!r}"
    if config.mixture is not None:
        yield from _choice("mixture", config.mixture, list(PRESETS))
    if config.eval_answers is not None and not _is_count(config.eval_answers):
        yield (
            f"eval_answers must be a whole number above 0 or null, found {config.eval_answers!r}"
        )
    if not _is_number(config.max_skipped) or not 0 <= config.max_skipped <= 1:
        yield f"max_skipped must be a share from 0 to 1, found {config.max_skipped!r}"
    yield from _choice("exif_rotation", config.exif_rotation, list(EXIF_RULES))
    if isinstance(config.seed, bool) or not isinstance(config.seed, int):
        yield f"seed must be a whole number, found {config.seed!r}"


def _task_problems(config: DepthLMConfig) -> Iterator[str]:
    if not isinstance(config.tasks, Mapping) or not config.tasks:
        yield f"tasks must map task names to weights, found {config.tasks!r}"
        return
    for task, weight in config.tasks.items():
        if task not in TASKS:
            yield f"unknown task {task!r}{did_you_mean(str(task), list(TASKS))}"
            continue
        if not _is_number(weight) or weight <= 0:
            yield f"weight of task {task!r} must be positive, found {weight!r}"
        try:
            load_template(task, config.prompt)
        except ConfigError as error:
            yield str(error)


def _packing_problems(config: DepthLMConfig) -> Iterator[str]:
    packed = config.questions_per_image
    if not _is_count(packed) or packed > _MOST_PACKED:
        yield f"questions_per_image must be 1 to {_MOST_PACKED}, found {packed!r}"
    elif packed > 1 and config.reference == "marker":
        yield (
            f"questions_per_image must be 1 with a drawn marker, found {packed}; use reference:"
            " text or numbered"
        )


def _span_problem(name: str, value: object) -> Iterator[str]:
    least = RANGES[name]
    if (
        not isinstance(value, (list, tuple))
        or len(value) != 2
        or not all(map(_is_number, value))
        or not least <= value[0] <= value[1]
    ):
        yield f"{name} must be [least, most], {least:g} or more, found {value!r}"


def _range_problem(name: str, value: object) -> Iterator[str]:
    if value is None:
        return
    if (
        not isinstance(value, (list, tuple))
        or len(value) != 2
        or not all(map(_is_count, value))
        or value[0] > value[1]
    ):
        yield f"{name} must be [smallest, largest] in pixels or null, found {value!r}"


def _color_problem(name: str, value: object) -> Iterator[str]:
    try:
        parse_color(value, name)
    except ConfigError as error:
        yield str(error)


def _choice(name: str, value: object, known: list[str]) -> Iterator[str]:
    if value not in known:
        yield f"unknown {name} {value!r}{did_you_mean(str(value), known)}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
