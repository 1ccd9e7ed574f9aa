"""Order without lists: which dataset, and which of its samples, comes at any position of a run.

Both answers are functions of the position alone, so that ranks, workers and resumed runs agree, and
nothing of the size of the data is ever built, shuffled or stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ..errors import ConfigError

_UNIT = 2**61 - 1  # parts that weights which are not whole numbers are rounded to
_GOLDEN = (math.sqrt(5) - 1) / 2  # steps of this share of a circle leave the most even gaps
_ROUNDS = 6  # of the Feistel network


@dataclass(frozen=True)
class Permutation:
    """A random-looking order of `range(length)`: `order[i]` without a list, in constant time.

    A Feistel network on the next even power of two; what falls outside is sent through again
    (Black and Rogaway 2002).
    """

    length: int
    seed: int

    def __getitem__(self, position: int) -> int:
        """Return what comes at `position`, from 0."""
        if not 0 <= position < self.length:
            raise IndexError(f"position {position} is outside a permutation of {self.length}")
        half = self._half_bits
        mask = (1 << half) - 1
        value = position
        while True:
            left, right = value >> half, value & mask
            for key in self._keys:
                left, right = right, left ^ (_mixed(right ^ key) & mask)
            value = left << half | right
            if value < self.length:
                return value

    @cached_property
    def _half_bits(self) -> int:
        return max(1, ((self.length - 1).bit_length() + 1) // 2)

    @cached_property
    def _keys(self) -> tuple[int, ...]:
        return tuple(_mixed(self.seed + turn) for turn in range(1, _ROUNDS + 1))


def _mixed(value: int) -> int:
    """Return 64 well mixed bits of an integer (the finaliser of SplitMix64, Steele et al. 2014)."""
    value = (value * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return value ^ (value >> 31)


class Mixture:
    """Draws parts in proportion to their weights, as evenly as can be.

    After n draws every part has come n times its share, give or take a few.
    Position i stands at (i * step + start) on a circle, whose arcs belong to the parts; steps of
    the golden ratio spread positions evenly over it (Weyl 1916). With whole numbers as weights, as
    many positions as their sum visit every point of the circle once: the counts are then exact.

    Args:
        weights: Positive weights of the parts; they need not sum to 1.
        seed: Where on the circle to start.

    Raises:
        ConfigError: For a weight that is not a positive finite number.
    """

    def __init__(self, weights: Sequence[float], seed: int = 0) -> None:
        if not weights:
            raise ConfigError("a mixture needs at least one dataset")
        for weight in weights:
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(
                    f"weights of datasets must be positive numbers, found {list(weights)}; leave a"
                    " dataset out instead of giving it no weight"
                )
        if all(float(weight).is_integer() for weight in weights):
            arcs = [int(weight) for weight in weights]
            ends = [sum(arcs[: i + 1]) for i in range(len(arcs))]
        else:
            total = sum(map(Fraction, weights))
            shares = [sum(map(Fraction, weights[: i + 1])) / total for i in range(len(weights))]
            ends = [round(share * _UNIT) for share in shares]
        self._ends = ends
        self._circle = ends[-1]
        self._step = _coprime_near(round(self._circle * _GOLDEN), self._circle)
        self._start = seed % self._circle

    def __getitem__(self, position: int) -> tuple[int, int]:
        """Return (part, how many draws of that part come before) of a position, from 0."""
        at = (position * self._step + self._start) % self._circle
        part = next(index for index, end in enumerate(self._ends) if at < end)
        begin = self._ends[part - 1] if part else 0
        before = self._visits(position, self._ends[part]) - self._visits(position, begin)
        return part, before

    def _visits(self, positions: int, end: int) -> int:
        """Return how many of the first `positions` stand before `end` on the circle."""
        circle, step, start = self._circle, self._step, self._start
        whole = _floor_sum(positions, circle, step, start)
        return whole - _floor_sum(positions, circle, step, start - end + circle) + positions


def _floor_sum(count: int, modulus: int, factor: int, offset: int) -> int:
    """Return the sum over i < count of floor((factor i + offset) / modulus), in O(log modulus)."""
    total = 0
    while True:
        total += (factor // modulus) * (count * (count - 1) // 2) + (offset // modulus) * count
        factor, offset = factor % modulus, offset % modulus
        height = factor * count + offset
        if height < modulus:
            return total
        # Count the same lattice points by rows instead of by columns.
        count, offset = divmod(height, modulus)
        modulus, factor = factor, modulus


def _coprime_near(value: int, modulus: int) -> int:
    value = max(1, value)
    while math.gcd(value, modulus) != 1:
        value += 1
    return value
