"""Lidar points as a camera sees them: projected, and without those that are hidden from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import moved
from .occlusion import hidden_points

NEAREST_M = 1.0  # nearer returns are of the vehicle itself
# Its outline and some more: no car of these datasets is longer or wider, mirrors included.
_VEHICLE_M = np.array([(-1.3, -1.1), (4.1, 1.1)])


@dataclass(frozen=True)
class Lidar:
    """How close together the returns of a lidar are, or of several at about one place.

    Attributes:
        at_m: Its place in the vehicle's frame, whose z is up, metres.
        beams_deg: Elevations of its beams above the horizon, ascending.
        across_deg: The angle between two returns of one beam.
    """

    at_m: tuple[float, float, float]
    beams_deg: tuple[float, ...]
    across_deg: float

    def spacing(self, points_m: Floats, distance_m: Floats) -> tuple[Floats, Floats]:
        """Return how far from points their neighbours are, seen from a camera.

        They are the farther from each other the nearer the camera is than the lidar.

        Args:
            points_m: Points (N, 3) in the vehicle's frame, metres.
            distance_m: Their distances (N,) to the camera, metres.

        Returns:
            Angles (N,) to the beam above, and to the next return of the same beam, radians.
        """
        away_m = points_m - self.at_m
        range_m = np.linalg.norm(away_m, axis=1)
        closer = range_m / distance_m
        beams = np.sin(np.deg2rad(self.beams_deg))
        above = np.diff(np.deg2rad(self.beams_deg))
        # Several lidars are not quite at one place: two of their beams may be no neighbours.
        above = np.maximum(np.append(above, above[-1]), np.median(above))
        nearest = np.searchsorted((beams[1:] + beams[:-1]) / 2, away_m[:, 2] / range_m)
        return above[nearest] * closer, np.deg2rad(self.across_deg) * closer


def off_vehicle(points_m: Floats) -> Floats:
    """Return the points (M, 3) that are not on the vehicle itself, over its outline on the ground.

    A lidar's motion is made up for as if what it meets stood still; the vehicle does not.

    Args:
        points_m: Points (N, 3), metres, in the vehicle's frame: x forward from the rear axle, y
            left.
    """
    (rear, right), (front, left) = _VEHICLE_M
    x, y, _ = points_m.T
    on_it = (x > rear) & (x < front) & (y > right) & (y < left)
    result: Floats = points_m.take(np.flatnonzero(~on_it), axis=0)
    return result


def seen_points(
    points_m: Floats, to_camera: Floats, camera: Camera, lidar: Lidar
) -> tuple[NDArray[np.int64], Floats, dict[str, int]]:
    """Return what a camera sees of lidar points: pixels, distances, and what was left out.

    It sees those that are in front of it, inside its picture and not hidden: see `visible`.

    Args:
        points_m: Points (N, 3) in the vehicle's frame at the time of the sweep, metres.
        to_camera: The motion (4, 4) from there to the camera's frame at the time of its picture.
        camera: The camera, with its lens if the picture is distorted.
        lidar: What measured them.

    Returns:
        Pixels (M, 2) as (x, y), no two the same; distances (M,) to the camera, metres; counts of
        the points inside the picture that were left out, by reason.
    """
    seen_m = moved(to_camera, points_m)
    ahead = _ahead(seen_m, camera)
    places, shown = camera.try_project(seen_m[ahead])
    shown_at = ahead[shown]
    pixels = np.floor(places[shown] + 0.5).astype(np.int64)
    distance_m = np.linalg.norm(seen_m[shown_at], axis=1)
    return visible(pixels, distance_m, camera, *lidar.spacing(points_m[shown_at], distance_m))


def _ahead(points_m: Floats, camera: Camera) -> NDArray[np.int64]:
    """Return which points (N, 3) of the camera's frame may be in its picture (M,), few others."""
    x, y, z = points_m.T
    ahead = z > 0
    if camera.lens is None:
        for place, focal, centre, size in (
            (x, camera.fx, camera.cx, camera.size_wh[0]),
            (y, camera.fy, camera.cy, camera.size_wh[1]),
        ):
            ahead &= (place > (-1 - centre) / focal * z) & (place < (size - centre) / focal * z)
    return np.flatnonzero(ahead)


def visible(
    pixels: NDArray[np.int64],
    distance_m: Floats,
    camera: Camera,
    above_rad: Floats,
    across_rad: Floats,
) -> tuple[NDArray[np.int64], Floats, dict[str, int]]:
    """Return what a camera sees of lidar points by the pixels on which they fall.

    A lidar on the roof looks over and past what hides things from the camera. Points that fall on
    one pixel are one: the nearest. Of the others those are left out that `hidden_points` finds.

    Args:
        pixels: Pixels (N, 2) of the picture as (x, y).
        distance_m: Distances (N,) of the points to the camera at the time of its picture, metres.
        camera: The camera.
        above_rad: The angles (N,), seen from the camera, to the lidar's beam above, radians.
        across_rad: The same to the next return of the same beam.

    Returns:
        As `seen_points`.
    """
    place = pixels[:, 1] * camera.size_wh[0] + pixels[:, 0]
    order = np.lexsort((distance_m, place))
    order = order[distance_m[order] >= NEAREST_M]
    near = len(pixels) - len(order)
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = place[order[1:]] != place[order[:-1]]
    kept = order[first]
    pixels, distance_m = pixels[kept], distance_m[kept]
    hidden = hidden_points(pixels, distance_m, camera, above_rad[kept], across_rad[kept])
    dropped = {
        "nearer than the vehicle": near,
        "behind another point": len(order) - len(kept),
        "hidden from the camera": int(hidden.sum()),
    }
    return (
        pixels[~hidden],
        distance_m[~hidden],
        {reason: count for reason, count in dropped.items() if count},
    )
