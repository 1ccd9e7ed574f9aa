"""Depth maps aligned to a picture: of its size, or the same view made smaller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ..frames import same_field
from .files import map_npy


def same_view(size_wh: tuple[int, int], where: str) -> Callable[[tuple[int, int]], None]:
    """Return what refuses a depth map's (width, height) that is not the picture's, or smaller.

    Args:
        size_wh: Size of the picture, pixels.
        where: What to name in errors.
    """

    def check(depth_wh: tuple[int, int]) -> None:
        if not same_field(size_wh, depth_wh):
            raise RecordError(
                "other field of view",
                where,
                f"depth is {depth_wh[0]}x{depth_wh[1]}, the picture {size_wh[0]}x{size_wh[1]}: not"
                " the picture made smaller, both axes alike; align depth to the pictures first",
            )

    return check


def read_depth_array(path: Path, size_wh: tuple[int, int], where: str) -> NDArray[Any]:
    """Return the values (H, W) of a `.npy` file, of the picture's view, in their own type.

    Args:
        path: The file; an array (H, W, 1) is taken as (H, W).
        size_wh: Size of the picture, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `missing depth`, `bad depth array`, `other field of view`.
    """
    values = map_npy(path, where)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.ndim != 2 or not values.size:
        raise RecordError(
            "bad depth array", where, f"{path} has the shape {values.shape}, expected (H, W)"
        )
    same_view(size_wh, where)((values.shape[1], values.shape[0]))
    return np.array(values)


def metric(values: NDArray[Any], unit_m: float) -> NDArray[np.float64]:
    """Return depths (H, W), metres, of stored values, `unit_m` metres each.

    NaN is where a value is 0, negative, NaN or infinite: no measurement.
    """
    with np.errstate(invalid="ignore"):
        good = np.isfinite(values) & (values > 0)
    result: NDArray[np.float64] = np.where(good, values.astype(np.float64) * unit_m, np.nan)
    return result
