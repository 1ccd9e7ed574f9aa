"""The time in which a camera reaches a point at a given speed: distance / speed (DepthLM §4.3)."""

from __future__ import annotations

import random

from .options import AskSettings, Option, number_range
from .task import QuestionContext, Task, Truth, drawn
from .written import as_written

SPEED_M_S = Option(
    "speed_m_s",
    (0.5, 15.0),
    number_range(0.1),
    "range of the speeds that `time` questions state",
)


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for seconds; the speed is drawn from `speed_m_s`."""
    distance_m = float(context.depth_m("distance")[0])
    speed_m_s = drawn(settings[SPEED_M_S], rng)
    told = {"distance": distance_m, "value": as_written(distance_m) / speed_m_s}
    return Truth({"value": distance_m / speed_m_s}, {"speed": speed_m_s}, told)


TASK = Task(
    "time",
    ask,
    options=(SPEED_M_S,),
    given=("speed",),
    worked=("distance",),
    unit="s",
    decimals={"speed": 1},
)
