"""The checks of a `depthlm:` block: every bad value, with what was found and what was expected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..geometry.camera import DEPTH_KINDS
from ..language.template import REFERENCES
from ..language.templates import load_template
from ..tasks import OPTIONS, TASKS
from ..tasks.options import SHARE, Option, Rule, is_count, is_number, must_be, one_of
from ..views.decode import EXIF_RULES
from ..views.markers import MARKERS, get_marker, name_color, parse_color
from .mixtures import PRESETS

_MOST_PACKED = 49  # questions an image: two numbered points each


def _is_pixel_range(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return False
    return all(map(is_count, value)) and bool(value[0] <= value[1])


def _named(known: Iterable[str]) -> Rule[str]:
    """Return the rule of keys that are looked up further on: first of all a text."""
    nearest = one_of(known)
    return Rule(lambda key, value: _NAME.problem(key, value) or nearest.problem(key, value), str)


def _color_problem(key: str, value: Any) -> str | None:
    try:
        parse_color(value, key)
    except ConfigError as error:
        return str(error)
    return None


def with_options(
    own: Mapping[str, Rule[Any]], options: Mapping[str, Option[Any]]
) -> dict[str, Rule[Any]]:
    """Return the rules of all keys: those of the options follow `tasks`."""
    clash = sorted(own.keys() & options.keys())
    if clash:
        raise ConfigError(
            f"a task declares the option {clash[0]!r}, which is the block's own key; rename it"
        )
    rules: dict[str, Rule[Any]] = {}
    for key, rule in own.items():
        rules[key] = rule
        if key == "tasks":
            rules |= {name: option.rule for name, option in options.items()}
    return rules


_NAME = must_be("one name", lambda value: isinstance(value, str))
_PIXEL_RANGE = must_be("[smallest, largest] in pixels", _is_pixel_range, tuple, or_null=True)
_COLOR = Rule(_color_problem, lambda value: name_color(parse_color(value)))

RULES: dict[str, Rule[Any]] = with_options(
    {
        "focal_px": must_be(
            "a positive number of pixels", lambda value: is_number(value) and 0 < value < 1e5, float
        ),
        "max_upscale": must_be(
            "a number above 0", lambda value: is_number(value) and value > 0, float
        ),
        "resampling": one_of(["fast", "reference"]),
        "crop_height": _PIXEL_RANGE,
        "crop_width": _PIXEL_RANGE,
        "reference": _named(REFERENCES),
        "marker": _named(MARKERS),
        "marker_px": must_be("a whole number of pixels above 0", is_count),
        "marker_color": _COLOR,
        "marker_color_2": _COLOR,
        "marker_outline": Rule(
            lambda key, value: None if value is None else _COLOR.problem(key, value),
            lambda value: None if value is None else _COLOR.plain(value),
        ),
        "tasks": Rule(
            lambda key, value: (
                None
                if isinstance(value, Mapping) and value
                else f"{key} must map task names to weights, found {value!r}"
            ),
            dict,
        ),
        "questions_per_image": must_be(
            f"1 to {_MOST_PACKED}", lambda value: is_count(value) and value <= _MOST_PACKED
        ),
        "points_per_record": must_be(
            "a whole number above 0 or all", lambda value: value == "all" or is_count(value)
        ),
        "prompt": _NAME,
        "label": one_of(DEPTH_KINDS),
        "min_depth_m": must_be("0 or more", lambda value: is_number(value) and value >= 0),
        "max_depth_m": Rule(lambda key, value: None, lambda value: value),  # with min_depth_m
        "lazy": must_be("true or false", lambda value: isinstance(value, bool)),
        "mixture": one_of(PRESETS, or_null=True),
        "eval_answers": must_be("a whole number above 0", is_count, or_null=True),
        "on_error": one_of(["raise", "skip"]),
        "max_skipped": SHARE,
        "exif_rotation": one_of(EXIF_RULES),
        "seed": must_be(
            "a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)
        ),
    },
    OPTIONS,
)
"""What each key may be: first alone, then together with others (`_TOGETHER`)."""


def mark_kind(reference: str, marker: str) -> str:
    """Return the shape of the marks that are drawn."""
    return "numbered" if reference == "numbered" else marker


def _marker_problems(reference: str, marker: str, marker_px: int) -> Iterator[str]:
    try:
        get_marker(mark_kind(reference, marker), marker_px)
    except ConfigError as error:
        yield str(error)


def _task_problems(tasks: Mapping[str, float], prompt: str) -> Iterator[str]:
    for task, weight in tasks.items():
        if task not in TASKS:
            yield f"unknown task {task!r}{did_you_mean(str(task), list(TASKS))}"
            continue
        if not is_number(weight) or weight <= 0:
            yield f"weight of task {task!r} must be positive, found {weight!r}"
        try:
            load_template(task, prompt)
        except ConfigError as error:
            yield str(error)


def _packing_problems(packed: int, reference: str) -> Iterator[str]:
    if packed > 1 and reference == "marker":
        yield (
            f"questions_per_image must be 1 with a drawn marker, found {packed}; use reference:"
            " text or numbered"
        )


def _depth_problems(low: float, high: Any) -> Iterator[str]:
    if high is not None and (not is_number(high) or high <= low):
        yield f"max_depth_m must be above min_depth_m ({low:g}) or null, found {high!r}"


_TOGETHER: dict[tuple[str, ...], Callable[..., Iterator[str]]] = {
    ("reference", "marker", "marker_px"): _marker_problems,
    ("tasks", "prompt"): _task_problems,
    ("questions_per_image", "reference"): _packing_problems,
    ("min_depth_m", "max_depth_m"): _depth_problems,
}


def problems_of(block: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a block that has every key: each unknown key and bad value."""
    for key in block:
        if key not in RULES:
            yield f"unknown key {key!r}{did_you_mean(key, list(RULES))}"
    bad = set()
    for key, rule in RULES.items():
        problem = rule.problem(key, block[key])
        if problem is not None:
            bad.add(key)
            yield problem
    for keys, problems in _TOGETHER.items():
        if bad.isdisjoint(keys):
            yield from problems(*(block[key] for key in keys))
