import math
import sys

import numpy as np
import pytest
from support.lenses import LENSES

from depthlm_plugin import Camera
from depthlm_plugin.errors import ConfigError, GeometryError
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.views.undistort import undistort_image

NO_CV2 = "OpenCV is the optional extra 'lens'"
every_lens = pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
PERIOD_PX = 24.0


def waves(position_px):
    """Colours (N, 3) whose first two channels encode a position (N,) up to a whole period."""
    phase = position_px * (2 * math.pi / PERIOD_PX)
    colour = np.stack([np.sin(phase), np.cos(phase), np.zeros_like(phase)], axis=-1)
    return np.rint(127.5 + 120 * colour).astype(np.uint8)


def position_error_px(colours, position_px):
    sine, cosine = (colours[..., :2].astype(float) - 127.5).T
    turns = np.arctan2(sine, cosine).T / (2 * math.pi) - position_px / PERIOD_PX
    return (turns - np.rint(turns)) * PERIOD_PX


@every_lens
@pytest.mark.parametrize("axis", [0, 1], ids=["columns", "rows"])
def test_an_undistorted_picture_shows_things_where_undistort_pixels_says(lens, axis):
    """Render a world painted with waves through the lens, undistort, and read positions back."""
    pytest.importorskip("cv2", reason=NO_CV2)
    camera = Camera(260.0, 255.0, 166.0, 116.0, (320, 240), lens)
    pixels = np.stack(np.meshgrid(np.arange(320), np.arange(240)), axis=-1).reshape(-1, 2)
    seen = camera.can_undistort(pixels)
    world = np.zeros((240 * 320, 3), dtype=np.uint8)
    world[seen] = waves(camera.undistort_pixels(pixels[seen])[:, axis])
    straight = undistort_image(world.reshape(240, 320, 3), camera)

    source = np.full((240 * 320, 2), -9.0)
    rays = (pixels - (166.0, 116.0)) / (260.0, 255.0)
    distorted, valid = lens.try_distort(rays)
    source[valid] = distorted[valid] * (260.0, 255.0) + (166.0, 116.0)
    within = ((source > 2) & (source < (317, 237))).all(axis=1)
    squeezed = np.linalg.norm(lens.try_distort(rays * 1.01)[0] - distorted, axis=1)
    scale = squeezed / np.linalg.norm(rays * 0.01 + 1e-9, axis=1)
    within &= scale > 0.6
    assert within.sum() > 40_000
    error_px = np.abs(position_error_px(straight.reshape(-1, 3)[within], pixels[within, axis]))
    # OpenCV's cubic kernel (a = -0.75) moves edges by up to 0.048 px of the distorted picture, and
    # before OpenCV 5 it looks at 1/32 px: where the lens squeezes, that is more of the new one.
    assert (error_px * np.minimum(scale[within], 1)).max() < 0.1
    assert error_px[scale[within] > 0.9].max() < 0.1
    assert np.median(error_px) < 0.05
    outside = ((source < -3) | (source > (323, 243))).any(axis=1)
    assert not straight.reshape(-1, 3)[outside].any()


def test_beyond_the_turn_the_picture_is_black_not_mirrored():
    pytest.importorskip("cv2", reason=NO_CV2)
    lens = LENSES["folds, no tangential"]
    camera = Camera(60.0, 60.0, 99.5, 74.5, (200, 150), lens)
    straight = undistort_image(np.full((150, 200, 3), 255, np.uint8), camera)
    assert straight[75, 99 + 61].all()
    assert not straight[75, 99 + 62 :].any()  # turns at 60 * 1.0206 = 61.2 px


def test_zero_distortion_keeps_the_picture():
    pytest.importorskip("cv2", reason=NO_CV2)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    noise.flags.writeable = False  # as numpy sees a Pillow image
    camera = Camera(60.0, 61.0, 31.0, 24.0, (64, 48), Lens("opencv", (0.0,) * 4))
    np.testing.assert_array_equal(undistort_image(noise, camera), noise)
    assert undistort_image(noise, camera.pinhole) is noise


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((64, 48, 3), np.uint8), np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3))],
    ids=["turned", "grey", "float"],
)
def test_pixels_of_another_shape_are_refused(pixels):
    camera = Camera(60.0, 61.0, 31.0, 24.0, (64, 48), LENSES["phone"])
    with pytest.raises(GeometryError, match=r"shape \(48, 64, 3\).*found"):
        undistort_image(pixels, camera)


def test_without_opencv_a_picture_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # what Python itself does for a blocked import
    camera = Camera(60.0, 61.0, 31.0, 24.0, (64, 48), LENSES["phone"])
    with pytest.raises(ConfigError, match=r'pip install "depthlm-plugin\[lens\]"'):
        undistort_image(np.zeros((48, 64, 3), np.uint8), camera)
    assert camera.undistort_pixels([[3, 4]]).shape == (1, 2)  # points need no OpenCV
