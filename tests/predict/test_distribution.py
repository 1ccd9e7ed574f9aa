"""What is said of a distribution, against counting over numbers that are drawn from it."""

from __future__ import annotations

import numpy as np
import pytest

from depthlm_plugin.predict.distribution import Distribution


def test_one_number_is_certain() -> None:
    found = Distribution.of([("2.35", 0.8, True)])
    assert found is not None
    assert found.median == pytest.approx(2.35)
    assert found.mean == pytest.approx(2.35)
    assert found.mode == 2.35
    assert found.delta1_optimal == pytest.approx(2.35)
    assert found.interval_90 == pytest.approx((2.3455, 2.3545))
    assert found.mass == pytest.approx(0.8)


def test_shares_without_a_number_are_no_distribution() -> None:
    assert Distribution.of([]) is None
    assert Distribution.of([("", 0.4, False), ("2.35", 0.0, True)]) is None


SHARES = [
    ("2.35", 0.25, True),
    ("2.36", 0.05, True),
    ("2.4", 0.1, False),
    ("3.", 0.2, False),
    ("1", 0.1, False),
    ("12.", 0.05, False),
    ("0.043", 0.01, True),
]


def test_it_is_what_counting_says() -> None:
    found = Distribution.of(SHARES)
    assert found is not None
    rng = np.random.default_rng(0)
    ranges = [
        (2.345, 2.355), (2.355, 2.365), (2.395, 2.495), (2.995, 3.995), (0.995, 1.995),
        (11.995, 12.995), (0.0425, 0.0435),
    ]  # fmt: skip
    weights = np.array([share[1] for share in SHARES])
    chosen = rng.choice(len(ranges), 400_000, p=weights / weights.sum())
    low, high = np.array(ranges).T
    drawn = rng.uniform(low[chosen], high[chosen])
    assert found.mass == pytest.approx(weights.sum())
    assert found.mean == pytest.approx(drawn.mean(), rel=0.01)
    assert found.median == pytest.approx(np.median(drawn), abs=0.005)
    assert found.interval_90 == pytest.approx(tuple(np.quantile(drawn, [0.05, 0.95])), rel=0.02)
    assert found.mode == 2.35

    def delta1(answer: float) -> float:
        return float((np.maximum(drawn / answer, answer / drawn) < 1.25).mean())

    best = max(delta1(answer) for answer in np.arange(1, 4, 0.01))
    assert delta1(found.delta1_optimal) == pytest.approx(best, abs=0.003)
    assert best > delta1(found.mean) + 0.05


def test_an_interval_ends_where_the_numbers_do() -> None:
    found = Distribution.of([("1.00", 0.96, True), ("50.00", 0.04, True)])
    assert found is not None
    assert found.interval_90[1] < 1.01
    assert found.median == pytest.approx(1.0, abs=0.005)
    assert found.mean == pytest.approx(0.96 + 2)
