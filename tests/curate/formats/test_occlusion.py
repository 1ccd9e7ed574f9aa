"""Which lidar points other returns show to be hidden."""

import numpy as np
import pytest

from depthlm_plugin.curate.formats.occlusion import hidden_points
from depthlm_plugin.geometry.camera import Camera

CAMERA = Camera(1000.0, 1000.0, 500.0, 400.0, (1000, 800))
BEAM_RAD, STEP_RAD = np.deg2rad((1.0, 0.2))  # 17.5 and 3.5 px


def hidden(pixels, distance_m, above_rad=BEAM_RAD):
    count = len(pixels)
    return hidden_points(
        np.array(pixels),
        np.array(distance_m, float),
        CAMERA,
        np.full(count, above_rad),
        np.full(count, STEP_RAD),
    ).tolist()


@pytest.mark.parametrize("beams", [1, 2, 5])
def test_a_point_between_two_returns_of_a_surface_is_hidden(beams):
    apart = int(17 * beams)
    pixels = [(500, 400), (500, 400 + apart), (500, 400 + apart // 2)]
    assert hidden(pixels, [8, 8.5, 12]) == [False, False, True]
    assert hidden(pixels, [8, 8.5, 9]) == [False, False, False]  # on the surface
    assert not hidden(pixels, [8, 8.5, 5])[2]  # in front
    beside = [*pixels[:2], (520, 400 + apart // 2)]
    assert hidden(beside, [8, 8.5, 12]) == [False, False, False]


def test_returns_many_beams_apart_are_two_surfaces():
    pixels = [(500, 300), (500, 450), (500, 400)]
    assert hidden(pixels, [8, 8, 12]) == [False, False, False]
    # The camera is four times nearer than the lidar: they are neighbours.
    assert hidden(pixels, [8, 8, 12], 4 * BEAM_RAD) == [False, False, True]


def test_returns_at_other_distances_are_two_surfaces():
    assert hidden([(500, 400), (500, 430), (500, 415)], [30, 8, 35]) == [False, False, False]


def test_a_gap_across_is_filled_where_paint_returned_nothing():
    pixels = [(485, 400), (515, 400), (500, 404)]
    assert hidden(pixels, [8, 8, 12]) == [False, False, True]
    assert hidden([(450, 400), (550, 400), (500, 404)], [8, 8, 12]) == [False, False, False]


def test_what_is_right_above_something_near_is_hidden():
    assert hidden([(500, 400), (500, 393)], [8, 20]) == [False, True]
    assert hidden([(500, 400), (500, 380)], [8, 20]) == [False, False]


@pytest.mark.parametrize("height_m", [1.1, 1.7, 2.3])
def test_a_road_hides_nothing_of_itself(height_m):
    rows = np.arange(415, 800, 7)
    v = np.repeat(rows, 100)
    u = np.tile(np.arange(5, 1000, 10), len(rows))
    distance_m = height_m * np.sqrt(1e6 + (u - 500.0) ** 2 + (v - 400.0) ** 2) / (v - 400)
    assert not any(hidden(np.stack([u, v], 1), distance_m))


def test_no_points_and_one():
    assert hidden(np.empty((0, 2), int), []) == []
    assert hidden([(0, 0)], [5]) == [False]
    assert hidden([(999, 799)], [5], 10.0) == [False]
