"""Which lidar points a camera cannot see, as other returns are on surfaces in front of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...geometry.arrays import Floats
from ...geometry.camera import Camera

_Ints = NDArray[np.int64]

_NEARER = 0.9  # of a point's distance: what is below it is another surface in front
_SAME = 1.3  # how many times as far as another a return of the same surface may be
# How many beams apart two returns of a surface may be, upwards and sideways: paint and glass let
# some beams return nothing.
_BEAMS_UP = 8.0
_BEAMS_ACROSS = 2.0
_BELOW = 0.5  # of the angle to the next beam: how far below a row of returns its surface goes on
_ABOVE = 0.7  # the same above the highest return
_LOWEST_M = 1.0  # of a camera above the road: a road's inverse distances change no faster than so
_CELL_DEG = np.array([0.3, 0.2])  # of the buffer, across and up


def hidden_points(
    pixels: _Ints, distance_m: Floats, camera: Camera, above_rad: Floats, across_rad: Floats
) -> NDArray[np.bool_]:
    """Return which points (N,) a camera cannot see, by what other points show of surfaces.

    Returns that are about as far away and no more than some beams apart are on one surface, which
    hides what is behind all of it: so much of the picture as lies between them. It goes on 0.7 of
    a beam above the highest, leaning back as a road would that the camera is a metre above: a road
    hides nothing of itself. Angles between beams are as the camera sees them: wider for what is
    nearer to it than to the lidar. The buffer of what is nearest in front has cells of 0.3 by 0.2
    degrees; a point is hidden when it is farther than that by a ninth.

    Args:
        pixels: Pixels (N, 2) of the picture as (x, y), no two the same.
        distance_m: Distances (N,) of the points to the camera, metres.
        camera: The camera; its lens is not regarded.
        above_rad: The angles (N,), seen from the camera, to the lidar's beam above.
        across_rad: The same to the next return of the same beam.
    """
    if not len(pixels):
        return np.zeros(0, dtype=np.bool_)
    a, b = ((pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)).T
    stretched = 1 + a**2  # pixels an angle, away from the middle of the picture
    above_px = camera.fy * above_rad * (stretched + b**2) / np.sqrt(stretched)
    across_px = camera.fx * across_rad * stretched
    cell_px = np.maximum(np.deg2rad(_CELL_DEG) * (camera.fx, camera.fy), 1)
    columns, rows = (np.array(camera.size_wh) / cell_px).astype(np.int64) + 1
    wide_px, high_px = cell_px
    x, y = pixels.T
    inverse = 1 / distance_m
    left, right = (_cells(x + side * across_px / 2, wide_px, columns) for side in (-1, 1))
    column, row = _cells(x, wide_px, columns), _cells(y, high_px, rows)
    below = _cells(y + _BELOW * above_px, high_px, rows)
    # Inverse distances, column by column; what is between returns of a row, row by row.
    front, beside = np.zeros((columns, rows)), np.zeros((rows, columns))
    for shift in (0.0, 0.5):  # so that no surface is cut where a shell ends
        shell = np.floor(np.log(distance_m) / np.log(_SAME) + shift).astype(np.int64)
        _join(front, shell, inverse, (y, row, _BEAMS_UP * above_px), (left, right))
        _join(beside, shell, inverse, (x, column, _BEAMS_ACROSS * above_px), (row, below))
    front = np.maximum(front, beside.T).ravel()
    of, across = _spans(left, right)
    top = np.minimum(_cells(y - _ABOVE * above_px + high_px / 2, high_px, rows), row)
    piece, up = _spans(top[of], row[of])
    of, across = of[piece], across[piece]
    # On a road h below, 1 / distance is the angle below the horizon over h.
    rise = np.maximum(y[of] - (up + 0.5) * high_px, 0) / camera.fy
    np.maximum.at(front, across * rows + up, inverse[of] - rise / _LOWEST_M)
    hidden: NDArray[np.bool_] = front[column * rows + row] * _NEARER > inverse
    return hidden


def _join(
    front: Floats,
    shell: _Ints,
    inverse: Floats,
    surface: tuple[_Ints, _Ints, Floats],
    lines: tuple[_Ints, _Ints],
) -> None:
    """Put what lies between returns of one shell on one line of cells into a buffer.

    Args:
        front: The largest inverse distances, 1 / m, of the cells of each line (lines, cells).
        shell: Which range of distances (N,) points are in.
        inverse: Inverse distances (N,), 1 / m.
        surface: Where points are along their lines (N,), pixels; their cells (N,) of it; and how
            far (N,) from each the next of the same surface may be, pixels.
        lines: The first and the last line (N,) that each point is on.
    """
    place, cell, reach_px = surface
    count, length = front.shape
    of, line = _spans(*lines)
    apart = int(place.max() + reach_px.max()) + 2  # of two lines: none is within reach of another
    key = (line + shell[of] * count) * apart + place[of]
    order = np.argsort(key * len(key) + np.arange(len(key)))  # ties alike on every processor
    key, of = key[order], of[order]
    reach_px = reach_px[of]
    joined = np.flatnonzero(np.diff(key) <= np.maximum(reach_px[:-1], reach_px[1:]))
    one, after, start = of[joined], of[joined + 1], line[order[joined]] * length
    piece, between = _spans(start + cell[one], start + cell[after])
    np.maximum.at(front.reshape(-1), between, np.minimum(inverse[one], inverse[after])[piece])


def _cells(place_px: Floats | _Ints, size_px: float, count: int) -> _Ints:
    """Return the cells (N,) of a size that pixels (N,) are in, of those that there are."""
    return np.clip((place_px + 0.5) / size_px, 0, count - 1).astype(np.int64)


def _spans(first: _Ints, last: _Ints) -> tuple[_Ints, _Ints]:
    """Return all integers from `first` (N,) to `last` (N,): whose they are (M,), and they (M,)."""
    many = last - first + 1
    of = np.repeat(np.arange(len(first)), many)
    return of, np.arange(len(of)) + (first + many - np.cumsum(many))[of]
