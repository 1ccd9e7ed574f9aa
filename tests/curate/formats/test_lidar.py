"""What of a lidar's points a camera sees."""

import numpy as np
import pytest
from support import street
from support.scene import Pinhole

from depthlm_plugin.curate.formats.lidar import seen_points
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


@pytest.mark.parametrize(
    ("elevations", "window_deg"),
    [(np.linspace(-25, 15, 64), 0.8), (np.linspace(-30, 10, 32), 1.5)],
    ids=["64 beams", "32 beams"],
)
@pytest.mark.parametrize("place", [(0, 0, 0), (4, -7, 20), (-20, 1, 3)])
def test_hidden_points_go_and_others_stay(elevations, window_deg, place):
    ego = street.car_pose(*place)
    lidar = ego @ street.car_pose(1.3, 0, 0, 1.8)
    pose = ego @ street.mounted(0, (1.6, 0.2, 1.4))
    points = moved(inverse(pose) @ lidar, street.sweep(lidar, elevations, 1800))
    everything, all_m, _ = seen_points(points, CAMERA, window_deg=1e-6)
    pixels, distance_m, dropped = seen_points(points, CAMERA, window_deg=window_deg)
    hidden = wrong(everything, all_m, pose).sum()
    left = wrong(pixels, distance_m, pose).sum()
    assert hidden > 20
    assert left < 0.25 * hidden
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
    pixels, distance_m, dropped = seen_points(points, CAMERA, window_deg=0.5)
    assert pixels.tolist() == [[256, 160], [349, 160]]
    np.testing.assert_allclose(distance_m, [4, np.hypot(2, 9)], rtol=1e-6)
    assert dropped == {"nearer than the vehicle": 1, "behind another point": 2}


def test_points_outside_the_picture_are_no_points():
    points = np.array([(0.0, 0, -5), (50, 0, 5), (0, -50, 5), (-255.9 / 420 * 8, 0, 8)])
    pixels, _, dropped = seen_points(points, CAMERA, window_deg=0.5)
    assert pixels.tolist() == [[0, 160]]
    assert not dropped
    assert len(seen_points(points[:3], CAMERA, window_deg=0.5)[1]) == 0


def test_pixels_are_those_of_the_distorted_picture():
    lens = Lens("opencv", (-0.3, 0.1, 0.001, -0.002, 0.0))
    camera = Camera(420.0, 420.0, 255.5, 160.0, (512, 388), lens)
    points = np.array([(2.0, 1.0, 6.0), (400.0, 0, 6.0)])  # the second: beyond the lens's field
    pixels, distance_m, _ = seen_points(points, camera, window_deg=0.5)
    np.testing.assert_array_equal(pixels, np.floor(camera.project(points[:1]) + 0.5))
    np.testing.assert_allclose(distance_m, np.sqrt(41))
