"""The sample of one given point of a record, or of pixels of a picture without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import RecordError
from ..geometry.camera import Camera
from ..records.record import Record
from ..tasks import QuestionContext
from ..views.view import View
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
    index = int(places[0])
    [sample] = _sample(planner, record, [index], _view(planner, record, path, index, epoch), epoch)
    return sample


def pixel_samples(
    planner: Planner, image: str, camera: Camera, pixels: Sequence[tuple[float, float]]
) -> list[Sample]:
    """Return the questions about pixels of a picture without labels; their targets are NaN.

    Each pixel has a sample of its own. As far as the marks allow, they show the same view: a view
    that was moved for a pixel near the border serves all pixels that lie in it, and one with
    numbers bears as many as the model was taught with (`questions_per_image`).

    Args:
        planner: Decides how the picture is context.
        image: Path of the picture.
        camera: Its camera.
        pixels: (x, y) in the picture; integers are pixel centres.

    Raises:
        RecordError: For a picture that cannot be used or a pixel whose mark does not fit.
    """
    config = planner.config
    record = Record(
        image,
        camera,
        np.array(pixels, dtype=np.float64).reshape(-1, 2),
        np.full(len(pixels), np.nan),
        np.arange(len(pixels)),
        config.label,
        image,
        0,
    )
    check_header(image, record, config)
    width, height = camera.size_wh
    for x, y in pixels:
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            raise RecordError(
                "pixel outside the image",
                image,
                f"pixel ({x:g}, {y:g}) is outside the {width}x{height} image",
            )
    own = [_view(planner, record, image, index) for index in range(len(pixels))]
    if config.reference == "marker":
        return [_sample(planner, record, [at], view, 0)[0] for at, view in enumerate(own)]
    views = list(dict.fromkeys(own))
    together: dict[View, list[int]] = {}
    left = list(range(len(pixels)))
    while left:  # the view in which most of them lie, then the one in which most others lie
        fitting = {view: planner.windows.fitting(view, record, left) for view in views}
        view = max(fitting, key=lambda view: len(fitting[view]))
        together[view] = fitting[view]
        left = sorted(set(left).difference(fitting[view]))
    most = config.questions_per_image if config.reference == "numbered" else 1
    samples: dict[int, Sample] = {}
    for view, indices in together.items():
        for start in range(0, len(indices), most):
            group = indices[start : start + most]
            samples.update(zip(group, _sample(planner, record, group, view, 0), strict=True))
    return [samples[at] for at in range(len(pixels))]


def _view(planner: Planner, record: Record, path: str, index: int, epoch: int = 0) -> View:
    """Return what shows the point at `index` of the record's points."""
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
    return view


def _sample(
    planner: Planner, record: Record, indices: Sequence[int], view: View, epoch: int
) -> list[Sample]:
    """Return a sample for each of the points at `indices`, marked together on one view."""
    task = planner.tasks_of(record, epoch)[0]
    if (task.points, task.images) != (1, 1):
        raise RecordError(
            "no such question",
            record.where,
            f"task {task.name!r} is not about one point; choose one that is (tasks: ...)",
        )
    rng = planner.seeded.rng(record.row, epoch, "question", task.name, 0)
    asked = []
    for index in indices:
        context = QuestionContext((record,), (index,), (view,))
        asked.append((context, task.ask(context, planner.config.ask_settings, rng)))
    sample = planner.phrasing.sample(task, asked, [view], rng)
    return [
        replace(sample, questions=(question,), turns=(turn,))
        for question, turn in zip(sample.questions, sample.turns, strict=True)
    ]
