"""Objects are of the size that their class says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from depthlm_plugin.scenes import objects
from depthlm_plugin.scenes.objects import Spot

SIZES_M = [  # wide, high, deep
    (objects.door, (0.9, 2.04, None)),
    (objects.person, (None, 1.75, None)),
    (objects.traffic_cone, (0.28, 0.5, 0.28)),
    (objects.car, (1.8, 1.5, 4.4)),
    (objects.pallet, (0.8, 0.144, 1.2)),
    (objects.drum, (0.58, 0.88, 0.58)),
    (objects.paper_box, (0.4, 0.3, 0.3)),
    (objects.table, (1.4, 0.74, 0.8)),
]


@pytest.mark.parametrize(
    ("make", "size_m"), SIZES_M, ids=lambda value: getattr(value, "__name__", "")
)
def test_sizes(make: Callable[..., list], size_m: tuple[float | None, ...]) -> None:
    for seed in range(5):
        solids = make(Spot(2.0, 3.0), np.random.default_rng(seed))
        corners = np.concatenate([solid.shape.corners_m() for solid in solids], axis=1)
        assert abs(corners[1].max()) < 1e-9  # it stands on the ground
        for side, expected in zip(np.ptp(corners, axis=1), size_m, strict=True):
            assert expected is None or abs(side - expected) < 0.021
