"""A fair, fixed part of an evaluation's questions, for when there is no time to ask them all."""

from __future__ import annotations

from collections.abc import Sequence

from ..seeds import seed_of


def fair_subset(kinds: Sequence[tuple[str, str]], total: int, seed: int) -> list[int]:
    """Return the positions of at most `total` questions, in order, always the same ones.

    Every dataset has the same share, and within it every task, as far as they have questions;
    what a small one cannot take goes to the others. Each share is spread evenly over the
    questions that it is taken from, from a seeded start.

    Args:
        kinds: Dataset and task of each question, in the order of the records.
        total: Questions to choose; all of them when there are fewer.
        seed: Where the shares start.
    """
    positions: dict[str, dict[str, list[int]]] = {}
    for position, (dataset, task) in enumerate(kinds):
        positions.setdefault(dataset, {}).setdefault(task, []).append(position)
    chosen = []
    sizes = [sum(map(len, tasks.values())) for tasks in positions.values()]
    for share, (dataset, tasks) in zip(_shares(sizes, total), positions.items(), strict=True):
        counts = _shares([len(places) for places in tasks.values()], share)
        for count, (task, places) in zip(counts, tasks.items(), strict=True):
            start = seed_of(seed, "subset", dataset, task) % len(places)
            # Positions (k n + start) / count, with start < n: distinct, and all below n.
            chosen += [places[(k * len(places) + start) // count] for k in range(count)]
    return sorted(chosen)


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """Return how many of each size make `total` (or all), as equal as the sizes allow."""
    shares = [0] * len(sizes)
    left = total
    by_size = sorted(range(len(sizes)), key=lambda index: sizes[index])
    for done, index in enumerate(by_size):
        shares[index] = min(sizes[index], left // (len(sizes) - done))
        left -= shares[index]
    return shares
