"""Two pictures of one scene: how far apart they are, and what both of them show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import RecordError
from ..geometry.arrays import Floats
from ..geometry.camera import convert_depth
from ..geometry.rigid import inverse, moved
from ..records.pair import check_any
from ..records.raw import parse_row
from ..records.record import Record
from ..records.rows import Rows, open_rows
from ..records.stated import Stated
from ..seeds import SeededRng
from ..tasks import AskSettings
from ..tasks.pairs import PAIR_BASELINE_M, PAIR_OVERLAP, PAIR_ROWS, PAIR_TIME_GAP
from .planned import LeftOut

_MOST_TRIED = 20  # rows, before a record has no partner


def points_of(record: Record) -> Floats:
    """Return a record's labelled points (N, 3) in its camera's frame, metres."""
    z_m = convert_depth(
        record.depth_m, record.pixels, record.camera, kind=record.depth_kind, to="z"
    )
    return record.camera.unproject(record.pixels, z_m)


def overlap(first: Record, second: Record) -> float:
    """Return the share of labelled points that lie in the other picture, of the one with less.

    What hides a point is not looked at.
    """
    assert first.pose is not None
    assert second.pose is not None
    there = inverse(second.pose) @ first.pose
    shares = (
        _share_inside(moved(there, points_of(first)), second),
        _share_inside(moved(inverse(there), points_of(second)), first),
    )
    return min(shares)


def _share_inside(points_m: Floats, record: Record) -> float:
    _, shown = record.camera.try_project(points_m)
    return float(shown.mean()) if len(shown) else 0.0


@dataclass(frozen=True)
class Limits:
    """Which two records make a pair.

    Attributes:
        rows: Most rows between them in their file.
        baseline_m: Least and most metres between the cameras.
        overlap: Least `overlap`.
        time_gap: Most between their timestamps, in their own unit; None: any.
    """

    rows: int
    baseline_m: tuple[float, float]
    overlap: float
    time_gap: float | None

    @classmethod
    def of(cls, settings: AskSettings) -> Limits:
        """Return the limits of a recipe."""
        return cls(
            settings[PAIR_ROWS],
            settings[PAIR_BASELINE_M],
            settings[PAIR_OVERLAP],
            settings[PAIR_TIME_GAP],
        )

    def problem(self, first: Record, second: Record) -> str | None:
        """Return why two records make no pair, as a short, fixed phrase, or None if they do."""
        if first.scene is None or first.scene != second.scene:
            return "another scene"
        if first.pose is None or second.pose is None:
            return "no pose"
        if self.time_gap is not None:
            if first.timestamp is None or second.timestamp is None:
                return "no timestamp"
            if abs(first.timestamp - second.timestamp) > self.time_gap:
                return "too far apart in time"
        low, high = self.baseline_m
        baseline_m = float(np.linalg.norm(first.pose[:3, 3] - second.pose[:3, 3]))
        if not low <= baseline_m <= high:
            return "baseline outside pair_baseline_m"
        if overlap(first, second) < self.overlap:
            return "overlap below pair_overlap"
        return None

    def candidates(self, row: int, count: int, order: list[float]) -> Iterator[int]:
        """Yield the rows around `row` of a file of `count`, in the order of these random numbers.

        Args:
            row: The first record's row.
            count: Rows of the file.
            order: `2 * rows` random numbers.
        """
        steps = [*range(-self.rows, 0), *range(1, self.rows + 1)]
        for _, step in sorted(zip(order, steps, strict=True)):
            if 0 <= row + step < count:
                yield row + step


@dataclass(frozen=True)
class PartnerSearch:
    """Looks for the partners of records in the rows around them.

    Attributes:
        limits: Which two records make a pair.
        records: The dataset's records file, opened when it is first needed; or its rows.
        stated: What the dataset states of its records.
        seeded: Makes generators.
    """

    limits: Limits
    records: str | Rows | None
    stated: Stated
    seeded: SeededRng

    def of(self, record: Record, epoch: int) -> Iterator[Record | LeftOut]:
        """Yield records that make a pair with one, in random order, and why others do not."""
        if record.partner is not None:
            yield record.partner
            return
        rows = self._rows
        if rows is None:
            return
        rng = self.seeded.rng(record.row, epoch, "partner")
        order = [rng.random() for _ in range(2 * self.limits.rows)]
        tried = 0
        for row in self.limits.candidates(record.row, len(rows), order):
            where, raw = rows[row]
            raw = parse_row(raw, where) if isinstance(raw, str) else raw
            try:
                other, _ = check_any(raw, where, row, self.stated)
            except RecordError as error:
                yield LeftOut(error.reason)
                continue
            problem = self.limits.problem(record, other)
            yield other if problem is None else LeftOut(problem)
            tried += 1
            if tried == _MOST_TRIED:
                return

    @cached_property
    def _rows(self) -> Rows | None:
        return open_rows(self.records) if isinstance(self.records, str) else self.records
