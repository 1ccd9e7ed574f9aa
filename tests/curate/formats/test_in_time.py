"""Times of two lists: who belongs to whom."""

from depthlm_plugin.curate.formats.in_time import associated


def test_each_is_used_once_and_the_nearest():
    times, others = [0.000, 0.033, 0.066, 0.500], [0.018, 0.031, 0.081, 0.481, 0.530]
    assert associated(times, others, 0.02) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert associated([0.000, 0.010], [0.006], 0.02) == [(1, 0)]
    assert associated([0.0], [0.021], 0.02) == []
