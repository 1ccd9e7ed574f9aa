"""The sample of one given point of a record, or of pixels of pictures without labels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config.block import DepthLMConfig
from ..errors import RecordError
from ..geometry.camera import Camera
from ..records.record import Record
from ..tasks import QuestionContext, Task, Truth
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
    return _sample(planner, record, path, int(places[0]), epoch)


def asked_samples(
    planner: Planner,
    task: Task,
    pictures: Sequence[tuple[str, Camera]],
    groups: Sequence[Sequence[tuple[float, float]]],
    given: Mapping[str, float] = MappingProxyType({}),
) -> list[Sample]:
    """Return questions about pictures without labels; their targets are NaN.

    Args:
        planner: Decides how the pictures are shown.
        task: What is asked.
        pictures: Of each picture of the task its path and its camera.
        groups: Of each question as many pixels (x, y) of the first picture as the task is about;
            integers are pixel centres.
        given: Numbers that the questions state, by placeholder.

    Raises:
        RecordError: For a picture that cannot be used, or a pixel whose mark does not fit.
    """
    for path, camera in pictures:
        check_header(path, _unlabelled(planner.config, path, camera, ()), planner.config)
    own: list[View] = []
    for pixels in groups:
        first = _unlabelled(planner.config, *pictures[0], pixels)
        _check_inside(first)
        own.append(_view_of(planner, first, single=len(pictures) == 1))
    views = _shared(planner, pictures, groups, own)
    return [
        _asked(planner, task, pictures, pixels, given, view)
        for pixels, view in zip(groups, views, strict=True)
    ]


def _shared(
    planner: Planner,
    pictures: Sequence[tuple[str, Camera]],
    groups: Sequence[Sequence[tuple[float, float]]],
    own: list[View],
) -> list[View]:
    """Return a view for each question, as few different ones as serve all.

    A view that was moved for a pixel near the border serves all that lie in it. With marks in it a
    view is one question's alone.
    """
    one_each = all(len(pixels) == 1 for pixels in groups)
    if planner.config.reference != "text" or len(pictures) != 1 or not one_each:
        return own
    points = _unlabelled(planner.config, *pictures[0], [pixels[0] for pixels in groups])
    views, left = list(own), list(range(len(groups)))
    while left:  # the view in which most of them lie, then the one in which most others lie
        fitting = {view: planner.windows.fitting(view, points, left) for view in dict.fromkeys(own)}
        view = max(fitting, key=lambda view: len(fitting[view]))
        for at in fitting[view]:
            views[at] = view
        left = sorted(set(left).difference(fitting[view]))
    return views


def _asked(
    planner: Planner,
    task: Task,
    pictures: Sequence[tuple[str, Camera]],
    pixels: Sequence[tuple[float, float]],
    given: Mapping[str, float],
    view: View,
) -> Sample:
    first, *others = records = [
        _unlabelled(planner.config, path, camera, pixels if not at else ())
        for at, (path, camera) in enumerate(pictures)
    ]
    _check_apart(planner, first, view)
    views = [view, *(planner.windows.whole(record, record.image, None) for record in others)]
    context = QuestionContext(tuple(records), tuple(range(len(pixels))), tuple(views))
    truth = Truth(
        dict.fromkeys(task.values, math.nan),
        given,
        dict.fromkeys(task.worked, math.nan),
        dict.fromkeys(task.words, ""),
        {"depth": planner.config.label, "principal_axis_distance": "z"}.get(task.name),
    )
    rng = planner.seeded.rng(first.row, 0, "question", task.name, 0)
    return planner.phrasing.sample(task, [(context, truth)], views, rng)


def pixels_shown(
    planner: Planner, path: str, camera: Camera, pixels: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return about which pixels (N, 2) of a picture a question can be asked (N,).

    Others are so near its border that no view has room for their mark.
    """
    windows = planner.windows
    shown = np.zeros(len(pixels), dtype=np.bool_)
    for at, (x, y) in enumerate(pixels):
        record = _unlabelled(planner.config, path, camera, [(float(x), float(y))])
        view = windows.whole(record, path, record.pixels[0])
        shown[at] = bool(windows.fitting(view, record, [0]))
    return shown


def _unlabelled(
    config: DepthLMConfig, path: str, camera: Camera, pixels: Sequence[tuple[float, float]]
) -> Record:
    return Record(
        path,
        camera,
        np.array(pixels, dtype=np.float64).reshape(-1, 2),
        np.full(len(pixels), np.nan),
        np.arange(len(pixels)),
        config.label,
        path,
        0,
    )


def _check_inside(record: Record) -> None:
    """Refuse pixels that the picture or its lens does not have."""
    width, height = record.camera.size_wh
    for x, y in record.pixels:
        if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
            raise RecordError(
                "pixel outside the image",
                record.where,
                f"pixel ({x:g}, {y:g}) is outside the {width}x{height} image",
            )
    seen = record.camera.can_undistort(record.pixels)
    if not seen.all():
        x, y = record.pixels[~seen][0]
        raise RecordError(
            "pixel outside the lens model",
            record.where,
            f"pixel ({x:g}, {y:g}) has no ray within the field where the distortion is one-to-one;"
            " choose another, or check the distortion",
        )


def _view_of(planner: Planner, record: Record, *, single: bool) -> View:
    """Return the whole picture, so trimmed that all of the record's pixels are asked about in it.

    It is trimmed on the side away from a pixel, or as planned questions about two pictures are.
    """
    windows, indices = planner.windows, list(range(len(record.pixels)))
    anchors = record.pixels if single and indices else [None]
    for anchor in anchors:
        view = windows.whole(record, record.image, anchor)
        fitting = windows.fitting(view, record, indices)
        if fitting == indices:
            return view
    [unfit, *_] = [index for index in indices if index not in fitting]
    raise _at_border(planner, record, view, unfit)


def _check_apart(planner: Planner, record: Record, view: View) -> None:
    """Refuse two points whose marks would touch, as training never shows them."""
    if len(record.pixels) < 2:
        return
    first, second = np.floor(view.pixels_from_source(record.pixels) + 0.5)
    least = 2 * planner.config.margin_px + 1
    if np.abs(first - second).max() < least:
        raise RecordError(
            "points too near each other",
            record.where,
            f"in the view these points are less than {least} px apart, where their marks touch;"
            " choose others",
        )


def _at_border(planner: Planner, record: Record, view: View, index: int) -> RecordError:
    x, y = view.pixels_from_source(record.pixels[index])[0]
    return RecordError(
        AT_BORDER,
        record.where,
        f"point {record.points[index]} lands at ({x:.1f}, {y:.1f}) in the"
        f" {view.size_wh[0]}x{view.size_wh[1]} view, where its mark"
        f" needs {planner.config.margin_px} px on every side; choose another point",
    )


def _sample(planner: Planner, record: Record, path: str, index: int, epoch: int) -> Sample:
    """Return the sample of the point at `index` of the record's points."""
    pixel, windows = record.pixels[index], planner.windows
    if windows.cropping:
        view = windows.draw(record, path, planner.seeded.rng(record.row, epoch, 0))
    else:
        view = windows.whole(record, path, pixel)
    if not windows.fitting(view, record, [index]):
        raise _at_border(planner, record, view, index)
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
