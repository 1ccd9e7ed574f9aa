"""Rays meet shapes where their implicit function is zero, and nowhere before."""

from __future__ import annotations

import numpy as np
import pytest

from depthlm_plugin.scenes.shapes import Box, Frustum, Shape, Sphere

SHAPES = [
    Box(centre_m=(0.3, -0.5, 4.0), yaw=0.7, size_m=(1.2, 0.8, 2.0)),
    Frustum(centre_m=(-0.4, -0.6, 5.0), yaw=0.2, height_m=1.2, bottom_m=0.6, top_m=0.1),
    Frustum(centre_m=(0.0, 0.2, 3.0), height_m=0.88, bottom_m=0.29, top_m=0.29),
    Frustum(centre_m=(0.0, 0.2, 3.0), height_m=0.5, bottom_m=0.2, top_m=0.4),
    Sphere(centre_m=(0.1, 0.2, 6.0), radius_m=1.1),
]


def rays_at(shape: Shape, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A ray's start, and unit rays about the direction of a shape."""
    rng = np.random.default_rng(3)
    origin = np.array([[0.2], [-1.1], [-0.5]])
    rays = np.array(shape.centre_m)[:, None] - origin + rng.normal(0, 0.6, (3, count))
    return origin, rays / np.linalg.norm(rays, axis=0)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_hit_is_the_first_point_of_the_surface(shape: Shape) -> None:
    origin, rays = rays_at(shape, 500)
    hit_m = shape.hit(origin, rays)
    met = np.isfinite(hit_m)
    assert 50 < met.sum() < 500
    assert np.abs(shape.gap_m(origin + rays[:, met] * hit_m[met])).max() < 1e-9
    for along_m in np.linspace(0, 12, 241):  # a march by the implicit function alone
        before = along_m < np.where(met, hit_m, np.inf) - 1e-6
        assert (shape.gap_m(origin + rays[:, before] * along_m) > 0).all()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_normal_is_the_gradient(shape: Shape) -> None:
    origin, rays = rays_at(shape, 500)
    hit_m = shape.hit(origin, rays)
    met = np.isfinite(hit_m)
    points = origin + rays[:, met] * hit_m[met]
    step = 1e-6 * np.eye(3)[:, :, None]
    gradient = np.stack(
        [(shape.gap_m(points + by) - shape.gap_m(points - by)) / 2e-6 for by in step]
    )
    agree = (gradient * shape.normals(points)).sum(axis=0) > 1 - 1e-4
    assert agree.mean() > 0.99  # but for points within a step of an edge


def test_corners_hold_the_shape() -> None:
    for shape in SHAPES:
        origin, rays = rays_at(shape, 500)
        hit_m = shape.hit(origin, rays)
        points = (origin + rays * hit_m)[:, np.isfinite(hit_m)]
        corners = shape.corners_m()
        assert (points >= corners.min(axis=1)[:, None] - 1e-9).all()
        assert (points <= corners.max(axis=1)[:, None] + 1e-9).all()
