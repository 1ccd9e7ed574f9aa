"""Confidence intervals of metrics: a bootstrap over pictures that needs no second look.

Points of one picture are wrong together, so pictures are drawn, not points. How often resample b
holds a picture is a Poisson(1) number, computed from the picture's name and b (the Poisson
bootstrap: Chamandy et al. 2012, "Estimating Uncertainty for Massive Data Streams", section 3): sums
over any number of answers, in any order, on any number of machines, in memory that does not grow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..geometry.arrays import Floats
from ..seeds import number_of

RESAMPLES = 1000
LEVEL = 0.95
FEWEST = 2  # pictures; one says nothing about others

_LANES = 4  # numbers of 16 bits in one of 64
_GOLDEN = 0x9E3779B97F4A7C15


def picture_keys(names: Sequence[str]) -> NDArray[np.uint64]:
    """Return a number (N,) for each name: the same one everywhere and always."""
    keys = np.fromiter(map(number_of, names), np.uint64, len(names))
    return keys.byteswap()  # their low byte first: intervals have always been drawn so


def weights(keys: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return how often each resample holds each picture (N, RESAMPLES), by the pictures' keys."""
    steps = np.arange(1, RESAMPLES // _LANES + 1, dtype=np.uint64) * np.uint64(_GOLDEN)
    # SplitMix64 (Steele et al. 2014), the picture's key as its seed.
    state = keys[:, None] + steps
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state ^= state >> np.uint64(31)
    drawn: NDArray[np.uint8] = _POISSON[state.view(np.uint16)]
    return drawn


def interval(replicates: Floats) -> tuple[float, float] | None:
    """Return the 95 % percentile interval of a metric in resamples (B,), if they are numbers.

    Resamples without any answer have none (NaN) and are left out.
    """
    found = replicates[~np.isnan(replicates)]
    if not len(found) or not np.isfinite(found).all():
        return None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _poisson_of_16_bits() -> NDArray[np.uint8]:
    """Return a table of 2^16 Poisson(1) numbers, each as often as its probability says."""
    probabilities = [math.exp(-1) / math.factorial(k) for k in range(12)]
    edges = np.rint(np.cumsum(probabilities) * 2**16).astype(np.int64)
    return np.searchsorted(edges, np.arange(2**16), side="right").astype(np.uint8)


_POISSON = _poisson_of_16_bits()
