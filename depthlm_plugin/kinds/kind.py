"""What a kind of answer is: how it is read from a text, when it is valid, how it is scored.

A kind is one file of this folder; a task names its kind (`Task.kind`), and nobody else asks which
one it is. Nothing is registered.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..geometry.arrays import Floats
from .units import Refused

Columns = Mapping[str, Floats]
"""Of each value of some answers, by placeholder, an array (N,); NaN where it was not read."""

Reward = Callable[[Mapping[str, float] | None, Mapping[str, float]], float]
"""Returns the reward of the values that were read, or None, against the true ones; finite."""


class AnswerKind(ABC):
    """One kind of answer; its tasks say which placeholders hold the values.

    Scores are made in steps that can be added up (see `scoring.tally`): `measure` looks at each
    answer, `derive` makes metrics of the means, and `whole` makes those that need every value.

    Attributes:
        expects: What a valid answer is, in words after "expected"; `{unit}` is the task's unit.
        reasons: Why `read` and `problem` refuse texts, beyond `language.reading.REASONS`.
        units: Units of the values that are not in the template's unit, by placeholder.
        least_decimals: Digits after the point that a template must write values with.
        quantity: Placeholder of the one positive number that an answer is, or None where it is
            something else. Such answers are also looked at by distance, as distance and as z, and
            by what models say by habit.
        kept: Names of what is measured whose every value `whole` needs.
        main: Name of the metric that sums the answers up: from 0 to 1, and more is better.
        also: Names of the metrics to look at next; they may be absent.
        constant: Name of what the best constant answer has for `main`, or None.
        not_averaged: Names of metrics that are no better or worse when they are higher, and of
            which means over datasets say nothing.
        note: What a table of the metrics has to say of them; `{unit}` is the task's unit.
        rewards: Rewards for reinforcement learning by name; the first is the usual one.
    """

    expects: ClassVar[str]
    reasons: ClassVar[tuple[str, ...]] = ()
    units: ClassVar[Mapping[str, str]] = {}
    least_decimals: ClassVar[int] = 0
    quantity: ClassVar[str | None] = None
    kept: ClassVar[tuple[str, ...]] = ()
    main: ClassVar[str]
    also: ClassVar[tuple[str, ...]] = ()
    constant: ClassVar[str | None] = None
    not_averaged: ClassVar[tuple[str, ...]] = ()
    note: ClassVar[str] = ""
    rewards: ClassVar[Mapping[str, Reward]] = {}

    def read(self, text: str, unit: str) -> Sequence[float]:
        """Return the values, in the order of the task's, that a free text states in a unit.

        Texts in the very form of the template are read before this is asked. White space is single
        spaces.

        Raises:
            Refused: With the reason why nothing can be relied on.
        """
        raise Refused("not the form asked for")

    def problem(self, values: Mapping[str, float]) -> str | None:
        """Return why values can be no answer, be it read or true, as a reason; None if they can."""
        return self._problem(values) if all(map(math.isfinite, values.values())) else "not finite"

    @abstractmethod
    def _problem(self, values: Mapping[str, float]) -> str | None:
        """Return the same of finite values."""

    @abstractmethod
    def measure(self, predicted: Columns, true: Columns) -> dict[str, Floats]:
        """Return what is measured of each answer, arrays (N,) by name.

        NaN says nothing, else a number counts in the mean. `parse_failure_rate` is always among
        them. An answer that was not read is wrong.
        """

    def derive(self, means: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the metrics that follow from the means of what is measured, of any shape.

        `parse_failure_rate` and `main` are always among them.
        """
        return {name: mean for name, mean in means.items() if name != "target"}

    def whole(self, kept: Mapping[str, Floats]) -> dict[str, float]:
        """Return the metrics that follow from all values of `kept`, arrays without NaN."""
        return {}


def readable(predicted: Columns) -> NDArray[np.bool_]:
    """Return which answers (N,) have a finite number for every value."""
    finite = [np.isfinite(column) for column in predicted.values()]
    result: NDArray[np.bool_] = np.logical_and.reduce(finite)
    return result


def failures(read: NDArray[np.bool_]) -> dict[str, Floats]:
    """Return what `measure` says of which answers (N,) were read: `parse_failure_rate`."""
    return {"parse_failure_rate": (~read).astype(np.float64)}


def medians(kept: Mapping[str, Floats], names: Mapping[str, str]) -> dict[str, float]:
    """Return the medians of what is kept, under new names; nothing of what has no value."""
    # Halved, so that the mean of the middle two stays among the floats.
    return {
        new: 2 * float(np.median(kept[name] / 2)) for name, new in names.items() if len(kept[name])
    }
