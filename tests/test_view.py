import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image

from depthlm_plugin import Camera, View
from depthlm_plugin.errors import DepthLMError, GeometryError, RecordError
from depthlm_plugin.view import Mark, uri_fields

SIZE = 48, 40
LEVELS = 5  # grey levels a source pixel in the coordinate-coded image
CODED = np.zeros((40, 48, 3), np.uint8)
CODED[..., 0] = 10 + LEVELS * np.arange(48)
CODED[..., 1] = 10 + LEVELS * np.arange(40)[:, None]
NOISE = np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)  # no pure red


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view")
    for name, pixels in (("coded", CODED), ("noise", NOISE)):
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def view_of(path, scale_x, scale_y, window=None, marks=()):
    """A view of the 48x40 image resampled by these factors (so fx != fy), whole by default."""
    source = Camera(120 / scale_x, 120 / scale_y, 20.3, 22.1, SIZE)
    whole = source.scaled_to_focal(120).size_wh
    left, top, width, height = window or (0, 0, *whole)
    return View(str(path), source, 120.0, left, top, (width, height), marks)


@st.composite
def windows(draw):
    """Two resampling factors and a window inside what the image becomes."""
    scales = draw(st.tuples(*[st.floats(0.3, 4)] * 2))
    corner, size = [], []
    for length, scale in zip(SIZE, scales, strict=True):
        whole = int(length * scale)
        first = draw(st.integers(0, whole - 1))
        corner.append(first)
        size.append(draw(st.integers(1, whole - first)))
    return *scales, (*corner, *size)


@given(windows())
@example((2.6, 1.3, (0, 0, 124, 52)))
@example((2.6, 1.3, (13, 7, 60, 30)))
@example((0.4, 0.7, (0, 0, 19, 28)))
@example((0.4, 2.3, (3, 11, 12, 70)))
def test_every_pixel_shows_the_source_position_that_the_geometry_predicts(images, drawn):
    view = view_of(images / "coded.png", *drawn)
    shown = np.asarray(view.render()).astype(float)
    # Source positions of the output pixels, from the affine map of two source points.
    zero, one = view.pixels_from_source([[0, 0], [1, 1]])
    for axis in (0, 1):
        step = one[axis] - zero[axis]
        expected = (np.arange(view.size_wh[axis]) - zero[axis]) / step
        decoded = (shown[..., axis] - 10) / LEVELS
        decoded = decoded.mean(axis=axis)  # constant along the other axis
        # Near the border the filter has fewer pixels and a ramp flattens.
        reach = 2.5 * max(1, 1 / step)
        inner = (expected > reach) & (expected < SIZE[axis] - 1 - reach)
        error = np.abs(decoded - expected)[inner]
        # Half a pixel, source or output, whichever is smaller: a centre convention that is off
        # by half a pixel on either side does not pass. (0.2: one grey level.)
        assert (error < max(0.5 * min(1, 1 / step), 0.21)).all()
        if len(error) > 20:
            assert np.abs((decoded - expected)[inner].mean()) < 0.11  # half a grey level


@pytest.mark.parametrize(
    ("scale_x", "scale_y"), [(2, 1.5), (0.5, 0.25), (1.25, 0.75), (1, 1)], ids=str
)
def test_a_crop_is_cut_from_the_whole_image_resampled(images, scale_x, scale_y):
    full_wh = int(48 * scale_x), int(40 * scale_y)  # whole numbers, by choice of the factors
    full = Image.fromarray(NOISE).resize(full_wh, Image.Resampling.BICUBIC)
    for window in ((0, 0, *full_wh), (3, 2, 7, 6), (full_wh[0] - 9, full_wh[1] - 5, 9, 5)):
        left, top, width, height = window
        crop = np.asarray(full.crop((left, top, left + width, top + height))).astype(int)
        shown = np.asarray(view_of(images / "noise.png", scale_x, scale_y, window).render())
        assert np.abs(shown - crop).max() <= 1


@given(windows())
def test_a_window_equals_that_part_of_the_whole_view(images, drawn):
    scale_x, scale_y, (left, top, width, height) = drawn
    part = np.asarray(view_of(images / "noise.png", *drawn).render()).astype(int)
    whole = np.asarray(view_of(images / "noise.png", scale_x, scale_y).render())
    difference = np.abs(part - whole[top : top + height, left : left + width])
    # Pillow rounds filter weights, and pixels between its two passes; on noise that is two levels.
    assert difference.max() <= 2
    assert difference.mean() < 0.5


def test_at_its_own_focal_length_a_view_is_the_image_itself(images):
    np.testing.assert_array_equal(view_of(images / "noise.png", 1, 1).render(), NOISE)


@given(windows(), st.floats(0, 47), st.floats(0, 39), st.floats(0.1, 100))
def test_the_3d_point_is_the_same_in_every_view(drawn, x, y, z):
    view = view_of("a.png", *drawn)
    camera = view.camera
    assert camera.fx == camera.fy == 120
    assert camera.size_wh == view.size_wh
    pixel = view.pixels_from_source((x, y))
    np.testing.assert_allclose(
        camera.unproject(pixel, z), view.source.unproject((x, y), z), atol=1e-9 * z
    )
    np.testing.assert_allclose(
        camera.distance_over_z(pixel), view.source.distance_over_z((x, y)), rtol=1e-12
    )


