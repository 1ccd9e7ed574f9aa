"""The time in which a camera reaches a point at a given speed: distance / speed (DepthLM §4.3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .task import Asked, Shown, Task, drawn
from .written import as_written

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for seconds; the speed is drawn from `speed_m_s`."""
    distance_m = float(shown.depth_m("distance")[0])
    speed_m_s = drawn(config.speed_m_s, rng)
    told = {"distance": distance_m, "value": as_written(distance_m) / speed_m_s}
    return Asked({"value": distance_m / speed_m_s}, {"speed": speed_m_s}, told)


TASK = Task("time", ask, given=("speed",), worked=("distance",), unit="s", decimals={"speed": 1})
