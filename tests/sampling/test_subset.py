"""The part of an evaluation's questions that is asked while training."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.sampling.subset import fair_subset


def kinds_of(sizes):
    """Return the kinds of questions of datasets: sizes by dataset, by task, records in a row."""
    return [
        (dataset, task)
        for dataset, tasks in sizes.items()
        for task, size in tasks.items()
        for _ in range(size)
    ]


@pytest.mark.parametrize(
    ("sizes", "total", "shares"),
    [
        ({"a": {"depth": 9}}, 4, {("a", "depth"): 4}),
        ({"a": {"depth": 9}, "b": {"depth": 9}}, 5, {("a", "depth"): 2, ("b", "depth"): 3}),
        ({"a": {"depth": 90}, "b": {"depth": 1}}, 5, {("a", "depth"): 4, ("b", "depth"): 1}),
        ({"a": {"depth": 2}, "b": {"depth": 1}}, 9, {("a", "depth"): 2, ("b", "depth"): 1}),
        (
            {"a": {"depth": 9, "time": 9, "speed": 1}, "b": {"depth": 9}},
            14,
            {("a", "depth"): 3, ("a", "time"): 3, ("a", "speed"): 1, ("b", "depth"): 7},
        ),
    ],
    ids=["one", "two", "small", "all", "tasks"],
)
def test_shares_are_as_equal_as_they_can_be(sizes, total, shares):
    kinds = kinds_of(sizes)
    assert Counter(kinds[index] for index in fair_subset(kinds, total, seed=0)) == shares


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=80),
    st.integers(1, 100),
    st.integers(0, 5),
)
def test_any_subset_is_of_distinct_questions_in_order(kinds, total, seed):
    chosen = fair_subset(kinds, total, seed)
    assert chosen == sorted(set(chosen)) == fair_subset(kinds, total, seed)
    assert len(chosen) == min(total, len(kinds))
    assert 0 <= chosen[0] <= chosen[-1] < len(kinds)


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 9))
def test_a_share_is_spread_over_the_records(size, total, seed):
    chosen = fair_subset([("a", "depth")] * size, total, seed)
    step = max(1, size / total)
    edges = [-1, *chosen, size]
    assert max(b - a for a, b in pairwise(edges)) <= step + 1


def test_tasks_are_not_all_asked_of_the_same_records():
    kinds = [("a", task) for _ in range(100) for task in ("depth", "speed", "time")]
    chosen = fair_subset(kinds, 15, seed=0)
    assert len({index // 3 for index in chosen}) > 10
    assert chosen != fair_subset(kinds, 15, seed=1)
