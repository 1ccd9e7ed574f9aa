"""Interleaved CPU timings of two ways to do the same thing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def cpu_s(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def compare(
    name: str,
    rounds: int,
    per_round: int,
    baseline: Callable[[], object],
    ours: Callable[[], object],
) -> str:
    """Return a table row: CPU ms of one of the `per_round` samples of a round, and ratios.

    Each round times the baseline, then ours: whatever else the machine does meets both.
    """
    pairs = [(cpu_s(baseline), cpu_s(ours)) for _ in range(rounds)]
    (slow, fast) = ([1e3 * s / per_round for s in side] for side in zip(*pairs, strict=True))
    median = statistics.median(slow) / statistics.median(fast)
    return (
        f"| {name} | {_figures(slow)} | {_figures(fast)} |"
        f" {_p10(slow) / _p10(fast):.1f}x | **{median:.1f}x** |"
    )


def _p10(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


def _figures(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} (p10 {_p10(values):.2f})"
