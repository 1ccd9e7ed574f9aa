"""Planning: which points of a record are asked about, in which windows; no pixel is read.

Every choice is drawn from (seed, dataset, row, epoch, draw), so workers, ranks, caches and the
order of reading change nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ..config.block import DepthLMConfig
from ..errors import RecordError
from ..geometry.camera import Camera
from ..records.pair import check_any
from ..records.record import Record, find_image, parse_row
from ..seeds import seed_of
from ..tasks import TASKS, Asked, NotAskableError, Shown, Task
from ..views.decode import check_size, image_size
from ..views.render import source_pixels
from ..views.view import View
from .crops import Windows
from .partners import Limits
from .phrasing import Words
from .points import AT_BORDER, Choices
from .sample import Sample

NOT_ENOUGH = "record without points enough for a question about two"
NO_PARTNER = "record without a partner (another row, see the pair_ keys)"
_PARTNERS = 20  # rows tried before a record has no partner


class Neighbours(Protocol):
    """The rows of a file by number: where a record's partner is looked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int, /) -> tuple[str, Any]: ...


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
        depth_kind: What `depth` means in records that do not say.
        fixed_wh: The one size that the model accepts, for models that have one.
        records: The dataset's records file, for tasks about two of its pictures; or the rows.
    """

    config: DepthLMConfig
    dataset: str
    roots: tuple[str, ...]
    train: bool
    multiple: int
    depth_kind: str | None = None
    fixed_wh: tuple[int, int] | None = None
    records: str | Sequence[tuple[str, Any]] | None = None

    def plan(
        self, raw: Mapping[str, Any] | str, where: str, row: int, epoch: int = 0
    ) -> tuple[list[Sample], Counter[str]]:
        """Return the samples of a record, and counts of what was left out or skipped.

        Training draws one of the tasks; evaluation asks them all.

        Args:
            raw: The record, or its JSON text.
            where: File and line, for messages.
            row: Its number in the dataset, from 0.
            epoch: Which of the deterministic draws to make.

        Raises:
            RecordError: With `on_error: raise`, for anything wrong with the record or a point.
        """
        counts: Counter[str] = Counter()
        try:
            record, path = self._checked(raw, where, row, counts)
            tasks = self._tasks(record, epoch)
            samples: list[Sample] = []
            for task in tasks:
                samples += self._draw(TASKS[task], record, path, epoch, counts)
            return samples, +counts
        except RecordError as error:
            if self.config.on_error == "raise":
                raise
            counts[error.reason] += 1
            return [], +counts

    def plan_point(
        self, raw: Mapping[str, Any] | str, where: str, row: int, point: int, epoch: int = 0
    ) -> Sample:
        """Return the sample of one given point of a record (numbered from 0).

        Raises:
            RecordError: For a bad record, a point that does not exist, or one whose mark does not
                fit into the view.
        """
        record, path = self._checked(raw, where, row, Counter())
        found = [index for index, own in enumerate(record.points) if own == point]
        if not found:
            raise RecordError(
                "no such point", where, f"point {point} is not among the record's usable points"
            )
        return self._at(record, path, found[0], epoch)

    def ask(self, image: str, camera: Camera, pixel: tuple[float, float]) -> Sample:
        """Return the question about one pixel of a picture without labels; its target is NaN.

        Args:
            image: Path of the picture.
            camera: Its camera.
            pixel: (x, y) in the picture; integers are pixel centres.

        Raises:
            RecordError: For a picture that cannot be used or a pixel whose mark does not fit.
        """
        record = Record(
            image,
            camera,
            np.array([pixel], dtype=np.float64),
            np.array([np.nan]),
            np.array([0]),
            self.config.label,
            image,
            0,
        )
        size_wh = image_size(image, image, self.config.exif_rotation)
        check_size(size_wh, camera, image, image)
        width, height = size_wh
        if not (-0.5 <= pixel[0] < width - 0.5 and -0.5 <= pixel[1] < height - 0.5):
            raise RecordError(
                "pixel outside the image",
                image,
                f"pixel ({pixel[0]:g}, {pixel[1]:g}) is outside the {width}x{height} image",
            )
        return self._at(record, image, 0, 0)

    def _at(self, record: Record, path: str, index: int, epoch: int) -> Sample:
        """Return the sample of the point at `index` of the record's points."""
        pixel = record.pixels[index]
        if self._windows.cropping:
            view = self._windows.draw(record, path, self._rng(record, epoch, 0))
        else:
            view = self._windows.whole(record, path, pixel)
        if not self._windows.fitting(view, record, [index]):
            x, y = view.pixels_from_source(pixel)[0]
            raise RecordError(
                AT_BORDER,
                record.where,
                f"point {record.points[index]} lands at ({x:.1f}, {y:.1f}) in the"
                f" {view.size_wh[0]}x{view.size_wh[1]} view, where its mark"
                f" needs {self.config.margin_px} px on every side; choose another point",
            )
        task = TASKS[self._tasks(record, epoch)[0]]
        if (task.points, task.images) != (1, 1):
            raise RecordError(
                "no such question",
                record.where,
                f"task {task.name!r} is not about one point; choose one that is (tasks: ...)",
            )
        rng = self._rng(record, epoch, "question", task.name, 0)
        shown = Shown((record,), (index,), (view,))
        return self._words.sample(task, [(shown, task.ask(shown, self.config, rng))], [view], rng)

    @cached_property
    def _windows(self) -> Windows:
        return Windows(self.config, self.train, self.multiple, self.fixed_wh)

    @cached_property
    def _choices(self) -> Choices:
        return Choices(self.config, self._windows, self._rng)

    @cached_property
    def _pairs(self) -> bool:
        return any(TASKS[task].images == 2 for task in self.config.tasks)

    @cached_property
    def _words(self) -> Words:
        return Words(self.config, self.dataset)

    @cached_property
    def _neighbours(self) -> Neighbours | None:
        if isinstance(self.records, str):
            from ..records.rows import open_rows

            return open_rows(self.records)
        return self.records

    def __reduce__(self) -> tuple[Any, ...]:  # without what is opened: fingerprints, processes
        values = [getattr(self, name) for name in self.__dataclass_fields__]
        return Planner, tuple(values)

    def _checked(
        self, raw: Mapping[str, Any] | str, where: str, row: int, counts: Counter[str]
    ) -> tuple[Record, str]:
        """Return the checked record and the path of its checked image."""
        if isinstance(raw, str):
            raw = parse_row(raw, where)
        record, problems = check_any(raw, where, row, self.depth_kind, poses=self._pairs)
        if problems and self.config.on_error == "raise":
            raise problems[0]
        counts.update(problem.reason for problem in problems)
        return record, self._check_image(record)

    def _check_image(self, record: Record) -> str:
        path = find_image(record.image, list(self.roots), record.where)
        rule = self.config.exif_rotation
        if self.config.on_error == "skip":
            # Only decoding finds a truncated file; rendering will find the pixels decoded.
            fast = self.config.resampling == "fast"
            source_pixels(path, record.camera, record.where, rule, fast=fast)
        else:
            size_wh = image_size(path, record.where, rule)
            check_size(size_wh, record.camera, path, record.where)
        return path

    def _draw(
        self, task: Task, record: Record, path: str, epoch: int, counts: Counter[str]
    ) -> list[Sample]:
        """Return the samples of one task."""
        if task.images == 2:
            return self._draw_pair(task, record, path, epoch, counts)
        order = self._choices.pool(record, epoch, counts)
        samples = []
        size = task.points, self._packed(task)
        windows = self._choices.windows_of(*size, record, path, order, epoch, counts)
        for number, (view, indices) in enumerate(windows):
            rng = self._rng(record, epoch, "question", task.name, number)
            asked = self._ask_of(task, record, view, indices, rng, counts)
            if asked:
                samples.append(self._words.sample(task, asked, [view], rng))
        if not samples and task.points == 1:
            raise RecordError(
                "no usable point",
                record.where,
                f"none of its {len(record.points)} points is inside the depth range and the mark's"
                f" border of {self.config.margin_px} px; drop the row",
            )
        counts[NOT_ENOUGH] += not samples
        return samples

    def _ask_of(
        self,
        task: Task,
        record: Record,
        view: View,
        indices: list[int],
        rng: random.Random,
        counts: Counter[str],
    ) -> list[tuple[Shown, Asked]]:
        """Return as many questions as a sample takes, about the first of these points that fit."""
        asked: list[tuple[Shown, Asked]] = []
        rest = list(indices)
        while len(rest) >= task.points and len(asked) < self._packed(task):
            first, *others = rest
            rest = others
            for partner in [(other,) for other in others] if task.points == 2 else [()]:
                shown = Shown((record,), (first, *partner), (view,))
                question = self._ask(task, shown, rng, counts)
                if question is not None:
                    asked.append((shown, question))
                    rest = [index for index in others if index not in partner]
                    break
        return asked

    def _draw_pair(
        self, task: Task, record: Record, path: str, epoch: int, counts: Counter[str]
    ) -> list[Sample]:
        """Return the sample of a record and one of its partners."""
        reasons: Counter[str] = Counter()
        for partner in self._partners(record, epoch, reasons):
            second_path = self._check_image(partner)
            rng = self._rng(record, epoch, "question", task.name, partner.row)
            views = (
                self._windows.draw(record, path, self._rng(record, epoch, 0)),
                self._windows.draw(partner, second_path, self._rng(partner, epoch, 0)),
            )
            choices: list[tuple[int, ...]] = [()]
            if task.points:
                order = self._choices.pool(record, epoch, counts)
                choices = [(at,) for at in self._windows.fitting(views[0], record, order)]
            asked = []
            for indices in choices:
                shown = Shown((record, partner), indices, views)
                question = self._ask(task, shown, rng, reasons)
                if question is not None:
                    asked.append((shown, question))
                    if len(asked) == self._packed(task):
                        break
            if asked:
                return [self._words.sample(task, asked, list(views), rng)]
        counts[NO_PARTNER] += 1
        counts.update({f"{NO_PARTNER}: {reason}": n for reason, n in reasons.items()})
        return []

    def _partners(self, record: Record, epoch: int, reasons: Counter[str]) -> Iterator[Record]:
        """Yield records that make a pair with one, and count why others do not."""
        if record.partner is not None:
            yield record.partner
            return
        rows = self._neighbours
        if rows is None:
            return
        limits = Limits.of(self.config)
        rng = self._rng(record, epoch, "partner")
        order = [rng.random() for _ in range(2 * limits.rows)]
        tried = 0
        for row in limits.candidates(record.row, len(rows), order):
            where, raw = rows[row]
            raw = parse_row(raw, where) if isinstance(raw, str) else raw
            try:
                other, _ = check_any(raw, where, row, self.depth_kind)
            except RecordError as error:
                reasons[error.reason] += 1
                continue
            problem = limits.problem(record, other)
            if problem is None:
                yield other
            else:
                reasons[problem] += 1
            tried += 1
            if tried == _PARTNERS:
                return

    def _ask(
        self, task: Task, shown: Shown, rng: random.Random, counts: Counter[str]
    ) -> Asked | None:
        try:
            return task.ask(shown, self.config, rng)
        except NotAskableError as error:
            counts[error.reason] += 1
            return None

    def _packed(self, task: Task) -> int:
        """Return how many questions share a sample; evaluation scores each by itself."""
        return self.config.questions_per_image if self.train and task.points else 1

    def _tasks(self, record: Record, epoch: int) -> list[str]:
        """Return what is asked about a record: in training one task, by its weight."""
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
        if not self.train:
            return list(tasks)
        rng = self._rng(record, epoch, "task")
        return rng.choices(list(tasks), list(tasks.values()))

    def _rng(self, record: Record, epoch: int, *what: object) -> random.Random:
        return random.Random(seed_of(self.config.seed, self.dataset, record.row, epoch, *what))
