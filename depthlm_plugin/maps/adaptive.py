"""Which pixels of a picture are asked about: an even grid first, then where the depth jumps."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay, QhullError

from ..errors import ConfigError
from ..geometry.arrays import Floats

ROUNDS = 5
_SMOOTH, _JUMP = 0.1, 0.5  # in log z: what is no jump, and what is as good as any larger one
_CLOSEST_PX = 2.0  # between two questions


def even_grid(size_wh: tuple[int, int], grid_wh: tuple[int, int]) -> Floats:
    """Return the pixels nearest to the centres of a grid's cells (N, 2), row by row.

    Raises:
        ConfigError: For a grid without cells, or with more than the picture has pixels.
    """
    for cells, size in zip(grid_wh, size_wh, strict=True):
        if not 1 <= cells <= size:
            raise ConfigError(
                f"a grid of {grid_wh[0]}x{grid_wh[1]} questions does not fit a picture of"
                f" {size_wh[0]}x{size_wh[1]} pixels: a pixel is asked about once"
            )
    x, y = (
        np.floor((np.arange(cells) + 0.5) * size / cells)
        for cells, size in zip(grid_wh, size_wh, strict=True)
    )
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def grid_of(size_wh: tuple[int, int], count: int) -> tuple[int, int]:
    """Return the even grid (columns, rows) of about `count` questions, of the picture's shape."""
    width, height = size_wh
    columns = min(max(round((count * width / height) ** 0.5), 1), width)
    return columns, min(max(round(count / columns), 1), height)


def between_jumps(pixels: Floats, z_m: Floats, count: int, asked: Floats) -> Floats:
    """Return up to `count` pixels (M, 2) to ask about next, halfway where depth jumps.

    Neighbours are those of the Delaunay triangulation; a long jump between two of them comes
    before a short one, and each round halves it, so that edges of the depth are found.

    Args:
        pixels: Where answers are (N, 2).
        z_m: The answers as z-depth (N,), metres.
        count: The most that may be asked.
        asked: Pixels that are not asked about again (M, 2).
    """
    nothing = np.empty((0, 2))
    if len(pixels) < 4 or count < 1:
        return nothing
    try:
        corners = Delaunay(pixels).simplices
    except QhullError:  # all in a line
        return nothing
    pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    first, second = np.unique(np.sort(pairs, axis=1), axis=0).T
    length_px = np.linalg.norm(pixels[first] - pixels[second], axis=1)
    jump = np.clip(np.abs(np.log(z_m[first] / z_m[second])), _SMOOTH, _JUMP) - _SMOOTH
    worth = np.where(length_px >= _CLOSEST_PX, length_px * jump, 0.0)
    order = np.argsort(-worth, kind="stable")
    order = order[worth[order] > 0]
    halfway = np.floor((pixels[first[order]] + pixels[second[order]]) / 2 + 0.5)
    before = {*map(tuple, asked)}
    new = [pixel for pixel in dict.fromkeys(map(tuple, halfway)) if pixel not in before]
    return np.array(new[:count], dtype=np.float64).reshape(-1, 2)
