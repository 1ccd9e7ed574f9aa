"""Where a map asks: evenly, then between answers that differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.maps.adaptive import between_jumps, even_grid, grid_of
from depthlm_plugin.maps.asking import ask_about

SIZES = st.integers(1, 200)


@given(width=SIZES, height=SIZES, data=st.data())
def test_a_grid_is_even_and_inside(width, height, data) -> None:
    columns, rows = (data.draw(st.integers(1, size)) for size in (width, height))
    pixels = even_grid((width, height), (columns, rows))
    assert len({*map(tuple, pixels)}) == columns * rows
    assert (pixels >= 0).all()
    assert (pixels < (width, height)).all()
    for axis, (size, cells) in enumerate(((width, columns), (height, rows))):
        steps = np.diff(np.unique(pixels[:, axis]))
        assert not len(steps) or steps.max() - steps.min() <= 1
        assert abs(pixels[:, axis].mean() - (size - 1) / 2) <= 0.5 + 1e-9, cells


def test_every_pixel_is_a_grid() -> None:
    assert even_grid((3, 2), (3, 2)).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]


@pytest.mark.parametrize("grid", [(0, 4), (11, 4), (4, 6), (4, -1)])
def test_a_grid_that_does_not_fit(grid) -> None:
    with pytest.raises(ConfigError, match="10x5 pixels"):
        even_grid((10, 5), grid)


@given(width=SIZES, height=SIZES, count=st.integers(1, 2000))
def test_the_grid_of_a_number_of_questions(width, height, count) -> None:
    columns, rows = grid_of((width, height), count)
    assert 1 <= columns <= width
    assert 1 <= rows <= height
    if 16 <= count <= width * height / 4 and 0.5 <= width / height <= 2:
        assert 0.7 * count <= columns * rows <= 1.4 * count


def test_questions_gather_at_the_jump() -> None:
    calls = []

    def ask(pixels: np.ndarray) -> np.ndarray:
        calls.append(pixels)
        return np.where(pixels[:, 0] < 50, 2.0, 5.0)

    grid = even_grid((100, 80), (10, 8))
    answers = ask_about(ask, grid, 60)
    assert calls[0] is grid
    assert len(calls) > 3
    new = np.concatenate(calls[1:])
    assert len({*map(tuple, np.concatenate(calls))}) == len(grid) + len(new)  # none twice
    assert 40 <= len(new) <= 60
    assert (np.abs(new[:, 0] - 50) <= 6).all()
    # Each round halves what is unknown: afterwards the edge is told to a few pixels.
    left = answers.pixels[answers.z_m == 2.0][:, 0].max()
    right = answers.pixels[answers.z_m == 5.0][:, 0].min()
    assert right - left <= 3


def test_a_flat_picture_needs_no_more() -> None:
    answers = ask_about(lambda pixels: np.full(len(pixels), 3.0), even_grid((50, 40), (5, 4)), 99)
    assert len(answers.z_m) == 20


def test_pixels_without_an_answer_are_left_out_and_not_asked_again() -> None:
    asked = []

    def ask(pixels: np.ndarray) -> np.ndarray:
        asked.extend(map(tuple, pixels))
        return np.where(pixels[:, 0] > 40, np.nan, np.where(pixels[:, 1] < 20, 1.0, 4.0))

    answers = ask_about(ask, even_grid((80, 40), (12, 6)), 80)
    assert len(asked) == len(set(asked))
    assert np.isfinite(answers.z_m).all()
    assert (answers.pixels[:, 0] <= 40).all()


def test_points_in_a_line_have_no_triangles() -> None:
    line = np.array([[0.0, 0], [5, 5], [10, 10], [15, 15], [20, 20]])
    assert len(between_jumps(line, np.array([1.0, 5, 1, 5, 1]), 4, line)) <= 4
