"""Textures have their size in metres, in pictures too, and their mean where they are too fine."""

from __future__ import annotations

import numpy as np

from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.scenes.render import render
from depthlm_plugin.scenes.shapes import Box
from depthlm_plugin.scenes.textures import Cells, Material, Noise
from depthlm_plugin.scenes.view import View
from depthlm_plugin.scenes.world import Light, Solid, World

TILES = Cells((0.3, 0.3), (0.03, 0.03), (0.0, 0.0, 0.0))


def test_a_tile_spans_its_metres_in_the_picture() -> None:
    wall_m = 2.5
    camera = Camera(310.0, 300.0, 159.5, 119.5, (320, 240))
    light = Light((0.0, 0.0, -9.0), 0.0, 1.0)
    wall = Box(centre_m=(0.0, 0.0, wall_m + 0.1), size_m=(12.0, 12.0, 0.2))
    world = World(
        light, (0.5, 0.5, 0.5), np.inf, [Solid(wall, Material((0.8, 0.8, 0.8), (TILES,)))]
    )
    image = render(world, View(camera, np.eye(4)), np.random.default_rng(0)).image
    for axis, focal_px in ((0, camera.fx), (1, camera.fy)):
        line = image[..., 1].astype(float).mean(axis=axis)
        dark = line < (line.min() + line.max()) / 2
        joints_px = np.flatnonzero(dark[1:] & ~dark[:-1])
        period_px = np.ptp(joints_px) / (len(joints_px) - 1)
        assert abs(period_px - focal_px * 0.3 / wall_m) < 0.5


def test_what_is_finer_than_a_pixel_has_its_mean_colour() -> None:
    material = Material((0.8, 0.8, 0.8), (TILES,))
    uv = np.random.default_rng(1).uniform(-9, 9, (2, 2000))
    fine = material.albedo(uv, np.full((2, 2000), 1e-5))
    coarse = material.albedo(uv, np.full((2, 2000), 60.0))
    assert set(np.unique(fine.round(2))) >= {0.0, 0.8}
    assert np.ptp(coarse) < 0.01
    assert abs(coarse.mean() - 0.8 * 0.9 * 0.9) < 0.005


def test_noise_fades_between_four_and_two_pixels() -> None:
    material = Material((0.5, 0.5, 0.5), (Noise(0.1, 0.3),))
    uv = np.random.default_rng(1).uniform(-9, 9, (2, 2000))
    spread = [np.ptp(material.albedo(uv, np.full((2, 2000), e))) for e in (0.02, 0.035, 0.051)]
    assert spread[0] > 0.2
    assert spread[0] > spread[1] > spread[2] == 0
