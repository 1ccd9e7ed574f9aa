"""The distance between two points in space (DepthLM §4.3)."""

from __future__ import annotations

import random

import numpy as np

from .options import AskSettings
from .task import NEAREST_M, NotAskableError, QuestionContext, Task, Truth


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for metres between the two."""
    first, second = context.points_m()
    distance_m = float(np.linalg.norm(first - second))
    if distance_m < NEAREST_M:
        raise NotAskableError("coincident points")
    return Truth({"value": distance_m})


TASK = Task("two_point_distance", ask, points=2)
