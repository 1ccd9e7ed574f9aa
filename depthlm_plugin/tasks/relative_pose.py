"""Where the camera of the second picture is, seen from the first (DepthLM §4.3).

Three sub-answers: the distance it moved, metres; the direction, a unit vector in the first camera's
axes (x right, y down, z forward) and in words; how it turned: yaw to the right, pitch upwards, roll
clockwise, degrees, the rotation being Ry(yaw) Rx(pitch) Rz(roll).
"""

from __future__ import annotations

import random

import numpy as np

from ..geometry.angles import angles_of
from ..geometry.arrays import Floats
from ..kinds.pose import POSE
from .options import AskSettings
from .pairs import PAIR_OPTIONS
from .task import NEAREST_M, NotAskableError, QuestionContext, Task, Truth

_PLAIN = 0.35  # a direction's part that is mentioned: beyond 20 degrees
_AXES = (("left", "right"), ("up", "down"), ("backward", "forward"))


def ask(context: QuestionContext, settings: AskSettings, rng: random.Random) -> Truth:
    """Ask for distance, direction and rotation."""
    pose = context.second_in_first()
    distance_m = float(np.linalg.norm(pose[:3, 3]))
    if distance_m < NEAREST_M:
        raise NotAskableError("a camera that did not move")
    direction = pose[:3, 3] / distance_m
    x, y, z = (float(part) for part in direction)
    yaw, pitch, roll = angles_of(pose[:3, :3])
    truth = {"distance": distance_m, "x": x, "y": y, "z": z}
    truth |= {"yaw": yaw, "pitch": pitch, "roll": roll}
    return Truth(truth, words={"direction": in_words(direction)})


def in_words(direction: Floats) -> str:
    """Return a unit vector (3,) in words: its parts beyond 20 degrees, the largest first."""
    order = np.argsort(-np.abs(direction), kind="stable")
    words = [
        _AXES[axis][int(direction[axis] > 0)] for axis in order if abs(direction[axis]) > _PLAIN
    ]
    return " and ".join(words)


TASK = Task(
    "relative_pose",
    ask,
    points=0,
    images=2,
    options=PAIR_OPTIONS,
    values=("distance", "x", "y", "z", "yaw", "pitch", "roll"),
    words=("direction",),
    kind=POSE,
    signed=("x", "y", "z", "yaw", "pitch", "roll"),
    decimals={"yaw": 1, "pitch": 1, "roll": 1},
    example={
        "distance": 2.35,
        "x": -0.6,
        "y": 0.0,
        "z": 0.8,
        "yaw": 12.5,
        "pitch": -3.2,
        "roll": 0.7,
    },
)
