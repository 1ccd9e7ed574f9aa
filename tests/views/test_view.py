import math
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image

from depthlm_plugin import Camera, View
from depthlm_plugin.errors import DepthLMError, GeometryError, RecordError
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.views import render as rendering
from depthlm_plugin.views.render import RESAMPLINGS
from depthlm_plugin.views.view import Mark, uri_fields, window_size

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


both = pytest.mark.parametrize("resampling", RESAMPLINGS)


def view_of(path, scale_x, scale_y, window=None, marks=(), resampling="reference"):
    """A view of the 48x40 image resampled by these factors (so fx != fy), whole by default."""
    source = Camera(120 / scale_x, 120 / scale_y, 20.3, 22.1, SIZE)
    whole = source.scaled_to_focal(120).size_wh
    left, top, width, height = window or (0, 0, *whole)
    return View(str(path), source, 120.0, left, top, (width, height), marks, resampling=resampling)


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


@both
@given(drawn=windows())
@example(drawn=(2.6, 1.3, (0, 0, 124, 52)))
@example(drawn=(2.6, 1.3, (13, 7, 60, 30)))
@example(drawn=(0.4, 0.7, (0, 0, 19, 28)))
@example(drawn=(0.4, 2.3, (3, 11, 12, 70)))
@example(drawn=(1.03, 0.98, (2, 1, 40, 30)))  # near 1, where torch would leave an axis alone
def test_every_pixel_shows_the_source_position_that_the_geometry_predicts(
    images, resampling, drawn
):
    view = view_of(images / "coded.png", *drawn, resampling=resampling)
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


@both
@given(drawn=windows())
def test_a_window_equals_that_part_of_the_whole_view(images, resampling, drawn):
    scale_x, scale_y, (left, top, width, height) = drawn
    part = view_of(images / "noise.png", *drawn, resampling=resampling).pixels().astype(int)
    whole = view_of(images / "noise.png", scale_x, scale_y, resampling=resampling).pixels()
    difference = np.abs(part - whole[top : top + height, left : left + width])
    # Pillow rounds filter weights, and pixels between its two passes; on noise that is two levels.
    assert difference.max() <= 2
    assert difference.mean() < 0.5


