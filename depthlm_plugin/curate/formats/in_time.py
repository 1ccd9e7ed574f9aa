"""Pictures, depth images and poses of one moment, where each has a time of its own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence


def associated(
    times: Sequence[float], others: Sequence[float], within: float
) -> list[tuple[int, int]]:
    """Return pairs of places of times in two lists, nearest first served, in order of the first.

    Args:
        times: Times, in order.
        others: Times in the same unit, in order; each is used once.
        within: How far apart the two of a pair may be.
    """
    candidates = []
    for i, time in enumerate(times):
        j = bisect_left(others, time - within)
        while j < len(others) and others[j] <= time + within:
            candidates.append((abs(others[j] - time), i, j))
            j += 1
    pairs: dict[int, int] = {}
    used = set()
    for _, i, j in sorted(candidates):
        if i not in pairs and j not in used:
            pairs[i] = j
            used.add(j)
    return sorted(pairs.items())
