"""Rotations as three angles, and the angles between rotations and between directions.

The angles are those of Ry(yaw) Rx(pitch) Rz(roll) in camera axes (x right, y down, z forward), in
degrees: yaw turns to the right, pitch upwards, roll clockwise. scipy calls this order `YXZ`. It
takes most of a second to import, so that is done where it is called.
"""

from __future__ import annotations

import numpy as np

from .arrays import Floats

_ORDER = "YXZ"


def angles_of(rotation: Floats) -> tuple[float, float, float]:
    """Return the (yaw, pitch, roll) in degrees of a rotation (3, 3); see `rotation_of`.

    Roll is taken as zero at a pitch of +-90 degrees.
    """
    # Not scipy's as_euler: it first looks for the nearest rotation, which moves the angles of a
    # pose that was written with nine decimals by up to 1e-5 degrees.
    pitch = np.arcsin(np.clip(-rotation[1, 2], -1, 1))
    if abs(rotation[1, 2]) < 1 - 1e-12:
        yaw = np.arctan2(rotation[0, 2], rotation[2, 2])
        roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    else:
        yaw, roll = np.arctan2(-rotation[2, 0], rotation[0, 0]), 0.0
    degrees = np.rad2deg([yaw, pitch, roll])
    return float(degrees[0]), float(degrees[1]), float(degrees[2])


def rotation_of(yaw_deg: Floats, pitch_deg: Floats, roll_deg: Floats) -> Floats:
    """Return the rotations (N, 3, 3) of angles (N,) in degrees: the inverse of `angles_of`."""
    from scipy.spatial.transform import Rotation

    angles_deg = np.stack([yaw_deg, pitch_deg, roll_deg], axis=-1)
    result: Floats = Rotation.from_euler(_ORDER, angles_deg, degrees=True).as_matrix()
    return result


def turn_deg(rotations: Floats, others: Floats) -> Floats:
    """Return the angles (N,) of the single turns between rotations (N, 3, 3), 0 to 180 degrees."""
    from scipy.spatial.transform import Rotation

    turns = Rotation.from_matrix(others).inv() * Rotation.from_matrix(rotations)
    result: Floats = np.rad2deg(turns.magnitude())
    return result


def angle_deg(vectors: Floats, others: Floats) -> Floats:
    """Return the angles (N,) between vectors (N, 3) of any length but zero, 0 to 180 degrees."""
    directions, references = (
        vector / np.abs(vector).max(axis=1, keepdims=True) for vector in (vectors, others)
    )
    # Unlike the arc cosine, the arc tangent is exact for small angles.
    sine = np.linalg.norm(np.cross(directions, references), axis=1)
    result: Floats = np.rad2deg(np.arctan2(sine, (directions * references).sum(axis=1)))
    return result
