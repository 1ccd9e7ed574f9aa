import math

import numpy as np
import pytest

from depthlm_plugin.scoring.intervals import RESAMPLES, interval, picture_keys, weights
from depthlm_plugin.scoring.scores import Scores


def rows_of(right, image):
    """One answer a flag, right or twice too long, of the picture that `image` names."""
    return [
        {
            "dataset": "d",
            "task": "depth",
            "target": 2.0,
            "value": 2.0 if flag else 4.0,
            "image": image(number),
        }
        for number, flag in enumerate(right)
    ]


def limits(right, image=str):
    return Scores(rows_of(right, image)).intervals()["delta1"]


def test_weights_are_poisson_numbers_of_mean_one():
    drawn = weights(picture_keys([f"{n}.png" for n in range(2000)]))
    assert drawn.shape == (2000, RESAMPLES)
    shares = np.bincount(drawn.ravel(), minlength=6)[:6] / drawn.size
    expected = [math.exp(-1) / math.factorial(k) for k in range(6)]
    assert shares == pytest.approx(expected, abs=1e-3)
    # Resamples and pictures do not know of each other.
    assert np.abs(np.corrcoef(drawn[:, :50].T) - np.eye(50)).max() < 0.12
    assert np.abs(np.corrcoef(drawn[:50]) - np.eye(50)).max() < 0.17


def test_weights_belong_to_the_pictures_name():
    names = ["a", "b", "c"]
    together, alone = weights(picture_keys(names)), weights(picture_keys(["b"]))
    assert (together[1] == alone[0]).all()
    assert (together[0] != together[1]).any()


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    share, held = 0.7, 0
    for trial in range(200):
        low, high = limits(rng.random(150) < share, lambda number, t=trial: f"{t}/{number}")
        held += low <= share <= high
    assert 0.90 <= held / 200 <= 0.985


def test_intervals_are_those_of_drawing_pictures():
    """Against the textbook: draw as many pictures as there are, with replacement, and look."""
    rng = np.random.default_rng(1)
    hard = rng.random(60) < 0.4  # pictures on which most answers are wrong
    right = np.array([rng.random(10) < (0.2 if one else 0.9) for one in hard])
    low, high = limits(right.ravel(), lambda number: str(number // 10))
    means = right[rng.integers(0, 60, size=(4000, 60))].mean(axis=(1, 2))
    expected = np.quantile(means, [0.025, 0.975])
    assert [low, high] == pytest.approx(expected, abs=0.025)
    # Points taken for independent would make it look surer than it is.
    sure_low, sure_high = limits(right.ravel())
    assert sure_high - sure_low < 0.7 * (high - low)


def test_one_picture_has_no_interval():
    assert Scores(rows_of([True, False, True], lambda _: "one")).intervals() == {}


def test_errors_beyond_all_floats_have_no_interval():
    rows = rows_of([True] * 20, str)
    rows[3]["value"] = 1e200
    found = Scores(rows).intervals()
    assert "delta1" in found
    assert "rmse" not in found


def test_resamples_without_an_answer_are_left_out():
    assert interval(np.array([math.nan, 1.0, 1.0])) == (1, 1)
    assert interval(np.array([math.nan])) is None
