"""How high a camera is above the floor that its own depth map shows."""

from __future__ import annotations

import math

import numpy as np

from ...geometry.arrays import Floats
from ...geometry.camera import convert_depth
from ..frames import Frame

_POINTS = 3000
_FEWEST = 100  # below the camera
_TRIES = 200
_TILT = math.cos(math.radians(40))  # of the floor's normal against the picture's vertical
_THICK = 0.05  # of the height: what is that near to the plane belongs to it
_LEAST = 0.15  # of all points are on the floor
_BELOW = 0.02  # of all points may lie below it


def camera_points(frame: Frame) -> Floats:
    """Return up to 3000 points (N, 3) that a frame's depth map sees, metres, its camera's frame.

    They are spread over its valid pixels; none where it has no map.
    """
    if frame.depth_m is None:
        return np.empty((0, 3))
    valid = np.flatnonzero(np.isfinite(frame.depth_m) & (frame.depth_m > 0))
    if len(valid) > _POINTS:
        valid = valid[np.linspace(0, len(valid) - 1, _POINTS).astype(np.int64)]
    rows, columns = np.unravel_index(valid, frame.depth_m.shape)
    depth_m = frame.depth_m[rows, columns].astype(np.float64)
    pixels = frame.to_picture(rows, columns)
    seen = frame.camera.can_undistort(pixels)
    pixels, depth_m = pixels[seen], depth_m[seen]
    z_m = convert_depth(depth_m, pixels, frame.camera, kind=frame.depth_kind, to="z")
    return frame.camera.unproject(pixels, z_m)


def height_m(points_m: Floats, rng: np.random.Generator) -> float | None:
    """Return how far a camera is above the floor, metres; None where none is clear.

    The picture is taken to be upright, within 40 degrees. A floor is a plane below the camera with
    15 % of the points within 5 % of the height, and at most 2 % of the points under it; nothing is
    absolute, so that metres of a wrong unit are found in that unit.

    Args:
        points_m: What the camera sees (N, 3), in its frame: x right, y down, z forward.
        rng: Draws the planes that are tried (Fischler and Bolles 1981).
    """
    lower = points_m[points_m[:, 1] > 0]
    if len(lower) < _LEAST * len(points_m) or len(lower) < _FEWEST:
        return None
    corners = lower[rng.integers(0, len(lower), (_TRIES, 3))]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    kept = lengths > 0
    normals = normals[kept] / lengths[kept, None]
    normals *= -np.sign(normals[:, 1:2])  # upwards
    heights = -(normals * corners[kept, 0]).sum(axis=1)
    upright = (-normals[:, 1] > _TILT) & (heights > 0)
    if not upright.any():
        return None
    normals, heights = normals[upright], heights[upright]
    above = (points_m @ normals.T + heights) / heights  # in heights; the camera is at 1
    on_it = (np.abs(above) < _THICK).sum(axis=0)
    best = int(np.argmax(on_it))
    floor = points_m[np.abs(above[:, best]) < _THICK]
    if len(floor) < _LEAST * len(points_m):
        return None
    if (above[:, best] < -2 * _THICK).sum() > _BELOW * len(points_m):
        return None
    middle = floor.mean(axis=0)
    normal = np.linalg.svd(floor - middle, full_matrices=False)[2][2]
    return float(abs(normal @ middle))
