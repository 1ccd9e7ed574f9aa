import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from depthlm_plugin.errors import ConfigError, GeometryError
from depthlm_plugin.views.markers import (
    MARKERS,
    ArrowMarker,
    format_color,
    get_marker,
    name_color,
    parse_color,
)

PICTURES = Path(__file__).parents[1] / "pictures"
COLOR, OUTLINE, EMPTY = (255, 200, 0), (0, 40, 255), (9, 9, 9)
SMALLEST_PX = {"arrow": 3, "cross": 3, "dot": 1, "ring": 2, "box": 2, "numbered": 2}

# "#" is the mark, "o" its outline, "x" the marked pixel where it is unpainted, "@" where it is not.
SHAPES = {
    ("arrow", 3, False): """
        .......
        #......
        .#.....
        ###x...
        .#.....
        #......
        .......
    """,
    ("arrow", 5, True): """
        .............
        .............
        .............
        ..ooo........
        ..o#oo.......
        oooo#oo......
        o#####x......
        oooo#oo......
        ..o#oo.......
        ..ooo........
        .............
        .............
        .............
    """,
    ("cross", 3, False): """
        ...#...
        ...#...
        .......
        ##.x.##
        .......
        ...#...
        ...#...
    """,
    ("cross", 3, True): """
        ...ooo...
        ...o#o...
        ...o#o...
        ooooooooo
        o##oxo##o
        ooooooooo
        ...o#o...
        ...o#o...
        ...ooo...
    """,
    ("dot", 1, False): """
        ###
        #@#
        ###
    """,
    ("dot", 3, True): """
        ..ooooo..
        .oo###oo.
        oo#####oo
        o#######o
        o###@###o
        o#######o
        oo#####oo
        .oo###oo.
        ..ooooo..
    """,
    ("ring", 2, False): """
        .###.
        #...#
        #.x.#
        #...#
        .###.
    """,
    ("ring", 3, True): """
        ..ooooo..
        .oo###oo.
        oo#ooo#oo
        o#oo.oo#o
        o#o.x.o#o
        o#oo.oo#o
        oo#ooo#oo
        .oo###oo.
        ..ooooo..
    """,
    ("box", 2, False): """
        #####
        #...#
        #.x.#
        #...#
        #####
    """,
    ("box", 2, True): """
        ooooooo
        o#####o
        o#ooo#o
        o#oxo#o
        o#ooo#o
        o#####o
        ooooooo
    """,
}
# The rows that a number 27 of one-pixel blocks spans; above and below there is nothing.
NUMBERED = """
    .........###..###.###
    ........#...#...#...#
    ........#.x.#.###...#
    ........#...#.#....#.
    .........###..###..#.
"""
DIGITS_IN_A_ROW = """
    ###..#..###.###.#.#.###.###.###.###.###
    #.#.##....#...#.#.#.#...#.....#.#.#.#.#
    #.#..#..###.###.###.###.###...#.###.###
    #.#..#..#.....#...#...#.#.#..#..#.#...#
    ###.###.###.###...#.###.###..#..###.###
"""
DIGITS = [[row[left : left + 3] for row in DIGITS_IN_A_ROW.split()] for left in range(0, 40, 4)]


def drawn(marker, margin_px=None):
    """Return an image with the mark in its centre, that far from every border."""
    margin_px = marker.margin_px if margin_px is None else margin_px
    pixels = np.full((2 * margin_px + 1, 2 * margin_px + 1, 3), EMPTY, np.uint8)
    marker.draw(pixels, margin_px, margin_px)
    return pixels


def as_text(pixels):
    """Return rows of text as in `SHAPES`; a colour that no mark has is a `?`."""
    letters = {EMPTY: ".", COLOR: "#", OUTLINE: "o"}
    rows = [[letters.get(tuple(map(int, pixel)), "?") for pixel in row] for row in pixels]
    middle = len(rows) // 2
    centre = rows[middle][middle]
    rows[middle][middle] = {".": "x", "#": "@"}.get(centre, centre)
    return ["".join(row) for row in rows]


