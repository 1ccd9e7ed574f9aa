"""Rigid motions as 4x4 matrices that take points from one frame to another."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ..errors import GeometryError
from .arrays import Floats

_UNIT = 1e-2  # by which the norm of a stored unit quaternion may differ from 1


def motion(quaternion_wxyz: ArrayLike, translation_m: ArrayLike) -> Floats:
    """Return the matrix (4, 4) of a rotation by a unit quaternion, then a translation.

    Args:
        quaternion_wxyz: The rotation (4,), real part first.
        translation_m: The translation (3,), metres.

    Raises:
        GeometryError: For a quaternion that is not of unit length, or other shapes.
    """
    quaternion = np.asarray(quaternion_wxyz, dtype=np.float64)
    translation = np.asarray(translation_m, dtype=np.float64)
    if quaternion.shape != (4,) or translation.shape != (3,):
        raise GeometryError(
            f"expected a quaternion of 4 and a translation of 3 numbers, found {quaternion.shape}"
            f" and {translation.shape}"
        )
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1) < _UNIT:
        raise GeometryError(f"expected a unit quaternion, found {quaternion.tolist()}")
    # Imported here: it takes most of a second, and most commands need none of it.
    from scipy.spatial.transform import Rotation

    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat(quaternion[[1, 2, 3, 0]]).as_matrix()
    result[:3, 3] = translation
    return result


def inverse(pose: Floats) -> Floats:
    """Return the rigid motion (4, 4) that takes points back."""
    turn = pose[:3, :3]
    result = np.eye(4)
    result[:3, :3] = turn.T
    result[:3, 3] = -turn.T @ pose[:3, 3]
    return result


def moved(pose: Floats, points_m: ArrayLike) -> Floats:
    """Return points (N, 3), metres, taken by a rigid motion (4, 4) to its other frame."""
    points: Floats = np.asarray(points_m, dtype=np.float64)
    return points @ pose[:3, :3].T + pose[:3, 3]


def check_pose(pose: Floats) -> None:
    """Refuse a matrix that is no pose: a rotation and a translation (4, 4), camera to world.

    Raises:
        GeometryError: For another shape, a number that is not finite, a 3x3 part that is no
            rotation to 1e-2 or another last row.
    """
    if np.shape(pose) != (4, 4) or not np.isfinite(pose).all():
        raise GeometryError(
            f"a pose is a finite 4x4 camera-to-world matrix, found {np.shape(pose)}"
        )
    turn = pose[:3, :3]
    # Single-precision poses of real datasets are rotations to 1e-4 or so; a transposed or mirrored
    # one is off by far more.
    if np.abs(turn @ turn.T - np.eye(3)).max() > 1e-2 or not math.isclose(
        float(np.linalg.det(turn)), 1, abs_tol=1e-2
    ):
        raise GeometryError(
            "the 3x3 part of a pose must be a rotation (orthonormal, determinant 1), found"
            f" {np.round(turn, 4).tolist()}"
        )
    if np.abs(pose[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise GeometryError(f"the last row of a pose is [0, 0, 0, 1], found {pose[3].tolist()}")


FLIP_YZ: Floats = np.diag([1.0, -1.0, -1.0, 1.0])
"""Between OpenCV's camera axes (y down, z forward) and OpenGL's or Blender's (y up, z backward).

A camera-to-world matrix in one is, times this from the right, that in the other.
"""
