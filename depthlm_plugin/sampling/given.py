"""The sample of one given point of a record, or of a pixel of a picture without labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import RecordError
from ..geometry.camera import Camera
from ..records.record import Record
from ..tasks import QuestionContext
from .planner import Planner, check_header
from .points import AT_BORDER
from .sample import Sample


def point_sample(
    planner: Planner,
    raw: Mapping[str, Any] | str,
    where: str,
    row: int,
    point: int,
    epoch: int = 0,
) -> Sample:
    """Return the sample of one given point of a record (numbered from 0).

    The other arguments are as those of `Planner.plan`.

    Raises:
        RecordError: For a bad record, a point that does not exist, or one whose mark does not
            fit into the view.
    """
    record, _ = planner.checked(raw, where, row)
    path = planner.picture_of(record)
    places = np.flatnonzero(record.points == point)
    if not len(places):
        raise RecordError(
            "no such point", where, f"point {point} is not among the record's usable points"
        )
    return _sample(planner, record, path, int(places[0]), epoch)


def pixel_sample(
    planner: Planner, image: str, camera: Camera, pixel: tuple[float, float]
) -> Sample:
    """Return the question about one pixel of a picture without labels; its target is NaN.

    Args:
        planner: Decides how the picture is context.
        image: Path of the picture.
        camera: Its camera.
        pixel: (x, y) in the picture; integers are pixel centres.

    Raises:
        RecordError: For a picture that cannot be used or a pixel whose mark does not fit.
    """
    config = planner.config
    record = Record(
        image,
        camera,
        np.array([pixel], dtype=np.float64),
        np.array([np.nan]),
        np.array([0]),
        config.label,
        image,
        0,
    )
    check_header(image, record, config)
    width, height = camera.size_wh
    if not (-0.5 <= pixel[0] < width - 0.5 and -0.5 <= pixel[1] < height - 0.5):
        raise RecordError(
            "pixel outside the image",
            image,
            f"pixel ({pixel[0]:g}, {pixel[1]:g}) is outside the {width}x{height} image",
        )
    return _sample(planner, record, image, 0, 0)


def _sample(planner: Planner, record: Record, path: str, index: int, epoch: int) -> Sample:
    """Return the sample of the point at `index` of the record's points."""
    pixel, windows = record.pixels[index], planner.windows
    if windows.cropping:
        view = windows.draw(record, path, planner.seeded.rng(record.row, epoch, 0))
    else:
        view = windows.whole(record, path, pixel)
    if not windows.fitting(view, record, [index]):
        x, y = view.pixels_from_source(pixel)[0]
        raise RecordError(
            AT_BORDER,
            record.where,
            f"point {record.points[index]} lands at ({x:.1f}, {y:.1f}) in the"
            f" {view.size_wh[0]}x{view.size_wh[1]} view, where its mark"
            f" needs {planner.config.margin_px} px on every side; choose another point",
        )
    task = planner.tasks_of(record, epoch)[0]
    if (task.points, task.images) != (1, 1):
        raise RecordError(
            "no such question",
            record.where,
            f"task {task.name!r} is not about one point; choose one that is (tasks: ...)",
        )
    rng = planner.seeded.rng(record.row, epoch, "question", task.name, 0)
    context = QuestionContext((record,), (index,), (view,))
    asked = [(context, task.ask(context, planner.config.ask_settings, rng))]
    return planner.phrasing.sample(task, asked, [view], rng)
