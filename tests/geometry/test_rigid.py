import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.errors import GeometryError
from depthlm_plugin.geometry.rigid import check_pose, inverse, motion, moved

X, Y, Z = np.eye(3)
HALF = np.sqrt(0.5)


@pytest.mark.parametrize(
    ("quaternion_wxyz", "taken_to"),
    [
        ((1, 0, 0, 0), (X, Y, Z)),
        ((HALF, HALF, 0, 0), (X, Z, -Y)),
        ((HALF, 0, HALF, 0), (-Z, Y, X)),
        ((HALF, 0, 0, HALF), (Y, -X, Z)),
        ((0, 0, 1.004, 0), (-X, Y, -Z)),  # as datasets round them
        ((-0.5, -0.5, -0.5, -0.5), (Y, Z, X)),
    ],
    ids=["none", "about x", "about y", "about z", "half a turn about y", "about the diagonal"],
)
def test_a_quaternion_has_its_real_part_first(quaternion_wxyz, taken_to):
    pose = motion(quaternion_wxyz, (1, -2, 3))
    np.testing.assert_allclose(moved(pose, np.eye(3)) - (1, -2, 3), taken_to, atol=1e-15)
    np.testing.assert_array_equal(pose[3], (0, 0, 0, 1))


@given(st.lists(st.floats(-9, 9), min_size=4, max_size=4).filter(lambda q: np.dot(q, q) > 0.1))
def test_the_inverse_takes_points_back(numbers):
    pose = motion(np.array(numbers) / np.linalg.norm(numbers), (1, -2, 3))
    check_pose(pose)
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(moved(inverse(pose), moved(pose, points)), points, atol=1e-9)
    np.testing.assert_allclose(pose @ inverse(pose), np.eye(4), atol=1e-12)


@pytest.mark.parametrize("quaternion", [(1, 1, 1, 1), (0, 0, 0, 0), (1, 0, 0), (np.nan, 0, 0, 1)])
def test_what_is_no_rotation_is_refused(quaternion):
    with pytest.raises(GeometryError, match="quaternion"):
        motion(quaternion, (0, 0, 0))