@st.composite
def markers(draw):
    name = draw(st.sampled_from(sorted(MARKERS)))
    size_px = draw(st.integers(SMALLEST_PX[name], 24))
    outline = draw(st.sampled_from([None, OUTLINE]))
    number = draw(st.integers(1, 99))
    return get_marker(name, size_px, color=COLOR, outline=outline, number=number)


@pytest.mark.parametrize("at", [(20, 15), (5, 5), (34, 24)], ids=["inside", "corner", "far corner"])
def test_official_arrow_is_pixel_exact(at, arrow_pixels):
    before = np.random.default_rng(1).integers(0, 255, (30, 40, 3), dtype=np.uint8)  # no pure red
    expected = before.copy()
    for x, y in arrow_pixels(*at):
        expected[y, x] = (255, 0, 0)
    pixels = before.copy()
    get_marker("arrow", 5).draw(pixels, *at)
    np.testing.assert_array_equal(pixels, expected)


def test_a_longer_arrow_has_a_longer_shaft_and_the_same_head():
    pixels = np.zeros((21, 21, 3), np.uint8)
    ArrowMarker(9).draw(pixels, 11, 10)
    painted = {(int(x), int(y)) for y, x in np.argwhere(pixels[..., 0] == 255)}
    assert painted == {(x, 10) for x in range(2, 11)} | {(9, 9), (9, 11), (8, 8), (8, 12)}
    assert ArrowMarker(9).margin_px == 9


@pytest.mark.parametrize(("name", "size_px", "outlined"), SHAPES)
def test_shapes_are_pixel_exact(name, size_px, outlined):
    marker = get_marker(name, size_px, color=COLOR, outline=OUTLINE if outlined else None)
    assert as_text(drawn(marker)) == SHAPES[name, size_px, outlined].split()


def test_a_number_is_a_ring_with_its_digits_to_the_right():
    rows = as_text(drawn(get_marker("numbered", 2, color=COLOR, number=27)))
    nothing = ["." * 21] * 8
    assert rows == [*nothing, *NUMBERED.split(), *nothing]


@pytest.mark.parametrize(
    ("number", "place", "digit"),
    [(10 * digit + 1, 0, digit) for digit in range(1, 10)]
    + [(10 + digit, 1, digit) for digit in range(10)],
)
def test_digits_are_the_built_in_ones(number, place, digit):
    # Size 5: digits of 2 px blocks, their top at the ring's, 8 and 16 px right of the point.
    pixels = drawn(get_marker("numbered", 5, color=COLOR, number=number), 30)
    left = 30 + 8 * (1 + place)
    cell = (pixels[25:35, left : left + 6] == COLOR).all(axis=-1)
    expected = np.array([[ink == "#" for ink in row] for row in DIGITS[digit]])
    np.testing.assert_array_equal(cell, expected.repeat(2, 0).repeat(2, 1))


@given(markers())
def test_the_margin_is_exactly_the_room_that_a_mark_needs(marker):
    margin_px, extra_px = marker.margin_px, 7
    roomy = drawn(marker, margin_px + extra_px)
    ys, xs = np.nonzero((roomy != EMPTY).any(axis=-1))
    reach = np.abs(np.stack([xs, ys]) - margin_px - extra_px).max()
    assert reach == margin_px
    # Nothing wraps around: at the border the mark is what it is far from it.
    inner = roomy[extra_px:-extra_px, extra_px:-extra_px]
    np.testing.assert_array_equal(drawn(marker), inner)
    with pytest.raises(GeometryError, match=f"it needs {margin_px} px on every side"):
        drawn(marker, margin_px - 1)


@pytest.mark.parametrize("at", [(4, 10), (25, 10), (10, 4), (10, 15)], ids=str)
def test_a_mark_that_would_leave_the_image_is_refused_and_leaves_no_trace(at):
    pixels = np.zeros((20, 30, 3), np.uint8)
    with pytest.raises(GeometryError, match=r"arrow mark at .* does not fit into the 30x20 image"):
        get_marker("arrow", 5).draw(pixels, *at)
    assert not pixels.any()


