"""The speed at which a camera reaches a point in a given time: distance / time (DepthLM §4.3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .task import Asked, Shown, Task, drawn
from .written import as_written

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for metres a second; the time is drawn from `time_s`."""
    distance_m = float(shown.depth_m("distance")[0])
    time_s = drawn(config.time_s, rng)
    # What is written is worked out from what is written, so that the arithmetic taught is right.
    told = {"distance": distance_m, "value": as_written(distance_m) / time_s}
    return Asked({"value": distance_m / time_s}, {"time": time_s}, told)


TASK = Task("speed", ask, given=("time",), worked=("distance",), unit="m/s", decimals={"time": 1})
