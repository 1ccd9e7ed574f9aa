import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.sampling.mixture import Mixture, Permutation
from depthlm_plugin.seeds import seed_of


@given(st.integers(1, 700), st.integers(0, 2**64 - 1))
def test_a_permutation_visits_everything_once(length, seed):
    order = Permutation(length, seed)
    assert sorted(order[i] for i in range(length)) == list(range(length))


def test_permutations_look_random_and_differ_by_seed():
    length = 4096
    orders = [[Permutation(length, seed_of(s))[i] for i in range(length)] for s in range(3)]
    for order in orders:
        # Spearman's rank correlation of position and value, and of neighbours.
        mean, var = (length - 1) / 2, (length**2 - 1) / 12
        for a, b in ((range(length), order), (order[:-1], order[1:])):
            r = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True)) / length / var
            assert abs(r) < 5 / math.sqrt(length)
    assert sum(a == b for a, b in zip(*orders[:2], strict=True)) < 12  # one expected


def test_positions_outside_are_refused():
    for position in (-1, 5):
        with pytest.raises(IndexError, match=rf"position {position} .* of 5"):
            Permutation(5, 0)[position]


weights = st.lists(st.floats(0.001, 10), min_size=1, max_size=6)


@given(weights, st.integers(0, 2**64 - 1), st.integers(0, 10**12))
def test_ranks_count_the_draws_before(values, seed, beginning):
    mixture = Mixture(values, seed)
    expected = {}
    for position in range(beginning, beginning + 60):
        part, rank = mixture[position]
        assert rank == expected.setdefault(part, rank)
        expected[part] += 1
    # From the start, ranks are a plain count.
    counts = [0] * len(values)
    for position in range(60):
        part, rank = mixture[position]
        assert rank == counts[part]
        counts[part] += 1


@given(weights, st.integers(0, 2**64 - 1))
def test_shares_hold_within_sampling_error_from_the_first_draws_on(values, seed):
    mixture = Mixture(values, seed)
    for count in (100, 1000, 10_000):
        # The next draw of every part has as its rank the draws so far.
        found = [0] * len(values)
        position = count
        missing = set(range(len(values)))
        while missing and position < 40 * count:
            part, rank = mixture[position]
            if part in missing:
                found[part] = rank
                missing.discard(part)
            position += 1
        for part in set(range(len(values))) - missing:
            share = values[part] / sum(values)
            error = math.sqrt(count * share * (1 - share))  # of independent draws
            assert abs(found[part] - count * share) <= max(3.0, error)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=5), st.integers(0, 2**64 - 1))
def test_whole_weights_are_exact_in_every_round(sizes, seed):
    mixture = Mixture(sizes, seed)
    for round_ in range(2):
        parts = [mixture[round_ * sum(sizes) + i][0] for i in range(sum(sizes))]
        assert [parts.count(i) for i in range(len(sizes))] == sizes


@pytest.mark.parametrize("bad", [[], [1, 0], [1, -2], [math.nan], [math.inf, 1]], ids=str)
def test_bad_weights_are_refused(bad):
    with pytest.raises(ConfigError, match=r"positive numbers|at least one"):
        Mixture(bad)
