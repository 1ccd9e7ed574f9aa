import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.answers import score, scored

from depthlm_plugin.kinds.ratio import RATIO, best_constant

NAN = math.nan


def test_hand_computed():
    # ratios 1.2, 1.5, 1.9, 4 and one failure
    metrics = score([1.2, 3.0, 1.0, 8.0, NAN], [1.0, 2.0, 1.9, 2.0, 5.0])
    expected = {
        "delta1": 1 / 5,
        "delta2": 2 / 5,
        "delta3": 3 / 5,
        "abs_rel": (0.2 + 0.5 + 0.9 / 1.9 + 3.0) / 4,
        "sq_rel": (0.04 + 1 / 2 + 0.81 / 1.9 + 36 / 2) / 4,
        "mae": (0.2 + 1 + 0.9 + 6) / 4,
        "rmse": math.sqrt((0.04 + 1 + 0.81 + 36) / 4),
        "rmse_log": math.sqrt(sum(math.log(r) ** 2 for r in (1.2, 1.5, 1.9, 4)) / 4),
        "log10": math.log10(1.2 * 1.5 * 1.9 * 4) / 4,
        "silog": 100 * statistics.pstdev([math.log(r) for r in (1.2, 1.5, 1 / 1.9, 4)]),
        "parse_failure_rate": 1 / 5,
        "n": 5,
        "constant_delta1": 3 / 5,  # 1.9 and twice 2.0
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics.keys() - expected.keys() == {"constant_m"}
    assert 1.6 < metrics["constant_m"] < 2.375


@pytest.mark.parametrize(
    ("prediction", "right"),
    [(5.0, False), (np.nextafter(5, 0), True), (3.2, False), (np.nextafter(3.2, 4), True)],
    ids=["1.25 x", "just below", "1 / 1.25", "just above"],
)
def test_delta1_is_strict(prediction, right):
    assert score([prediction], [4.0])["delta1"] == float(right)


def test_silog_does_not_see_a_scale():
    metrics = score([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert metrics["silog"] == pytest.approx(0, abs=1e-6)
    assert metrics["rmse_log"] == pytest.approx(math.log(2))


def test_failures_stay_in_the_denominator():
    metrics = score([2.0, NAN, NAN, NAN], [2.0, 1.0, 1.0, 1.0])
    assert (metrics["delta1"], metrics["parse_failure_rate"]) == (0.25, 0.75)
    assert metrics["abs_rel"] == 0


def test_nothing_but_failures_is_wrong_and_has_no_error():
    metrics = score([NAN, NAN], [1.0, 2.0])
    assert (metrics["delta1"], metrics["delta3"], metrics["parse_failure_rate"]) == (0, 0, 1)
    assert not {"abs_rel", "rmse", "silog"} & metrics.keys()


@pytest.mark.parametrize("value", [0.0, -0.0, -2.0, math.inf, -math.inf])
def test_what_is_no_positive_finite_number_is_a_failure(value):
    assert score([value, 2.2, 8.0], [2.0, 2.0, 2.0]) == score([NAN, 2.2, 8.0], [2.0, 2.0, 2.0])


@pytest.mark.parametrize("value", [5e-324, 1e-200, 1e200, 1.7e308])
def test_ratios_beyond_all_floats_are_wrong_without_a_warning(value):
    metrics = score([value, 2.0], [2.0, 2.0])
    assert (metrics["delta1"], metrics["delta3"], metrics["parse_failure_rate"]) == (0.5, 0.5, 0)


def share_right(constant, targets):
    return sum(max(constant / t, t / constant) < 1.25 for t in targets) / len(targets)


@given(st.lists(st.floats(0.05, 50), min_size=1, max_size=25))
def test_best_constant_is_as_good_as_brute_force(targets):
    # Pairs a whole window apart are decided by the last bit; the test below is about those.
    for one, other in itertools.combinations(targets, 2):
        assume(abs(max(one / other, other / one) - 1.25**2) > 1e-9)
    constant, delta1 = best_constant(targets)
    middles = (math.sqrt(one * other) for one in targets for other in targets)
    assert delta1 == max(share_right(middle, targets) for middle in middles)
    assert delta1 == share_right(constant, targets)


@pytest.mark.parametrize(
    ("targets", "delta1"),
    [
        ([1.0, 1.5625], 0.5),
        ([1.0, 1.5625 * (1 - 1e-9)], 1.0),
        ([2.0, 2.0, 3.125, 3.125, 3.125], 0.6),
        ([0.01], 1.0),
    ],
    ids=["a window apart", "just closer", "the larger group", "one"],
)
def test_best_constant_is_strict_at_the_edges(targets, delta1):
    constant, found = best_constant(targets)
    assert found == delta1 == share_right(constant, targets)


def test_unequal_or_empty_lists_are_refused():
    for predictions, targets in (([1.0], [1.0, 2.0]), ([], [])):
        with pytest.raises(ValueError, match="expected two equal lists"):
            score(predictions, targets)


@pytest.mark.parametrize("target", [0.0, -1.0, NAN, math.inf])
def test_targets_without_a_ratio_are_refused(target):
    with pytest.raises(ValueError, match="targets must be positive and finite, found"):
        score([1.0, 1.0], [1.0, target])


def test_answers_that_are_added_up_have_the_metrics_of_all_at_once():
    assert scored(RATIO, ["value"], [[1.0], [NAN]], [[2.0], [3.0]]) == score([1.0, NAN], [2.0, 3.0])
