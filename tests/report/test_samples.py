"""Bounded samples of streams are what they say: fair, the highest, whole."""

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.report.samples import Highest, Pictures, Reservoir


def test_the_highest_are_the_highest_and_the_first_of_equal_ones():
    highest = Highest(3)
    dropped = [highest.add(key, n) for n, key in enumerate([1.5, 9.0, 2.0, 9.0, 1.1, 4.0, 4.0])]
    assert highest.items == [1, 3, 5]
    assert dropped == [None, None, None, 0, 4, 2, 6]


def test_a_sample_of_none_is_empty():
    highest, reservoir = Highest(0), Reservoir(0, random.Random(0))
    assert highest.add(1.0, "a") == "a"
    reservoir.add("a")
    assert highest.items == reservoir.items == []


def test_the_random_sample_is_fair():
    counts = Counter()
    for seed in range(600):
        reservoir = Reservoir(3, random.Random(seed))
        for number in range(12):
            reservoir.add(number)
        assert reservoir.seen == 12
        assert len(set(reservoir.items)) == 3
        counts.update(reservoir.items)
    # 150 of each are expected, with a standard deviation of 10.6.
    assert min(counts[number] for number in range(12)) > 100
    assert max(counts.values()) < 200


@given(st.randoms(use_true_random=False))
def test_sampled_pictures_have_all_their_points_in_any_order(rng):
    points = [(f"{n % 150}.png", (float(n), 0.0, 2.0, None)) for n in range(450)]
    first, second = Pictures(), Pictures()
    for image, point in points:
        first.add(image, point)
    rng.shuffle(points)
    for image, point in points:
        second.add(image, point)
    assert len(first) == Pictures.MOST
    assert not first.all_seen
    chosen, again = first.most_points(100, 1), second.most_points(100, 1)
    assert [len(found) for _, found in chosen] == [3] * Pictures.MOST
    assert chosen == [(image, sorted(found)) for image, found in again]


def test_pictures_have_a_bounded_number_of_points_and_those_with_most_come_first():
    pictures = Pictures()
    for image, count in (("b", 2), ("a", 2), ("many", Pictures.MOST_POINTS + 5), ("one", 1)):
        for n in range(count):
            pictures.add(image, (float(n), 0.0, 1.0, 1.0))
    assert [(image, len(found)) for image, found in pictures.most_points(3, 2)] == [
        ("many", Pictures.MOST_POINTS), ("a", 2), ("b", 2)
    ]  # fmt: skip
    assert pictures.most_points(9, 3)[1:] == []
    assert pictures.all_seen
