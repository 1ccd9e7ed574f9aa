import numpy as np
import pytest

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.markers import ArrowMarker, get_marker


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
    ArrowMarker(9).draw(pixels, 12, 10)
    painted = {(int(x), int(y)) for y, x in np.argwhere(pixels[..., 0] == 255)}
    assert painted == {(x, 10) for x in range(3, 12)} | {(10, 9), (10, 11), (9, 8), (9, 12)}
    assert ArrowMarker(9).margin_px == 9


def test_unknown_markers_and_sizes_are_refused():
    with pytest.raises(ConfigError, match=r"'arow'; did you mean 'arrow'\? known: arrow"):
        get_marker("arow", 5)
    with pytest.raises(ConfigError, match="at least 3 for an arrow, found 2"):
        get_marker("arrow", 2)
