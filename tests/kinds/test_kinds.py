"""What holds for answers of every kind."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import scored

from depthlm_plugin.kinds.choice import CHOICE
from depthlm_plugin.kinds.place import PLACE
from depthlm_plugin.kinds.pose import POSE
from depthlm_plugin.kinds.ratio import RATIO
from depthlm_plugin.tasks import TASKS

NAN = math.nan
POSE_NAMES = TASKS["relative_pose"].values

KINDS = dict(zip(("ratio", "choice", "place", "pose"), (RATIO, CHOICE, PLACE, POSE), strict=True))
VALUES = {
    "ratio": (["value"], st.tuples(st.floats(1e-3, 1e3))),
    "choice": (["value"], st.tuples(st.sampled_from([1.0, 2.0]))),
    "place": (["x", "y"], st.tuples(*[st.integers(0, 1999).map(float)] * 2)),
    "pose": (
        POSE_NAMES,
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


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_shares_are_shares_and_order_says_nothing(kind, data):
    names, values = VALUES[kind]
    wild = st.tuples(*[st.floats(allow_nan=False)] * len(names))
    unread = st.just((NAN,) * len(names))
    pairs = data.draw(st.lists(st.tuples(values | wild | unread, values), min_size=1, max_size=8))
    metrics = scored(KINDS[kind], names, *zip(*pairs, strict=True))
    assert {KINDS[kind].main, "n", "parse_failure_rate"} <= metrics.keys()
    assert metrics["n"] == len(pairs)
    for name, value in metrics.items():
        assert type(value) in (float, int)
        assert value >= 0
        assert not is_share(name) or value <= 1, name
    mixed = data.draw(st.permutations(pairs))
    again = scored(KINDS[kind], names, *zip(*mixed, strict=True))
    assert again == pytest.approx(metrics, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_the_truth_is_perfect_and_silence_is_wrong(kind, data):
    names, values = VALUES[kind]
    true = data.draw(st.lists(values, min_size=1, max_size=8))
    of_kind = KINDS[kind]
    perfect = scored(KINDS[kind], names, true, true)
    assert perfect[of_kind.main] == pytest.approx(1)
    assert set(of_kind.also) <= perfect.keys()
    silent = scored(KINDS[kind], names, [(NAN,) * len(names)] * len(true), true)
    assert (silent[of_kind.main], silent["parse_failure_rate"]) == (0, 1)
    assert not [name for name in silent if any(part in name for part in ERROR)]
    if of_kind.constant is not None:
        assert silent[of_kind.constant] == perfect[of_kind.constant] > 0


def test_what_holds_is_tried_with_every_kind_of_a_task():
    assert {task.kind for task in TASKS.values()} == set(KINDS.values())


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_is_a_truth_has_a_finite_reward_and_the_truth_the_highest(kind, data):
    names, values = VALUES[kind]
    truth, other = (dict(zip(names, data.draw(values), strict=True)) for _ in range(2))
    for reward in KINDS[kind].rewards.values():
        lowest, found, highest = reward(None, truth), reward(other, truth), reward(truth, truth)
        assert -math.inf < lowest <= found <= highest < math.inf
        assert highest > lowest


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_what_tasks_ask_for_is_valid_and_what_is_not_finite_is_not(kind, data):
    names, values = VALUES[kind]
    truth = dict(zip(names, data.draw(values), strict=True))
    assert KINDS[kind].problem(truth) is None
    for bad in (NAN, math.inf, -math.inf):
        assert KINDS[kind].problem(truth | {names[-1]: bad}) == "not finite"


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("ratio", {"value": 0.0}, "not positive"),
        ("ratio", {"value": -1.0}, "not positive"),
        ("choice", {"value": 3.0}, "not a choice"),
        ("choice", {"value": 1.5}, "not a choice"),
        ("place", {"x": -1.0}, "outside the picture"),
        ("place", {"y": 2000.5}, "outside the picture"),
        ("pose", {"distance": 0.0}, "not positive"),
        ("pose", {"x": 0.0, "y": 0.0, "z": 0.0}, "no direction"),
    ],
)
def test_what_no_answer_can_be(kind, change, reason):
    good = dict.fromkeys(VALUES[kind][0], 1.0)
    assert KINDS[kind].problem(good) is None
    assert KINDS[kind].problem(good | change) == reason
    assert reason in KINDS[kind].reasons
