import math

import numpy as np
import pytest
from support.answers import scored

from depthlm_plugin.kinds.place import PLACE

NAN, INF = math.nan, math.inf


def test_place():
    true = [[1000, 1000]] * 5
    predicted = [[1000, 1000], [1060, 920], [1000, 1100.5], [-200, 100], [NAN, NAN]]
    assert scored(PLACE, ["x", "y"], predicted, true) == pytest.approx(
        {
            "n": 5,
            "parse_failure_rate": 1 / 5,
            "pck_5": 2 / 5,  # (60, 80) is 100 units, which is still within 5 % of 2000
            "epe": (0 + 100 + 100.5 + 1500) / 4,
            "epe_median": (100 + 100.5) / 2,
        }
    )


def test_a_place_beyond_all_floats_is_wrong_without_a_warning():
    metrics = scored(PLACE, ["x", "y"], [[1.7e308, -1.7e308], [5, 5]], [[5, 5]] * 2)
    assert (metrics["pck_5"], metrics["epe"]) == (0.5, INF)


@pytest.mark.parametrize("size", [8.99e307, 1.7e308, 1e-300, 1.0])
def test_a_median_of_two_is_their_mean_wherever_floats_reach(size):
    """The sum of the two may be beyond all floats."""
    metrics = scored(PLACE, ["x", "y"], [[size, 0]] * 2, [[0, 0]] * 2)
    assert metrics["epe_median"] == size


def test_medians_are_numpys():
    errors = np.random.default_rng(0).uniform(0, 3000, 40)
    for count in (39, 40):
        metrics = scored(PLACE, ["x", "y"], [(e, 0) for e in errors[:count]], [(0, 0)] * count)
        assert metrics["epe_median"] == np.median(errors[:count])
