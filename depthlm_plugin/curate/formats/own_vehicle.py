"""The recording vehicle's own body in a camera's pictures, found by its edges that never move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ...geometry.arrays import Floats
from ...views.decode import load_rgb

LEAST_PICTURES = 8  # in fewer, edges of other things may be at one place by chance
_MOST_PICTURES = 12
APART_M = 2.0  # that the vehicle drives between two of them, so that what is near moves
_SHRUNK = 4  # times smaller are the pictures that edges are looked for in
_EDGE = 3.0  # grey levels a pixel
_PRESENT = 0.85  # of the pictures have an edge there
_ALIKE = 0.9  # how much their edges agree in direction: 1 is all, 0.3 chance
_LEAST = 0.1  # of the width, in which the outline is found: less may be dirt on the lens
_AROUND = 0.04  # of the width: a column is covered as high as its neighbours this far
_MARGIN = 2  # pixels of the small pictures


def apart(places_m: Sequence[Sequence[float]]) -> list[int]:
    """Return which of a drive's places (N, 3), metres, have pictures that can be compared.

    Returns:
        Indices, up to 12 spread over the drive, each 2 m or more from the one before.
    """
    found: list[int] = []
    for index, place in enumerate(places_m):
        if not found or np.linalg.norm(np.subtract(place, places_m[found[-1]])) >= APART_M:
            found.append(index)
    if len(found) > _MOST_PICTURES:
        steps = np.linspace(0, len(found) - 1, _MOST_PICTURES).round().astype(int)
        found = [found[step] for step in steps]
    return found


def body_rows(paths: Sequence[Path], below: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Return from which row on each column of a camera's pictures shows the vehicle.

    Its outline stays where it is while all else moves: an edge that most pictures have at one
    place, in one direction, is taken for it or for what is on it, and all of the column below the
    highest as hidden, reflections and bare paint too. Where something else never moves, the edge of
    a straight road or the horizon, too much is taken for the vehicle.

    Args:
        paths: Pictures of one size from places that are apart; those that are damaged are not used.
        below: Where (H, W) in the picture the vehicle can be.

    Returns:
        Rows (W,), H where there is no vehicle in the column; None where too few pictures can be
        read, or its outline is found in less than a tenth of the columns.
    """
    edges: Floats | None = None
    height, width = below.shape
    read = 0
    for path in paths:
        try:
            picture = load_rgb(str(path), str(path))
        except RecordError:
            continue
        if picture.size != (width, height):
            continue
        grey = np.asarray(picture.convert("L").reduce(_SHRUNK), dtype=np.float64)
        down, across = np.gradient(grey)
        size = np.hypot(across, down)
        # Directions doubled: an edge is the same from dark to bright and from bright to dark.
        twice = (across + 1j * down) ** 2 / np.maximum(size, 1e-9)
        one = np.stack([twice.real, twice.imag, size, size >= _EDGE])
        edges = one if edges is None else edges + one
        read += 1
    if edges is None or read < LEAST_PICTURES:
        return None
    real, imaginary, size, count = edges
    still = (count >= _PRESENT * read) & (np.hypot(real, imaginary) >= _ALIKE * size)
    still &= below[::_SHRUNK, ::_SHRUNK]
    if still.any(axis=0).mean() < _LEAST:
        return None
    rows, columns = still.shape
    top = np.where(still.any(axis=0), still.argmax(axis=0) - _MARGIN, rows)
    reach = max(1, round(_AROUND * columns))
    padded = np.pad(top, reach, constant_values=rows)
    top = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=1)
    top = np.where(top >= rows, height, np.maximum(top, 0) * _SHRUNK)
    result: NDArray[np.int64] = np.repeat(top, _SHRUNK)[:width].astype(np.int64)
    return result
