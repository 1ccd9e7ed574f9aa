import math

import pytest
from support.answers import scored

from depthlm_plugin.kinds.choice import CHOICE


def test_choice():
    metrics = scored(CHOICE, ["value"], [[1], [2], [2], [math.nan], [3]], [[1], [1], [2], [2], [2]])
    assert metrics == {
        "n": 5,
        "parse_failure_rate": pytest.approx(1 / 5),
        "accuracy": 2 / 5,
        "constant_accuracy": 3 / 5,
    }
