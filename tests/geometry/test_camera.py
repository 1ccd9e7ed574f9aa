import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin import Camera
from depthlm_plugin.errors import GeometryError
from depthlm_plugin.geometry.camera import as_pixel, convert_depth
from depthlm_plugin.geometry.lens import Lens

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


BARREL = Lens("opencv", (-0.28, 0.07, 0.0006, -0.0009))
FISHEYE = Lens("fisheye", (0.003, 0.001, -0.002, 0.0002))
PRISM = Lens("thin_prism_fisheye", (0.21, 0.211, 0.001, -0.002, -0.158, 0.407, 0.002, 0.001))


@st.composite
def lens_points(draw):
    """A camera with a lens, a pixel of its image within 52 degrees, and a z-depth."""
    lens = draw(
        st.sampled_from([BARREL, FISHEYE, PRISM, Lens("opencv", (0.1, -0.2, 0, 0.001, 0.05))])
    )
    width, height = draw(st.integers(8, 4000)), draw(st.integers(8, 4000))
    longest = max(width, height)
    # At least as long as the image, whose principal point is near its middle.
    fx, fy = (draw(st.floats(longest, 3 * longest)) for _ in range(2))
    cx, cy = width * draw(st.floats(0.3, 0.7)), height * draw(st.floats(0.3, 0.7))
    pixel = draw(st.floats(-0.5, width - 0.5)), draw(st.floats(-0.5, height - 0.5))
    camera = Camera(fx, fy, cx, cy, (width, height), lens)
    return camera, pixel, draw(st.floats(0.01, 1000))


@given(lens_points())
def test_with_a_lens_unproject_then_project_is_the_identity(seen):
    camera, pixel, z = seen
    point = camera.unproject(pixel, z)
    assert point[0, 2] == z
    np.testing.assert_allclose(camera.project(point)[0], pixel, rtol=0, atol=1e-6)
    # The pinhole's picture shows the same point elsewhere: `undistort_pixels` says where.
    there = camera.undistort_pixels(pixel)
    np.testing.assert_allclose(camera.pinhole.project(point), there, rtol=0, atol=1e-6)


@given(lens_points())
def test_with_a_lens_distance_is_the_length_of_the_unprojected_point(seen):
    camera, pixel, z = seen
    distance = convert_depth(z, pixel, camera, kind="z", to="distance")
    assert distance == pytest.approx(np.linalg.norm(camera.unproject(pixel, z)), rel=1e-12)
    straight = camera.pinhole.distance_over_z(camera.undistort_pixels(pixel))
    assert distance[0] == pytest.approx(z * straight[0], rel=1e-9)


@given(lens_points(), st.floats(0.2, 20), st.floats(0.2, 20), st.tuples(*[st.integers(0, 99)] * 2))
def test_scaling_and_cropping_change_no_ray_and_commute_with_undistorting(
    seen, scale_x, scale_y, corner
):
    camera, pixel, z = seen
    left, top = corner
    view = camera.scaled(scale_x, scale_y).cropped(left, top, (64, 48))
    assert view.lens == camera.lens

    def moved(pixels):
        return (pixels + 0.5) * (scale_x, scale_y) - 0.5 - (left, top)

    pixels = np.array([pixel])
    tolerance = 1e-6 * max(1.0, scale_x, scale_y)
    np.testing.assert_allclose(
        view.unproject(moved(pixels), z), camera.unproject(pixels, z), rtol=1e-6, atol=1e-6 * z
    )
    np.testing.assert_allclose(
        view.undistort_pixels(moved(pixels)),
        moved(camera.undistort_pixels(pixels)),
        rtol=0,
        atol=tolerance,
    )
    ratio = camera.distance_over_z(pixels)
    np.testing.assert_allclose(view.distance_over_z(moved(pixels)), ratio, rtol=1e-9)


def same_camera(one, other):
    assert (one.size_wh, one.lens) == (other.size_wh, other.lens)
    np.testing.assert_allclose(one.intrinsics, other.intrinsics, rtol=1e-12, atol=1e-7)


