"""Choosing: which points of a record make a sample, and the window that shows them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
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
        unused = list(order)
        for draw in range(wanted):
            rng = self.seeded.rng(record.row, epoch, draw)
            view = windows.draw(record, path, rng)
            fitting = windows.fitting(view, record, order)
            fresh = [i for i in fitting if i in unused]
            if len(fitting) < points or (len(fresh) < points and config.points_per_record == "all"):
                yield LeftOut(AT_BORDER)
                continue
            # More samples than points were asked for: ask about a point again, in another crop.
            chosen = fresh[:1] or [fitting[int(rng.random() * len(fitting))]]
            if fresh and chosen[0] != unused[0]:
                yield LeftOut(REDRAWN)
            others = [*fresh, *(i for i in fitting if i not in fresh)]
            chosen = self._apart(view, record, [*chosen, *others], size + spare)
            if len(chosen) < points:
                yield LeftOut(AT_BORDER)
                continue
            unused = [i for i in unused if i not in chosen[:size]]
            yield Chosen(view, chosen)

    def _whole(
        self, record: Record, path: str, order: list[int], size: int, spare: int, wanted: int
    ) -> Iterator[Chosen | LeftOut]:
        """Yield the whole picture with `size` points at a time, each once, and spare ones."""
        windows = self.windows
        drawn, rest = 0, list(order)
        while rest and drawn < wanted:
            view = windows.whole(record, path, record.pixels[rest[0]])
            first, *others = rest
            if not windows.fitting(view, record, [first]):
                yield LeftOut(AT_BORDER)
                rest = others
                continue
            chosen = [first]
            if size > 1:
                fitting = windows.fitting(view, record, others)
                chosen = self._apart(view, record, [first, *fitting], size + spare)
            rest = [index for index in others if index not in chosen[:size]]
            yield Chosen(view, chosen)
            drawn += 1

    def _apart(self, view: View, record: Record, indices: list[int], size: int) -> list[int]:
        """Return up to `size` of the points, on different pixels, whose marks do not touch."""
        if size == 1:
            return indices[:1]
        least = 2 * self.config.margin_px + 1
        places = np.floor(view.pixels_from_source(record.pixels[indices]) + 0.5)
        chosen: list[int] = []
        for at in range(len(indices)):
            gaps = np.abs(places[chosen] - places[at]).max(axis=1, initial=0)
            if not chosen or gaps.min() >= least:
                chosen.append(at)
            if len(chosen) == size:
                break
        return [indices[at] for at in chosen]


def _shuffled(items: list[int], rng: random.Random) -> list[int]:
    return [item for _, item in sorted((rng.random(), item) for item in items)]
