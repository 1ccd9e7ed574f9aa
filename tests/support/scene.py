"""A room whose every distance is known, for fixtures: analytic, in NumPy, none of the package.

World frame: x right, y down, z forward, metres. The room is a box seen from inside, with two balls
in it. A pixel's ray is ((u - cx) / fx, (v - cy) / fy, 1): integers are pixel centres.
"""

from dataclasses import dataclass

import numpy as np

ROOM_LOW, ROOM_HIGH = np.array([-2.4, -1.5, -3.0]), np.array([3.1, 1.2, 5.5])
BALLS = ((np.array([0.5, 0.6, 2.6]), 0.6), (np.array([-0.9, -0.1, 3.4]), 0.5))


@dataclass(frozen=True)
class Pinhole:
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def rays(self, u, v):
        u, v = np.asarray(u, float), np.asarray(v, float)
        return np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy, np.ones_like(u)], -1)


def looking(yaw_deg, pitch_deg, at):
    """Return a camera-to-world matrix: turned about the vertical, then down, at a place."""
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    pose = np.eye(4)
    pose[:3, :3] = np.array(about_y) @ np.array(about_x).T
    pose[:3, 3] = at
    return pose


POSES = (
    looking(0, 5, (0, 0, 0)),
    looking(20, 12, (0.4, -0.2, 0.3)),
    looking(-25, 0, (0.8, 0.1, -0.5)),
    looking(8, -6, (-0.6, 0.2, -1.0)),
)


def hits(pinhole, pose, u, v):
    """Return the points (..., 3) in the world that pixels see, and their distances (...)."""
    rays = pinhole.rays(u, v)
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    rays = rays @ pose[:3, :3].T
    start = pose[:3, 3]
    rays = np.where(rays == 0, 1e-300, rays)  # along a wall, which it meets infinitely far away
    walls = np.where(rays > 0, ROOM_HIGH - start, ROOM_LOW - start) / rays
    distance = walls.min(-1)
    for middle, radius in BALLS:
        towards = rays @ (middle - start)
        inside = radius**2 - np.sum((middle - start) ** 2) + towards**2
        ball = np.where(inside > 0, towards - np.sqrt(np.maximum(inside, 0)), np.inf)
        distance = np.where((ball > 0) & (ball < distance), ball, distance)
    return start + rays * distance[..., None], distance


def distance_at(pinhole, pose, u, v):
    return hits(pinhole, pose, u, v)[1]


def z_at(pinhole, pose, u, v):
    """Return the depth along the principal axis: the third coordinate in the camera's frame."""
    points, _ = hits(pinhole, pose, u, v)
    return (points - pose[:3, 3]) @ pose[:3, 2]


def grid(width, height):
    v, u = np.mgrid[:height, :width]
    return u, v


def picture(pinhole, pose):
    """Return the photograph (H, W, 3) uint8: a checker of 40 cm in three colours."""
    points, distance = hits(pinhole, pose, *grid(pinhole.width, pinhole.height))
    weave = np.mod(np.floor(points / 0.4 + 0.01).sum(-1), 2)
    shade = np.clip(1.3 - 0.1 * distance, 0.3, 1)[..., None]
    colours = np.where(weave[..., None] > 0, (180.0, 170.0, 150.0), (70.0, 90.0, 120.0))
    return (colours * shade).astype(np.uint8)
