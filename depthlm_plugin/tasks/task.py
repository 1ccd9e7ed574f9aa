"""What a task is: what it needs of records, what it asks about, and what is true."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..geometry.arrays import Floats
from ..geometry.camera import convert_depth
from ..geometry.rigid import inverse
from ..kinds.kind import AnswerKind
from ..kinds.ratio import RATIO
from ..records.record import Record
from ..views.view import View
from .options import AskSettings, Option

NEAREST_M = 0.01  # nearer points are one point, and a camera did not move: no label can tell more


class NotAskableError(Exception):
    """These points or pictures make no question; others of the same record may.

    Attributes:
        reason: A short, fixed phrase, to be counted.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class QuestionContext:
    """What a question is about.

    Attributes:
        records: One record, or two of one scene.
        indices: The chosen points, of the first record's.
        views: What the model is shown of each record.
    """

    records: tuple[Record, ...]
    indices: tuple[int, ...]
    views: tuple[View, ...]

    def depth_m(self, kind: str) -> Floats:
        """Return the chosen points' `distance` or `z` (N,) in the first camera, metres."""
        record, at = self.records[0], list(self.indices)
        return convert_depth(
            record.depth_m[at], record.pixels[at], record.camera, kind=record.depth_kind, to=kind
        )

    def points_m(self) -> Floats:
        """Return the chosen points (N, 3) in the first camera's frame, metres."""
        record = self.records[0]
        return record.camera.unproject(record.pixels[list(self.indices)], self.depth_m("z"))

    def second_in_first(self) -> Floats:
        """Return the second camera's pose (4, 4) in the first one's frame, metres."""
        first, second = (record.pose for record in self.records)
        assert first is not None
        assert second is not None
        result: Floats = inverse(first) @ second
        return result


@dataclass(frozen=True)
class Truth:
    """The truth of one question, and the numbers that it states.

    Attributes:
        values: The true values of the answer, at full precision, by placeholder.
        given: Numbers that the question states, by placeholder.
        told: Further numbers of the reasoning, or values as they are worked out there; else those
            of `values` are written.
        words: Texts of the answer that follow from its values and are not read back.
        depth_kind: What the answer is, where it is a depth: `distance` or `z`.
    """

    values: Mapping[str, float]
    given: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, float] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    depth_kind: str | None = None


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Attributes:
        name: Its name in recipes, and of its folder in templates/.
        ask: Makes a question of what is shown, by the recipe's settings, or raises
            `NotAskableError`; draws come from the generator.
        points: Marked points of the first picture that it is about.
        images: Pictures: 1, or 2 of one scene with poses.
        options: Keys of the `depthlm:` block that it reads from the settings.
        values: Placeholders of the answer, read back and scored.
        given: Placeholders of the question.
        worked: Further placeholders of the reasoning.
        words: Placeholders of the answer that stand for words.
        kind: How answers are read and scored.
        unit: Unit of the (first) value, empty where it has none.
        decimals: Digits after the point that its numbers are written with, where not 2.
        signed: Placeholders of numbers that may be zero or negative.
        example: Values that templates are tried with.
    """

    name: str
    ask: Callable[[QuestionContext, AskSettings, random.Random], Truth]
    points: int = 1
    images: int = 1
    options: tuple[Option[Any], ...] = ()
    values: tuple[str, ...] = ("value",)
    given: tuple[str, ...] = ()
    worked: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    kind: AnswerKind = RATIO
    unit: str = "m"
    decimals: Mapping[str, int] = field(default_factory=dict)
    signed: tuple[str, ...] = ()
    example: Mapping[str, float] = field(default_factory=lambda: {"value": 2.35})


def drawn(limits: tuple[float, float], rng: random.Random) -> float:
    """Return a number of a range as questions state it: with one decimal."""
    low, high = limits
    return round(low + rng.random() * (high - low), 1)
