"""How far the camera moved between two pictures (DepthLM §4.3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from .task import NEAREST_M, Asked, NotAskableError, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for metres between the two camera centres."""
    distance_m = float(np.linalg.norm(shown.second_in_first()[:3, 3]))
    if distance_m < NEAREST_M:
        raise NotAskableError("a camera that did not move")
    return Asked({"value": distance_m})


TASK = Task("camera_translation", ask, points=0, images=2)
