"""The questions of a depth map: an even grid, then rounds where the depth jumps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..geometry.arrays import Floats
from .adaptive import ROUNDS, between_jumps

Asker = Callable[[Floats], Floats]
"""Takes pixels (N, 2) and returns their z-depth (N,), metres; NaN where there is no answer."""


@dataclass(frozen=True)
class Answers:
    """What was answered about a picture.

    Attributes:
        pixels: The pixels that were answered (N, 2).
        z_m: Their z-depth (N,), metres.
    """

    pixels: Floats
    z_m: Floats


def ask_about(ask: Asker, grid: Floats, adaptive: int) -> Answers:
    """Return the answers about a picture.

    Args:
        ask: The model.
        grid: The first pixels to ask about (N, 2).
        adaptive: How many more are asked about in `ROUNDS` rounds, where depth jumps.
    """
    pixels, z_m = grid, ask(grid)
    for turn in range(ROUNDS if adaptive else 0):
        known = np.isfinite(z_m)
        left = adaptive - (len(pixels) - len(grid))
        # Pixels that had no answer are known too, so that nobody asks them twice.
        new = between_jumps(pixels[known], z_m[known], -(-left // (ROUNDS - turn)), pixels)
        if not len(new):
            break
        pixels, z_m = np.concatenate([pixels, new]), np.concatenate([z_m, ask(new)])
    known = np.isfinite(z_m)
    return Answers(pixels[known], z_m[known])
