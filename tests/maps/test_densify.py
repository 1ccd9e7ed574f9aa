"""Depth between answers: planes stay planes, edges stay where the picture has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlm_plugin import Camera
from depthlm_plugin.cameras.source import FoundCamera
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.maps import densify
from depthlm_plugin.maps.depth_map import DepthMap

CAMERA = Camera(90.0, 80.0, 40.0, 28.0, (84, 60))
GREY = np.full((60, 84, 3), 128, np.uint8)
NORMALS = st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8))


def pixels_of(camera: Camera) -> np.ndarray:
    width, height = camera.size_wh
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2) * 1.0


def found(camera: Camera) -> FoundCamera:
    return FoundCamera(camera, "camera", "given")


def some(count: int, camera: Camera = CAMERA, seed: int = 0) -> np.ndarray:
    chosen = np.random.default_rng(seed).permutation(camera.size_wh[0] * camera.size_wh[1])
    return pixels_of(camera)[chosen[:count]]


def plane_z(camera: Camera, pixels: np.ndarray, normal: tuple[float, float]) -> np.ndarray:
    """z of the plane through (0, 0, 3) m whose 1 / z has this slope in the ray."""
    rays = camera.unproject(pixels, np.ones(len(pixels)))
    return 3.0 / np.clip(1 + rays[:, :2] @ np.array(normal), 0.3, None)


@settings(max_examples=8, deadline=None)
@given(normal=NORMALS, seed=st.integers(0, 100), lens=st.booleans())
def test_a_plane_stays_a_plane(normal, seed, lens) -> None:
    distortion = Lens("opencv", (0.05, -0.01, 0.001, -0.002)) if lens else None
    camera = Camera(90.0, 80.0, 40.0, 28.0, (84, 60), distortion)
    pixels = some(150, camera, seed)
    depth = DepthMap.of_answers(found(camera), GREY, pixels, plane_z(camera, pixels, normal))
    everywhere = plane_z(camera, pixels_of(camera), normal).reshape(60, 84)
    assert np.abs(np.log(depth.z_m / everywhere)).max() < 0.05
    assert depth.spread.max() < 0.02
    assert depth.confidence.min() > 0.95


def test_depth_jumps_where_the_picture_does() -> None:
    picture = GREY.copy()
    picture[:, 37:] = (200, 60, 60)
    pixels = some(120)
    z_m = np.where(pixels[:, 0] < 37, 2.0, 6.0)
    depth = DepthMap.of_answers(found(CAMERA), picture, pixels, z_m)
    truth = np.where(np.arange(84) < 37, 2.0, 6.0)[None]
    right = np.abs(np.log(depth.z_m / truth)) < 0.1
    assert right[:, :37].all()
    assert right[:, 37:].all()
    blind = DepthMap.of_answers(found(CAMERA), GREY, pixels, z_m)
    assert (np.abs(np.log(blind.z_m / truth)) < 0.1).mean() < right.mean()


def test_answers_stay_where_they_were_given_and_doubt_is_seen() -> None:
    pixels = some(200)
    noise = np.random.default_rng(1).normal(0, 1, 200)
    calm, wild = (
        DepthMap.of_answers(found(CAMERA), GREY, pixels, 3 * np.exp(sigma * noise))
        for sigma in (0.05, 0.3)
    )
    assert abs(np.median(np.log(calm.z_m / 3))) < 0.02
    assert np.median(calm.spread) == pytest.approx(0.05, rel=0.4)
    assert np.median(wild.spread) == pytest.approx(0.3, rel=0.4)
    assert wild.confidence.mean() < calm.confidence.mean()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_answers(count) -> None:
    depth = DepthMap.of_answers(found(CAMERA), GREY, some(count), np.full(count, 4.0))
    assert depth.z_m == pytest.approx(np.full((60, 84), 4.0), rel=1e-3)


def test_a_large_picture_is_fitted_on_a_lattice(monkeypatch) -> None:
    picture = GREY.copy()
    picture[:, 37:] = (200, 60, 60)
    pixels = some(300)
    z_m = np.where(pixels[:, 0] < 37, 2.0, plane_z(CAMERA, pixels, (0.4, 0.3)))
    whole = DepthMap.of_answers(found(CAMERA), picture, pixels, z_m)
    monkeypatch.setattr(densify, "_FITTED_PX", 84 * 60 // 9)
    lattice = DepthMap.of_answers(found(CAMERA), picture, pixels, z_m)
    assert not np.array_equal(lattice.z_m, whole.z_m)
    assert np.quantile(np.abs(np.log(lattice.z_m / whole.z_m)), 0.98) < 0.02


def test_no_depth_where_the_lens_has_no_ray(monkeypatch) -> None:
    camera = Camera(30.0, 30.0, 40.0, 28.0, (84, 60), Lens("opencv", (-0.3, 0.0, 0.0, 0.0)))
    seen = camera.can_undistort(pixels_of(camera)).reshape(60, 84)
    assert 0 < seen.sum() < seen.size
    pixels = pixels_of(camera)[seen.ravel()][::40]
    for fitted_px in (10**6, 84 * 60 // 4):
        monkeypatch.setattr(densify, "_FITTED_PX", fitted_px)
        depth = DepthMap.of_answers(found(camera), GREY, pixels, np.full(len(pixels), 2.0))
        assert np.isfinite(depth.z_m[seen]).mean() > 0.95
        assert not np.isfinite(depth.distance_m[~seen]).any()


@pytest.mark.parametrize("z_m", [[], [0.0], [-1.0], [np.nan]])
def test_answers_that_are_none(z_m) -> None:
    with pytest.raises(DepthLMError, match="answer"):
        DepthMap.of_answers(found(CAMERA), GREY, some(len(z_m)), np.array(z_m))


def test_distance_is_the_length_of_the_point() -> None:
    depth = DepthMap.of_answers(found(CAMERA), GREY, some(50), np.full(50, 2.0))
    corner = np.array([(0 - 40.0) / 90, (0 - 28.0) / 80, 1.0])
    assert depth.points_m[0, 0] == pytest.approx(2 * corner, rel=1e-4)
    assert depth.distance_m[0, 0] == pytest.approx(2 * np.linalg.norm(corner), rel=1e-4)
    assert depth.distance_m[28, 40] == pytest.approx(2.0, rel=1e-4)
