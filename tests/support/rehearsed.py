"""Engines for tests: what they say is known beforehand, and they load nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.sampling.sample import Sample


class Saying:
    """An engine that says of each sample what a function does.

    Attributes:
        samples: What it was asked, in order.
        calls: How many samples each call had.
    """

    def __init__(self, say: str | Callable[[Sample], str], largest: int = 10**7) -> None:
        self.grid = Grid("SayingImageProcessor", 28, 0, largest)
        self._say = say
        self.samples: list[Sample] = []
        self.calls: list[int] = []

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        self.calls.append(len(samples))
        self.samples += samples
        return [self._say if isinstance(self._say, str) else self._say(one) for one in samples]
