"""A model's answer as a distribution over numbers, and what is best said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..geometry.arrays import Floats

_TAIL = 0.05  # of the probability on each side of the interval
_WITHIN = 1.25  # delta1: an answer counts when it is less than this times too large or too small


@dataclass(frozen=True)
class Distribution:
    """What a model could have answered, in the unit of the answer.

    Attributes:
        median: Half of the probability lies below.
        mean: The expected value.
        mode: The number that is most probable as it is written.
        delta1_optimal: The value that is most probably within a factor of 1.25 of the truth.
        interval_90: From where 5 % to where 95 % of the probability lies below.
        mass: Probability of all numbers that were found, before it was made 1; the rest is text
            that is no number.
    """

    median: float
    mean: float
    mode: float
    delta1_optimal: float
    interval_90: tuple[float, float]
    mass: float

    @classmethod
    def of(cls, shares: Sequence[tuple[str, float, bool]]) -> Distribution | None:
        """Return the distribution of shares of probability, or None where they hold no number.

        Args:
            shares: Numbers, none of which begins another, each with its probability and whether it
                is written to its end (`2.35`) or goes on (`2.`). A number stands for all that
                round to it; what begins so is spread evenly over what may follow.
        """
        begun = [share for share in shares if share[0] and share[1] > 0]
        if not begun:
            return None
        whole = [(p, float(number)) for number, p, ends in begun if ends]
        half = 0.5 * 10.0 ** -min((_decimals(n) for n, _, ends in begun if ends), default=2)
        low, high, probability = np.array([(*_range(n, ends, half), p) for n, p, ends in begun]).T
        mass = float(probability.sum())
        probability = probability / mass
        edges = np.unique(np.concatenate([low, high]))
        below = ((edges[:, None] - low) / (high - low)).clip(0, 1) @ probability
        lower, median, upper = (_quantile(edges, below, q) for q in (_TAIL, 0.5, 1 - _TAIL))
        return cls(
            median,
            float(probability @ (low + high) / 2),
            max(whole)[1] if whole else median,
            _delta1_optimal(edges, below, median),
            (lower, upper),
            mass,
        )


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])


def _range(number: str, whole: bool, half: float) -> tuple[float, float]:
    """Return from where to where the values lie that are written as, or begin with, a number."""
    width, value = 10.0 ** -_decimals(number), float(number)
    if whole:
        return value - width / 2, value + width / 2
    return max(value - half, 0.0), value + width - half


def _quantile(edges: Floats, below: Floats, q: float) -> float:
    """Return where a share `q` of the probability lies below; in a gap, its beginning."""
    at = int(np.searchsorted(below, q))
    if at == 0:
        return float(edges[0])
    at = min(at, len(edges) - 1)
    rise = below[at] - below[at - 1]
    part = (q - below[at - 1]) / rise if rise > 0 else 0.0
    return float(edges[at - 1] + min(part, 1.0) * (edges[at] - edges[at - 1]))


def _delta1_optimal(edges: Floats, below: Floats, median: float) -> float:
    """Return the value around which most probability lies within the factor of delta1."""
    # What lies within is a sum of pieces that are straight between these.
    found = np.unique(np.concatenate([edges * _WITHIN, edges / _WITHIN, [median]]))
    found = found[found > 0]
    within = np.interp(found * _WITHIN, edges, below) - np.interp(found / _WITHIN, edges, below)
    best = found[within >= within.max() - 1e-9]
    return float(best[np.abs(np.log(best / median)).argmin()])
