"""Distance of one point along the principal axis: z (DepthLM §4.3)."""

from __future__ import annotations

import random

from .options import AskSettings
from .task import QuestionContext, Task, Truth


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for z, metres, whatever `label` is."""
    return Truth({"value": float(context.depth_m("z")[0])}, depth_kind="z")


TASK = Task("principal_axis_distance", ask)
