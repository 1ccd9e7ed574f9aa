"""The recording vehicle's body in pictures of a drive."""

import numpy as np
from PIL import Image

from depthlm_plugin.curate.formats.own_vehicle import apart, body_rows

HEIGHT, WIDTH = 120, 160
BELOW = np.arange(HEIGHT)[:, None].repeat(WIDTH, 1) >= 50
TOP = np.where(np.arange(WIDTH) < 80, 90, HEIGHT)  # of a body in the left half


def drive(folder, count, body=True, seed=0):
    """Write pictures of something else each, and a body whose paint mirrors something else."""
    rng = np.random.default_rng(seed)
    paths = []
    for index in range(count):
        coarse = rng.integers(30, 225, (HEIGHT // 8, WIDTH // 8), np.uint8)
        pixels = np.array(Image.fromarray(coarse).resize((WIDTH, HEIGHT)))
        if body:
            on_it = np.arange(HEIGHT)[:, None] >= TOP
            pixels = np.where(on_it, rng.integers(228, 256), pixels).astype(np.uint8)
        paths.append(folder / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def test_the_body_is_covered_from_its_outline_on(tmp_path):
    rows = body_rows(drive(tmp_path, 12), BELOW)
    assert (rows <= TOP).all()
    assert np.median(TOP[:70] - rows[:70]) <= 16
    assert (rows[100:] == HEIGHT).mean() > 0.9


def test_no_body_is_none(tmp_path):
    assert body_rows(drive(tmp_path, 12, body=False), BELOW) is None


def test_a_speck_on_the_lens_is_not_the_vehicle(tmp_path):
    paths = drive(tmp_path, 12, body=False)
    for path in paths:
        pixels = np.array(Image.open(path))
        pixels[80:86, 40:43] = 0
        Image.fromarray(pixels).save(path)
    assert body_rows(paths, BELOW) is None


def test_too_few_pictures_or_damaged_ones_are_none(tmp_path):
    paths = drive(tmp_path, 8)
    assert body_rows(paths, BELOW) is not None
    paths[3].write_bytes(paths[3].read_bytes()[:200])
    assert body_rows(paths, BELOW) is None
    assert body_rows(paths[:7], BELOW) is None


def test_edges_above_the_horizon_are_not_the_vehicle(tmp_path):
    assert body_rows(drive(tmp_path, 12), np.zeros_like(BELOW)) is None


def test_pictures_are_taken_where_the_vehicle_has_moved():
    assert apart([(0, 0, 0)] * 50) == [0]
    assert apart([(0.5 * step, 0, 0) for step in range(10)]) == [0, 4, 8]
    spread = apart([(2.5 * step, 0, 0) for step in range(100)])
    assert len(spread) == 12
    assert (spread[0], spread[-1]) == (0, 99)
