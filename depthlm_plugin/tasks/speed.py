"""The speed at which a camera reaches a point in a given time: distance / time (DepthLM §4.3)."""

from __future__ import annotations

import random

from .options import AskSettings, Option, number_range
from .task import QuestionContext, Task, Truth, drawn
from .written import as_written

TIME_S = Option(
    "time_s",
    (1.0, 20.0),
    number_range(0.1),
    "range of the times that `speed` questions state, seconds",
)


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for metres a second; the time is drawn from `time_s`."""
    distance_m = float(context.depth_m("distance")[0])
    time_s = drawn(settings[TIME_S], rng)
    # What is written is worked out from what is written, so that the arithmetic taught is right.
    told = {"distance": distance_m, "value": as_written(distance_m) / time_s}
    return Truth({"value": distance_m / time_s}, {"time": time_s}, told)


TASK = Task(
    "speed",
    ask,
    options=(TIME_S,),
    given=("time",),
    worked=("distance",),
    unit="m/s",
    decimals={"time": 1},
)
