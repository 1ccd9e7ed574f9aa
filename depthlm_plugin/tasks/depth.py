"""Metric depth of one point (DepthLM §3): the quantity that the recipe's `label` names."""

from __future__ import annotations

import random

from .options import AskSettings
from .task import QuestionContext, Task, Truth


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for the distance to the camera, or z where the recipe says so; metres."""
    return Truth({"value": float(context.depth_m(settings.label)[0])}, depth_kind=settings.label)


TASK = Task("depth", ask)
