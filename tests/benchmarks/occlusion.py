"""What of lidar points that a camera cannot see is left out, and what of those that it sees?

    python tests/benchmarks/occlusion.py [--against CHECKOUT]

Streets at random, of vehicles, walls, poles and road, are swept by lidars with the beams of real
ones, and seen by cameras at distances from them that real ones have. A point is hidden when
something is more than a metre in front of it, and visible when nothing is. One table by lidar and
camera, in percent; then the time a picture. `--against` adds the figures of another checkout's
`seen_points(points_m, camera, window_deg=...)`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from support import street

from depthlm_plugin.curate.datasets import argoverse2, ddad, nuscenes
from depthlm_plugin.curate.formats.lidar import Lidar, seen_points
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.geometry.rigid import inverse, moved

STREETS = 6
BEHIND_M = 1.0


class Sensors(NamedTuple):
    """A lidar as the readers describe it, and what it and its cameras really are.

    Attributes:
        lidar: The reader's.
        window_deg: What `--against` gives instead, the angle of a window.
        heads: Place on the vehicle (3,) and elevations in degrees of each turning head.
        columns: Azimuths of a turn.
        focal_px: Of its cameras.
        size_wh: Of their pictures.
        places: Places on the vehicle (3,) and yaws in degrees of cameras, by name.
    """

    lidar: Lidar
    window_deg: float
    heads: list[tuple[tuple[float, ...], Any]]
    columns: int
    focal_px: float
    size_wh: tuple[int, int]
    places: dict[str, tuple[tuple[float, ...], float]]


# Velodyne's manual of the VLP-32C; the lower of Argoverse 2's two is mounted upside down.
VLP_32C = np.array(argoverse2.VLP_32C_DEG)
SENSORS = {
    "2 x 32 beams, Argoverse 2": Sensors(
        argoverse2.LIDARS, 0.8, [((1.35, 0, 1.64), VLP_32C), ((1.35, 0, 1.56), -VLP_32C)],
        1800, 1700, (2048, 1550),
        {"0.3 m, front": ((1.63, 0, 1.40), 0), "0.3 m, side": ((1.31, 0.27, 1.40), 99),
         "0.4 m, rear": ((1.10, 0.15, 1.40), 153),
         "0.4 m, rear right": ((1.10, -0.15, 1.40), -153)},
    ),
    "32 beams, nuScenes": Sensors(
        nuscenes.LIDAR, 1.5, [((0.94, 0, 1.84), np.linspace(-30.67, 10.67, 32))],
        1084, 1266, (1600, 900),
        {"0.8 m, front": ((1.70, 0, 1.51), 0), "0.6 m, side": ((1.55, 0.49, 1.50), 55),
         "1.0 m, rear": ((0.03, 0, 1.57), 180), "0.6 m, rear left": ((1.04, 0.48, 1.56), 108)},
    ),
    "64 beams": Sensors(
        ddad.LIDARS, 0.6, [((1.0, 0, 1.8), np.linspace(-25, 5, 64))],
        1800, 1060, (1936, 1216),
        {"0.5 m, front": ((1.45, 0, 1.55), 0), "1.0 m, side": ((1.0, 0.97, 1.55), 65),
         "1.6 m, rear": ((-0.58, 0, 1.55), 180), "1.6 m, side below": ((1.3, 0.95, 0.55), 80)},
    ),
}  # fmt: skip


class Things(NamedTuple):
    """What stands along a street; the road is z = 0 and the vehicle at its origin.

    Attributes:
        corners: Corners (B, 2, 3) of boxes, metres.
        glass: Which (B,) are mostly of glass, that a beam goes through more often than not.
        returned: What share (B,) of the beams that hit one return: few of dark paint.
    """

    corners: Any
    glass: Any
    returned: Any


def things(rng: np.random.Generator) -> Things:
    """Return a street with two house fronts, parked and driving vehicles, poles and people."""
    found = [([(-90, 12, 0), (90, 30, 40)], 0, 0.95), ([(-90, -30, 0), (90, -12, 40)], 0, 0.95)]
    for side in (1, -1):
        x = rng.uniform(-45, -35)
        while x < 45:  # parked
            length, wide = rng.uniform(3.8, 5.2), rng.uniform(1.7, 2.0)
            if rng.random() < 0.75:
                found += vehicle(rng, x, side * rng.uniform(5.5, 6.2), length, wide)
            x += length + rng.uniform(0.6, 3)
        for x, y, r in rng.uniform((-40, 8, 0.08), (40, 10, 0.25), (8, 3)) * (1, side, 1):
            found.append(([(x - r, y - r, 0), (x + r, y + r, 5)], 0, 0.95))
        for x, y in rng.uniform((-35, 8), (35, 11), (5, 2)) * (1, side):  # people
            found.append(([(x - 0.25, y - 0.25, 0), (x + 0.25, y + 0.25, 1.7)], 0, 0.9))
    for lane, low in ((0, 8), (3.2, 3), (-3.2, 3), (0, -30), (3.2, -25), (-3.2, -25)):  # driving
        found += vehicle(rng, low + rng.uniform(0, 15), lane, rng.uniform(3.8, 5.2), 1.9)
    corners, glass, returned = zip(*found, strict=True)
    return Things(np.array(corners, float), np.array(glass, bool), np.array(returned))


def vehicle(rng: np.random.Generator, x: float, y: float, length: float, wide: float) -> Any:
    """Return the boxes of a van or a car, its cabin of glass; a third are dark."""
    half, returned = wide / 2, 0.35 if rng.random() < 1 / 3 else 0.95
    if rng.random() < 0.2:
        return [([(x, y - half, 0.3), (x + length, y + half, rng.uniform(1.9, 2.8))], 0, returned)]
    waist, top = rng.uniform(0.8, 1.0), rng.uniform(1.4, 1.75)
    inner = half - 0.1
    cabin = x + 0.3 * length, x + 0.9 * length
    return [
        ([(x, y - half, 0.2), (x + length, y + half, waist)], 0, returned),
        ([(cabin[0], y - inner, waist), (cabin[1], y + inner, top - 0.1)], 1, returned),
        ([(cabin[0], y - inner, top - 0.1), (cabin[1], y + inner, top)], 0, returned),  # roof
    ]


def cast(start: Any, rays: Any, corners: Any) -> tuple[Any, Any]:
    """Return the distances (N,) from a place along unit rays (N, 3), and the boxes hit or -1."""
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    road = -start[2] / rays[:, 2]
    distance, hit = np.where(road > 0, road, np.inf), np.full(len(rays), -1)
    for index, (low, high) in enumerate(corners):
        near, far = (low - start) / rays, (high - start) / rays
        enters, leaves = np.minimum(near, far).max(1), np.maximum(near, far).min(1)
        nearer = (enters > 0) & (enters < np.minimum(leaves, distance))
        distance[nearer], hit[nearer] = enters[nearer], index
    return distance, hit


def swept(sensors: Sensors, ego: Any, there: Things, rng: np.random.Generator) -> Any:
    """Return the points (N, 3) of a sweep in the vehicle's frame, with 2 cm of noise."""
    clouds = []
    for at, angles in sensors.heads:
        azimuth, elevation = np.meshgrid(
            np.linspace(-np.pi, np.pi, sensors.columns, endpoint=False), np.deg2rad(angles)
        )
        rays = np.stack(
            [
                np.cos(elevation) * np.cos(azimuth),
                np.cos(elevation) * np.sin(azimuth),
                np.sin(elevation),
            ],
            -1,
        ).reshape(-1, 3)
        place = np.array(at) + ego[:3, 3]
        distance, hit = cast(place, rays, there.corners)
        through, beyond = cast(place, rays, there.corners[~there.glass])
        glass = (hit >= 0) & there.glass[hit] & (rng.random(len(hit)) < 0.6)
        distance = np.where(glass, through, distance)
        hit = np.where(
            glass, np.flatnonzero(~there.glass)[beyond] * (beyond >= 0) - (beyond < 0), hit
        )
        back = rng.random(len(hit)) < np.where(hit >= 0, there.returned[hit], 0.95)
        back &= distance < 120
        distance = distance + rng.normal(0, 0.02, len(distance))
        clouds.append(at + rays[back] * distance[back, None])
    return np.concatenate(clouds)


