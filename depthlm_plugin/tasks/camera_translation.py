"""How far the camera moved between two pictures (DepthLM §4.3)."""

from __future__ import annotations

import random

import numpy as np

from .options import AskSettings
from .pairs import PAIR_OPTIONS
from .task import NEAREST_M, NotAskableError, QuestionContext, Task, Truth


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for metres between the two camera centres."""
    distance_m = float(np.linalg.norm(context.second_in_first()[:3, 3]))
    if distance_m < NEAREST_M:
        raise NotAskableError("a camera that did not move")
    return Truth({"value": distance_m})


TASK = Task("camera_translation", ask, points=0, images=2, options=PAIR_OPTIONS)
