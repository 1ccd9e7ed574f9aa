import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from depthlm_plugin.geometry.angles import angle_deg, angles_of, rotation_of, turn_deg

RIGHT, DOWN, FORWARD = np.eye(3)


@pytest.mark.parametrize(
    ("angles", "axis", "becomes"),
    [
        ((90, 0, 0), FORWARD, RIGHT),
        ((90, 0, 0), DOWN, DOWN),
        ((0, 90, 0), FORWARD, -DOWN),
        ((0, 90, 0), RIGHT, RIGHT),
        ((0, 0, 90), RIGHT, DOWN),
        ((0, 0, 90), FORWARD, FORWARD),
        ((90, 90, 0), FORWARD, -DOWN),  # pitch is about the axis that yaw has turned
        ((90, 0, 90), RIGHT, DOWN),
        ((0, 90, 90), RIGHT, FORWARD),
    ],
    ids=[
        "yaw looks right",
        "yaw keeps upright",
        "pitch looks up",
        "pitch keeps the right side",
        "roll turns the right side down",
        "roll keeps looking ahead",
        "right, then up",
        "right, then rolled",
        "up, then rolled",
    ],
)
def test_quarter_turns(angles, axis, becomes):
    [matrix] = rotation_of(*np.array(angles, dtype=float)[:, None])
    assert matrix @ axis == pytest.approx(becomes, abs=1e-15)


ANGLES = st.tuples(*[st.floats(-180, 180)] * 3)


def matrix_of(yaw, pitch, roll):
    """Ry(yaw) Rx(pitch) Rz(roll), degrees, by hand."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.deg2rad([yaw, pitch, roll])) for f in (np.cos, np.sin))
    return (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )


@given(st.lists(ANGLES, min_size=1, max_size=5))
def test_rotations_are_products_of_three_turns(angles):
    expected = np.stack([matrix_of(*three) for three in angles])
    assert rotation_of(*np.array(angles).T) == pytest.approx(expected, abs=1e-12)


@given(ANGLES)
@example((10, 90, 30))
@example((10, -90, 30))
def test_a_rotation_comes_back_from_the_angles_that_are_written(angles):
    [matrix] = rotation_of(*np.array(angles)[:, None])
    [again] = rotation_of(*np.array(angles_of(matrix))[:, None])
    # Near a pitch of 90 degrees the arc sine has half of the digits, and roll is taken as zero.
    assert again == pytest.approx(matrix, abs=1e-5)


@given(ANGLES, ANGLES)
def test_turns_are_those_of_the_matrix_between_two_rotations(angles, others):
    matrix, other = matrix_of(*angles), matrix_of(*others)
    turn = other.T @ matrix
    # Twice the sine times the axis, and twice the cosine.
    sines = [turn[i, j] - turn[j, i] for i, j in ((2, 1), (0, 2), (1, 0))]
    expected = np.rad2deg(np.arctan2(np.linalg.norm(sines), np.trace(turn) - 1))
    [found] = turn_deg(matrix[None], other[None])
    assert found == pytest.approx(expected, abs=1e-9)


def test_no_rotations_have_no_turns():
    assert turn_deg(np.zeros((0, 3, 3)), np.zeros((0, 3, 3))).shape == (0,)


@pytest.mark.parametrize("deg", [0, 1e-10, 1e-6, 1, 90, 179, 180 - 1e-10, 180])
def test_turns_are_exact_from_none_to_half_a_turn(deg):
    some = Rotation.from_euler("YXZ", [20, 30, 40], degrees=True)
    turn = Rotation.from_rotvec(deg * np.array([0.6, 0, 0.8]), degrees=True)
    [found] = turn_deg((some * turn).as_matrix()[None], some.as_matrix()[None])
    assert found == pytest.approx(deg, abs=1e-13, rel=1e-13)


@pytest.mark.parametrize("length", [5e-324, 1e-200, 1, 1e200, 1.7e308])
def test_angles_between_vectors_of_any_length(length):
    vectors = length * np.array([RIGHT, -FORWARD, FORWARD])
    others = np.tile(FORWARD, (3, 1))
    assert angle_deg(vectors, others) == pytest.approx([90, 180, 0])


def test_a_small_angle_between_vectors_is_exact():
    assert angle_deg(np.array([[1e-12, 0, 1]]), FORWARD[None]) == pytest.approx(np.rad2deg(1e-12))
