"""What a model says whatever it is asked: how many different answers, and how they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..geometry.arrays import Floats

MOST = 50_000  # different answers that are counted one by one


class Habits:
    """Statistics of answers with one number: language models repeat some and prefer round ones."""

    def __init__(self) -> None:
        self._answers: Counter[float] = Counter()
        self._others = 0
        self._digits = np.zeros((2, 10), dtype=np.int64)

    def add(self, values: Floats, targets: Floats) -> None:
        """Add answers (N,), NaN where unread, and the truth (N,), in one unit."""
        read = np.isfinite(values)
        for value in values[read].tolist():
            if value in self._answers or len(self._answers) < MOST:
                self._answers[value] += 1
            else:
                self._others += 1
        for counts, numbers in zip(self._digits, (values, targets), strict=True):
            # The digit of hundredths: the last one that the templates write.
            hundredths = np.rint(100 * numbers[read & (np.abs(numbers) < 1e12)])
            counts += np.bincount(hundredths.astype(np.int64) % 10, minlength=10)

    def summary(self) -> dict[str, Any]:
        """Return the statistics; nothing where no answer was read.

        `distinct`: different answers, at most `MOST`. `commonest`: up to five [answer, share of
        the read ones]. `end_digits`, `end_digits_true`: shares of the digits 0 to 9 of hundredths,
        of answers and of the truth, rounded alike. `end_digits_off`: half of the sum of their
        absolute differences (the total variation distance): 0 is alike, 0.9 one digit always.
        """
        total = self._answers.total() + self._others
        if not total:
            return {}
        answers, truth = (_shares(counts.tolist()) for counts in self._digits)
        return {
            "distinct": len(self._answers),
            "commonest": [[value, n / total] for value, n in self._answers.most_common(5)],
            "end_digits": answers,
            "end_digits_true": truth,
            "end_digits_off": sum(abs(a - b) for a, b in zip(answers, truth, strict=True)) / 2,
        }

    def __str__(self) -> str:
        """Say them in a line."""
        found = self.summary()
        if not found:
            return "no answer was read"
        value, share = found["commonest"][0]
        most = " or more" if self._others else ""
        return (
            f"{found['distinct']}{most} different answers, {share:.1%} say {value:g}; last digits"
            f" are off the truth's by {found['end_digits_off']:.3f}"
        )


def _shares(counts: Sequence[int]) -> list[float]:
    total = max(sum(counts), 1)
    return [count / total for count in counts]
