"""Range images of the lidars of the Waymo Open Dataset: cells to points."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import GeometryError, RecordError
from ....geometry.arrays import Floats
from ....geometry.rigid import moved
from .rows import Row, rows_of_frame, rows_of_segment

_TOP = 1  # the laser on the roof: its image is of a vehicle that moves, the others' of one moment


# The cameras of a frame are asked for one after the other.
@lru_cache(maxsize=2)
def cloud(
    split: Path, segment: str, frame: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Return the points of a frame that some camera sees, in the world.

    Args:
        split: Folder of the split.
        segment: Name of the segment.
        frame: The frame's timestamp, microseconds.

    Returns:
        Points (N, 3), metres; the two cameras (N, 2) that see each, 0 for none; its pixels
        (N, 2, 2) in these as (x, y).

    Raises:
        RecordError: `missing lidar`, `bad range image`, or one for a file that cannot be read.
    """
    where = f"waymo {segment}/{frame}"
    poses = rows_of_segment(split, "vehicle_pose", segment, where)
    calibrations = rows_of_segment(split, "lidar_calibration", segment, where)
    lidar, projection, top = (
        rows_of_frame(split, name, segment, frame, where)
        for name in ("lidar", "lidar_camera_projection", "lidar_pose")
    )
    if frame not in poses or any(
        _TOP not in rows for rows in (lidar, projection, top, calibrations)
    ):
        raise RecordError(
            "missing lidar",
            where,
            "its vehicle_pose, or the TOP laser's lidar, lidar_camera_projection, lidar_pose or"
            " lidar_calibration, has no row; is the download complete?",
        )
    clouds = []
    for laser in sorted(lidar.keys() & projection.keys() & calibrations.keys()):
        if lidar[laser]["range_image_return1.values"] is None and laser != _TOP:
            continue
        ranges = _image(lidar[laser], 4, where)
        cameras = _image(projection[laser], 6, where)
        if ranges.shape[:2] != cameras.shape[:2]:
            raise _bad_image(where, f"laser {laser}: {ranges.shape} and {cameras.shape} cells")
        rows, columns = np.nonzero((ranges[..., 0] > 0) & (cameras[..., 0] > 0))
        calibration = calibrations[laser]
        points_m = cell_points(
            ranges[rows, columns, 0].astype(np.float64),
            rows,
            columns,
            row_inclinations(
                calibration["beam_inclination.values"],
                calibration["beam_inclination.min"],
                calibration["beam_inclination.max"],
                ranges.shape[0],
            ),
            ranges.shape[1],
            calibration["extrinsic.transform"].reshape(4, 4),
        )
        if laser == _TOP:
            turning = _image(top[laser], 6, where)
            if turning.shape[:2] != ranges.shape[:2]:
                raise _bad_image(where, f"lidar_pose has {turning.shape}, lidar {ranges.shape}")
            points_m = moved_each(turning[rows, columns].astype(np.float64), points_m)
        else:
            points_m = moved(poses[frame]["world_from_vehicle.transform"].reshape(4, 4), points_m)
        clouds.append((points_m, np.floor(cameras[rows, columns]).astype(np.int64)))
    seen = np.concatenate([cells for _, cells in clouds]).reshape(-1, 2, 3)
    return np.concatenate([points_m for points_m, _ in clouds]), seen[..., 0], seen[..., 1:]


def _image(row: Row, channels: int, where: str) -> NDArray[np.float32]:
    """Return the cells (H, W, channels) of the first return."""
    values, shape = row["range_image_return1.values"], row["range_image_return1.shape"]
    content = "none" if values is None else f"{values.size} values of {shape.tolist()} cells"
    if values is None or shape.tolist()[2:] != [channels] or values.size != shape.prod():
        raise _bad_image(where, f"expected a range image of {channels} channels, found {content}")
    cells: NDArray[np.float32] = values.reshape(shape)
    return cells


def _bad_image(where: str, found: str) -> RecordError:
    return RecordError("bad range image", where, f"{found}; fetch the files of the segment again")


def row_inclinations(
    values: NDArray[np.floating] | None, low: float, high: float, height: int
) -> Floats:
    """Return the angles above the horizon (height,), radians, of a range image's rows.

    Beams are listed from the lowest to the highest, and row 0 is the highest.

    Args:
        values: The angles of all beams (height,), radians; None: they are evenly spaced.
        low: Where the lowest beam's share of the span begins, radians.
        high: Where the highest one's ends, radians.
        height: How many rows the image has.

    Raises:
        GeometryError: For another number of beams than rows.
    """
    if values is None:
        beams: Floats = low + (high - low) * (np.arange(height) + 0.5) / height
    else:
        beams = np.asarray(values, dtype=np.float64)
    if beams.shape != (height,):
        raise GeometryError(
            f"the lidar's calibration has {beams.size} beams, its range image {height} rows; are"
            " both of the same segment?"
        )
    return beams[::-1]


def cell_points(
    ranges_m: Floats,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    inclinations: Floats,
    width: int,
    mount: Floats,
) -> Floats:
    """Return the points (N, 3) that cells of a range image measured, metres, vehicle frame.

    Column 0 looks backwards in the vehicle's frame, and columns go clockwise.

    Args:
        ranges_m: The cells' ranges (N,), metres.
        rows: Their rows (N,), from the top.
        columns: Their columns (N,).
        inclinations: The angles above the horizon of all rows of the image, radians.
        width: How many columns the image has.
        mount: The lidar's pose on the vehicle (4, 4).
    """
    turn = (2 * (width - columns - 0.5) / width - 1) * np.pi
    azimuth = turn - np.arctan2(mount[1, 0], mount[0, 0])
    inclination = inclinations[rows]
    rays = np.stack(
        [
            np.cos(azimuth) * np.cos(inclination),
            np.sin(azimuth) * np.cos(inclination),
            np.sin(inclination),
        ],
        axis=1,
    )
    return moved(mount, ranges_m[:, None] * rays)


def moved_each(poses: Floats, points_m: Floats) -> Floats:
    """Return points (N, 3), metres, each taken by its own pose to the other frame.

    Args:
        poses: Roll, pitch, yaw in radians and a translation in metres, (N, 6): the rotation is that
            about z by the yaw, times that about y by the pitch, times that about x by the roll.
        points_m: The points (N, 3).
    """
    # Written out: scipy's Rotation takes six times as long for the 200 000 points of a sweep.
    roll, pitch, yaw = poses[:, :3].T
    x, y, z = points_m.T
    y, z = np.cos(roll) * y - np.sin(roll) * z, np.sin(roll) * y + np.cos(roll) * z
    x, z = np.cos(pitch) * x + np.sin(pitch) * z, np.cos(pitch) * z - np.sin(pitch) * x
    x, y = np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y
    result: Floats = np.stack([x, y, z], axis=1) + poses[:, 3:]
    return result
