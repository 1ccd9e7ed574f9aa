import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.scoring.intervals import picture_keys, weights
from depthlm_plugin.scoring.ratio import score
from depthlm_plugin.scoring.scorer import SCORERS, area_above
from depthlm_plugin.scoring.tally import Tally
from depthlm_plugin.tasks import TASKS

NAN, INF = math.nan, math.inf
RIGHT, DOWN, FORWARD = np.eye(3)
POSE = TASKS["relative_pose"].values
UNREAD = (NAN,) * len(POSE)


def columns(names, answers):
    """One tuple of values an answer, as scorers take them."""
    return dict(zip(names, np.array(answers, dtype=float).T, strict=True))


def scored(kind, names, predicted, true):
    """Metrics of answers that are all about one picture."""
    scorer = SCORERS[kind]
    tally = Tally(scorer)
    measured = scorer.measure(columns(names, predicted), columns(names, true))
    keys = picture_keys(["a picture"])
    tally.add(measured, np.zeros(len(predicted), dtype=np.int64), keys, weights(keys))
    return tally.metrics()


def pose(distance=1.0, towards=(0, 0, 1), turn=(0, 0, 0)):
    return (distance, *towards, *turn)


def test_every_task_has_a_scorer():
    assert {task.scoring for task in TASKS.values()} == SCORERS.keys()


# Choices


def test_choice():
    metrics = scored("choice", ["value"], [[1], [2], [2], [NAN], [3]], [[1], [1], [2], [2], [2]])
    assert metrics == {
        "n": 5,
        "parse_failure_rate": pytest.approx(1 / 5),
        "accuracy": 2 / 5,
        "constant_accuracy": 3 / 5,
    }


# Places


def test_place():
    true = [[1000, 1000]] * 5
    predicted = [[1000, 1000], [1060, 920], [1000, 1100.5], [-200, 100], [NAN, NAN]]
    assert scored("place", ["x", "y"], predicted, true) == pytest.approx(
        {
            "n": 5,
            "parse_failure_rate": 1 / 5,
            "pck_5": 2 / 5,  # (60, 80) is 100 units, which is still within 5 % of 2000
            "epe": (0 + 100 + 100.5 + 1500) / 4,
            "epe_median": (100 + 100.5) / 2,
        }
    )


def test_a_place_beyond_all_floats_is_wrong_without_a_warning():
    metrics = scored("place", ["x", "y"], [[1.7e308, -1.7e308], [5, 5]], [[5, 5]] * 2)
    assert (metrics["pck_5"], metrics["epe"]) == (0.5, INF)


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
    """How image matching benchmarks draw the curve, as `measure_pose` says."""
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
    assert scored("pose", POSE, predicted, true) == pytest.approx(
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
    metrics = scored("pose", POSE, same, true)
    assert metrics["rotation_error_deg_mean"] == pytest.approx(0, abs=1e-9)
    assert metrics["auc_5"] == pytest.approx(1)


def test_a_backward_direction_is_all_wrong():
    metrics = scored("pose", POSE, [pose(towards=(0, 0, -1))], [pose()])
    assert (metrics["direction_error_deg_mean"], metrics["auc_30"]) == (180, 0)


@pytest.mark.parametrize(
    "answer", [pose(towards=(0, 0, 0)), pose(turn=(INF, 0, 0)), pose(INF)], ids=str
)
def test_a_pose_without_a_direction_or_with_infinities_is_a_failure(answer):
    assert scored("pose", POSE, [answer], [pose()]) == scored("pose", POSE, [UNREAD], [pose()])


def test_a_pose_of_no_distance_fails_in_the_distance_only():
    metrics = scored("pose", POSE, [pose(0.0)], [pose()])
    assert (metrics["auc_30"], metrics["distance_delta1"]) == (1, 0)
    assert "distance_abs_rel" not in metrics


# What holds for all of them

VALUES = {
    "ratio": (["value"], st.tuples(st.floats(1e-3, 1e3))),
    "choice": (["value"], st.tuples(st.sampled_from([1.0, 2.0]))),
    "place": (["x", "y"], st.tuples(*[st.integers(0, 1999).map(float)] * 2)),
    "pose": (
        POSE,
        st.tuples(
            st.floats(0.01, 100),
            *[st.floats(-1, 1)] * 2,
            st.floats(0.1, 1),
            *[st.floats(-180, 180)] * 3,
        ),
    ),
}
ERROR = ("_rel", "rmse", "mae", "log", "epe", "_deg_")


def is_share(name):
    return name not in ("n", "constant_m") and not any(part in name for part in ERROR)


@pytest.mark.parametrize("kind", SCORERS)
@given(data=st.data())
def test_shares_are_shares_and_order_says_nothing(kind, data):
    names, values = VALUES[kind]
    wild = st.tuples(*[st.floats(allow_nan=False)] * len(names))
    unread = st.just((NAN,) * len(names))
    pairs = data.draw(st.lists(st.tuples(values | wild | unread, values), min_size=1, max_size=8))
    metrics = scored(kind, names, *zip(*pairs, strict=True))
    assert {SCORERS[kind].main, "n", "parse_failure_rate"} <= metrics.keys()
    assert metrics["n"] == len(pairs)
    for name, value in metrics.items():
        assert type(value) in (float, int)
        assert value >= 0
        assert not is_share(name) or value <= 1, name
    mixed = data.draw(st.permutations(pairs))
    again = scored(kind, names, *zip(*mixed, strict=True))
    assert again == pytest.approx(metrics, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", SCORERS)
@given(data=st.data())
def test_the_truth_is_perfect_and_silence_is_wrong(kind, data):
    names, values = VALUES[kind]
    true = data.draw(st.lists(values, min_size=1, max_size=8))
    scorer = SCORERS[kind]
    perfect = scored(kind, names, true, true)
    assert perfect[scorer.main] == pytest.approx(1)
    assert set(scorer.also) <= perfect.keys()
    silent = scored(kind, names, [(NAN,) * len(names)] * len(true), true)
    assert (silent[scorer.main], silent["parse_failure_rate"]) == (0, 1)
    assert not [name for name in silent if any(part in name for part in ERROR)]
    if scorer.constant is not None:
        assert silent[scorer.constant] == perfect[scorer.constant] > 0


def test_ratio_is_metrics_score():
    assert scored("ratio", ["value"], [[1.0], [NAN]], [[2.0], [3.0]]) == score(
        [1.0, NAN], [2.0, 3.0]
    )
