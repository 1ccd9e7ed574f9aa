"""Where and when a camera of a KITTI raw drive took a picture, by the drive's GPS and inertia."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ....errors import RecordError
from ....geometry.arrays import Floats
from ....geometry.rigid import inverse
from ...formats.files import read_numbers, read_text

_EARTH_M = 6378137.0  # its radius
_PACKET = 30  # numbers of a packet
_APART_S = 0.05  # half the time between two pictures: a packet further away is another picture's
_UNEQUAL_M_S = 1.0


def calibrated(path: Path, key: str, count: int, where: str) -> list[float]:
    """Return the numbers of a line `key: ...` of a calibration file.

    Raises:
        RecordError: `missing file`, `bad file`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        words = next(line.split()[1:] for line in lines if line.startswith(f"{key}:"))
        values = [float(word) for word in words]
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} does not exist; it comes with the raw drives"
        ) from error
    except (StopIteration, ValueError):
        values = []
    if len(values) != count:
        raise RecordError(
            "bad file", where, f"{path} has no line {key}: with {count} numbers; fetch it again"
        )
    return values


def picture_time(drive: Path, camera: str, number: int, where: str) -> float | None:
    """Return when a picture was taken, seconds since 1970; None without `timestamps.txt`."""
    return _time(drive / camera / "timestamps.txt", number, where)


def vehicle_motion(
    drive: Path, number: int, taken_s: float | None, where: str
) -> tuple[Floats, float] | None:
    """Return the pose of the inertial unit and its speed, or None where the drive has no packet.

    A packet of another time than the picture's counts as none.

    Args:
        drive: Folder of the drive.
        number: The picture's number in the drive.
        taken_s: When the picture was taken, seconds since 1970; None: unknown.
        where: What to name in errors.

    Returns:
        The matrix (4, 4) from the unit (x forward, y left, z up) to the world (x east, y north, z
        up, from where the drive's first packet was), metres; the speed forwards, metres a second.

    Raises:
        RecordError: `bad file` for a packet that contradicts itself, or is none.
    """
    path = drive / "oxts" / "data" / f"{number:010d}.txt"
    if not path.is_file():
        return None
    packed_s = _time(drive / "oxts" / "timestamps.txt", number, where)
    if taken_s is not None and packed_s is not None and abs(taken_s - packed_s) > _APART_S:
        return None
    packet = _packet(path, where)
    first = first_packet(path.parent)
    assert first is not None  # this one at least
    origin = _packet(first, where)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("xyz", packet[3:6]).as_matrix()  # roll, then pitch, then yaw
    pose[:3, 3] = np.subtract(_place(packet, origin[0]), _place(origin, origin[0]))
    north, east, forwards, leftwards = packet[6:10]
    if abs(math.hypot(north, east) - math.hypot(forwards, leftwards)) > _UNEQUAL_M_S:
        raise RecordError(
            "bad file",
            where,
            f"{path} has the speed {math.hypot(north, east):g} m/s north and east, but"
            f" {math.hypot(forwards, leftwards):g} m/s forwards and to the left; expected the 30"
            " numbers of a KITTI raw packet",
        )
    return pose, forwards


def mounting(date: Path, camera: str, where: str) -> Floats | None:
    """Return the matrix (4, 4) from a rectified camera to the inertial unit, metres.

    None where the day's calibration is not there.

    Raises:
        RecordError: `bad file` for a calibration that lacks a line.
    """
    files = [date / f"calib_{name}.txt" for name in ("imu_to_velo", "velo_to_cam", "cam_to_cam")]
    if not all(file.is_file() for file in files):
        return None
    lidar, unrectified = (_rigid(file, where) for file in files[:2])
    rectify = np.eye(4)
    rectify[:3, :3] = np.reshape(calibrated(files[2], "R_rect_00", 9, where), (3, 3))
    projection = np.reshape(calibrated(files[2], f"P_rect_{camera[-2:]}", 12, where), (3, 4))
    beside = np.eye(4)  # from camera 0: the fourth column is in pixels times metres
    beside[:3, 3] = np.linalg.solve(projection[:, :3], projection[:, 3])
    return inverse(beside @ rectify @ unrectified @ lidar)


def _rigid(path: Path, where: str) -> Floats:
    pose = np.eye(4)
    pose[:3, :3] = np.reshape(calibrated(path, "R", 9, where), (3, 3))
    pose[:3, 3] = calibrated(path, "T", 3, where)
    return pose


def _place(packet: list[float], first_deg: float) -> tuple[float, float, float]:
    """Return east, north and up, metres: Mercator, true to scale at the latitude `first_deg`."""
    latitude, longitude, altitude = packet[:3]
    radius = _EARTH_M * math.cos(math.radians(first_deg))
    north = radius * math.log(math.tan(math.radians(90 + latitude) / 2))
    return radius * math.radians(longitude), north, altitude


def _packet(path: Path, where: str) -> list[float]:
    return read_numbers(path, _PACKET, where, "numbers of a GPS and inertia packet")


@lru_cache(maxsize=64)
def first_packet(folder: Path) -> Path | None:
    """Return the file of a drive's first packet, or None where there is none."""
    return min(folder.glob("*.txt"), default=None)


def _time(path: Path, number: int, where: str) -> float | None:
    if not path.is_file():
        return None
    lines = _lines(path)
    try:
        time_ns = int(np.datetime64(lines[number].strip(), "ns").astype(np.int64))
    except (IndexError, ValueError):
        time_ns = 0
    if time_ns <= 0:  # as an empty line's is
        raise RecordError(
            "bad file", where, f"{path} has no time in line {number + 1}; fetch it again"
        )
    return time_ns / 1e9


@lru_cache(maxsize=64)
def _lines(path: Path) -> list[str]:
    return read_text(path).splitlines()
