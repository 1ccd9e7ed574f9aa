"""Which of two points is nearer to the camera."""

from __future__ import annotations

import random

from ..kinds.choice import CHOICE
from .options import AskSettings, Option, is_number, must_be
from .task import NotAskableError, QuestionContext, Task, Truth

ORDER_RATIO: Option[float] = Option(
    "order_ratio",
    1.1,
    must_be("1 or more", lambda value: is_number(value) and value >= 1),
    "least ratio of two points' depths for `depth_order`",
)


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for the point, 1 or 2; they must differ by a factor of `order_ratio`."""
    first, second = (float(metres) for metres in context.depth_m(settings.label))
    if max(first, second) < settings[ORDER_RATIO] * min(first, second):
        raise NotAskableError("points of nearly the same depth")
    return Truth({"value": 1.0 if first < second else 2.0})


TASK = Task(
    "depth_order",
    ask,
    points=2,
    options=(ORDER_RATIO,),
    kind=CHOICE,
    unit="",
    decimals={"value": 0},
    example={"value": 2.0},
)
