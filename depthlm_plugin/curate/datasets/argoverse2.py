"""Argoverse 2, the Sensor dataset: street scenes with two lidars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import inverse, motion
from ..formats.lidar import Lidar, off_vehicle, seen_points
from ..frames import Frame, Item
from ..reading import Official, Reader, chosen, missing

_GROUPS = {
    "ring": (
        "ring_front_center",
        "ring_front_left",
        "ring_front_right",
        "ring_rear_left",
        "ring_rear_right",
        "ring_side_left",
        "ring_side_right",
    ),
    "stereo": ("stereo_front_left", "stereo_front_right"),
}
_PARTS = ("sensors", "calibration")  # of a log's folder
_NEAR_NS = 51_000_000  # half a turn of the lidars, and a bit
# Elevations of the VLP-32C, from its manual.
VLP_32C_DEG = (
    *(-25.0, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4.0, -3.667, -3.333),
    *(-3.0, -2.667, -2.333, -2.0, -1.667, -1.333, -1.0, -0.667, -0.333, 0.0, 0.333, 0.667, 1.0),
    *(1.333, 1.667, 2.333, 3.333, 4.667, 7.0, 10.333, 15.0),
)
# Two of it, one upside down and 8 cm below: 27 m away its beams lie 0.17 degrees lower.
LIDARS = Lidar(
    (1.35, 0.0, 1.6), tuple(sorted((*VLP_32C_DEG, *(-beam - 0.17 for beam in VLP_32C_DEG)))), 0.2
)
_POSE = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
_CAMERA = ("fx_px", "fy_px", "cx_px", "cy_px", "width_px", "height_px")


@dataclass(frozen=True)
class Argoverse2(Reader):
    """Argoverse 2, Sensor: streets of six cities, 20 pictures a second (Wilson et al., 2021).

    Source: argoverse.org: `train-*.tar`, `val-*.tar`, `test-*.tar` (1 TB), or the same folders of
    the public bucket `av2/sensor/`; the root holds `train/`, `val/`, `test/`.

    Licence: CC BY-NC-SA 4.0.

    Camera: pinhole, `calibration/intrinsics.feather` of each log; the pictures are undistorted
    already, whatever coefficients stand there. The seven ring cameras (`--option cameras=ring`) by
    default; or `ring,stereo`, or names: `cameras=ring_front_center,ring_side_left`. Logs without
    the calibration of a stereo camera are counted.

    Depth: distance, of the points of both lidars in the sweep nearest in time, at most 51 ms away,
    moved by the vehicle's own motion to the time of the picture, without those hidden from the
    camera. What moves by itself is where the sweep met it.

    Units: float16 metres: steps of 3 cm from 32 m, 6 cm from 64 m, 12 cm from 128 m.

    Invalid: no point; and points over the vehicle's own outline or within 1 m of the camera.

    Split: `train` (default; 700 logs), `val` or `test` (150 each), folders of the download. Scenes
    are logs.
    """

    cameras: str = "ring"

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    STORED_DEPTH: ClassVar[str] = "lidar, m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        note="Their script took the first two logs that it found, resized pictures to a focal"
        " length of 1000 px and kept points on the vehicle and points hidden from the camera; none"
        " of this is repeated. Which pixels were drawn was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the pictures as `<log>/<camera>/<timestamp_ns>`, by log, camera and time."""
        cameras = self._cameras()
        base = self.root / str(self.split)
        folders = sorted(base.iterdir()) if base.is_dir() else []
        logs = [folder for folder in folders if any((folder / part).is_dir() for part in _PARTS)]
        if not logs:
            raise missing(self.root, "Argoverse 2 Sensor", f"{self.split}/<log>/sensors/cameras/")
        for log in logs:
            for camera in cameras:
                times = _times(log / "sensors" / "cameras" / camera, ".jpg")
                for time_ns in times:
                    yield Item(f"{log.name}/{camera}/{time_ns}")
                if not len(times):
                    yield Item(f"{log.name}/{camera}")

    def _cameras(self) -> list[str]:
        known = (*_GROUPS, *_GROUPS["ring"], *_GROUPS["stereo"])
        words = [chosen("cameras", word.strip(), known) for word in self.cameras.split(",")]
        return sorted({camera for word in words for camera in _GROUPS.get(word, (word,))})

    def load(self, item: Item) -> Frame:
        """Return a picture with the points of the nearest sweep that its camera sees."""
        where = f"argoverse2 {item.frame_id}"
        log, camera_name, *taken = item.frame_id.split("/")
        folder = self.root / str(self.split) / log
        pictures = folder / "sensors" / "cameras" / camera_name
        if not taken:
            raise RecordError(
                "no pictures",
                where,
                f"{pictures} has no <timestamp_ns>.jpg; is the download complete?",
            )
        taken_ns = int(taken[0])
        camera, mounting = _mounted(folder / "calibration", camera_name, where)
        swept_ns = _nearest(folder / "sensors" / "lidar", taken_ns, where)
        poses = folder / "city_SE3_egovehicle.feather"
        pose = _vehicle(poses, taken_ns, where) @ mounting
        points_m = _points(folder / "sensors" / "lidar" / f"{swept_ns}.feather", where)
        to_camera = inverse(pose) @ _vehicle(poses, swept_ns, where)
        pixels, distance_m, dropped = seen_points(off_vehicle(points_m), to_camera, camera, LIDARS)
        return Frame(
            pictures / f"{taken_ns}.jpg",
            camera,
            "distance",
            pixels=pixels,
            points_m=distance_m,
            scene=log,
            camera_name=camera_name,
            timestamp=taken_ns,
            pose=pose,
            dropped=dropped,
        )


