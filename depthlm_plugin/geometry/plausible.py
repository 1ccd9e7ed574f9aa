"""What is rare for a camera or for metres: people then state it, or have found their mistake."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from .arrays import Floats
from .camera import Camera

DEPTH_M = (0.001, 10_000.0)
"""Depths that some camera measures, metres."""
RECORD_MEDIAN_M = (0.05, 300.0)
"""Medians of one picture's depths, metres: no lidar of a car reaches farther."""
MEDIAN_M = (0.05, 200.0)
"""Medians of a whole dataset; outside, every dataset that we know of had a wrong unit."""
USUAL_UNITS = (1000.0, 100.0, 4000.0, 5000.0, 512.0, 256.0, 8000.0, 6553.5)
"""How many of a depth image's units are a metre, in public datasets."""

_OFF_MIDDLE = 0.2  # of the side, the principal point
_FOCAL_RATIO = 1.2
_FIELD_DEG = (20.0, 130.0)

# What intrinsics are written as by mistake: the name, and where fx, fy, cx and cy then stand.
_ORDERS = (
    ("[fx, cx, fy, cy, W, H]", (0, 2, 1, 3)),
    ("[cx, cy, fx, fy, W, H]", (2, 3, 0, 1)),
    ("[fx, fy, cy, cx, W, H]", (0, 1, 3, 2)),
)
_SCALES = (("half", 2.0), ("double", 0.5))


@lru_cache(maxsize=256)  # many records have one camera
def unusual_camera(camera: Camera) -> str | None:
    """Return what is rare about a camera, and which mistake would explain it; None for a usual one.

    Rare are a principal point over 20 % of a side off the middle, fx and fy that differ by a
    factor over 1.2, and a field of view along the longer side outside 20 to 130 degrees (a fisheye
    may see more).
    """
    found = _oddities(camera) or _swapped(camera)
    if not found:
        return None
    guesses = [f"they would be usual as {name}" for name, order in _ORDERS if _fits(camera, order)]
    guesses += [
        f"they would be usual for a picture of {name} the size"
        for name, scale in _SCALES
        if not _oddities(_scaled(camera, scale), middle=0.1)
    ]
    return "; ".join([", ".join(found), *guesses[:1]])


def unit_question(median: float, limits: tuple[float, float] = MEDIAN_M) -> str:
    """Return a question about the units that a median which is no metres may be in, or nothing."""
    low_m, high_m = limits
    usual = [f"{unit:g}" for unit in USUAL_UNITS if low_m <= median / unit <= high_m]
    return f"are {' or '.join(usual[:2])} of its units a metre? " if usual else ""


def is_depth(depth_m: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which depths (N,), metres, some camera measures."""
    return (depth_m >= DEPTH_M[0]) & (depth_m <= DEPTH_M[1])


def _oddities(camera: Camera, middle: float = _OFF_MIDDLE) -> list[str]:
    width, height = camera.size_wh
    found = []
    off = max(abs(camera.cx + 0.5 - width / 2) / width, abs(camera.cy + 0.5 - height / 2) / height)
    if off > middle:
        found.append(
            f"principal point ({camera.cx:g}, {camera.cy:g}) is {100 * off:.0f} % of a side off the"
            f" middle of {width}x{height}"
        )
    ratio = max(camera.fx, camera.fy) / min(camera.fx, camera.fy)
    if ratio > _FOCAL_RATIO:
        found.append(f"fx={camera.fx:g} and fy={camera.fy:g} differ by a factor of {ratio:.2g}")
    fisheye = camera.lens is not None and camera.lens.is_fisheye
    if fisheye:
        field_deg = math.degrees(max(width / camera.fx, height / camera.fy))
    else:
        tangent = max(width / camera.fx, height / camera.fy) / 2
        field_deg = 2 * math.degrees(math.atan(tangent))
    if field_deg < _FIELD_DEG[0] or (field_deg > _FIELD_DEG[1] and not fisheye):
        found.append(f"the field of view is {field_deg:.3g} degrees")
    return found


def _swapped(camera: Camera) -> list[str]:
    """Return that cx and cy look swapped, which moves them little in a nearly square picture."""
    width, height = camera.size_wh
    other = replace(camera, cx=camera.cy, cy=camera.cx)
    least = min(
        abs(camera.cx + 0.5 - width / 2) / width, abs(camera.cy + 0.5 - height / 2) / height
    )
    if least <= 0.05 or _oddities(other, middle=0.02):
        return []
    return [f"cx={camera.cx:g} and cy={camera.cy:g} of {width}x{height} look swapped"]


def _fits(camera: Camera, order: tuple[int, ...]) -> bool:
    fx, fy, cx, cy = (camera.intrinsics[place] for place in order)
    if min(fx, fy) <= 0:
        return False
    return not _oddities(replace(camera, fx=fx, fy=fy, cx=cx, cy=cy), middle=0.1)


def _scaled(camera: Camera, scale: float) -> Camera:
    fx, fy, cx, cy = (scale * value for value in camera.intrinsics)
    return replace(camera, fx=fx, fy=fy, cx=cx, cy=cy)
