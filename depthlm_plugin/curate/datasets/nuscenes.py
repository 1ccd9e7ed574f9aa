"""nuScenes: street scenes with one lidar, the keyframes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import inverse, motion, moved
from ..formats.lidar import Lidar, off_vehicle, seen_points
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_TABLES = {"mini": "v1.0-mini", "train": "v1.0-trainval"}
_MINI = {f"scene-{number:04d}" for number in (61, 103, 553, 655, 757, 796, 916, 1077, 1094, 1100)}
_LIDAR = "LIDAR_TOP"
_PUBLISHED_FROM = 0.95  # of the samples of mini: the rest are the published labels
_NEAR_US = 100_000  # two turns of the lidar: what is farther in time is another sample's
# Of the HDL-32E, from its manual.
LIDAR = Lidar((0.94, 0.0, 1.84), tuple(np.linspace(-30.67, 10.67, 32).tolist()), 0.33)
_POINT_BYTES = 20  # float32 x, y, z, intensity, ring
_CHUNK_CHARS = 1 << 24

_Vector = tuple[float, ...]


class _Motion(NamedTuple):
    """A rigid motion: a rotation by a unit quaternion, then a translation in metres."""

    rotation_wxyz: _Vector
    translation_m: _Vector


class _Sensor(NamedTuple):
    """A camera or the lidar.

    Attributes:
        channel: Its name.
        mounting: Its pose on the vehicle.
        intrinsics: fx, fy, cx, cy of a camera, pixels; empty for a lidar.
    """

    channel: str
    mounting: _Motion
    intrinsics: _Vector


class _Shot(NamedTuple):
    """A picture or a sweep, in a form that travels to worker processes.

    Attributes:
        file: Path relative to the root.
        time_us: Microseconds since 1970.
        size_wh: Size of the picture, pixels.
        sensor: What took it.
        vehicle: The vehicle's pose in the world at that time; None where the dataset has none.
    """

    file: str
    time_us: int
    size_wh: tuple[int, int]
    sensor: _Sensor
    vehicle: _Motion | None


@dataclass(frozen=True)
class NuScenes(Reader):
    """nuScenes: streets of Boston and Singapore, two samples a second (Caesar et al., 2020).

    Source: nuscenes.org: `v1.0-mini.tgz` (4 GB), or `v1.0-trainval_meta.tgz` and
    `v1.0-trainval01_blobs.tgz` to `10`, unpacked into one folder.

    Licence: CC BY-NC-SA 4.0 with the terms of use of nuScenes: not commercial.

    Camera: pinhole, six cameras, `calibrated_sensor.json`; the pictures (1600x900) are rectified.

    Depth: distance, of the lidar's keyframe of the same sample, moved by the vehicle's own motion
    to the time of the picture, without the points hidden from the camera. What moves by itself is
    where the sweep met it. Poses are in the map's frame, where the vehicle's height is always 0.

    Units: float32 metres.

    Invalid: no point; and points over the vehicle's own outline or within 1 m of the camera.

    Split: `mini` (default): the 10 scenes of v1.0-mini; `train`: the 840 others of v1.0-trainval,
    its validation scenes among them, as DepthLM. Scenes are the dataset's, of 20 s.
    """

    SPLITS: ClassVar[tuple[str, ...]] = ("mini", "train")
    STORED_DEPTH: ClassVar[str] = "lidar, m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")
    OFFICIAL: ClassVar[Official] = Official(
        "z",
        note="Of mini, the last 5 % of the samples (21 of 404: 126 pictures), in the order of"
        " `sample.json`. Theirs are placed as if the vehicle had stood still between sweep and"
        " picture, and include points on the vehicle and points hidden from the camera; none of"
        " this is repeated. Which pixels were drawn was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the pictures as `<scene>/<channel>/<timestamp>`, by sample and channel.

        The tables (over 2 GB) are read once, here, a piece at a time; items hold what of them a
        frame needs.
        """
        folder = _TABLES[str(self.split)]
        base = self.root / folder
        if not (base / "scene.json").is_file():
            raise missing(self.root, "nuScenes", f"{folder}/scene.json")
        try:
            samples = self._samples(base)
            shots = _shots(base, samples)
        except (KeyError, TypeError, IndexError) as error:
            raise DepthLMError(
                f"{base}: a row lacks what is expected of nuScenes v1.0 ({error!r}); unpack"
                f" {folder}'s tables again"
            ) from error
        for token, scene in samples.items():
            sweep = shots[token].pop(_LIDAR, None)
            for channel, shot in sorted(shots[token].items()):
                yield Item(f"{scene}/{channel}/{shot.time_us}", (shot, sweep))

    def _samples(self, base: Path) -> dict[str, str]:
        """Return the tokens of the split's samples, in the table's order, with scene names."""
        scenes = {
            row["token"]: row["name"]
            for row in table_rows(base / "scene.json")
            if (row["name"] in _MINI) == (self.split == "mini")
        }
        rows = [
            (row["token"], scenes[row["scene_token"]])
            for row in table_rows(base / "sample.json")
            if row["scene_token"] in scenes
        ]
        if self.compat and self.split == "mini":
            rows = rows[int(_PUBLISHED_FROM * len(rows)) :]
        return dict(rows)

    def load(self, item: Item) -> Frame:
        """Return a picture with the points of its sample's sweep that its camera sees."""
        where = f"nuscenes {item.frame_id}"
        shot, sweep = item.at
        if sweep is None or abs(sweep.time_us - shot.time_us) > _NEAR_US:
            raise RecordError(
                "no sweep near in time",
                where,
                f"its sample has no keyframe of {_LIDAR} within {_NEAR_US // 1000} ms",
            )
        camera = Camera.from_intrinsics([*shot.sensor.intrinsics, *shot.size_wh])
        pose = _vehicle(shot, where) @ motion(*shot.sensor.mounting)
        points_m = moved(motion(*sweep.sensor.mounting), _points(self.root / sweep.file))
        to_camera = inverse(pose) @ _vehicle(sweep, where)
        pixels, distance_m, dropped = seen_points(off_vehicle(points_m), to_camera, camera, LIDAR)
        return Frame(
            self.root / shot.file,
            camera,
            "distance",
            pixels=pixels,
            points_m=distance_m,
            scene=item.frame_id.split("/")[0],
            camera_name=shot.sensor.channel,
            timestamp=shot.time_us,
            pose=pose,
            dropped=dropped,
        )


