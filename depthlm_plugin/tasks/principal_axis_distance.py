"""Distance of one point along the principal axis: z (DepthLM §4.3)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from .task import Asked, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for z, metres, whatever `label` is."""
    return Asked({"value": float(shown.depth_m("z")[0])}, depth_kind="z")


TASK = Task("principal_axis_distance", ask)