@pytest.mark.parametrize("outline", [None, OUTLINE], ids=["plain", "outlined"])
@pytest.mark.parametrize("name", sorted(set(MARKERS) - {"dot"}))
def test_the_marked_pixel_stays_as_it_is(name, outline):
    for size_px in range(SMALLEST_PX[name], 30):
        pixels = drawn(get_marker(name, size_px, color=COLOR, outline=outline))
        middle = len(pixels) // 2
        assert tuple(pixels[middle, middle]) == EMPTY, size_px


@given(markers())
def test_an_outline_is_every_unpainted_neighbour_of_the_mark(marker):
    pixels = np.pad(drawn(marker), ((1, 1), (1, 1), (0, 0)), constant_values=EMPTY[0])
    mark = (pixels == COLOR).all(axis=-1)
    around = (pixels == OUTLINE).all(axis=-1)
    assert (mark | around | (pixels == EMPTY).all(axis=-1)).all()
    height, width = mark.shape
    near = np.zeros_like(mark)
    for y, x in np.argwhere(mark):
        near[y - 1 : y + 2, x - 1 : x + 2] = True
    near[height // 2, width // 2] = False
    expected = near & ~mark if marker.outline else np.zeros_like(mark)
    np.testing.assert_array_equal(around, expected)


def test_a_number_is_read_by_numbered_markers_only():
    assert get_marker("ring", 5, number=7) == get_marker("ring", 5)
    assert get_marker("numbered", 5, number=7) != get_marker("numbered", 5)


def test_unknown_markers_are_refused():
    known = r"arrow, cross, dot, ring, box, numbered"
    with pytest.raises(ConfigError, match=rf"'arow'; did you mean 'arrow'\? known: {known}"):
        get_marker("arow", 5)


@pytest.mark.parametrize("name", MARKERS)
def test_sizes_have_limits(name):
    smallest = SMALLEST_PX[name]
    for size_px in (smallest, 200):
        get_marker(name, size_px)
    for size_px in (-5, smallest - 1, 201):
        expected = f"^marker_px must be {smallest} to 200 for marker '{name}', found {size_px}$"
        with pytest.raises(ConfigError, match=expected):
            get_marker(name, size_px)


@pytest.mark.parametrize("number", [0, 100, -1])
def test_numbers_have_limits(number):
    with pytest.raises(ConfigError, match=f"shows 1 to 99, found {number}"):
        get_marker("numbered", 5, number=number)


@pytest.mark.parametrize(
    ("value", "rgb"),
    [
        ("red", (255, 0, 0)),
        ("White", (255, 255, 255)),
        ("#0a0B0c", (10, 11, 12)),
        ([1, 2, 3], (1, 2, 3)),
        ((0, 255, 0), (0, 255, 0)),
    ],
    ids=repr,
)
def test_colours_are_read(value, rgb):
    assert parse_color(value) == rgb


@pytest.mark.parametrize(
    "value",
    [
        *("rot", "", "ff0000", "#ff000080", "rgb(300,0,0)", None, 7),
        *([1, 2], [1, 2, 3, 4], [0, 0, 256], [-1, 0, 0], [0.0, 0, 0], [True, 0, 0], ["1", 0, 0]),
    ],
    ids=repr,
)
def test_other_colours_are_refused(value):
    with pytest.raises(ConfigError) as caught:
        parse_color(value, "marker_color")
    assert str(caught.value).startswith("marker_color must be a colour name")
    assert str(caught.value).endswith(f"found {value!r}")


@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_colours_survive_their_text_forms(color):
    assert parse_color("#" + format_color(color)) == color
    assert parse_color(name_color(color)) == color


@pytest.mark.parametrize(
    ("color", "text", "name"),
    [((255, 0, 0), "ff0000", "red"), ((1, 2, 3), "010203", "#010203")],
    ids=["named", "nameless"],
)
def test_text_forms(color, text, name):
    assert (format_color(color), name_color(color)) == (text, name)


def test_the_readme_shows_the_marks_of_today():
    tiles = runpy.run_path(str(PICTURES / "draw_markers.py"))["tiles"]
    with Image.open(PICTURES / "markers.png") as image:
        sheet = image.convert("RGB")
    for box, tile in tiles():  # the text between them is drawn otherwise by other Pillows
        assert sheet.crop(box).tobytes() == tile.tobytes(), box
