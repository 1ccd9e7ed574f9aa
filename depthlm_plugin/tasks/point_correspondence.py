"""Where a point of the first picture is in the second."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ..geometry.rigid import inverse, moved
from ..kinds.place import PLACE
from ..sampling.partners import is_confirmed
from ..views.view import normalised
from .task import Asked, NotAskableError, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for coordinates in the second picture, normalised to [0, 2000).

    The point must be seen there: a labelled point of the second record near its place agrees.
    """
    second, view = shown.records[1], shown.views[1]
    [place] = moved(inverse(shown.second_in_first()), shown.points_m())
    if not is_confirmed(place, second):
        raise NotAskableError("a point that the second picture is not known to show")
    [[x, y]] = view.pixels_from_source(second.camera.project(place))
    width, height = view.size_wh
    if not (-0.5 <= x < width - 0.5 and -0.5 <= y < height - 0.5):
        raise NotAskableError("a point outside the second picture's crop")
    u, v = normalised((x, y), view.size_wh)
    return Asked({"x": u, "y": v})


TASK = Task(
    "point_correspondence",
    ask,
    images=2,
    values=("x", "y"),
    kind=PLACE,
    unit="",
    decimals={"x": 0, "y": 0},
    example={"x": 1234.0, "y": 56.0},
)
