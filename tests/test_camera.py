import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin import Camera
from depthlm_plugin.camera import as_pixel, convert_depth
from depthlm_plugin.errors import GeometryError

CORNER = Camera(952.0, 952.0, 639.5, 479.5, (1280, 960))


@st.composite
def cameras(draw):
    width, height = draw(st.integers(8, 4000)), draw(st.integers(8, 4000))
    focal = st.floats(50, 5000)
    return Camera(
        draw(focal),
        draw(focal),
        draw(st.floats(0, width)),
        draw(st.floats(0, height)),
        (width, height),
    )


@st.composite
def seen_points(draw):
    """A camera, a pixel in its image and a z-depth."""
    camera = draw(cameras())
    width, height = camera.size_wh
    pixel = draw(st.floats(-0.5, width - 0.5)), draw(st.floats(-0.5, height - 0.5))
    return camera, pixel, draw(st.floats(0.01, 1000))


@given(seen_points())
def test_unproject_then_project_is_the_identity(seen):
    camera, pixel, z = seen
    point = camera.unproject(pixel, z)
    assert point[0, 2] == z
    np.testing.assert_allclose(camera.project(point)[0], pixel, rtol=0, atol=1e-6)


@given(seen_points(), st.sampled_from(["z", "distance"]))
def test_depth_conversion_there_and_back(seen, kind):
    camera, pixel, depth = seen
    other = {"z": "distance", "distance": "z"}[kind]
    there = convert_depth(depth, pixel, camera, kind=kind, to=other)
    back = convert_depth(there, pixel, camera, kind=other, to=kind)
    assert back == pytest.approx(depth, rel=1e-12)
    assert (there >= depth) if kind == "z" else (there <= depth)


@given(seen_points())
def test_distance_is_the_length_of_the_unprojected_point(seen):
    camera, pixel, z = seen
    distance = convert_depth(z, pixel, camera, kind="z", to="distance")
    assert distance == pytest.approx(np.linalg.norm(camera.unproject(pixel, z)), rel=1e-12)


@given(
    cameras(),
    st.integers(1, 8),
    st.integers(1, 8),
    st.tuples(*[st.integers(0, 50)] * 2),
    st.tuples(*[st.integers(1, 60)] * 2),
)
def test_crop_then_scale_equals_scale_then_crop(camera, up, down, corner, size):
    # Corner and size are multiples of `down`, so that both stay whole pixels at scale up / down.
    left, top, width, height = (value * down for value in (*corner, *size))
    scale = up / down
    one = camera.cropped(left, top, (width, height)).scaled(scale, scale)
    whole = [value * up // down for value in (left, top, width, height)]
    other = camera.scaled(scale, scale).cropped(whole[0], whole[1], (whole[2], whole[3]))
    assert one.size_wh == other.size_wh
    np.testing.assert_allclose(one.intrinsics, other.intrinsics, rtol=1e-12, atol=1e-8)


@given(cameras(), st.floats(0.2, 20), st.floats(0.2, 20))
def test_scaling_keeps_pixel_centres(camera, scale_x, scale_y):
    # The centre of the whole image, in pixel-centre coordinates, is ((W-1)/2, (H-1)/2).
    scaled = camera.scaled(scale_x, scale_y)
    z, width, height = 2.0, *camera.size_wh
    point = camera.unproject(((width - 1) / 2, (height - 1) / 2), z)
    middle = scaled.project(point)[0]
    expected = (width * scale_x - 1) / 2, (height * scale_y - 1) / 2
    np.testing.assert_allclose(middle, expected, rtol=1e-9, atol=1e-6)


def test_unified_focal_length_is_exact_and_sizes_are_whole_output_pixels():
    camera = Camera(559.62, 558.14, 361.87, 241.99, (640, 480)).scaled_to_focal(1000)
    assert (camera.fx, camera.fy) == (1000, 1000)
    assert camera.size_wh == (1143, 859)  # 640 / 0.55962 = 1143.6, 480 / 0.55814 = 859.99
    assert camera.cx == pytest.approx(362.37 / 0.55962 - 0.5)
    assert Camera(800.0, 800.0, 0, 0, (640, 480)).scaled_to_focal(1000).size_wh == (800, 600)


@given(st.integers(50, 3000), st.integers(1, 30), st.integers(1, 2000))
@example(49, 1, 1)  # 49 * (1 / 49) is 0.9999999999999999
def test_a_whole_size_loses_no_pixel_to_rounding(focal, times, target):
    camera = Camera(focal, focal, 0, 0, (focal * times, focal)).scaled_to_focal(target)
    assert camera.size_wh == (target * times, target)


@pytest.mark.parametrize(
    ("pixel", "ratio"),
    [
        pytest.param((0, 0), 1.3057, id="corner"),  # sqrt(1 + .67174^2 + .50368^2)
        pytest.param((639.5, 479.5), 1.0, id="principal point"),
        pytest.param((639.5 + 952, 479.5), math.sqrt(2), id="45 degrees right"),
        pytest.param((639.5, 479.5 - 952 * 0.75), 1.25, id="3-4-5 triangle up"),
    ],
)
def test_distance_over_z_by_hand(pixel, ratio):
    assert CORNER.distance_over_z(pixel)[0] == pytest.approx(ratio, abs=5e-5)


def test_axes_are_x_right_y_down_z_forward():
    camera = Camera(100.0, 200.0, 50.0, 40.0, (101, 81))
    np.testing.assert_allclose(camera.unproject((100, 80), 2.0), [[1.0, 0.4, 2.0]])
    np.testing.assert_allclose(camera.project([[1.0, 0.4, 2.0]]), [[100, 80]])


@pytest.mark.parametrize(
    ("intrinsics", "found"),
    [
        ([0, 952, 640, 480, 1280, 960], "fx=0"),
        ([952, -952, 640, 480, 1280, 960], "fy=-952"),
        ([math.nan, 952, 640, 480, 1280, 960], "nan"),
        ([952, 952, math.inf, 480, 1280, 960], "inf"),
        ([952, 952, 640, 480, 0, 960], "0x960"),
        ([952, 952, 640, 480, 1280.5, 960], "1280.5x960"),
        ([952, 952, 640, 480, math.nan, 960], "nan"),
        ([952, 952, 640, 480], "4 numbers"),
        ([952, 952, 1280, 960, 640, 480, 1], "7 numbers"),
        ([1280, 960, 9520, 952, 640, 480], r"\(9520, 952\)"),
        ([0.87, 0.87, 0.5, 0.5, 200, 150], "in pixels"),
    ],
)
def test_impossible_intrinsics_are_refused_with_what_was_found(intrinsics, found):
    with pytest.raises(GeometryError, match=found):
        Camera.from_intrinsics(intrinsics)


def test_points_behind_the_camera_and_unknown_depth_kinds_are_refused():
    with pytest.raises(GeometryError, match="behind"):
        CORNER.project([[0, 0, 1], [0, 0, -1]])
    with pytest.raises(GeometryError, match="'ray'"):
        convert_depth(1.0, (0, 0), CORNER, kind="ray", to="z")


@pytest.mark.parametrize(
    ("xy", "pixel"),
    [((2.49, -0.5), (2, 0)), ((2.5, 3.5), (3, 4)), ((-0.51, 7.0), (-1, 7))],
)
def test_nearest_pixel_rounds_halves_up(xy, pixel):
    assert as_pixel(xy) == pixel