offsets = st.tuples(*[st.integers(-50, 50)] * 4)


@pytest.mark.parametrize("lens", [None, BARREL, FISHEYE])
@given(cameras(), st.floats(0.2, 8), st.floats(0.2, 8), offsets)
def test_two_scalings_or_two_crops_equal_one(lens, camera, first, second, offset):
    # Large enough that a scaling leaves a pixel; nothing else depends on the size.
    camera = Camera(*camera.intrinsics, (4000, 3000), lens)
    size, (left, top, right, down) = (64, 48), offset
    same_camera(
        camera.cropped(left, top, size).cropped(right, down, size),
        camera.cropped(left + right, top + down, size),
    )
    # Whole sizes are cut after every step, so they are compared after cropping to one size.
    same_camera(
        camera.scaled(first, 1).scaled(second, 0.5).cropped(0, 0, size),
        camera.scaled(first * second, 0.5).cropped(0, 0, size),
    )
    same_camera(
        camera.scaled_to_focal(500 * first).scaled_to_focal(700).cropped(0, 0, size),
        camera.scaled_to_focal(700).cropped(0, 0, size),
    )


@given(seen_points())
def test_without_a_lens_pixels_come_back_unchanged(seen):
    camera, pixel, _ = seen
    assert camera.pinhole is camera
    assert camera.undistort_pixels(pixel).tolist() == [list(pixel)]
    assert camera.can_undistort([pixel, pixel]).tolist() == [True, True]


def test_the_pinhole_of_a_camera_has_its_intrinsics():
    camera = Camera(952.0, 950.0, 639.5, 479.5, (1280, 960), BARREL)
    assert camera.pinhole == Camera(952.0, 950.0, 639.5, 479.5, (1280, 960))
    assert camera.scaled_to_focal(500).cropped(3, 4, (64, 48)).lens == BARREL


def test_pixels_and_points_outside_the_field_of_a_lens_are_refused():
    folds = Lens("opencv", (-0.5, 0.0, 0.0, 0.0))  # turns at r = 0.8165, where r_d = 0.5443
    camera = Camera(100.0, 100.0, 50.0, 40.0, (121, 81), folds)
    pixels = [[50 + 54, 40], [50 + 55, 40]]
    assert camera.can_undistort(pixels).tolist() == [True, False]
    for call in (camera.undistort_pixels, camera.distance_over_z):
        with pytest.raises(GeometryError, match=r"pixel \(105, 40\) .*opencv.*check the coef"):
            call(pixels)
    with pytest.raises(GeometryError, match=r"ray \(0.9, 0\)"):
        camera.project([[0.9, 0, 1]])


@pytest.mark.parametrize("focal_px", [230.0, 345.0, 620.0])
def test_wide_fisheyes_are_accepted_and_normalised_intrinsics_are_not(focal_px):
    # 1920 px / 345 px is 319 degrees: a 195 degree image circle between black sides.
    for lens in (FISHEYE, PRISM):
        camera = Camera.from_intrinsics([focal_px, focal_px, 960, 540, 1920, 1080], lens)
        assert camera.lens == lens
        with pytest.raises(GeometryError, match=r"fx=0.18 px.*720 degrees.*in pixels\?"):
            Camera.from_intrinsics([0.18, 0.32, 0.5, 0.5, 1920, 1080], lens)
    with pytest.raises(GeometryError, match="beyond 175 degrees"):
        Camera.from_intrinsics([0.18, 0.32, 0.5, 0.5, 1920, 1080], BARREL)


@pytest.mark.parametrize(
    ("xy", "pixel"),
    [((2.49, -0.5), (2, 0)), ((2.5, 3.5), (3, 4)), ((-0.51, 7.0), (-1, 7))],
)
def test_nearest_pixel_rounds_halves_up(xy, pixel):
    assert as_pixel(xy) == pixel
