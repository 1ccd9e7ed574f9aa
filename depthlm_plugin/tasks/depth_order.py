"""Which of two points is nearer to the camera."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ..kinds.choice import CHOICE
from .task import Asked, NotAskableError, Shown, Task

if TYPE_CHECKING:
    from ..config.block import DepthLMConfig


def ask(shown: Shown, config: DepthLMConfig, rng: random.Random) -> Asked:
    """Ask for the point, 1 or 2; they must differ by a factor of `order_ratio`."""
    first, second = (float(metres) for metres in shown.depth_m(config.label))
    if max(first, second) < config.order_ratio * min(first, second):
        raise NotAskableError("points of nearly the same depth")
    return Asked({"value": 1.0 if first < second else 2.0})


TASK = Task(
    "depth_order",
    ask,
    points=2,
    kind=CHOICE,
    unit="",
    decimals={"value": 0},
    example={"value": 2.0},
)