@lru_cache(maxsize=64)
def _times(folder: Path, suffix: str) -> NDArray[np.int64]:
    """Return the timestamps (N,) that the files of a folder are named by, in order."""
    names = (path.stem for path in folder.glob(f"*{suffix}"))
    return np.array(sorted(int(name) for name in names if name.isdigit()), dtype=np.int64)


def _nearest(folder: Path, taken_ns: int, where: str) -> int:
    """Return the time of the sweep that is nearest to a picture's."""
    times = _times(folder, ".feather")
    if len(times):
        swept_ns = int(times[np.abs(times - taken_ns).argmin()])
        if abs(swept_ns - taken_ns) <= _NEAR_NS:
            return swept_ns
    raise RecordError(
        "no sweep near in time",
        where,
        f"none of the {len(times)} sweeps of {folder} is within {_NEAR_NS // 1_000_000} ms of the"
        " picture; is the download complete?",
    )


def _vehicle(path: Path, time_ns: int, where: str) -> Floats:
    """Return the pose (4, 4) of the vehicle in the city at a time, which is one of the file's."""
    row = _poses(path).get(time_ns)
    if row is None:
        raise RecordError("no pose at its time", where, f"{path} has no row of time {time_ns} ns")
    return motion(row[:4], row[4:])


@lru_cache(maxsize=4)
def _poses(path: Path) -> Mapping[int, Floats]:
    table = _table(path, ("timestamp_ns", *_POSE), f"argoverse2 {path.parent.name}")
    rows = _rows(table, _POSE)
    return dict(zip(table["timestamp_ns"].tolist(), rows, strict=True))


def _mounted(folder: Path, name: str, where: str) -> tuple[Camera, Floats]:
    """Return a camera and its pose (4, 4) on the vehicle."""
    cameras, mountings = _calibration(folder)
    for known, file in ((cameras, "intrinsics"), (mountings, "egovehicle_SE3_sensor")):
        if name not in known:
            raise RecordError(
                "camera without calibration",
                where,
                f"{folder / file}.feather has no row of {name}; some logs lack the stereo cameras",
            )
    mounting = mountings[name]
    return Camera.from_intrinsics(cameras[name]), motion(mounting[:4], mounting[4:])


@lru_cache(maxsize=4)
def _calibration(folder: Path) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
    """Return intrinsics and mountings by the names of sensors."""
    where = f"argoverse2 {folder.parent.name}"
    tables = []
    for file, columns in (("intrinsics", _CAMERA), ("egovehicle_SE3_sensor", _POSE)):
        table = _table(folder / f"{file}.feather", ("sensor_name", *columns), where)
        tables.append(dict(zip(table["sensor_name"], _rows(table, columns), strict=True)))
    return tables[0], tables[1]


def _points(path: Path, where: str) -> Floats:
    """Return the points (N, 3) of a sweep in the vehicle's frame at its time, metres."""
    try:
        return _sweep(path)
    except RecordError as error:
        raise RecordError(error.reason, where, error.message) from error


@lru_cache(maxsize=2)  # two pictures of a camera, one after the other, share it
def _sweep(path: Path) -> Floats:
    where = str(path)
    table = _table(path, ("x", "y", "z"), where)
    kinds = {name: str(table[name].dtype) for name in table}
    if not all(np.issubdtype(column.dtype, np.floating) for column in table.values()):
        raise RecordError("bad file", where, f"{path} has {kinds}; expected float16 metres")
    points_m = _rows(table, ("x", "y", "z"))
    return points_m[np.isfinite(points_m).all(axis=1)]


def _rows(table: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Floats:
    return np.stack([table[name] for name in names], axis=1).astype(np.float64)


def _table(path: Path, names: Sequence[str], where: str) -> dict[str, NDArray[Any]]:
    """Return columns of a feather file by their names, which say their units."""
    from pyarrow import ArrowException
    from pyarrow.feather import read_table

    try:
        table = read_table(path, memory_map=False)
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} does not exist; is the download complete?"
        ) from error
    except (OSError, ArrowException) as error:
        raise RecordError(
            "damaged file", where, f"{path} cannot be read ({error}); fetch it again"
        ) from error
    absent = [name for name in names if name not in table.column_names]
    if absent:
        raise RecordError(
            "bad file",
            where,
            f"{path} has no column {', '.join(absent)}; it has {', '.join(table.column_names)}."
            " Is it of the Sensor dataset?",
        )
    return {name: table.column(name).to_numpy() for name in names}
