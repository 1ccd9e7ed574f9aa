import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import scored

from depthlm_plugin.kinds.pose import POSE, area_above
from depthlm_plugin.tasks import TASKS

NAN, INF = math.nan, math.inf
NAMES = TASKS["relative_pose"].values
UNREAD = (NAN,) * len(NAMES)


def pose(distance=1.0, towards=(0, 0, 1), turn=(0, 0, 0)):
    return (distance, *towards, *turn)


# The area under the recall curve


def test_area_by_hand():
    # Errors of 0, 3 and 12 degrees and one failure, up to 15 degrees: 15, 12 and 3 of 15 remain.
    assert area_above(np.array([0, 3, 12, INF]), 15).mean() == (15 + 12 + 3) / 15 / 4


ERRORS = st.lists(st.floats(0, 180) | st.just(INF), min_size=1, max_size=12)


@given(ERRORS, st.sampled_from([5, 15, 30]))
def test_area_is_that_of_the_recall_curve(errors, limit):
    errors = np.array(errors)
    steps = 3000
    middles = (np.arange(steps) + 0.5) * limit / steps
    recall = (errors <= middles[:, None]).mean(axis=1)
    # Each error moves the sum by less than one interval.
    assert area_above(errors, limit).mean() == pytest.approx(recall.mean(), abs=1 / steps)


@given(ERRORS, st.sampled_from([5, 15, 30]))
def test_area_differs_from_straight_lines_by_half_a_step(errors, limit):
    """How image matching benchmarks draw the curve, as `Pose` says."""
    inside = np.sort([error for error in errors if error < limit])
    recall = np.arange(len(inside) + 1) / len(errors)
    lines = np.trapezoid([*recall, recall[-1]], [0, *inside, limit]) / limit
    exact = area_above(np.array(errors), limit).mean()
    assert exact - 1e-12 <= lines <= exact + 1 / (2 * len(errors)) + 1e-12


# Poses


def test_pose():
    true = [pose(2.0)] * 5
    predicted = [
        pose(2.0),
        pose(2.2, turn=(6, 0, 0)),  # rotation 6
        pose(3.0, (0.2, 0, 0.2), (0, -3, 0)),  # direction 45, of a vector that is too short
        pose(2.0, (0, 0, 9), (0, 0, 27)),  # rotation 27, of one that is too long
        UNREAD,
    ]
    assert scored(POSE, NAMES, predicted, true) == pytest.approx(
        {
            "n": 5,
            "parse_failure_rate": 1 / 5,
            "auc_5": 1 / 5,
            "auc_15": (1 + 9 / 15) / 5,
            "auc_30": (1 + 24 / 30 + 3 / 30) / 5,
            "rotation_error_deg_median": 4.5,
            "rotation_error_deg_mean": 9,
            "direction_error_deg_median": 0,
            "direction_error_deg_mean": 45 / 4,
            "distance_delta1": 3 / 5,
            "distance_abs_rel": (0 + 0.1 + 0.5 + 0) / 4,
        },
        abs=1e-12,
    )


def test_angles_that_name_the_same_rotation_are_equal():
    true = [pose(turn=(170, 20, 30)), pose(turn=(179, 0, 0)), pose(turn=(10, 90, 0))]
    same = [pose(turn=(-190, 20, 390)), pose(turn=(-1, 180, 180)), pose(turn=(0, 90, -10))]
    metrics = scored(POSE, NAMES, same, true)
    assert metrics["rotation_error_deg_mean"] == pytest.approx(0, abs=1e-9)
    assert metrics["auc_5"] == pytest.approx(1)


def test_a_backward_direction_is_all_wrong():
    metrics = scored(POSE, NAMES, [pose(towards=(0, 0, -1))], [pose()])
    assert (metrics["direction_error_deg_mean"], metrics["auc_30"]) == (180, 0)


@pytest.mark.parametrize(
    "answer", [pose(towards=(0, 0, 0)), pose(turn=(INF, 0, 0)), pose(INF)], ids=str
)
def test_a_pose_without_a_direction_or_with_infinities_is_a_failure(answer):
    assert scored(POSE, NAMES, [answer], [pose()]) == scored(POSE, NAMES, [UNREAD], [pose()])


def test_a_pose_of_no_distance_fails_in_the_distance_only():
    metrics = scored(POSE, NAMES, [pose(0.0)], [pose()])
    assert (metrics["auc_30"], metrics["distance_delta1"]) == (1, 0)
    assert "distance_abs_rel" not in metrics
