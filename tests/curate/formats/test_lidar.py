"""What of a lidar's points a camera sees."""

import numpy as np
import pytest
from support import street
from support.scene import Pinhole

from depthlm_plugin.curate.formats.lidar import Lidar, seen_points
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.geometry.rigid import inverse, moved

SEEN = Pinhole(420.0, 420.0, 255.5, 160.0, 512, 388)
CAMERA = Camera(420.0, 420.0, 255.5, 160.0, (512, 388))


def wrong(pixels, distance_m, pose, camera=SEEN):
    """Return which labels are not what their pixels see, wherever in the pixel."""
    u, v = pixels.T
    steps = np.linspace(-0.5, 0.5, 5)
    seen = [street.distance_at(camera, pose, u + x, v + y) for x in steps for y in steps]
    return np.min([np.abs(distance_m / one - 1) for one in seen], 0) > 0.05


def nearest(points, to_camera):
    """Return the pixels of points and the nearest distance on each, hidden or not."""
    seen_m = moved(to_camera, points)
    places, shown = CAMERA.try_project(seen_m)
    pixels = np.floor(places[shown] + 0.5).astype(int)
    distance_m = np.linalg.norm(seen_m[shown], axis=1)
    order = np.lexsort((distance_m, *pixels.T))
    pixels, first = np.unique(pixels[order], axis=0, return_index=True)
    return pixels, distance_m[order][first]


NO_LIDAR = Lidar((0, 0, 0), (-1, 0, 1), 0.5)


@pytest.mark.parametrize(
    "beams_deg", [np.linspace(-25, 15, 64), np.linspace(-30, 10, 32)], ids=["64", "32"]
)
@pytest.mark.parametrize(
    ("place", "at"),
    [
        ((0, 0, 0), (1.6, 0.2, 1.4)),
        ((4, -7, 20), (1.6, 0.2, 1.4)),
        ((-20, 1, 3), (1.6, 0.2, 1.4)),
        ((4, -7, 20), (2.9, 0, 1.6)),
        ((4, -7, 20), (1.3, -1.6, 1.5)),
    ],
    ids=["near", "turned", "far", "before", "beside"],
)
def test_hidden_points_go_and_others_stay(beams_deg, place, at):
    ego = street.car_pose(*place)
    mount = street.mounted(0, at)
    pose = ego @ mount
    lidar = Lidar((1.3, 0, 1.8), tuple(beams_deg), 0.2)
    on_roof = street.car_pose(*lidar.at_m[:2], 0, lidar.at_m[2])
    points = moved(on_roof, street.sweep(ego @ on_roof, beams_deg, 1800))
    pixels, distance_m, dropped = seen_points(points, inverse(mount), CAMERA, lidar)
    everything, all_m = nearest(points, inverse(mount))
    hidden = wrong(everything, all_m, pose).sum()
    left = wrong(pixels, distance_m, pose).sum()
    assert hidden > 20
    assert left < max(0.25 * hidden, 0.002 * len(pixels))
    assert left < 0.005 * len(pixels)
    assert dropped["hidden from the camera"] == len(everything) - len(pixels)
    lost = len(everything) - hidden - (len(pixels) - left)
    assert lost < 0.03 * len(everything)
    # The road is not hidden by its own nearer part, near or far.
    below = SEEN.rays(*pixels.T)[:, 1] > 0
    assert below.sum() > 1000
    assert distance_m[below].max() > 50


def test_of_points_on_one_pixel_the_nearest_is_seen():
    points = np.array([(0.0, 0, 9), (0.001, 0, 4), (0, 0.001, 30), (2, 0, 9), (0, 0, 0.5)])
    pixels, distance_m, dropped = seen_points(points, np.eye(4), CAMERA, NO_LIDAR)
    assert pixels.tolist() == [[256, 160], [349, 160]]
    np.testing.assert_allclose(distance_m, [4, np.hypot(2, 9)], rtol=1e-6)
    assert dropped == {"nearer than the vehicle": 1, "behind another point": 2}


def test_points_outside_the_picture_are_no_points():
    points = np.array([(0.0, 0, -5), (50, 0, 5), (0, -50, 5), (-255.9 / 420 * 8, 0, 8)])
    pixels, _, dropped = seen_points(points, np.eye(4), CAMERA, NO_LIDAR)
    assert pixels.tolist() == [[0, 160]]
    assert not dropped
    assert len(seen_points(points[:3], np.eye(4), CAMERA, NO_LIDAR)[1]) == 0


def test_pixels_are_those_of_the_distorted_picture():
    lens = Lens("opencv", (-0.3, 0.1, 0.001, -0.002, 0.0))
    camera = Camera(420.0, 420.0, 255.5, 160.0, (512, 388), lens)
    points = np.array([(2.0, 1.0, 6.0), (400.0, 0, 6.0)])  # the second: beyond the lens's field
    pixels, distance_m, _ = seen_points(points, np.eye(4), camera, NO_LIDAR)
    np.testing.assert_array_equal(pixels, np.floor(camera.project(points[:1]) + 0.5))
    np.testing.assert_allclose(distance_m, np.sqrt(41))


def test_returns_are_the_farther_apart_the_nearer_the_camera_is():
    lidar = Lidar((1.0, 0.0, 2.0), (-10.0, -4.0, -1.0, 0.0), 0.2)
    points = np.array([(11.0, 0, 2.0), (1.0, 10, 2 - 10 * np.tan(np.deg2rad(5))), (1, -5, 2)])
    above, across = lidar.spacing(points, np.array([10.0, 5.0, 10.0]))
    closer = np.array([1, 2 / np.cos(np.deg2rad(5)), 0.5])
    np.testing.assert_allclose(np.rad2deg(across), 0.2 * closer)
    # To the next beam above; of the highest, below; and no less than half of the beams have.
    np.testing.assert_allclose(np.rad2deg(above), (3, 3, 3) * closer)
