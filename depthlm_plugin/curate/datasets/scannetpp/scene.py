"""What the text files of a ScanNet++ scene say of its iPhone frames: cameras, times, poses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import GeometryError
from ....geometry.arrays import Floats
from ....geometry.rigid import FLIP_YZ, inverse, motion

CAPTURES = "pose_intrinsic_imu.json"
_KEY = re.compile(rb'"frame_(\d{6,})"\s*:')
_TURN_DEG, _SHIFT_M = 10.0, 0.5  # of ARKit's drift in a building, not of a wrong convention


@dataclass(frozen=True)
class Capture:
    """A frame as the phone recorded it.

    Attributes:
        intrinsics: fx, fy, cx, cy of the 1920x1440 picture, pixels.
        timestamp: When it was taken, seconds.
        pose: `aligned_pose` as it is stored (4, 4), or None where there is none.
    """

    intrinsics: tuple[float, float, float, float]
    timestamp: float
    pose: Floats | None


def frame_numbers(folder: Path) -> list[int]:
    """Return the frames that the JSON file of a scan names, in order, without parsing it."""
    return sorted({int(number) for number in _KEY.findall((folder / CAPTURES).read_bytes())})


@lru_cache(maxsize=4)
def read_captures(folder: str) -> dict[int, Capture]:
    """Return the frames of a scan by number.

    Raises:
        ValueError: For a file that is damaged or another.
    """
    try:
        raw = json.loads(Path(folder, CAPTURES).read_bytes())
        return {
            int(name.removeprefix("frame_")): _capture(capture) for name, capture in raw.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot be read ({error!r}); fetch it again") from error


def _capture(raw: dict[str, Any]) -> Capture:
    k = np.reshape(np.asarray(raw["intrinsic"], dtype=np.float64), (3, 3))
    if k[0, 1] or k[1, 0] or k[2].tolist() != [0, 0, 1]:
        raise ValueError(f"expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], found {k.tolist()}")
    fx, fy, cx, cy = k[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    pose = raw.get("aligned_pose")
    if pose is not None:
        pose = np.reshape(np.asarray(pose, dtype=np.float64), (4, 4))
        pose = pose if np.isfinite(pose).all() else None
    return Capture((fx, fy, cx, cy), float(raw["timestamp"]), pose)


@lru_cache(maxsize=4)
def read_poses(folder: str) -> dict[int, Floats]:
    """Return the camera-to-world matrices (4, 4) of a scan by frame, metres, OpenCV axes.

    The toolkit unprojects with `aligned_pose` as one with OpenCV axes. COLMAP's poses of a part of
    the frames, in the same world, decide where they are there: the axes, or that neither fits. A
    frame that is far from its own COLMAP pose has none.

    Raises:
        ValueError: For poses that contradict COLMAP's, or a model that cannot be read.
    """
    stored = {
        number: capture.pose
        for number, capture in read_captures(folder).items()
        if capture.pose is not None
    }
    model = Path(folder, "colmap", "images.txt")
    if not stored or not model.is_file():
        return stored
    exact = dict(_colmap_poses(model))
    common = stored.keys() & exact.keys()
    if not common:
        raise ValueError(f"cannot be checked: {model} has none of the frames with an aligned_pose")
    medians = []
    for turn in (np.eye(4), FLIP_YZ):
        apart = {number: _apart(stored[number] @ turn, exact[number]) for number in common}
        turn_deg, shift_m = np.median(list(apart.values()), axis=0).tolist()
        if turn_deg <= _TURN_DEG and shift_m <= _SHIFT_M:
            far = {n for n, (deg, m) in apart.items() if deg > _TURN_DEG or m > _SHIFT_M}
            return {n: pose @ turn for n, pose in stored.items() if n not in far}
        medians.append(f"{turn_deg:.0f} degrees and {shift_m:.2f} m")
    raise ValueError(
        f"contradicts {model}: half of {len(common)} frames are {medians[0]} from there or more,"
        f" with OpenGL's axes {medians[1]}, expected {_TURN_DEG:g} degrees and {_SHIFT_M:g} m at"
        " most"
    )


def _apart(pose: Floats, other: Floats) -> tuple[float, float]:
    """Return the angle in degrees and the distance in metres between two poses."""
    cosine = (np.trace(pose[:3, :3].T @ other[:3, :3]) - 1) / 2
    shift_m = float(np.linalg.norm(pose[:3, 3] - other[:3, 3]))
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine)))), shift_m


def _colmap_poses(path: Path) -> Iterator[tuple[int, Floats]]:
    """Yield frame numbers and camera-to-world matrices; every other line is of keypoints."""
    with path.open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        for line in islice(lines, 0, None, 2):
            words = line.split()
            if not words:
                continue
            try:
                pose = inverse(motion(list(map(float, words[1:5])), list(map(float, words[5:8]))))
                yield int(Path(words[9]).stem.removeprefix("frame_")), pose
            except (ValueError, IndexError, GeometryError) as error:
                raise ValueError(
                    f"cannot be checked: {path} has the line {line[:80].strip()!r}, expected"
                    " IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID frame_NUMBER.jpg"
                ) from error
