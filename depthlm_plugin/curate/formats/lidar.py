"""Lidar points as a camera sees them: projected, and without those that are hidden from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...geometry.arrays import Floats
from ...geometry.camera import Camera

NEAREST_M = 1.0  # nearer returns are of the vehicle itself
# Its outline and some more: no car of these datasets is longer or wider, mirrors included.
_VEHICLE_M = np.array([(-1.3, -1.1), (4.1, 1.1)])
_NEARER = 0.9  # of a point's distance: what is below it is another surface in front
_LOWEST_M = 1.0  # of a camera above the road: a road's inverse distances change no faster than so
_SURROUNDED_DEG = 190.0  # more than 180, so that a pole's points surround what is behind it


def off_vehicle(points_m: Floats) -> Floats:
    """Return the points (M, 3) that are not on the vehicle itself, over its outline on the ground.

    A lidar's motion is made up for as if what it meets stood still; the vehicle does not.

    Args:
        points_m: Points (N, 3), metres, in the vehicle's frame: x forward from the rear axle, y
            left.
    """
    low, high = _VEHICLE_M
    on_it = ((points_m[:, :2] > low) & (points_m[:, :2] < high)).all(axis=1)
    result: Floats = points_m[~on_it]
    return result


def seen_points(
    points_m: Floats,
    camera: Camera,
    *,
    window_deg: float,
    nearest_m: float = NEAREST_M,
) -> tuple[NDArray[np.int64], Floats, dict[str, int]]:
    """Return what a camera sees of lidar points: pixels, distances, and what was left out.

    It sees those that are in front of it, inside its picture and not hidden: see `visible`.

    Args:
        points_m: Points (N, 3) in the frame of the camera at the time of its picture, metres.
        camera: The camera, with its lens if the picture is distorted.
        window_deg: The largest angle between two neighbouring beams of the lidar, or a bit more.
        nearest_m: Points with a smaller distance are left out.

    Returns:
        Pixels (M, 2) as (x, y), no two the same; distances (M,) to the camera, metres; counts of
        the points inside the picture that were left out, by reason.
    """
    places, shown = camera.try_project(points_m)
    pixels = np.floor(places[shown] + 0.5).astype(np.int64)
    distance_m = np.linalg.norm(points_m[shown], axis=1)
    return visible(pixels, distance_m, camera, window_deg=window_deg, nearest_m=nearest_m)


def visible(
    pixels: NDArray[np.int64],
    distance_m: Floats,
    camera: Camera,
    *,
    window_deg: float,
    nearest_m: float = NEAREST_M,
) -> tuple[NDArray[np.int64], Floats, dict[str, int]]:
    """Return what a camera sees of lidar points by the pixels on which they fall.

    A lidar on the roof looks over what hides the ground behind it from the camera below. Points
    that fall on one pixel are one: the nearest. Of the others a point is hidden when points nearer
    by a tenth, within `window_deg`, surround it; or when one lies below that is nearer by more than
    a road would be, a metre or more below the camera: so the strip above whatever hides something
    has no labels either, as high as a beam is wide.

    Args:
        pixels: Pixels (N, 2) of the picture as (x, y).
        distance_m: Distances (N,) of the points to the camera at the time of its picture, metres.
        camera: The camera.
        window_deg: As in `seen_points`.
        nearest_m: As in `seen_points`.

    Returns:
        As `seen_points`.
    """
    near = distance_m < nearest_m
    pixels, distance_m = pixels[~near], distance_m[~near]
    order = np.lexsort((distance_m, pixels[:, 0], pixels[:, 1]))
    pixels, distance_m = pixels[order], distance_m[order]
    first = np.ones(len(pixels), dtype=np.bool_)
    first[1:] = (pixels[1:] != pixels[:-1]).any(axis=1)
    behind = int(len(first) - first.sum())
    pixels, distance_m = pixels[first], distance_m[first]
    hidden = _hidden(pixels, distance_m, camera, window_deg)
    dropped = {
        "nearer than the vehicle": int(near.sum()),
        "behind another point": behind,
        "hidden from the camera": int(hidden.sum()),
    }
    return (
        pixels[~hidden],
        distance_m[~hidden],
        {reason: count for reason, count in dropped.items() if count},
    )


def _hidden(
    pixels: NDArray[np.int64], distance_m: Floats, camera: Camera, window_deg: float
) -> NDArray[np.bool_]:
    """Return which points (N,) other points hide from the camera."""
    hidden = np.zeros(len(pixels), dtype=np.bool_)
    if len(pixels) < 2:
        return hidden
    focal_px = (camera.fx + camera.fy) / 2
    tree = cKDTree(pixels)
    pairs = tree.query_pairs(focal_px * np.tan(np.deg2rad(window_deg)), output_type="ndarray")
    swap = distance_m[pairs[:, 0]] < distance_m[pairs[:, 1]]
    far, near = np.where(swap, pairs.T[::-1], pairs.T)
    ratio = distance_m[near] / distance_m[far]
    ahead = ratio < _NEARER
    far, near, ratio = far[ahead], near[ahead], ratio[ahead]
    offsets = (pixels[near] - pixels[far]).astype(np.float64)
    # On a road h below, 1 / distance is the angle below the horizon over h.
    jump = (1 / distance_m[near] - 1 / distance_m[far]) * _LOWEST_M > np.hypot(
        *offsets.T
    ) / focal_px
    hidden[far[jump & (offsets[:, 1] > np.abs(offsets[:, 0]))]] = True
    hidden[_surrounded(far, np.rad2deg(np.arctan2(offsets[:, 1], offsets[:, 0])))] = True
    return hidden


def _surrounded(of: NDArray[np.int64], angles_deg: Floats) -> NDArray[np.int64]:
    """Return which points have no gap of `_SURROUNDED_DEG` between the directions given of each."""
    order = np.lexsort((angles_deg, of))
    of, angles_deg = of[order], angles_deg[order]
    points, starts, counts = np.unique(of, return_index=True, return_counts=True)
    gaps = np.empty_like(angles_deg)
    gaps[:-1] = np.diff(angles_deg)
    ends = starts + counts - 1
    gaps[ends] = 360 - (angles_deg[ends] - angles_deg[starts])
    return points[np.maximum.reduceat(gaps, starts) < _SURROUNDED_DEG] if len(points) else points
