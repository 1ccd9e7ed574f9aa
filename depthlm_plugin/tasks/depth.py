"""Metric depth of one point (DepthLM §3): the quantity that the recipe's `label` names."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .task import Asked, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for the distance to the camera, or z where the recipe says so; metres."""
    return Asked({"value": float(shown.depth_m(config.label)[0])}, depth_kind=config.label)


TASK = Task("depth", ask)
