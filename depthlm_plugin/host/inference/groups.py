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

    Attributes:
        room: How many have room, as far as is known beforehand.
    """

    def __init__(self, first: int, most: int) -> None:
        self._size, self._most, self.room = first, most, most
        self._seconds: dict[int, float] = {}  # a question, by size

    @property
    def size(self) -> int:
        """How many questions to answer next."""
        return max(1, min(self._size, self._most, self.room))

    def took(self, count: int, seconds: float) -> None:
        """Learn from the time of one group."""
        if count < self.size:
            return  # what is left over says little
        each = seconds / count
        self._seconds[count] = min(each, self._seconds.get(count, each))
        best = min(self._seconds, key=lambda size: self._seconds[size])
        untried = (size for size in (best * 2, best // 2) if size not in self._seconds)
        self._size = next((size for size in untried if 1 <= size <= self._most), best)

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
        self._size = self._most = count // 2


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