@given(windows())
@example((1.02, 0.97, (3, 2, 20, 20)))
def test_the_fast_path_is_within_two_levels_of_the_reference(images, drawn):
    *_, width, height = drawn[2]
    marks = ()
    if min(width, height) > 20:
        marks = (Mark("arrow", 5, width - 8, height // 2, (0, 255, 1), (9, 8, 7)),)
    fast, reference = (
        view_of(images / "noise.png", *drawn, marks, resampling).pixels().astype(int)
        for resampling in RESAMPLINGS
    )
    assert np.abs(fast - reference).max() <= 2
    for color in ((0, 255, 1), (9, 8, 7)):  # not among noise that hits these exact values
        np.testing.assert_array_equal((fast == color).all(-1), (reference == color).all(-1))


@given(windows())
def test_what_is_kept_from_before_changes_nothing(images, drawn):
    view = view_of(images / "noise.png", *drawn, resampling="fast")
    rendering.CACHE.clear()
    first = view.pixels()
    view_of(images / "noise.png", *drawn[:2], resampling="fast").pixels()  # the whole image
    second = view.pixels()
    second[:] = 0  # what is handed out is not what is kept
    np.testing.assert_array_equal(view.pixels(), first)


@both
def test_an_image_that_changes_on_disk_is_read_again(tmp_path, resampling):
    for grey in (10, 200):
        Image.new("RGB", SIZE, (grey,) * 3).save(tmp_path / "a.png")
        os.utime(tmp_path / "a.png", (grey, grey))
        assert view_of(tmp_path / "a.png", 2, 2, resampling=resampling).pixels()[5, 5, 0] == grey


def test_the_cache_is_bounded_by_bytes_and_drops_the_least_recently_used():
    cache = rendering.PixelCache(100)
    arrays = {name: np.zeros(40, np.uint8) for name in "abc"}
    for name in "ab":
        cache.put(name, arrays[name])
    assert cache.get("a") is arrays["a"]
    cache.put("c", arrays["c"])
    assert cache.get("b") is None
    assert cache.get("a") is arrays["a"]
    assert cache.get("c") is arrays["c"]
    cache.put("d", np.zeros(101, np.uint8))
    assert cache.get("d") is None
    assert cache.get("a") is arrays["a"]


@both
@given(drawn=windows(), pad=st.tuples(*[st.integers(0, 30)] * 4))
def test_outside_the_image_a_view_is_black_and_inside_it_is_the_same(
    images, resampling, drawn, pad
):
    scale_x, scale_y, _ = drawn
    whole = view_of(images / "noise.png", scale_x, scale_y, resampling=resampling)
    full_w, full_h = whole.size_wh
    before_x, before_y, after_x, after_y = pad
    window = (-before_x, -before_y, full_w + before_x + after_x, full_h + before_y + after_y)
    padded = view_of(images / "noise.png", scale_x, scale_y, window, resampling=resampling)
    pixels = padded.pixels()
    assert pixels.shape == (window[3], window[2], 3)
    inside = pixels[before_y : before_y + full_h, before_x : before_x + full_w]
    np.testing.assert_array_equal(inside, whole.pixels())
    assert pixels.astype(int).sum() == inside.astype(int).sum()
    assert padded.camera.cx == whole.camera.cx + before_x
    np.testing.assert_allclose(
        padded.pixels_from_source((3, 4)), whole.pixels_from_source((3, 4)) + pad[:2]
    )


@both
def test_at_its_own_focal_length_a_view_is_the_image_itself(images, resampling):
    view = view_of(images / "noise.png", 1, 1, resampling=resampling)
    np.testing.assert_array_equal(view.render(), NOISE)


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


@both
@pytest.mark.parametrize("at", [(5, 5), (30, 20), (54, 34)], ids=["corner", "inside", "far corner"])
def test_the_arrow_is_where_the_uri_says_and_nothing_else_changes(
    images, resampling, at, arrow_pixels
):
    plain = view_of(images / "noise.png", 1.5, 2.5, (6, 40, 60, 40), resampling=resampling)
    uri = replace(plain, marks=(Mark("arrow", 5, *at),)).to_uri()
    x, y = map(int, uri_fields(uri)["marks"].split(",")[2:])
    assert (x, y) == at
    expected = np.array(plain.render())
    for column, row in arrow_pixels(x, y):
        expected[row, column] = (255, 0, 0)
    np.testing.assert_array_equal(View.from_uri(uri).render(), expected)


numbers = st.floats(1e-3, 1e5)
HOSTILE = "scene 1/ü 图 &=%#?;,+%20\"'\\\n.png"


lenses = st.none() | st.builds(
    Lens,
    st.just("opencv"),
    st.lists(st.floats(-1e-3, 1e-3), min_size=4, max_size=5).map(tuple),
)
MARKS = (
    Mark("arrow", 5, 5, 5),
    Mark("arrow", 4, 5, 4, (1, 2, 255)),
    Mark("ring", 7, 25, 25, (0, 255, 0), (0, 0, 0)),
    Mark("numbered", 5, 25, 25, number=12),
)


# Names of files: anything but NUL, half a surrogate pair too.
NAMES = st.text(st.characters(exclude_categories=(), exclude_characters="\0"), min_size=1)


@given(NAMES, windows(), numbers, numbers, lenses, st.text(), st.booleans())
@example(HOSTILE, (1.5, 1.5, (0, 0, 50, 50)), 0.1, 1 / 3, None, HOSTILE, True)
def test_text_form_round_trip(image, drawn, cx, cy, lens, note, marked):
    view = view_of(image, *drawn)
    source = replace(view.source, cx=cx, cy=cy, lens=lens)
    view = replace(view, source=source, exif_rotation="apply")
    if marked:
        assume(min(view.size_wh) >= 50)
        view = replace(view, marks=MARKS, resampling="fast")
    uri = view.to_uri(note=note)
    assert View.from_uri(uri) == view
    assert window_size(uri) == view.size_wh
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
        ("depthlm://v4", "depthlm://v1", "v1.*another version.*overwrite_cache"),
        ("depthlm://v4", "depthlm://", "another version"),
        ("depthlm://v4", "https://v2", "not a depthlm view: 'https"),
        (GOOD, "photos/a.png", "not a depthlm view: 'photos/a.png'"),
        ("image=a.png&", "", "malformed view.*'image'"),
        ("&focal=120.0", "", "malformed view.*'focal'"),
        ("&focal=120.0", "&focal=nan", "focal_px must be positive, found nan"),
        ("&focal=120.0", "&focal=-1", "focal_px must be positive, found -1"),
        ("window=1,2,40,40", "window=1,2,40", "malformed view.*expected 4"),
        ("window=1,2,40,40", "window=1,2.5,40,40", "malformed view.*2.5"),
        ("window=1,2,40,40", "window=72,2,40,40", r"40x40 window at \(72, 2\).*72x60 image"),
        ("source=80.0", "source=eighty", "malformed view.*eighty"),
        ("arrow,5,10,11", "arrow,5,10", "malformed view"),
        ("arrow,5,10,11", "arow,5,10,11", "did you mean 'arrow'"),
        ("arrow,5,10,11", "arrow,5,10,11,ff00", "color"),
        ("resampling=reference", "resampling=fats", "did you mean 'fast'"),
    ],
)
def test_other_text_is_refused_with_the_reason(old, new, found):
    assert old in GOOD
    with pytest.raises(DepthLMError, match=found):
        View.from_uri(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "window",
    [(-9, 0, 9, 9), (0, -9, 9, 9), (72, 0, 9, 9), (0, 60, 9, 9), (0, 0, 0, 9)],
    ids=str,
)
def test_windows_outside_the_image_are_refused(window):
    for last in ((71, 59, 9, 9), (-8, -8, 9, 9)):
        assert view_of("a.png", 1.5, 1.5, last).size_wh == (9, 9)
    with pytest.raises(GeometryError, match=r"outside the 72x60 image|at least one pixel"):
        view_of("a.png", 1.5, 1.5, window)


