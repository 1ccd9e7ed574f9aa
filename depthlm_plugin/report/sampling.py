"""Bounded samples of a stream: rows at random, the worst, and pictures with all their points."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from ..scoring.intervals import picture_keys
from ..scoring.prediction import PredictionRow
from .document import shortened

LONGEST_TEXT = 600  # characters of an answer that are kept

Item = TypeVar("Item")


@dataclass(frozen=True)
class Example:
    """What a report shows of a prediction row whose task has one number; long texts are cut.

    Attributes:
        row: Number of the record, as the file gives it.
        point: Number of its point, likewise.
        image: Path of the picture, or None.
        pixel: The point in the stored picture, or None.
        prompt: Style of the question's template, or None.
        target: The truth, None where it has several parts.
        value: The answer, None where it has several parts or could not be read.
        reason: Why it could not.
        text: The answer as the model gave it.
    """

    row: str
    point: str
    image: str | None
    pixel: tuple[float, float] | None
    prompt: str | None
    target: float | None
    value: float | None
    reason: str | None
    text: str

    @classmethod
    def of(cls, row: PredictionRow) -> Example:
        """Return what is kept of a row, whatever its other keys hold."""
        image, prompt, reason = row.get("image"), row.get("prompt"), row.get("reason")
        return cls(
            shortened(str(row.get("row", "?"))),
            shortened(str(row.get("point", "?"))),
            image if isinstance(image, str) else None,
            _pixel(row.get("pixel")),
            prompt if isinstance(prompt, str) else None,
            one_number(row["target"]),
            one_number(row["value"]),
            None if reason is None else shortened(str(reason)),
            shortened(row["text"], LONGEST_TEXT),
        )


def one_number(cell: Any) -> float | None:
    """Return the one number of a row's `target` or `value`; None unless positive and finite."""
    if isinstance(cell, Mapping) and len(cell) == 1:
        [cell] = cell.values()
    if type(cell) not in (int, float) or not 0 < cell < math.inf:
        return None
    return float(cell)


def ratio_of(value: float, target: float) -> float:
    """Return max(p / g, g / p) of positive numbers, infinite beyond all floats."""
    low, high = sorted((value, target))
    return high / low


class Reservoir(Generic[Item]):
    """A fair random sample of at most `size` items of a stream (Vitter 1985, algorithm R)."""

    def __init__(self, size: int, rng: random.Random) -> None:
        self.items: list[Item] = []
        self.seen = 0
        self._size = size
        self._rng = rng

    def place(self) -> int | None:
        """Count an item; return where it belongs in the sample, or None where it does not."""
        self.seen += 1
        if len(self.items) < self._size:
            return len(self.items)
        chosen = self._rng.randrange(self.seen)
        return chosen if chosen < self._size else None

    def put(self, place: int, item: Item) -> None:
        """Put an item where `place` said."""
        self.items[place : place + 1] = [item]


class Worst:
    """The `size` rows with the highest errors; of equal ones the first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[float, int, Example]] = []
        self._seen = 0

    def add(self, error: float, row: PredictionRow) -> None:
        """Add a row."""
        self._seen += 1
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, (error, -self._seen, Example.of(row)))
        elif self._size and error > self._heap[0][0]:
            heapq.heapreplace(self._heap, (error, -self._seen, Example.of(row)))

    @property
    def examples(self) -> list[Example]:
        """The rows, the worst first."""
        return [example for _, _, example in sorted(self._heap, reverse=True)]


@dataclass
class Pointed:
    """A picture's answered points: (x, y, truth, answer or None)."""

    image: str
    points: list[tuple[float, float, float, float | None]]


class Pictures:
    """A random sample of a stream's pictures, each with its points.

    It holds the pictures with the smallest hashes of their names: one that falls out never comes
    back, so that those that stay have all of their points, in whatever order rows come.
    """

    MOST = 64
    MOST_POINTS = 500

    def __init__(self) -> None:
        self.all_seen = True
        self._kept: dict[int, Pointed] = {}
        self._highest: list[int] = []  # a heap of the negative hashes

    def add(self, row: PredictionRow) -> None:
        """Add a row that names its picture and pixel; others are passed by."""
        image, pixel = row.get("image"), _pixel(row.get("pixel"))
        target = one_number(row["target"])
        if not isinstance(image, str) or pixel is None or target is None:
            return
        [key] = picture_keys([image]).tolist()
        if key not in self._kept:
            if len(self._kept) == self.MOST:
                self.all_seen = False
                if key > -self._highest[0]:
                    return
                del self._kept[-heapq.heappop(self._highest)]
            heapq.heappush(self._highest, -key)
            self._kept[key] = Pointed(image, [])
        points = self._kept[key].points
        if len(points) < self.MOST_POINTS:
            points.append((*pixel, target, one_number(row["value"])))

    def most_points(self, count: int, fewest: int) -> list[Pointed]:
        """Return the pictures with most points, those with `fewest` or more, by their names."""
        every = sorted(self._kept.values(), key=lambda one: (-len(one.points), one.image))
        return [one for one in every[:count] if len(one.points) >= fewest]

    def __len__(self) -> int:
        return len(self._kept)


def _pixel(value: Any) -> tuple[float, float] | None:
    """Return a pixel (x, y) of a row, or None for anything else."""
    if not isinstance(value, list) or len(value) != 2:
        return None
    if not all(type(one) in (int, float) and abs(one) < 1e6 for one in value):
        return None  # not a number is not below anything either
    return float(value[0]), float(value[1])
