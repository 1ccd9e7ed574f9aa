"""Choosing: which points of a record make a sample, and the window that shows them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from ..config.block import DepthLMConfig
from ..geometry.camera import convert_depth
from ..records.record import Record
from ..seeds import SeededRng
from ..views.view import View
from .crops import Windows
from .planned import LeftOut

REDRAWN = "point near the border or outside the crop: another drawn"
AT_BORDER = "point too near the border for its mark: left out"
OUT_OF_RANGE = "point outside min_depth_m .. max_depth_m: left out"
_SPARE = 8  # points beside those of questions about two, for when they are too much alike


class Chosen(NamedTuple):
    """A view without marks, and the points that may be asked about in it, first ones first."""

    view: View
    indices: list[int]


@dataclass(frozen=True)
class PointChooser:
    """Chooses the points of records of one dataset.

    Attributes:
        config: The dataset's config.
        windows: Chooses windows.
        seeded: Makes generators.
    """

    config: DepthLMConfig
    windows: Windows
    seeded: SeededRng

    def in_range(self, record: Record, epoch: int) -> tuple[list[int], LeftOut]:
        """Return the points inside the depth range, in random order, and how many are not."""
        metres = convert_depth(
            record.depth_m,
            record.pixels,
            record.camera,
            kind=record.depth_kind,
            to=self.config.label,
        )
        low, high = self.config.min_depth_m, self.config.max_depth_m
        pool = [i for i, m in enumerate(metres) if low <= m and (high is None or m <= high)]
        outside = LeftOut(OUT_OF_RANGE, len(metres) - len(pool))
        return _shuffled(pool, self.seeded.rng(record.row, epoch)), outside

    def choose(
        self, points: int, packed: int, record: Record, path: str, epoch: int
    ) -> Iterator[Chosen | LeftOut]:
        """Yield the views of a record with their points: the drawing rules of design §4.

        Args:
            points: Of one question.
            packed: Questions of one view.
            record: The record.
            path: Its picture.
            epoch: Which of the deterministic draws to make.

        Yields:
            Views with `points * packed` points, or fewer if there are not as many, on different
            pixels; for questions about two points some spare ones follow, in case two are too much
            alike.
        """
        config, windows = self.config, self.windows
        size = points * packed
        spare = 0 if points == 1 else _SPARE
        order, outside = self.in_range(record, epoch)
        yield outside
        wanted = len(order) if config.points_per_record == "all" else int(config.points_per_record)
        if not windows.cropping:
            yield from self._whole(record, path, order, size, spare, wanted)
            return
        used: set[int] = set()
        first_unused = _Unused(order, used)
        fitting_of: dict[tuple[int, int, tuple[int, int]], _Unused] = {}  # windows come again
        for draw in range(wanted):
            rng = self.seeded.rng(record.row, epoch, draw)
            view = windows.draw(record, path, rng)
            window = view.left, view.top, view.size_wh
            if window not in fitting_of:
                fitting_of[window] = _Unused(windows.fitting(view, record, order), used)
            fitting = fitting_of[window].points
            fresh = [*islice(fitting_of[window], points)]
            if len(fitting) < points or (len(fresh) < points and config.points_per_record == "all"):
                yield LeftOut(AT_BORDER)
                continue
            # More samples than points were asked for: ask about a point again, in another crop.
            chosen = fresh[:1] or [fitting[int(rng.random() * len(fitting))]]
            if fresh and chosen[0] != next(iter(first_unused)):
                yield LeftOut(REDRAWN)
            others = chain(fitting_of[window], filter(used.__contains__, fitting))
            chosen = self._apart(view, record, chain(chosen, others), size + spare)
            if len(chosen) < points:
                yield LeftOut(AT_BORDER)
                continue
            used.update(chosen[:size])
            yield Chosen(view, chosen)

    def _whole(
        self, record: Record, path: str, order: list[int], size: int, spare: int, wanted: int
    ) -> Iterator[Chosen | LeftOut]:
        """Yield the whole picture with `size` points at a time, each once, and spare ones."""
        windows = self.windows
        used: set[int] = set()
        rest = _Unused(order, used)
        drawn = 0
        while drawn < wanted and (first := next(iter(rest), None)) is not None:
            used.add(first)
            view = windows.whole(record, path, record.pixels[first])
            if not windows.fitting(view, record, [first]):
                yield LeftOut(AT_BORDER)
                continue
            fitting = (
                index for block in _blocks(rest) for index in windows.fitting(view, record, block)
            )
            chosen = self._apart(view, record, chain([first], fitting), size + spare)
            used.update(chosen[:size])
            yield Chosen(view, chosen)
            drawn += 1

    def _apart(self, view: View, record: Record, indices: Iterable[int], size: int) -> list[int]:
        """Return up to `size` of the points, on different pixels, whose marks do not touch."""
        if size == 1:
            return [*islice(indices, 1)]
        least = 2 * self.config.margin_px + 1
        chosen: list[int] = []
        places = np.empty((0, 2))
        for block in _blocks(indices):
            there = np.floor(view.pixels_from_source(record.pixels[block]) + 0.5)
            gaps = np.abs(there[:, None] - places).max(axis=2)
            free = (gaps >= least).all(axis=1)
            while free.any():
                at = int(free.argmax())
                chosen.append(block[at])
                if len(chosen) == size:
                    return chosen
                places = np.concatenate([places, there[at : at + 1]])
                free &= np.abs(there - there[at]).max(axis=1) >= least
        return chosen


class _Unused:
    """Those of the points, in their order, that are in no sample yet.

    What was found used once is not looked at again, so that all draws together take linear time.

    Attributes:
        points: All of the points.
    """

    def __init__(self, points: list[int], used: Set[int]) -> None:
        self.points = points
        self._used = used  # grows
        self._start = 0

    def __iter__(self) -> Iterator[int]:
        while self._start < len(self.points) and self.points[self._start] in self._used:
            self._start += 1
        for at in range(self._start, len(self.points)):
            if self.points[at] not in self._used:
                yield self.points[at]


def _blocks(indices: Iterable[int]) -> Iterator[list[int]]:
    """Yield points in growing blocks: mostly the first few are enough."""
    rest, length = iter(indices), 64
    while block := [*islice(rest, length)]:
        yield block
        length *= 2


def _shuffled(items: list[int], rng: random.Random) -> list[int]:
    return [item for _, item in sorted((rng.random(), item) for item in items)]
