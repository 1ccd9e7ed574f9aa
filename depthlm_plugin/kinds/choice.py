"""Answers that choose one of two points."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..geometry.arrays import Floats
from .kind import AnswerKind, Columns, Reward, failures, readable
from .units import Refused, read_quantities

_OTHER_ONE = re.compile(r"\b(?:not|far|farther|farthest|further|furthest|behind)\b", re.IGNORECASE)


def _accuracy(values: Mapping[str, float] | None, truth: Mapping[str, float]) -> float:
    """Return 1 for the right choice, else 0."""
    return float(values == truth)


class Choice(AnswerKind):
    """1 or 2.

    Metrics: `accuracy`, the share of right answers; `constant_accuracy`, that of the answer that is
    right most often on these very questions.
    """

    expects = "1 or 2"
    reasons = ("not a choice",)  # neither 1 nor 2, or said of the farther point
    kept = ("target",)
    main = "accuracy"
    constant = "constant_accuracy"
    rewards: ClassVar[Mapping[str, Reward]] = {"accuracy": _accuracy}

    def read(self, text: str, unit: str) -> Sequence[float]:
        """Return the one point that a text names, if it is not for being the other one."""
        for number, ordinal in (("1", "1st|first"), ("2", "2nd|second")):
            text = re.sub(rf"\b(?:{ordinal})\b", number, text, flags=re.IGNORECASE)
        named = {quantity.value for quantity in read_quantities(text, "")}
        if not named:
            raise Refused("no number")
        if len(named) > 1:
            raise Refused("several numbers")
        if _OTHER_ONE.search(text):
            raise Refused("not a choice")
        return [named.pop()]

    def _problem(self, values: Mapping[str, float]) -> str | None:
        return None if {1, 2}.issuperset(values.values()) else "not a choice"

    def measure(self, predicted: Columns, true: Columns) -> dict[str, Floats]:
        """Return whether each answer is right."""
        [values], [targets] = predicted.values(), true.values()
        right = (values == targets).astype(np.float64)
        return failures(readable(predicted)) | {"accuracy": right, "target": targets}

    def whole(self, kept: Mapping[str, Floats]) -> dict[str, float]:
        """Return the accuracy of the best constant answer."""
        _, counts = np.unique(kept["target"], return_counts=True)
        return {"constant_accuracy": float(counts.max() / counts.sum())}


CHOICE = Choice()
