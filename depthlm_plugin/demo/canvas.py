"""A scene is drawn surface by surface, as rays hit it: its colours, and its exact distances.

World frame: the camera centre is the origin, x right, y *down*, z forward and level; the ground is
the plane y = camera height.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geometry.camera import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

WALL_HEIGHT_M = 0.9
TILE_M, BRICK_M, PATCH_M = 0.5, (0.6, 0.3), 0.2  # texture periods: ground, walls, objects
LIGHT = np.array([-0.45, -0.75, -0.5], np.float32) / np.float32(math.sqrt(1.015))
NO_HIT = np.float32(1e6)  # finite while drawing, so that textures need no special case


class Canvas:
    """Colours and distances of one picture; every surface is drawn where it is the nearest yet.

    Attributes:
        camera: The camera that sees it.
        rays: Unit vectors (3, H, W) in the world frame through the pixel centres.
        distance_m: Distance (H, W) along the rays to what is drawn, or `NO_HIT`.
        colour: Colours (H, W, 3), 0 .. 1.
    """

    def __init__(self, camera: Camera, rays: Floats) -> None:
        self.camera = camera
        self.rays = rays
        self.distance_m: Floats = np.full(rays.shape[1:], NO_HIT, np.float32)
        self.colour: Floats = np.zeros((*rays.shape[1:], 3), np.float32)

    def sky(self, rng: np.random.Generator) -> None:
        """Fill the picture with a sky that is paler towards the horizon."""
        zenith = np.array([0.50, 0.65, 0.85], np.float32) * np.float32(rng.uniform(0.9, 1.1))
        up = np.clip(-2.5 * self.rays[1], 0, 1)[..., None]
        self.colour[:] = (1 - up) * _float32([0.86, 0.89, 0.92]) + up * zenith

    def ground(self, rng: np.random.Generator, height_m: float) -> None:
        """Draw the plane y = height_m with a checker of TILE_M tiles."""
        down = self.rays[1]
        with np.errstate(divide="ignore"):
            hit_m = np.where(down > 1e-3, height_m / down, NO_HIT).astype(np.float32)
        turn, shift = rng.uniform(0, math.pi / 2), rng.uniform(0, 1, 2)
        across, along = _turned(hit_m * self.rays[0], hit_m * self.rays[2], turn)
        weave = _checker(across / TILE_M + shift[0], along / TILE_M + shift[1])
        blur = hit_m / (self.camera.fx * TILE_M * np.maximum(down, 1e-3))
        self._paint(np.s_[:, :], hit_m, weave, blur, _two_colours(rng), -LIGHT[1])

    def walls(self, rng: np.random.Generator, height_m: float) -> tuple[float, float, float]:
        """Draw three brick walls; return how far (left, right, ahead) things may stand."""
        left_m, right_m = rng.uniform(1.8, 5.0, 2)
        ahead_m = math.exp(rng.uniform(math.log(3.0), math.log(11.0)))
        turn = rng.uniform(-0.35, 0.35)
        sideways, forwards = _turned(self.rays[0], self.rays[2], turn)
        colours = _two_colours(rng)
        light = _turned(LIGHT[0], LIGHT[2], turn)
        for reach_m, towards, other, ends_m, facing in (
            (ahead_m, forwards, sideways, (-left_m, right_m), -light[1]),
            (left_m, -sideways, forwards, (-NO_HIT, ahead_m), light[0]),
            (right_m, sideways, forwards, (-NO_HIT, ahead_m), -light[0]),
        ):
            with np.errstate(divide="ignore"):
                hit_m = np.where(towards > 1e-3, reach_m / towards, NO_HIT).astype(np.float32)
            up_m = height_m - hit_m * self.rays[1]
            along_m = hit_m * other
            there = (along_m >= ends_m[0]) & (along_m <= ends_m[1]) & (up_m <= WALL_HEIGHT_M)
            hit_m = np.where(there, hit_m, NO_HIT)
            weave = _bricks(along_m, up_m)
            blur = hit_m / (self.camera.fx * BRICK_M[1] * np.maximum(towards, 0.05))
            self._paint(np.s_[:, :], hit_m, weave, blur, colours, -facing)
        return left_m, right_m, ahead_m

    def thing(
        self,
        rng: np.random.Generator,
        height_m: float,
        court_m: tuple[float, float, float],
        *,
        ahead_m: tuple[float, float],
    ) -> None:
        """Draw a box or a ball that stands on the ground, inside the court, `ahead_m` away."""
        ball = rng.random() < 0.4
        half = rng.uniform(0.2, 0.55, 3)
        half[1] = rng.uniform(0.2, 0.6)
        radius_m = half[0] if ball else float(np.hypot(half[0], half[2]))
        z_m = math.exp(rng.uniform(*np.log(ahead_m)))
        z_m = max(min(z_m, 0.8 * court_m[2] - radius_m), 1.1 + radius_m)
        x_m = rng.uniform(-0.55, 0.55) * z_m
        x_m = max(min(x_m, 0.7 * court_m[1] - radius_m), radius_m - 0.7 * court_m[0])
        middle = _float32([x_m, height_m - (half[0] if ball else half[1]), z_m])
        self._shadow(middle, radius_m, height_m)
        around = self._around(middle, radius_m if ball else float(np.linalg.norm(half)))
        colours, turn = _two_colours(rng), rng.uniform(0, math.pi / 2)
        if around is None:
            return
        draw = self._ball if ball else self._box
        draw(around, middle, half.astype(np.float32), turn, colours)

    def finish(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the picture as (H, W, 3) uint8, with a little sensor noise."""
        noise = rng.standard_normal(self.colour.shape, np.float32) * np.float32(0.012)
        return (np.clip(self.colour + noise, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _ball(
        self, at: tuple[slice, slice], middle: Floats, half: Floats, turn: float, colours: Floats
    ) -> None:
        rays = self.rays[:, at[0], at[1]]
        radius_m = half[0]
        nearest_m = np.tensordot(middle, rays, 1)
        inside = radius_m**2 - (middle @ middle) + nearest_m**2
        hit_m = np.where(inside > 0, nearest_m - np.sqrt(np.maximum(inside, 0)), NO_HIT)
        normal = (hit_m * rays - middle[:, None, None]) / radius_m
        across, along = _turned(normal[0], normal[2], turn)
        weave = _checker(np.arctan2(across, along) * (4 / math.pi), normal[1] * 2)
        blur = hit_m / (self.camera.fx * PATCH_M)
        facing = np.tensordot(LIGHT, normal, 1)
        self._paint(at, hit_m.astype(np.float32), weave, blur, colours, facing)

    def _box(
        self, at: tuple[slice, slice], middle: Floats, half: Floats, turn: float, colours: Floats
    ) -> None:
        rays = self.rays[:, at[0], at[1]]
        local = np.stack([*_turned(rays[0], rays[2], turn), rays[1]])[[0, 2, 1]]
        start = _float32([*_turned(-middle[0], -middle[2], turn), -middle[1]])[[0, 2, 1]]
        local = np.where(np.abs(local) < 1e-6, np.float32(1e-6), local)
        near = (-np.sign(local) * half[:, None, None] - start[:, None, None]) / local
        far = (np.sign(local) * half[:, None, None] - start[:, None, None]) / local
        face = near.argmax(0)
        hit_m = near.max(0)
        hit_m = np.where((hit_m < far.min(0)) & (hit_m > 0), hit_m, NO_HIT).astype(np.float32)
        hit = start[:, None, None] + hit_m * local
        across = np.where(face == 0, hit[2], hit[0])
        along = np.where(face == 1, hit[2], hit[1])
        weave = _checker(across / PATCH_M, along / PATCH_M)
        blur = hit_m / (self.camera.fx * PATCH_M)
        light = _float32([*_turned(LIGHT[0], LIGHT[2], turn), LIGHT[1]])[[0, 2, 1]]
        sign = -np.sign(np.take_along_axis(local, face[None], 0)[0])
        self._paint(at, hit_m, weave, blur, colours, light[face] * sign)

    def _shadow(self, middle: Floats, radius_m: float, height_m: float) -> None:
        """Darken the ground that is drawn already, softly, around where a thing stands."""
        foot = _float32([middle[0], height_m, middle[2]])
        at = self._around(foot, 1.5 * radius_m)
        if at is None:
            return
        rays, hit_m = self.rays[:, at[0], at[1]], self.distance_m[at]
        hit = hit_m * rays
        on_ground = np.abs(hit[1] - height_m) < 1e-3
        gap_m = np.hypot(hit[0] - foot[0], hit[2] - foot[2]) / radius_m
        dark = 0.5 * np.clip(1.5 - gap_m, 0, 1) * on_ground
        self.colour[at] *= 1 - dark[..., None].astype(np.float32)

    def _around(self, middle: Floats, radius_m: float) -> tuple[slice, slice] | None:
        """Return rows and columns around a sphere, or None where it is out of the picture."""
        away_m = float(np.sqrt(middle @ middle))
        if away_m <= radius_m:
            return np.s_[:, :]
        close = math.sqrt(1 - (radius_m / away_m) ** 2)
        seen = np.tensordot(middle / np.float32(away_m), self.rays, 1) >= close
        rows, columns = np.nonzero(seen.any(1))[0], np.nonzero(seen.any(0))[0]
        if not len(rows):
            return None
        return np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def _paint(
        self,
        at: tuple[slice, slice],
        hit_m: Floats,
        weave: Floats,
        blur: Floats,
        colours: Floats,
        facing: Floats | float,
    ) -> None:
        """Draw a surface where it is nearer than what is there.

        `weave` mixes the two colours (0 .. 1), `blur` is a pixel's footprint in texture periods
        (the pattern fades before it can alias), `facing` the cosine to the light.
        """
        nearer = hit_m < self.distance_m[at]
        sharp = np.clip(1.6 - 2.0 * blur[nearer], 0, 1)
        mix = (0.5 + (weave[nearer] - 0.5) * sharp)[:, None]
        shade = 0.55 + 0.45 * np.maximum(facing, 0)
        shade = np.broadcast_to(shade, hit_m.shape)[nearer][:, None]
        self.colour[at][nearer] = (colours[0] + mix * (colours[1] - colours[0])) * shade
        self.distance_m[at][nearer] = hit_m[nearer]


def _float32(values: Any) -> Floats:
    return np.array(values, np.float32)


def _turned(x: Floats, z: Floats, angle: float) -> tuple[Floats, Floats]:
    """Return the two level coordinates in a frame turned by `angle` about the vertical."""
    cosine, sine = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return cosine * x - sine * z, sine * x + cosine * z


def _checker(across: Floats, along: Floats) -> Floats:
    """Return 0 or 1 on alternating unit squares."""
    return _float32(np.mod(np.floor(across) + np.floor(along), 2))


def _bricks(across_m: Floats, up_m: Floats) -> Floats:
    """Return 1 on bricks of BRICK_M, two shades of them, and 0 on the joints."""
    course = np.floor(up_m / BRICK_M[1])
    along = across_m / BRICK_M[0] + 0.5 * course
    joint = (up_m / BRICK_M[1] - course < 0.15) | (along - np.floor(along) < 0.08)
    shade = 0.75 + 0.25 * np.mod(np.floor(along), 2)
    return np.where(joint, 0, shade).astype(np.float32)


def _two_colours(rng: np.random.Generator) -> Floats:
    """Return two muted colours (2, 3) of one hue, a dark and a light one, never red."""
    hue = rng.uniform(0.12, 0.72) * 2 * math.pi
    tint = np.cos(hue - np.array([0.0, 2.0, 4.0]) * math.pi / 3)
    dark, light = rng.uniform(0.40, 0.50), rng.uniform(0.62, 0.74)
    return _float32([dark + 0.05 * tint, light + 0.05 * tint])