def table_rows(path: Path, chunk_chars: int = _CHUNK_CHARS) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, a JSON list of objects, holding little of it at a time.

    Raises:
        DepthLMError: For a table that is not there, or not whole.
    """
    decode = json.JSONDecoder().raw_decode
    text = ""
    try:
        with path.open(encoding="utf-8") as file:
            while chunk := file.read(chunk_chars):
                text += chunk
                end = 0
                while (start := text.find("{", end)) >= 0:
                    try:
                        row, end = decode(text, start)
                    except json.JSONDecodeError:
                        break  # it goes on in the next chunk
                    yield row
                text = text[end:]
    except (OSError, UnicodeDecodeError) as error:
        raise DepthLMError(f"{path} cannot be read ({error}); unpack the tables again") from error
    if text.strip(" \t\r\n,[") != "]":
        raise DepthLMError(f"{path} is cut off or damaged; unpack the tables again")


def _shots(base: Path, samples: dict[str, str]) -> dict[str, dict[str, _Shot]]:
    """Return the keyframes of cameras and lidar: by sample, by channel."""
    sensors = _sensors(base)
    rows = []
    for row in table_rows(base / "sample_data.json"):
        sensor = sensors.get(row["calibrated_sensor_token"])
        if row["is_key_frame"] and sensor is not None and row["sample_token"] in samples:
            size_wh = row["width"], row["height"]
            shot = _Shot(row["filename"], row["timestamp"], size_wh, sensor, None)
            rows.append((row["sample_token"], row["ego_pose_token"], shot))
    wanted = {pose for _, pose, _ in rows}
    poses = {
        row["token"]: _motion(row)
        for row in table_rows(base / "ego_pose.json")
        if row["token"] in wanted
    }
    shots: dict[str, dict[str, _Shot]] = {sample: {} for sample in samples}
    for sample, pose, shot in rows:
        shots[sample][shot.sensor.channel] = shot._replace(vehicle=poses.get(pose))
    return shots


def _sensors(base: Path) -> dict[str, _Sensor]:
    """Return the cameras and the lidar by the tokens of their calibrations."""
    channels = {
        row["token"]: row["channel"]
        for row in table_rows(base / "sensor.json")
        if row["modality"] == "camera" or row["channel"] == _LIDAR
    }
    sensors = {}
    for row in table_rows(base / "calibrated_sensor.json"):
        channel = channels.get(row["sensor_token"])
        if channel is not None:
            k = row["camera_intrinsic"]
            intrinsics = (k[0][0], k[1][1], k[0][2], k[1][2]) if channel != _LIDAR else ()
            sensors[row["token"]] = _Sensor(channel, _motion(row), intrinsics)
    return sensors


def _motion(row: dict[str, Any]) -> _Motion:
    return _Motion(tuple(row["rotation"]), tuple(row["translation"]))


def _vehicle(shot: _Shot, where: str) -> Floats:
    """Return the vehicle's pose (4, 4) in the world at the time of a shot."""
    if shot.vehicle is None:
        raise RecordError("no pose at its time", where, f"ego_pose.json has no row for {shot.file}")
    return motion(*shot.vehicle)


@lru_cache(maxsize=2)  # the six cameras of a sample share it
def _points(path: Path) -> Floats:
    """Return the points (N, 3) of a sweep in the lidar's frame, metres."""
    where = f"nuscenes {path.name}"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} does not exist; are all blobs unpacked?"
        ) from error
    if not data or len(data) % _POINT_BYTES:
        raise RecordError(
            "damaged file",
            where,
            f"{path} has {len(data)} bytes, expected {_POINT_BYTES} a point; fetch it again",
        )
    points_m = np.frombuffer(data, dtype="<f4").reshape(-1, 5)[:, :3].astype(np.float64)
    return points_m[np.isfinite(points_m).all(axis=1)]
