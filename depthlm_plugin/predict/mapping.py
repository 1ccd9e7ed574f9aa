"""Asking about as many pixels of a picture as its depth map needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..cameras.source import FoundCamera
from ..errors import ConfigError, DepthLMError
from ..geometry.arrays import Floats
from ..geometry.camera import convert_depth
from ..maps.adaptive import even_grid
from ..maps.asking import ask_about
from ..maps.depth_map import DepthMap
from ..sampling.given import pixels_shown
from ..sampling.planner import Planner
from ..views.decode import load_rgb
from .answer import Answer

DEPTH_TASKS = ("depth", "principal_axis_distance")
"""Tasks whose answers a map can be made of."""

Ask = Callable[[Sequence[tuple[float, float]]], list[Answer]]


def map_of(
    path: str,
    found: FoundCamera,
    planner: Planner,
    ask: Ask,
    grid_wh: tuple[int, int] | None,
    adaptive: int,
) -> DepthMap:
    """Return the depth map of a picture.

    Args:
        path: The picture.
        found: Its camera.
        planner: Shows it to the model.
        ask: Answers about pixels of it, with a task of `DEPTH_TASKS`.
        grid_wh: Columns and rows of pixels that are asked about; None: every pixel.
        adaptive: How many more, where depth jumps.

    Raises:
        ConfigError: For a grid that the picture is too small for.
        DepthLMError: When no answer could be read.
        RecordError: For a picture that cannot be used.
    """
    camera = found.camera
    if adaptive < 0:
        raise ConfigError(f"adaptive points must be 0 or more, found {adaptive}")
    grid = even_grid(camera.size_wh, grid_wh or camera.size_wh)
    picture = np.asarray(load_rgb(path, path, planner.config.exif_rotation, camera))
    grid = grid[camera.can_undistort(grid)]
    shown = pixels_shown(planner, path, camera, grid)
    if not shown.any():
        raise ConfigError(
            f"none of the {len(grid)} pixels of the grid can be asked about: the mark does not fit;"
            " use a finer grid"
        )
    unread = 0

    def z_of(pixels: Floats) -> Floats:
        nonlocal unread
        z_m = np.full(len(pixels), np.nan)
        can = camera.can_undistort(pixels) & pixels_shown(planner, path, camera, pixels)
        answers = ask([(float(x), float(y)) for x, y in pixels[can]]) if can.any() else []
        values = np.array([answer.best or np.nan for answer in answers], dtype=np.float64)
        unread += int(np.isnan(values).sum())
        if answers:
            kind = answers[0].sample.question.depth_kind or "z"
            z_m[can] = convert_depth(values, pixels[can], camera, kind=kind, to="z")
        return z_m

    asked = ask_about(z_of, grid[shown], adaptive)
    if not len(asked.z_m):
        raise DepthLMError(f"{path}: none of the {unread} answers could be read")
    return DepthMap.of_answers(found, picture, asked.pixels, asked.z_m, unread)
