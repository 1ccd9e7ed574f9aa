"""Options of tasks: the keys of the `depthlm:` block that a task declares, and their rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..errors import did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Rule(Generic[T]):
    """What the value of a key may be.

    Attributes:
        problem: Returns what is wrong with a key's value, or None.
        plain: Returns a good value so that values which mean the same are equal.
    """

    problem: Callable[[str, Any], str | None]
    plain: Callable[[Any], T]


def _same(value: Any) -> Any:
    return value


def must_be(
    expected: str,
    accepts: Callable[[Any], bool],
    plain: Callable[[Any], Any] = _same,
    *,
    or_null: bool = False,
) -> Rule[Any]:
    """Return the rule of values that `accepts` is true of; others "must be `expected`"."""
    if or_null:
        expected += " or null"

    def problem(key: str, value: Any) -> str | None:
        if accepts(value) or (or_null and value is None):
            return None
        return f"{key} must be {expected}, found {value!r}"

    return Rule(problem, lambda value: None if value is None else plain(value))


def one_of(known: Iterable[str], *, or_null: bool = False) -> Rule[Any]:
    """Return the rule of a word of these; others are answered with the nearest."""
    words = list(known)

    def problem(key: str, value: Any) -> str | None:
        if value in words or (or_null and value is None):
            return None
        return f"unknown {key} {value!r}{did_you_mean(str(value), words)}"

    return Rule(problem, _same)


def number_range(least: float) -> Rule[tuple[float, float]]:
    """Return the rule of two numbers [least, most], the first not below the `least` given."""

    def accepts(value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return False
        return all(map(is_number, value)) and bool(least <= value[0] <= value[1])

    return must_be(
        f"[least, most], {least:g} or more", accepts, lambda value: tuple(map(float, value))
    )


def is_number(value: object) -> bool:
    """Return whether a value is a finite number (true and false are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: object) -> bool:
    """Return whether a value is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


COUNT = must_be("a whole number above 0", is_count)
SHARE = must_be("a share from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)


@dataclass(frozen=True)
class Option(Generic[T]):
    """A key of the `depthlm:` block that belongs to a task, or to several that refer to it.

    Attributes:
        key: Its name in recipes and in `dataset_info.json`.
        default: Its value where neither gives one.
        rule: What it may be.
        meaning: What it does, with its unit; one line of the README's table.
    """

    key: str
    default: T
    rule: Rule[T]
    meaning: str


@dataclass(frozen=True)
class AskSettings:
    """What a recipe says about how its tasks ask; `settings[OPTION]` is the value of an option.

    Attributes:
        label: What a depth is: `distance` or `z`.
        options: Values of the tasks' options, by key.
    """

    label: str
    options: Mapping[str, Any]

    def __getitem__(self, option: Option[T]) -> T:
        value: T = self.options[option.key]
        return value