@pytest.mark.parametrize(
    ("source", "focal_px", "size_wh"),
    [
        pytest.param(Camera(64, 64, 1450, 1450, (2900, 2900)), 1000, (45312, 45312), id="whole"),
        pytest.param(Camera(64, 64, 1450, 1450, (2900, 2900)), 1000, (512, 512), id="its crop"),
        pytest.param(Camera(50, 50, 24, 20, SIZE), 50, (28000, 28000), id="padded"),
        pytest.param(Camera(1, 999, 9, 4500, (18, 9000)), 1000, (9, 9), id="on its way"),
    ],
)
def test_views_of_any_size_are_not_made(source, focal_px, size_wh):
    with pytest.raises(GeometryError, match="over the limit of 134217728 pixels"):
        View("a.png", source, focal_px, 0, 0, size_wh)


@pytest.mark.parametrize("at", [(4, 20), (20, 4), (35, 20), (20, 35), (-3, 20), (200, 20)], ids=str)
def test_a_mark_that_does_not_fit_is_refused(at):
    # Near an edge the arrow would lose its shaft, or NumPy would paint it on the far side.
    with pytest.raises(GeometryError, match=r"mark at \({}, {}\).*40x40".format(*at)):
        view_of("a.png", 1.5, 1.5, (0, 0, 40, 40), (Mark("arrow", 5, *at),))


@both
def test_an_image_of_another_size_is_not_rendered(tmp_path, resampling):
    Image.new("RGB", (40, 48)).save(tmp_path / "a.png")
    with pytest.raises(RecordError, match=r"here: .*is 40x48 but its intrinsics are for 48x40"):
        view_of(tmp_path / "a.png", 1.5, 1.5, resampling=resampling).render("here")


def test_a_distant_crop_keeps_its_camera():
    view = View("a.png", Camera(100.0, 100.0, 10, 10, (4000, 100)), 100.0, 3900, 0, (50, 50))
    assert view.camera.cx == 10 - 3900
    assert view.camera.distance_over_z((0, 10))[0] == pytest.approx(math.hypot(1, 38.9))
