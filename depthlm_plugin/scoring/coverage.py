"""Whether the 90 % intervals that answers come with hold the truth as often as they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..geometry.arrays import Floats
from .intervals import FEWEST, LEVEL, RESAMPLES, interval

NOMINAL = 0.9


class Coverage:
    """Counts of truths inside intervals, and how wide these are."""

    def __init__(self) -> None:
        self._n = self._inside = self._pictures = 0
        self._log_ratios = 0.0
        self._replicates = np.zeros((2, RESAMPLES))

    def add(self, low: Floats, high: Floats, truth: Floats, drawn: Floats, pictures: int) -> None:
        """Add answers.

        Args:
            low: Lower ends (N,), in the unit of the truth; NaN where an answer has no interval.
            high: Upper ends (N,).
            truth: The truth (N,).
            drawn: How often each resample holds the answer's picture (N, RESAMPLES).
            pictures: How many pictures the answers are about.
        """
        has = np.isfinite(low) & np.isfinite(high)
        inside = (has & (low <= truth) & (truth <= high)).astype(np.float64)
        self._n += int(has.sum())
        self._inside += int(inside.sum())
        self._pictures += pictures
        positive = has & (low > 0)
        self._log_ratios += float(np.log(high[positive] / low[positive]).sum())
        self._replicates += np.stack([inside @ drawn, has.astype(np.float64) @ drawn])

    def summary(self) -> dict[str, Any]:
        """Return `n` intervals, how many hold the truth, and how wide they are.

        `inside`: the share that does; `inside_interval`: its own 95 % interval over pictures;
        `ends_ratio`: the geometric mean of upper over lower end.
        """
        with np.errstate(invalid="ignore"):
            replicates = self._replicates[0] / self._replicates[1]
        own = interval(replicates) if self._pictures >= FEWEST else None
        return {
            "n": self._n,
            "inside": self._inside / max(self._n, 1),
            "inside_interval": own,
            "ends_ratio": math.exp(self._log_ratios / max(self._n, 1)),
        }

    def __str__(self) -> str:
        """Say it in a line."""
        found = self.summary()
        own = found["inside_interval"]
        span = "" if own is None else f" ({LEVEL:.0%}: {own[0]:.1%}-{own[1]:.1%})"
        return (
            f"{NOMINAL:.0%} intervals hold {found['inside']:.1%}{span} of {found['n']} truths;"
            f" their ends are a factor of {found['ends_ratio']:.2f} apart"
        )
