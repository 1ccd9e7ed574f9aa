"""How many questions are answered at a time: as many as are fastest, and as memory holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ...errors import HostError

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupSize:
    """A number of questions that is found by doubling and halving, from their measured time.

    Args:
        first: The number to begin with.
        most: The largest number.
    """

    def __init__(self, first: int, most: int) -> None:
        self.size, self._most = first, most
        self._seconds: dict[int, float] = {}  # a question, by size

    def took(self, count: int, seconds: float) -> None:
        """Learn from the time of one group."""
        if count < self.size:
            return
        before = self._seconds.get(self.size)
        each = seconds / count
        self._seconds[self.size] = each if before is None else min(each, before)
        best = min(self._seconds, key=lambda size: self._seconds[size])
        untried = (size for size in (best * 2, best // 2) if size not in self._seconds)
        self.size = next((size for size in untried if 1 <= size <= self._most), best)

    def fit(self, size: int) -> None:
        """Learn that no more than `size` questions have room."""
        self._most = min(self._most, max(1, size))
        self.size = min(self.size, self._most)

    def too_large(self, count: int, error: BaseException) -> None:
        """Learn that a group did not fit into memory.

        Raises:
            HostError: When it was of one question.
        """
        if count == 1:
            raise HostError(
                "out of memory with a single question; use a shorter focal length or a smaller"
                " picture (fewer image tokens), a model that is quantised or smaller, or a device"
                " with more memory"
            ) from error
        self._seconds.clear()
        self.fit(count // 2)


def in_groups(
    items: Sequence[Item], sizes: GroupSize, work: Callable[[Sequence[Item]], list[Result]]
) -> list[Result]:
    """Return the results of items, in their order, worked on in groups that fit into memory.

    Raises:
        HostError: When not even one fits.
    """
    done: list[Result] = []
    while len(done) < len(items):
        group = items[len(done) : len(done) + sizes.size]
        started = time.perf_counter()
        try:
            results = work(group)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            sizes.too_large(len(group), error)
            continue
        sizes.took(len(group), time.perf_counter() - started)
        done += results
    return done


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is a device's or the machine's lack of memory."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        said in str(error) for said in ("can't allocate memory", "out of memory")
    )
