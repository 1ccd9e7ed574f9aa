"""What a view shows of a world: exact distances, and a picture with light and shadow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.arrays import Floats, Pixels
from .shapes import dot
from .view import View
from .world import Solid, World

_OFF_M = 1e-4  # how far before a surface its shadow ray starts
_NEAR_M = 0.02


@dataclass(frozen=True)
class Picture:
    """A rendered view.

    Attributes:
        image: What the camera sees (H, W, 3).
        distance_m: Distance (H, W) from the camera centre along the ray through the pixel centre;
            inf where there is sky.
        solid: Which solid of the world that is (H, W); -1 where there is sky.
        lit: Whether the light reaches it (H, W).
    """

    image: Pixels
    distance_m: Floats
    solid: NDArray[np.int64]
    lit: NDArray[np.bool_]


def render(world: World, view: View, rng: np.random.Generator) -> Picture:
    """Return what a view shows; `rng` gives its exposure and the noise of its sensor."""
    rays = view.rays()
    distance_m, solid = _cast(world, view, rays)
    shape = distance_m.shape
    flat = rays.reshape(3, -1)
    colour = np.repeat(np.array(world.sky)[:, None], flat.shape[1], axis=1)
    lit = np.zeros(flat.shape[1], dtype=np.bool_)
    seen = np.flatnonzero(solid.ravel() >= 0)
    order = seen[np.argsort(solid.ravel()[seen], kind="stable")]
    if len(order):
        far = distance_m.ravel()[order]
        points = view.centre_m + flat[:, order] * far
        shades, lit[order] = _shade(world, view, solid.ravel()[order], points, flat[:, order], far)
        colour[:, order] = shades
    colour *= rng.uniform(0.85, 1.15)
    colour += rng.normal(0.0, rng.uniform(0.004, 0.012), colour.shape).astype(np.float32)
    image = np.clip(colour * 255 + 0.5, 0, 255).astype(np.uint8).reshape(3, *shape)
    return Picture(
        np.ascontiguousarray(image.transpose(1, 2, 0)), distance_m, solid, lit.reshape(shape)
    )


def _cast(world: World, view: View, rays: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Return the distance (H, W) to what each ray meets first, and which solid that is."""
    distance_m = np.full(rays.shape[1:], np.inf)
    solid = np.full(rays.shape[1:], -1, dtype=np.int64)
    for number, item in enumerate(world.solids):
        window = _window(view, item)
        if window is None:
            continue
        part = rays[:, *window]
        hit = item.shape.hit(view.centre_m, part.reshape(3, -1)).reshape(part.shape[1:])
        nearer = hit < distance_m[window]
        distance_m[window][nearer] = hit[nearer]
        solid[window][nearer] = number
    return distance_m, solid


def _window(view: View, item: Solid) -> tuple[slice, slice] | None:
    """Return the rows and columns that may show a solid; None where none does."""
    width, height = view.camera.size_wh
    x, y, z = view.pose[:3, :3].T @ (item.shape.corners_m() - view.centre_m)
    if (z <= _NEAR_M).all():
        return None
    if (z <= _NEAR_M).any():
        return slice(0, height), slice(0, width)
    camera = view.camera
    columns = camera.fx * x / z + camera.cx
    rows = camera.fy * y / z + camera.cy
    left, right = max(math.floor(columns.min()), 0), min(math.ceil(columns.max()) + 1, width)
    top, bottom = max(math.floor(rows.min()), 0), min(math.ceil(rows.max()) + 1, height)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def _shade(
    world: World,
    view: View,
    solid: NDArray[np.int64],
    points: Floats,
    rays: Floats,
    far_m: Floats,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the colours (3, N) of points (3, N) ordered by solid, and whether light is on them."""
    focal_px = math.sqrt(view.camera.fx * view.camera.fy)
    albedo, normals = np.empty_like(points), np.empty_like(points)
    starts = np.flatnonzero(np.diff(solid, prepend=-1))
    for start, end in zip(starts, [*starts[1:], len(solid)], strict=True):
        span = slice(start, end)
        item = world.solids[solid[start]]
        shape = item.shape
        inner, along = shape.local(points[:, span]), shape.turned(rays[:, span])
        uv, extent_m = shape.surface(inner, along, far_m[span] / focal_px)
        albedo[:, span] = item.material.albedo(uv, extent_m)
        normals[:, span] = shape.normals(points[:, span])
    towards = np.array(world.light.at_m)[:, None] - points
    reach_m = np.sqrt(dot(towards, towards))
    towards /= reach_m
    facing = dot(normals, towards)
    lit = facing > 0
    facing_it = np.flatnonzero(lit)
    start_m = points[:, facing_it] + _OFF_M * normals[:, facing_it]
    lit[facing_it] = ~_shadowed(world, start_m, towards[:, facing_it], reach_m[facing_it])
    bright = world.light.ambient * (1 - 0.15 * normals[1]) + world.light.strength * facing * lit
    colour = albedo * bright
    if math.isfinite(world.clear_m):
        haze = 1 - np.exp(-far_m / world.clear_m)
        colour += haze * (np.array(world.sky)[:, None] - colour)
    return colour, lit


def _shadowed(world: World, points: Floats, towards: Floats, reach_m: Floats) -> NDArray[np.bool_]:
    """Return whether something stands between points (3, N) and the light."""
    dark = np.zeros(points.shape[1], dtype=np.bool_)
    for item in world.solids:
        if not item.casts:
            continue
        # As the light sees it, a solid lies within a cone, and so does what it may darken.
        axis = np.array(world.light.at_m) - item.shape.centre_m
        away_m = math.sqrt(axis @ axis)
        radius_m = math.hypot(*item.shape.half_m) + _OFF_M
        near = np.arange(len(dark))
        if radius_m < away_m:
            cos = math.sqrt(1 - (radius_m / away_m) ** 2) - 1e-13
            near = np.flatnonzero((axis / away_m) @ towards >= cos)
        near = near[reach_m[near] > away_m - radius_m]
        near = near[~dark[near]]
        if len(near):
            hit = item.shape.hit(points[:, near], towards[:, near])
            dark[near] = hit < reach_m[near]
    return dark
