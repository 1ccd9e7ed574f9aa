"""Where a point of the first picture is in the second."""

from __future__ import annotations

import random

import numpy as np

from ..geometry.arrays import Floats
from ..geometry.camera import convert_depth
from ..geometry.rigid import inverse, moved
from ..kinds.place import PLACE
from ..records.record import Record
from ..views.view import normalised
from .options import AskSettings
from .pairs import PAIR_OPTIONS
from .task import NotAskableError, QuestionContext, Task, Truth

_NEAR = 0.05  # of a picture's width: labels so near a place tell of it
_AGREES = 1.1  # ratio of distances that are one surface's


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for coordinates in the second picture, normalised to [0, 2000).

    The point must be seen there: a labelled point of the second record near its place agrees.
    """
    second, view = context.records[1], context.views[1]
    [place] = moved(inverse(context.second_in_first()), context.points_m())
    if not _is_confirmed(place, second):
        raise NotAskableError("a point that the second picture is not known to show")
    [[x, y]] = view.pixels_from_source(second.camera.project(place))
    width, height = view.size_wh
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        raise NotAskableError("a point outside the second picture's crop")
    u, v = normalised((x, y), view.size_wh)
    return Truth({"x": u, "y": v})


def _is_confirmed(point_m: Floats, record: Record) -> bool:
    """Return whether a picture is known to show a point (3,) of its camera's frame, metres.

    Some of its labelled points within a twentieth of its width must have nearly the point's
    distance, and none be much nearer: else something may be in front.
    """
    [pixel], [shown] = record.camera.try_project(point_m)
    if not shown:
        return False
    near = np.flatnonzero(np.hypot(*(record.pixels - pixel).T) <= _NEAR * record.camera.size_wh[0])
    if not len(near):
        return False
    distance_m = convert_depth(
        record.depth_m[near],
        record.pixels[near],
        record.camera,
        kind=record.depth_kind,
        to="distance",
    )
    ratio = distance_m / np.linalg.norm(point_m)
    return bool((ratio > 1 / _AGREES).all() and (ratio < _AGREES).any())


TASK = Task(
    "point_correspondence",
    ask,
    images=2,
    options=PAIR_OPTIONS,
    values=("x", "y"),
    kind=PLACE,
    unit="",
    decimals={"x": 0, "y": 0},
    example={"x": 1234.0, "y": 56.0},
)