def judged(points_m: Any, pose: Any, there: Things) -> tuple[Any, Any]:
    """Return which points (N, 3) of the camera's frame are hidden and which visible."""
    distance = np.linalg.norm(points_m, axis=1)
    first, _ = cast(pose[:3, 3], points_m / distance[:, None] @ pose[:3, :3].T, there.corners)
    return first < distance - BEHIND_M, np.abs(first - distance) < 0.1 + 0.01 * distance


def other(checkout: Path) -> Callable[..., Any]:
    """Return `seen_points` of another checkout."""
    path = checkout / "depthlm_plugin" / "curate" / "formats" / "lidar.py"
    name = "depthlm_plugin.curate.formats.other_lidar"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.seen_points


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--against", type=Path)
    options = parser.parse_args()
    ways = {"": lambda m, to, c, s: seen_points(m, to, c, s.lidar)}
    if options.against:
        theirs = other(options.against)
        ways["before "] = lambda m, to, c, s: theirs(moved(to, m), c, window_deg=s.window_deg)
    print("| lidar | camera | points | hidden % |", end="")
    print("".join(f" {way}of them left out % | {way}of visible lost % |" for way in ways))
    print("|---|---|---|---|" + "---|---|" * len(ways))
    taken = {way: [] for way in ways}
    for name, sensors in SENSORS.items():
        rows = {place: np.zeros((len(ways), 5)) for place in sensors.places}
        for number in range(STREETS):
            rng = np.random.default_rng(number)
            there = things(rng)
            ego = street.car_pose(0, 0, 0, 0.33)
            points = swept(sensors, ego, there, rng)
            for place, (at, yaw) in sensors.places.items():
                mount = street.mounted(yaw, at)
                pose = ego @ mount
                size = sensors.size_wh
                camera = Camera(sensors.focal_px, sensors.focal_px, size[0] / 2, size[1] / 2, size)
                seen = moved(inverse(mount), points)
                places, shown = camera.try_project(seen)
                places = np.floor(places + 0.5).astype(int)
                hidden, visible = judged(seen, pose, there)
                distance = np.linalg.norm(seen, axis=1)
                # Points on one pixel are one, the nearest, before and after.
                order = np.flatnonzero(shown & (distance > 1))
                order = order[np.lexsort((distance[order], *places[order].T))]
                first = np.r_[True, (np.diff(places[order], axis=0) != 0).any(1)]
                order = order[first]
                for index, (way, run) in enumerate(ways.items()):
                    started = time.process_time()
                    pixels, _, _ = run(points, inverse(mount), camera, sensors)
                    taken[way].append(time.process_time() - started)
                    kept = np.isin(places[order] @ (1, 10000), pixels @ (1, 10000))
                    rows[place][index] += (
                        len(order),
                        hidden[order].sum(),
                        (hidden[order] & ~kept).sum(),
                        visible[order].sum(),
                        (visible[order] & ~kept).sum(),
                    )
        for place, sums in rows.items():
            count, hidden = sums[0, :2]
            print(f"| {name} | {place} | {count:.0f} | {100 * hidden / count:.2f} |", end="")
            for row in sums:
                print(f" {100 * row[2] / row[1]:.1f} | {100 * row[4] / row[3]:.2f} |", end="")
            print(flush=True)
    for way, seconds in taken.items():
        print(f"{way}time a picture: median {1000 * np.median(seconds):.0f} ms", file=sys.stderr)


if __name__ == "__main__":
    main()
