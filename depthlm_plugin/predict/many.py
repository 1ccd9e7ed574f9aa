"""Asking about many pictures: what is answered is kept, whatever fails."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..cameras.source import CameraSource, FoundCamera
from ..errors import ConfigError, RecordError
from ..records import storage
from ..records.stated import Stated
from ..records.units import open_dataset
from ..sampling.planned import LeftOut
from .answer import Answer
from .engine import UnansweredError
from .predictor import Predictor
from .questions import Asked

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".tif", ".tiff", ".avif", ".gif")
_CHUNK_S = 10.0  # seconds of answers that are lost at most when a run is stopped, about
_MOST = 256  # questions at once
_MOST_FAILED = 3  # calls in a row without one answer

Item = Asked | RecordError | LeftOut
"""A question, or why there is none."""


@dataclass
class Outcome:
    """What became of many questions.

    Attributes:
        answered: Answers.
        unread: Of those without a value, by reason.
        problems: Pictures that could not be decoded, by reason.
        unanswered: Questions that a server left unanswered.
    """

    answered: int = 0
    unread: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0


def pictures_in(folder: str | Path) -> list[str]:
    """Return the paths of the pictures in a folder and those below, in the order of their names.

    Raises:
        ConfigError: For a folder without any.
    """
    found = [
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(PICTURES) and not name.startswith(".")
    ]
    if not found:
        raise ConfigError(f"{folder} holds no picture ({', '.join(PICTURES)})")
    return sorted(found)


@dataclass
class Survey:
    """What there is to ask.

    Attributes:
        questions: How many questions.
        problems: Records and pictures that cannot be asked about, by reason.
        left_out: Points that no question is about, by reason.
        warnings: Of the cameras, and in how many questions they were found.
    """

    questions: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, items: Iterable[Item], tell: Callable[[Exception], None]) -> Survey:
        """Return the counts of questions and of what cannot be asked, which is told."""
        survey = cls()
        for item in items:
            if isinstance(item, Asked):
                survey.questions += 1
                survey.warnings.update({text for one in item.cameras for text in one.warnings})
            elif isinstance(item, LeftOut):
                survey.left_out[item.reason] += item.times
            else:
                survey.problems[item.reason] += 1
                tell(item)
        return survey


def asked_of(items: Iterable[Item]) -> Iterator[Asked]:
    """Yield the questions alone."""
    return (item for item in items if isinstance(item, Asked))


@dataclass(frozen=True)
class PictureQuestions:
    """The same questions about each picture.

    Attributes:
        predictor: Who is asked.
        pictures: Paths, or pairs of them.
        camera: Where cameras come from.
        at: Pixels, as `Predictor.ask` takes them.
        options: Of `Predictor.questions`.
    """

    predictor: Predictor
    pictures: Sequence[str | Sequence[str]]
    camera: CameraSource
    at: Sequence[tuple[float, float]]
    options: Mapping[str, Any]

    def __iter__(self) -> Iterator[Item]:
        """Yield the questions, or why a picture cannot be asked about.

        Raises:
            ConfigError: As `Predictor.ask`.
        """
        for picture in self.pictures:
            try:
                yield from self.predictor.questions(picture, self.camera, self.at, **self.options)
            except RecordError as error:
                yield error


@dataclass(frozen=True)
class RecordQuestions:
    """The questions about the labelled points of records, whose answers can be scored.

    All points are asked about, by every task that the model learnt, unless some are named.

    Attributes:
        predictor: Who is asked.
        records: A records file or folder.
        tasks: What is asked.
        stated: What is stated of the records.
        media_dir: Folder that image paths start from; the file's own by default.
        exif_rotation: As `Predictor.ask` takes it.
    """

    predictor: Predictor
    records: str
    tasks: Sequence[str]
    stated: Stated
    media_dir: str | None = None
    exif_rotation: str | None = None

    def __iter__(self) -> Iterator[Item]:
        """Yield the questions, why a record cannot be asked about, and what else is left out."""
        planner = self.predictor.planner(self.tasks, self.exif_rotation)
        planner = replace(
            planner,
            config=replace(planner.config, points_per_record="all"),
            dataset=storage.stem(self.records),
            roots=(self.media_dir or storage.folder_of(self.records),),
            stated=self.stated,
            records=self.records,
        )
        for row, (where, raw) in enumerate(open_dataset(self.records, self.stated)):
            try:
                planned = planner.plan(raw, where, row)
            except RecordError as error:
                yield error
                continue
            yield from (LeftOut(*item) for item in planned.left_out.items())
            for sample in planned.samples:
                found = (
                    FoundCamera(view.source, "record", "the record's intrinsics")
                    for view in sample.views
                )
                yield Asked(sample, tuple(found))


def answer_all(
    predictor: Predictor,
    questions: Iterable[Asked],
    keep: Callable[[list[Answer]], None],
    tell: Callable[[Exception], None],
    outcome: Outcome,
    *,
    distribution: bool = False,
) -> None:
    """Ask questions in chunks of about ten seconds, and keep the answers of each at once.

    Args:
        predictor: Who is asked.
        questions: What.
        keep: Is given the answers of each chunk.
        tell: Is given each problem, for people.
        outcome: Counts what became of them.
        distribution: Whether answers come with what else the model could have said.

    Raises:
        UnansweredError: When a server does not answer at all; what it had answered is kept.
    """
    size, failed = 1, 0
    waiting = iter(questions)
    while chunk := list(islice(waiting, size)):
        started = time.monotonic()
        answers, errors = _answers(predictor, chunk, distribution)
        taken_s = time.monotonic() - started
        keep(answers)
        outcome.answered += len(answers)
        outcome.unread.update(answer.reason for answer in answers if answer.reason is not None)
        failed = 0 if answers else failed + 1
        for error in errors:
            if isinstance(error, RecordError):
                outcome.problems[error.reason] += 1
                tell(error)
                continue
            outcome.unanswered += error.texts.count(None)
            if error.stopped or failed == _MOST_FAILED:
                raise error
            tell(error)
        size = size * 2 if taken_s < _CHUNK_S / 2 else size // 2 if taken_s > _CHUNK_S else size
        size = min(max(size, 1), _MOST)


def _answers(
    predictor: Predictor, chunk: Sequence[Asked], distribution: bool
) -> tuple[list[Answer], list[RecordError | UnansweredError]]:
    """Return the answers to those questions of a chunk that have one, and why others have none."""
    try:
        return predictor.answer(chunk, distribution=distribution), []
    except UnansweredError as error:
        pairs = zip(chunk, error.texts, strict=True)
        return [asked.answered(text) for asked, text in pairs if text is not None], [error]
    except RecordError as error:  # of one of the pictures
        if len(chunk) == 1:
            return [], [error]
    middle = len(chunk) // 2
    first, errors = _answers(predictor, chunk[:middle], distribution)
    second, further = _answers(predictor, chunk[middle:], distribution)
    return first + second, errors + further