@pytest.mark.parametrize("at", [(5, 5), (30, 20), (54, 34)], ids=["corner", "inside", "far corner"])
def test_the_arrow_is_where_the_uri_says_and_nothing_else_changes(images, at, arrow_pixels):
    plain = view_of(images / "noise.png", 1.5, 2.5, (6, 40, 60, 40))
    uri = replace(plain, marks=(Mark("arrow", 5, *at),)).to_uri()
    x, y = map(int, uri_fields(uri)["marks"].split(",")[2:])
    assert (x, y) == at
    expected = np.array(plain.render())
    for column, row in arrow_pixels(x, y):
        expected[row, column] = (255, 0, 0)
    np.testing.assert_array_equal(View.from_uri(uri).render(), expected)


numbers = st.floats(1e-3, 1e5)
HOSTILE = "scene 1/ü 图 &=%#?;,+%20\"'\\\n.png"


@given(st.text(min_size=1), windows(), numbers, numbers, st.text(), st.booleans())
@example(HOSTILE, (1.5, 1.5, (0, 0, 40, 40)), 0.1, 1 / 3, HOSTILE, True)
def test_text_form_round_trip(image, drawn, cx, cy, note, marked):
    view = view_of(image, *drawn)
    view = replace(view, source=replace(view.source, cx=cx, cy=cy), exif_rotation="apply")
    if marked:
        assume(min(view.size_wh) > 10)
        view = replace(view, marks=(Mark("arrow", 5, 5, 5), Mark("arrow", 4, 5, 4)))
    uri = view.to_uri(note=note)
    assert View.from_uri(uri) == view
    assert uri_fields(uri)["note"] == note
    assert uri.isascii()
    assert not set(uri) & set(" \"'\\\n")


def test_numpy_numbers_have_a_text_form(images):
    source = Camera(*np.array([90.5, 80.25, 20.0, 19.0]), SIZE)
    view = View("a.png", source, np.float64(100.0), 0, 0, (40, 40))
    assert View.from_uri(view.to_uri()) == view


GOOD = view_of("a.png", 1.5, 1.5, (1, 2, 40, 40), (Mark("arrow", 5, 10, 11),)).to_uri()


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("depthlm://v1", "depthlm://v2", "v2.*another version.*overwrite_cache"),
        ("depthlm://v1", "depthlm://", "another version"),
        ("depthlm://v1", "https://v1", "not a depthlm view: 'https"),
        (GOOD, "photos/a.png", "not a depthlm view: 'photos/a.png'"),
        ("image=a.png&", "", "malformed view.*'image'"),
        ("&focal=120.0", "", "malformed view.*'focal'"),
        ("&focal=120.0", "&focal=nan", "focal_px must be positive, found nan"),
        ("&focal=120.0", "&focal=-1", "focal_px must be positive, found -1"),
        ("window=1,2,40,40", "window=1,2,40", "malformed view.*expected 4"),
        ("window=1,2,40,40", "window=1,2.5,40,40", "malformed view.*2.5"),
        ("window=1,2,40,40", "window=33,2,40,40", r"40x40 window at \(33, 2\).*72x60 image"),
        ("source=80.0", "source=eighty", "malformed view.*eighty"),
        ("arrow,5,10,11", "arrow,5,10", "malformed view"),
        ("arrow,5,10,11", "arow,5,10,11", "did you mean 'arrow'"),
    ],
)
def test_other_text_is_refused_with_the_reason(old, new, found):
    assert old in GOOD
    with pytest.raises(DepthLMError, match=found):
        View.from_uri(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "window",
    [(-1, 0, 9, 9), (0, -1, 9, 9), (64, 0, 9, 9), (0, 52, 9, 9), (0, 0, 73, 9), (0, 0, 0, 9)],
    ids=str,
)
def test_windows_outside_the_image_are_refused(window):
    assert view_of("a.png", 1.5, 1.5, (63, 51, 9, 9)).size_wh == (9, 9)  # the last that fits
    with pytest.raises(GeometryError, match=r"leaves the 72x60 image|at least one pixel"):
        view_of("a.png", 1.5, 1.5, window)


@pytest.mark.parametrize("at", [(4, 20), (20, 4), (35, 20), (20, 35), (-3, 20), (200, 20)], ids=str)
def test_a_mark_that_does_not_fit_is_refused(at):
    # Near an edge the arrow would lose its shaft, or NumPy would paint it on the far side.
    with pytest.raises(GeometryError, match=r"mark at \({}, {}\).*40x40".format(*at)):
        view_of("a.png", 1.5, 1.5, (0, 0, 40, 40), (Mark("arrow", 5, *at),))


def test_an_image_of_another_size_is_not_rendered(images, tmp_path):
    Image.new("RGB", (40, 48)).save(tmp_path / "a.png")
    with pytest.raises(RecordError, match=r"here: .*is 40x48 but its intrinsics are for 48x40"):
        view_of(tmp_path / "a.png", 1.5, 1.5).render("here")


def test_a_distant_crop_keeps_its_camera():
    view = View("a.png", Camera(100.0, 100.0, 10, 10, (4000, 100)), 100.0, 3900, 0, (50, 50))
    assert view.camera.cx == 10 - 3900
    assert view.camera.distance_over_z((0, 10))[0] == pytest.approx(math.hypot(1, 38.9))
