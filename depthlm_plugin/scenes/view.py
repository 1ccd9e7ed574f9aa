"""Cameras of many kinds, and the rays through the pixels of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..geometry.arrays import Floats
from ..geometry.camera import Camera
from .shapes import dot

OFF_CENTRE = 0.08  # of a side
STRETCH = 0.03  # fx against fy
ASPECTS = ((4, 3), (3, 2), (16, 9), (1, 1), (3, 4))
SIZES = (0.8, 1.28)  # of the size asked for


Range = tuple[float, float]


@dataclass(frozen=True)
class Rig:
    """How cameras differ: each value is drawn evenly from its range.

    Attributes:
        field_deg: Horizontal field of view.
        height_m: Above the ground; the domain's own range if None.
        pitch_deg: Of the optical axis, upwards.
        roll_deg: About it, clockwise.
    """

    field_deg: Range = (30.0, 110.0)
    height_m: Range | None = None
    pitch_deg: Range = (-25.0, 10.0)
    roll_deg: Range = (-6.0, 6.0)


@dataclass(frozen=True)
class View:
    """A camera at a place.

    Attributes:
        camera: Its intrinsics.
        pose: Camera to world (4, 4), metres, OpenCV axes.
    """

    camera: Camera
    pose: Floats

    def rays(self) -> Floats:
        """Return unit vectors (3, H, W) in the world through the pixel centres."""
        width, height = self.camera.size_wh
        x = (np.arange(width) - self.camera.cx) / self.camera.fx
        y = (np.arange(height) - self.camera.cy) / self.camera.fy
        rays = np.stack([*np.meshgrid(x, y), np.ones((height, width))])
        rays /= np.sqrt(dot(rays, rays))
        turned: Floats = np.einsum("ij,jhw->ihw", self.pose[:3, :3], rays)
        return turned

    @property
    def centre_m(self) -> Floats:
        """Where the camera is (3, 1), in the world."""
        return self.pose[:3, 3:]


def random_camera(rng: np.random.Generator, size_px: int, field_deg: Range) -> Camera:
    """Return a pinhole camera whose picture is about `size_px` wide."""
    wide, high = ASPECTS[rng.integers(len(ASPECTS))]
    width = round(size_px * rng.uniform(*SIZES))
    height = round(width * high / wide)
    fx = width / 2 / math.tan(math.radians(rng.uniform(*field_deg)) / 2)
    fy = fx * rng.uniform(1 - STRETCH, 1 + STRETCH)
    off_x, off_y = rng.uniform(-OFF_CENTRE, OFF_CENTRE, 2)
    cx, cy = (width - 1) / 2 + off_x * width, (height - 1) / 2 + off_y * height
    # As many digits as the record holds: the picture is that of the camera written down.
    fx, fy, cx, cy = (round(float(value), 4) for value in (fx, fy, cx, cy))
    return Camera(fx, fy, cx, cy, (width, height))


def random_view(rng: np.random.Generator, size_px: int, rig: Rig, height_m: Range) -> View:
    """Return a view from above the world's origin; `height_m` where the rig has none."""
    camera = random_camera(rng, size_px, rig.field_deg)
    pitch = rng.uniform(*rig.pitch_deg)
    turn = turned(0.0, pitch, rng.uniform(*rig.roll_deg))
    height = rng.uniform(*(rig.height_m or height_m))
    return View(camera, pose_of(turn, np.array([0.0, -height, 0.0])))


def moved_view(rng: np.random.Generator, view: View, step_m: tuple[float, float]) -> View:
    """Return a second view, some metres beside and turned by up to 6 degrees."""
    step, way = rng.uniform(*step_m), rng.uniform(-math.pi, math.pi)
    beside = np.array([math.sin(way), rng.uniform(-0.2, 0.2), math.cos(way)]) * step
    turn = turned(rng.uniform(-6.0, 6.0), rng.uniform(-6.0, 6.0), rng.uniform(-2.0, 2.0))
    return View(view.camera, pose_of(view.pose[:3, :3] @ turn, view.pose[:3, 3] + beside))


def turned(yaw_deg: float, pitch_deg: float, roll_deg: float) -> Floats:
    """Return a camera-to-world rotation (3, 3): to the right, upwards, clockwise."""
    yaw, pitch, roll = np.radians([yaw_deg, pitch_deg, roll_deg])
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    result: Floats = np.array(about_y) @ np.array(about_x) @ np.array(about_z)
    return result


def pose_of(rotation: Floats, centre_m: Floats) -> Floats:
    """Return the pose (4, 4) of a rotation (3, 3) and a camera centre (3,)."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, centre_m
    return pose
