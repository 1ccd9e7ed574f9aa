"""Planning: which points of a record are asked about, in which windows; no pixel is read.

Every choice is drawn from (seed, dataset, row, epoch, draw), so workers, ranks, caches and the
order of reading change nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .camera import Camera, as_pixel
from .config import DepthLMConfig
from .errors import GeometryError, RecordError
from .images import check_size, image_size
from .markers import parse_color
from .prompts import load_template
from .questions import Question, Sample
from .records import Record, check_record, find_image, parse_row
from .rendering import source_pixels
from .tasks import TASKS
from .view import Mark, View

REDRAWN = "point near the border or outside the crop: another drawn"
AT_BORDER = "point too near the border for its mark: left out"
OUT_OF_RANGE = "point outside min_depth_m .. max_depth_m: left out"


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
        fixed_wh: The one size that the model accepts, for models that have one: views are cropped
            or padded with black to it, in training too; `multiple` and crops do not matter then.
    """

    config: DepthLMConfig
    dataset: str
    roots: tuple[str, ...]
    train: bool
    multiple: int
    depth_kind: str | None = None
    fixed_wh: tuple[int, int] | None = None

    def plan(
        self, raw: Mapping[str, Any] | str, where: str, row: int, epoch: int = 0
    ) -> tuple[list[Sample], Counter[str]]:
        """Return the samples of a record, and counts of what was left out or skipped.

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
            return self._draw(record, path, epoch, counts), +counts
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
        if self._crops_for_training:
            size_wh = self._crop_size(record, self._rng(record, epoch, 0))
            view = self._window(record, path, size_wh, None)
        else:
            view = self._window(record, path, self._full_size(record), pixel)
        if not self._fitting(view, record, [index]):
            x, y = view.pixels_from_source(pixel)[0]
            raise RecordError(
                AT_BORDER,
                record.where,
                f"point {record.points[index]} lands at ({x:.1f}, {y:.1f}) in the"
                f" {view.size_wh[0]}x{view.size_wh[1]} view, where its mark"
                f" needs {self.config.make_marker().margin_px} px on every side; choose another"
                " point",
            )
        task = self._task(record, epoch)
        target = float(TASKS[task](record, self.config.label)[index])
        return self._sample(record, view, index, task, target)

    @property
    def _crops_for_training(self) -> bool:
        crops = self.config.crop_height or self.config.crop_width
        return self.train and bool(crops) and self.fixed_wh is None

    def _checked(
        self, raw: Mapping[str, Any] | str, where: str, row: int, counts: Counter[str]
    ) -> tuple[Record, str]:
        """Return the checked record and the path of its checked image."""
        if isinstance(raw, str):
            raw = parse_row(raw, where)
        record, problems = check_record(raw, where, row, self.depth_kind)
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

    def _draw(self, record: Record, path: str, epoch: int, counts: Counter[str]) -> list[Sample]:
        task = self._task(record, epoch)
        targets = TASKS[task](record, self.config.label)
        low, high = self.config.min_depth_m, self.config.max_depth_m
        pool = [i for i, m in enumerate(targets) if low <= m and (high is None or m <= high)]
        counts[OUT_OF_RANGE] += len(targets) - len(pool)
        order = _shuffled(pool, self._rng(record, epoch))
        chosen = self._crops(record, path, order, epoch, counts)
        samples = [
            self._sample(record, view, index, task, float(targets[index])) for view, index in chosen
        ]
        if not samples:
            raise RecordError(
                "no usable point",
                record.where,
                f"none of its {len(targets)} points is inside the depth range and the mark's"
                f" border of {self.config.make_marker().margin_px} px; drop the row",
            )
        return samples

    def _task(self, record: Record, epoch: int) -> str:
        tasks = self.config.tasks
        return self._rng(record, epoch, "task").choices(list(tasks), list(tasks.values()))[0]

    def _crops(
        self, record: Record, path: str, order: list[int], epoch: int, counts: Counter[str]
    ) -> Iterator[tuple[View, int]]:
        """Yield (unmarked view, index of its point): the drawing rules of design §4."""
        config = self.config
        wanted = len(order) if config.points_per_record == "all" else int(config.points_per_record)
        if not self._crops_for_training:
            found = 0
            for index in order:
                view = self._window(record, path, self._full_size(record), record.pixels[index])
                if self._fitting(view, record, [index]):
                    yield view, index
                    found += 1
                    if found == wanted:
                        return
                else:
                    counts[AT_BORDER] += 1
            return
        unused = list(order)
        for draw in range(wanted):
            rng = self._rng(record, epoch, draw)
            view = self._window(record, path, self._crop_size(record, rng), None)
            fitting = self._fitting(view, record, order)
            fresh = [i for i in fitting if i in unused]
            if not fresh and (config.points_per_record == "all" or not fitting):
                counts[AT_BORDER] += 1
                continue
            # More samples than points were asked for: ask about a point again, in another crop.
            index = fresh[0] if fresh else fitting[int(rng.random() * len(fitting))]
            if fresh and index != unused[0]:
                counts[REDRAWN] += 1
            unused = [i for i in unused if i != index]
            yield view, index

    def _normalised_size(self, record: Record) -> tuple[int, int]:
        focal_px, limit = self.config.focal_px, self.config.max_upscale
        upscale = max(focal_px / record.camera.fx, focal_px / record.camera.fy)
        if upscale > limit:
            raise RecordError(
                "enlarged too much",
                record.where,
                f"focal_px {focal_px:g} enlarges the image {upscale:.3g} times, more than"
                f" max_upscale {limit:g}; check its intrinsics {record.camera.intrinsics} (pixels),"
                " or choose a shorter focal_px or a higher max_upscale",
            )
        try:
            return record.camera.scaled_to_focal(focal_px).size_wh
        except GeometryError as error:
            raise RecordError(
                "view too small",
                record.where,
                f"focal_px {self.config.focal_px:g} leaves less than one pixel of the image;"
                f" check its intrinsics {record.camera.intrinsics} (pixels)",
            ) from error

    def _full_size(self, record: Record) -> tuple[int, int]:
        full_wh = self._normalised_size(record)
        return self.fixed_wh or self._aligned(record, *full_wh)

    def _crop_size(self, record: Record, rng: random.Random) -> tuple[int, int]:
        width, height = self._normalised_size(record)
        crop_h = _uniform(self.config.crop_height, rng, height)
        crop_w = _uniform(self.config.crop_width, rng, width)
        return self._aligned(record, min(crop_w, width), min(crop_h, height))

    def _aligned(self, record: Record, width: int, height: int) -> tuple[int, int]:
        aligned = width // self.multiple * self.multiple, height // self.multiple * self.multiple
        if 0 in aligned:
            raise RecordError(
                "view too small",
                record.where,
                f"at focal_px {self.config.focal_px:g} the view is {width}x{height}, less than one"
                f" {self.multiple} px patch of the model; use a longer focal_px or a larger crop",
            )
        return aligned

    def _window(self, record: Record, path: str, size_wh: tuple[int, int], point: Any) -> View:
        """Return the centred window, moved just enough for the mark of `point` to fit."""
        camera, config = record.camera, self.config
        full_wh = camera.scaled_to_focal(config.focal_px).size_wh
        spare = [full - part for full, part in zip(full_wh, size_wh, strict=True)]
        corner = [room // 2 for room in spare]  # negative where the view is padded
        if point is not None:
            margin = config.make_marker().margin_px
            whole = View(path, camera, config.focal_px, 0, 0, full_wh)
            nearest = as_pixel(whole.pixels_from_source(point)[0])
            for axis in (0, 1):
                if spare[axis] < 0:
                    continue
                least = nearest[axis] - (size_wh[axis] - 1 - margin)
                most = nearest[axis] - margin
                corner[axis] = min(max(corner[axis], least, 0), most, spare[axis])
                corner[axis] = max(corner[axis], 0)
        return View(
            path, camera, config.focal_px, corner[0], corner[1], size_wh,
            exif_rotation=config.exif_rotation, resampling=config.resampling,
        )  # fmt: skip

    def _fitting(self, view: View, record: Record, indices: list[int]) -> list[int]:
        """Return those of the points `indices` whose mark fits into the view."""
        margin = self.config.make_marker().margin_px
        pixels = np.floor(view.pixels_from_source(record.pixels[indices]) + 0.5)  # as_pixel
        inside = (pixels >= margin) & (pixels < np.array(view.size_wh) - margin)
        # A lens can move a point out of the picture, and a padded view reaches beyond it.
        corner = np.array([view.left, view.top])
        inside &= (pixels + corner >= 0) & (pixels + corner < view.normalised.size_wh)
        return [index for index, fits in zip(indices, inside, strict=True) if fits.all()]

    def _sample(self, record: Record, view: View, index: int, task: str, target: float) -> Sample:
        config = self.config
        x, y = (float(value) for value in record.pixels[index])
        at = as_pixel(view.pixels_from_source((x, y))[0])
        outline = config.marker_outline and parse_color(config.marker_outline)
        mark = Mark(
            config.marker, config.marker_px, *at, parse_color(config.marker_color), outline or None
        )
        question = Question(
            self.dataset,
            record.row,
            int(record.points[index]),
            record.image,
            (x, y),
            task,
            config.prompt,
            target,
            load_template(task, config.prompt).unit,
        )
        marked = replace(view, marks=(mark,))
        return Sample(question, marked, record.where)

    def _rng(self, record: Record, epoch: int, *what: object) -> random.Random:
        key = "/".join(map(str, (self.config.seed, self.dataset, record.row, epoch, *what)))
        return random.Random(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()))


def _shuffled(items: list[int], rng: random.Random) -> list[int]:
    return [item for _, item in sorted((rng.random(), item) for item in items)]


def _uniform(limits: tuple[int, int] | None, rng: random.Random, whole: int) -> int:
    if limits is None:
        return whole
    low, high = limits
    return low + int(rng.random() * (high - low + 1))
