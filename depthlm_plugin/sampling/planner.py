"""Planning: which points of a record are asked about, in which windows; no pixel is read.

Every choice is drawn from (seed, dataset, row, epoch, draw), so workers, ranks, caches and the
order of reading change nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..config.block import DepthLMConfig
from ..errors import RecordError
from ..records.pair import check_any
from ..records.raw import parse_row
from ..records.record import Record, find_image
from ..records.rows import Rows
from ..records.stated import NOTHING, Stated
from ..seeds import SeededRng
from ..tasks import TASKS, NotAskableError, QuestionContext, Task, Truth
from ..views.decode import check_size, image_size
from .crops import Windows
from .partners import Limits, PartnerSearch
from .phrasing import Phrasing
from .planned import LeftOut, Planned
from .points import Chosen, PointChooser
from .sample import Sample

NOT_ENOUGH = "record without points enough for a question about two"
NO_PARTNER = "record without a partner (another row, see the pair_ keys)"


def check_header(path: str, record: Record, config: DepthLMConfig) -> None:
    """Refuse a picture whose header is bad or tells of another size than its intrinsics.

    Raises:
        RecordError: As `image_size` and `check_size` do.
    """
    size_wh = image_size(path, record.where, config.exif_rotation)
    check_size(size_wh, record.camera, path, record.where)


@dataclass(frozen=True)
class Planner:
    """Decides the samples of records of one dataset.

    Attributes:
        config: The dataset's config.
        dataset: Its name: part of every seed.
        roots: Folders that image paths may start from.
        train: Whether to crop for training; evaluation shows the whole image.
        multiple: Model's patch size x merge size, pixels: views are multiples of it, so that the
            model's processor does not resample again.
        stated: What the dataset states of its records.
        fixed_wh: The one size that the model accepts, for models that have one.
        records: The dataset's records file, for tasks about two of its pictures; or its rows.
        check_picture: What refuses pictures, given their path and record; see `decoding`.
    """

    config: DepthLMConfig
    dataset: str
    roots: tuple[str, ...]
    train: bool
    multiple: int
    stated: Stated = NOTHING
    fixed_wh: tuple[int, int] | None = None
    records: str | Rows | None = None
    check_picture: Callable[[str, Record, DepthLMConfig], None] = check_header

    def plan(self, raw: Mapping[str, Any] | str, where: str, row: int, epoch: int = 0) -> Planned:
        """Return the samples of a record, and what was left out or skipped.

        Training draws one of the tasks; evaluation asks them all.

        Args:
            raw: The record, or its JSON text.
            where: File and line, for messages.
            row: Its number in the dataset, from 0.
            epoch: Which of the deterministic draws to make.

        Raises:
            RecordError: With `on_error: raise`, for anything wrong with the record or a point.
        """
        samples: list[Sample] = []
        left_out: Counter[str] = Counter()
        try:
            for outcome in self._outcomes(raw, where, row, epoch):
                if isinstance(outcome, LeftOut):
                    left_out[outcome.reason] += outcome.times
                else:
                    samples.append(outcome)
        except RecordError as error:
            if self.config.on_error == "raise":
                raise
            left_out[error.reason] += 1
            samples = []
        return Planned(samples, +left_out)

    def checked(
        self, raw: Mapping[str, Any] | str, where: str, row: int
    ) -> tuple[Record, list[RecordError]]:
        """Return a checked record and the problems of points that it leaves out.

        Raises:
            RecordError: For a bad record; with `on_error: raise` for a bad point too.
        """
        if isinstance(raw, str):
            raw = parse_row(raw, where)
        record, problems = check_any(raw, where, row, self.stated)
        if problems and self.config.on_error == "raise":
            raise problems[0]
        return record, problems

    def picture_of(self, record: Record) -> str:
        """Return the path of a record's picture, checked.

        Raises:
            RecordError: For a picture that is missing or cannot be used.
        """
        path = find_image(record.image, list(self.roots), record.where)
        self.check_picture(path, record, self.config)
        return path

    def tasks_of(self, record: Record, epoch: int) -> list[Task]:
        """Return what is asked about a record: in training one task, by its weight.

        Raises:
            RecordError: For a record of two pictures when no task is about two.
        """
        tasks = self.config.tasks
        if record.partner is not None:
            tasks = {name: weight for name, weight in tasks.items() if TASKS[name].images == 2}
        if not tasks:
            raise RecordError(
                "a record of two pictures",
                record.where,
                f"none of the tasks {', '.join(self.config.tasks)} is about two pictures, as this"
                " record is; add camera_translation or relative_pose to tasks",
            )
        names = list(tasks)
        if self.train:
            rng = self.seeded.rng(record.row, epoch, "task")
            names = rng.choices(names, list(tasks.values()))
        return [TASKS[name] for name in names]

    @cached_property
    def seeded(self) -> SeededRng:
        """What makes the dataset's generators."""
        return SeededRng(self.config.seed, self.dataset)

    @cached_property
    def windows(self) -> Windows:
        """What chooses windows."""
        return Windows(self.config, self.train, self.multiple, self.fixed_wh)

    @cached_property
    def phrasing(self) -> Phrasing:
        """What makes samples of questions."""
        return Phrasing(self.config, self.dataset)

    @cached_property
    def _chooser(self) -> PointChooser:
        return PointChooser(self.config, self.windows, self.seeded)

    @cached_property
    def _partners(self) -> PartnerSearch:
        limits = Limits.of(self.config.ask_settings)
        return PartnerSearch(limits, self.records, self.stated, self.seeded)

    def __reduce__(self) -> tuple[Any, ...]:  # without what is opened: fingerprints, processes
        values = [getattr(self, name) for name in self.__dataclass_fields__]
        return Planner, tuple(values)

    def _outcomes(
        self, raw: Mapping[str, Any] | str, where: str, row: int, epoch: int
    ) -> Iterator[Sample | LeftOut]:
        record, problems = self.checked(raw, where, row)
        for problem in problems:
            yield LeftOut(problem.reason)
        path = self.picture_of(record)
        for task in self.tasks_of(record, epoch):
            draw = self._draw if task.images == 1 else self._draw_pair
            yield from draw(task, record, path, epoch)

    def _draw(
        self, task: Task, record: Record, path: str, epoch: int
    ) -> Iterator[Sample | LeftOut]:
        """Yield the samples of one task about one picture."""
        views = samples = 0
        for chosen in self._chooser.choose(task.points, self._packed(task), record, path, epoch):
            if isinstance(chosen, LeftOut):
                yield chosen
                continue
            rng = self.seeded.rng(record.row, epoch, "question", task.name, views)
            views += 1
            asked, left_out = self._ask_of(task, record, chosen, rng)
            yield from left_out
            if asked:
                samples += 1
                yield self.phrasing.sample(task, asked, [chosen.view], rng)
        if not samples and task.points == 1:
            raise RecordError(
                "no usable point",
                record.where,
                f"none of its {len(record.points)} points is inside the depth range and the mark's"
                f" border of {self.config.margin_px} px; drop the row",
            )
        if not samples:
            yield LeftOut(NOT_ENOUGH)

    def _ask_of(
        self, task: Task, record: Record, chosen: Chosen, rng: random.Random
    ) -> tuple[list[tuple[QuestionContext, Truth]], list[LeftOut]]:
        """Return as many questions as a sample takes, about the first of the points that fit."""
        asked: list[tuple[QuestionContext, Truth]] = []
        left_out: list[LeftOut] = []
        rest = chosen.indices
        while len(rest) >= task.points and len(asked) < self._packed(task):
            first, *others = rest
            rest = others
            for partner in [(other,) for other in others] if task.points == 2 else [()]:
                context = QuestionContext((record,), (first, *partner), (chosen.view,))
                question = self._ask(task, context, rng)
                if isinstance(question, LeftOut):
                    left_out.append(question)
                    continue
                asked.append((context, question))
                rest = [index for index in others if index not in partner]
                break
        return asked, left_out

    def _draw_pair(
        self, task: Task, record: Record, path: str, epoch: int
    ) -> Iterator[Sample | LeftOut]:
        """Yield the sample of a record and one of its partners."""
        reasons: Counter[str] = Counter()
        for partner in self._partners.of(record, epoch):
            if isinstance(partner, LeftOut):
                reasons[partner.reason] += 1
                continue
            second_path = self.picture_of(partner)
            rng = self.seeded.rng(record.row, epoch, "question", task.name, partner.row)
            views = (
                self.windows.draw(record, path, self.seeded.rng(record.row, epoch, 0)),
                self.windows.draw(partner, second_path, self.seeded.rng(partner.row, epoch, 0)),
            )
            choices: list[tuple[int, ...]] = [()]
            if task.points:
                order, outside = self._chooser.in_range(record, epoch)
                yield outside
                choices = [(at,) for at in self.windows.fitting(views[0], record, order)]
            asked = []
            for indices in choices:
                context = QuestionContext((record, partner), indices, views)
                question = self._ask(task, context, rng)
                if isinstance(question, LeftOut):
                    reasons[question.reason] += 1
                    continue
                asked.append((context, question))
                if len(asked) == self._packed(task):
                    break
            if asked:
                yield self.phrasing.sample(task, asked, list(views), rng)
                return
        yield LeftOut(NO_PARTNER)
        for reason, times in reasons.items():
            yield LeftOut(f"{NO_PARTNER}: {reason}", times)

    def _ask(self, task: Task, context: QuestionContext, rng: random.Random) -> Truth | LeftOut:
        try:
            return task.ask(context, self.config.ask_settings, rng)
        except NotAskableError as error:
            return LeftOut(error.reason)

    def _packed(self, task: Task) -> int:
        """Return how many questions share a sample; evaluation scores each by itself."""
        return self.config.questions_per_image if self.train and task.points else 1
