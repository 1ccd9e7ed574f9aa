"""The distance between two points in space (DepthLM §4.3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from .task import NEAREST_M, Asked, NotAskableError, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for metres between the two."""
    first, second = shown.points_m()
    distance_m = float(np.linalg.norm(first - second))
    if distance_m < NEAREST_M:
        raise NotAskableError("coincident points")
    return Asked({"value": distance_m})


TASK = Task("two_point_distance", ask, points=2)
