"""Files of Open3D's reconstruction system and of Redwood: intrinsics as JSON, trajectories."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import DepthLMError
from ...geometry.arrays import Floats

_LINES = 5  # of a frame in a trajectory: its numbers, and the rows of a 4x4 matrix


@dataclass(frozen=True)
class Intrinsics:
    """A camera as Open3D stores it, where integers are pixel centres.

    Attributes:
        matrix: The 3x3 matrix row by row, pixels.
        size_wh: Size of its pictures, pixels.
        depth_scale: Values of depth images a metre, where the file states it.
    """

    matrix: tuple[float, ...]
    size_wh: tuple[int, int]
    depth_scale: float | None = None


PRIMESENSE = Intrinsics((525.0, 0.0, 319.5, 0.0, 525.0, 239.5, 0.0, 0.0, 1.0), (640, 480))
"""What Open3D assumes of recordings without intrinsics: its PrimeSenseDefault."""


def read_intrinsics(path: Path) -> Intrinsics:
    """Return the intrinsics of a JSON file, whose 9 numbers are a matrix column by column.

    Raises:
        DepthLMError: For a file that is not Open3D's, or whose numbers go row by row.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        columns = tuple(map(float, raw["intrinsic_matrix"]))
        size_wh = int(raw["width"]), int(raw["height"])
        scale = float(raw["depth_scale"]) if "depth_scale" in raw else None
        if len(columns) != 9 or not all(map(math.isfinite, columns)):
            raise ValueError(f"intrinsic_matrix is {columns}")
        if scale is not None and not 0 < scale < math.inf:
            raise ValueError(f"depth_scale is {scale}")
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error!r}); expected Open3D's JSON: width, height and"
            " intrinsic_matrix, 9 numbers, column by column"
        ) from error
    if columns[2] and not columns[6]:
        raise DepthLMError(
            f"{path}: intrinsic_matrix is {list(columns)}, row by row; Open3D's goes column by"
            " column: fx, 0, 0, 0, fy, 0, cx, cy, 1"
        )
    rows = tuple(columns[3 * column + row] for row in range(3) for column in range(3))
    return Intrinsics(rows, size_wh, scale)


def read_log(path: Path, count: int) -> list[Floats]:
    """Return the camera-to-world matrices (4, 4), OpenCV axes, metres, of a trajectory `.log`.

    Args:
        path: The file, of five lines a frame; the n-th is the n-th picture's.
        count: How many pictures there are.

    Raises:
        DepthLMError: For another file, as one of odometry, or other frames than the pictures.
    """
    poses = []
    try:
        lines = [
            line
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip() and not line.startswith("#")
        ]
        if len(lines) % _LINES:
            raise ValueError(f"it has {len(lines)} lines, which is not {_LINES} a frame")
        for number, start in enumerate(range(0, len(lines), _LINES)):
            first, second, _ = map(float, lines[start].split())
            if not first == second == number:
                raise ValueError(
                    f"frame {number} begins with {lines[start]!r}, expected {number} {number}:"
                    " is it of odometry, or of some of the pictures?"
                )
            pose = np.array([line.split() for line in lines[start + 1 : start + _LINES]], float)
            if pose.shape != (4, 4):
                raise ValueError(f"frame {number} is no 4x4 matrix")
            poses.append(pose)
    except (OSError, ValueError) as error:
        raise DepthLMError(
            f"{path} is no trajectory of camera poses ({error}); correct it or take it away"
        ) from error
    if len(poses) != count:
        raise DepthLMError(
            f"{path} has {len(poses)} poses, there are {count} pictures; the n-th is the n-th"
            " picture's, so give those that were reconstructed, or take it away"
        )
    return poses
