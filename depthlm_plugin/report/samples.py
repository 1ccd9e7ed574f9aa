"""Bounded samples of a stream: items at random, the highest, and pictures with all their points."""

from __future__ import annotations

import heapq
import random
from typing import Generic, TypeVar

from ..scoring.intervals import picture_keys

Item = TypeVar("Item")
Point = tuple[float, float, float, float | None]  # pixel x and y, truth, answer if it was read


class Reservoir(Generic[Item]):
    """A fair random sample of at most `size` items of a stream (Vitter 1985, algorithm R)."""

    def __init__(self, size: int, rng: random.Random) -> None:
        self.items: list[Item] = []
        self.seen = 0
        self._size, self._rng = size, rng

    def add(self, item: Item) -> None:
        """Count an item, which may take the place of an earlier one."""
        self.seen += 1
        place = self.seen - 1 if self.seen <= self._size else self._rng.randrange(self.seen)
        if place < self._size:
            self.items[place : place + 1] = [item]


class Highest(Generic[Item]):
    """The `size` items of a stream with the highest keys; of equal ones the first."""

    def __init__(self, size: int) -> None:
        self._size, self._seen = size, 0
        self._heap: list[tuple[float, int, Item]] = []

    def add(self, key: float, item: Item) -> Item | None:
        """Add an item; return the one that falls out, which may be the same."""
        self._seen += 1
        entry = key, -self._seen, item
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
            return None
        return heapq.heappushpop(self._heap, entry)[2]

    @property
    def items(self) -> list[Item]:
        """The items, the highest first."""
        return [item for _, _, item in sorted(self._heap, reverse=True)]


class Pictures:
    """A random sample of a stream's pictures, each with its points.

    It holds the pictures with the smallest hashes of their names: one that falls out never comes
    back, so that those that stay have all of their points, in whatever order rows come.
    """

    MOST = 64
    MOST_POINTS = 500

    def __init__(self) -> None:
        self.all_seen = True
        self._points: dict[str, list[Point]] = {}
        self._kept: Highest[str] = Highest(self.MOST)

    def add(self, image: str, point: Point) -> None:
        """Add a point of a picture."""
        if image not in self._points:
            self._points[image] = []
            dropped = self._kept.add(-int(picture_keys([image])[0]), image)
            if dropped is not None:
                self.all_seen = False
                del self._points[dropped]
        points = self._points.get(image)
        if points is not None and len(points) < self.MOST_POINTS:
            points.append(point)

    def most_points(self, count: int, fewest: int) -> list[tuple[str, list[Point]]]:
        """Return the pictures with most points, those with `fewest` or more, by their names."""
        every = sorted(self._points.items(), key=lambda picture: (-len(picture[1]), picture[0]))
        return [picture for picture in every[:count] if len(picture[1]) >= fewest]

    def __len__(self) -> int:
        return len(self._points)
