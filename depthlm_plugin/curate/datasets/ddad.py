"""DDAD: street scenes with a long-range lidar."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...errors import ConfigError, DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import inverse, motion
from ..formats.files import read_mask
from ..formats.lidar import Lidar, off_vehicle, seen_points
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_SPLIT_KEYS = {"train": "0", "val": "1"}
_LIDAR = "LIDAR"
_AXES = ["X", "Y", "Z"]
_NEAR_US = 100_000  # a tenth of a second, between two samples
# Not published: on the roof; the lines of such lidars (Luminar) are less than half a degree apart.
LIDARS = Lidar((1.0, 0.0, 1.8), tuple(np.arange(-30, 15, 0.5).tolist()), 0.2)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_Json = Mapping[str, Any]


class _Shot(NamedTuple):
    """A picture or a sweep, in a form that travels to worker processes.

    Attributes:
        file: Path relative to the root.
        time_us: Microseconds since 1970.
        rotation_wxyz: Quaternion of the sensor's pose in the world at that time.
        translation_m: Translation of that pose, metres.
    """

    file: str
    time_us: int
    rotation_wxyz: tuple[float, ...]
    translation_m: tuple[float, ...]


@dataclass(frozen=True)
class Ddad(Reader):
    """DDAD: streets of the USA and Japan, six cameras ten times a second (Guizilini et al., 2020).

    Source: Toyota Research Institute: `DDAD.tar` (257 GB), unpacked; the root is
    `ddad_train_val/`, which holds `ddad.json`, or the folder that holds it.

    Licence: CC BY-NC-SA 4.0.

    Camera: pinhole, six cameras, `calibration/` of each scene; pictures of 1936x1216 without
    distortion. CAMERA_05 to 09 see parts of the vehicle, which may hide what the lidar sees:
    `--option masks=FOLDER` takes masks from there, `<camera>.png` of the pictures' size, 0 where
    the vehicle is.

    Depth: distance, of the lidar's points of the same sample, moved by the vehicle's own motion to
    the time of the picture, without those hidden from the camera. What moves by itself is where the
    sweep met it. Reaches 250 m.

    Units: floating-point metres.

    Invalid: no point; and points over the vehicle's own outline or within 1 m of the camera.

    Split: `val` (default; 50 scenes, 3950 samples) or `train` (150 scenes, 12650 samples), as
    `ddad.json` lists them. Timestamps are microseconds since 1970.
    """

    masks: str | None = None

    SPLITS: ClassVar[tuple[str, ...]] = ("val", "train")
    STORED_DEPTH: ClassVar[str] = "lidar, m"
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")
    OFFICIAL: ClassVar[Official] = Official(
        "z",
        note="Of points on one pixel theirs took the last, not the nearest; pixels were cut off,"
        " not rounded; points on the vehicle and points hidden from the camera were kept. None of"
        " this is repeated. Which pixels were drawn was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the pictures as `<scene>/<camera>/<name>`, by scene, sample and camera.

        The JSON file of a scene is read when its turn comes; items hold what a frame needs of it.
        """
        base = self.root / "ddad_train_val"
        base = base if base.is_dir() else self.root
        if not (base / "ddad.json").is_file():
            raise missing(self.root, "DDAD", "ddad.json")
        if self.masks is not None and not list((self.root / self.masks).glob("*.png")):
            raise ConfigError(f"masks: {self.root / self.masks} holds no <camera>.png")
        splits = _json(base / "ddad.json").get("scene_splits", {})
        names = splits.get(_SPLIT_KEYS[str(self.split)], {}).get("filenames")
        if not names:
            raise DepthLMError(
                f"{base / 'ddad.json'} lists no scenes of {self.split} (scene_splits,"
                f" {_SPLIT_KEYS[str(self.split)]!r}, filenames); is it of ddad_train_val?"
            )
        for name in names:
            try:
                yield from self._scene(base / name)
            except (KeyError, TypeError, ValueError) as error:
                raise DepthLMError(
                    f"{base / name}, or a calibration beside it, lacks what is expected of a scene"
                    f" of DDAD ({error!r}); unpack it again"
                ) from error

    def _scene(self, path: Path) -> list[Item]:
        scene = _json(path)
        data = {datum["key"]: datum for datum in scene["data"]}
        items = []
        for sample in scene["samples"]:
            cameras = _cameras(path.parent / "calibration" / f"{sample['calibration_key']}.json")
            datums = {data[key]["id"]["name"]: data[key] for key in sample["datum_keys"]}
            sweep = None
            if _LIDAR in datums:
                points = datums[_LIDAR]["datum"]["point_cloud"]
                if points.get("point_format", _AXES)[:3] != _AXES:
                    raise ValueError(f"points are {points['point_format']}")
                sweep = self._shot(path.parent, datums[_LIDAR], points)
            for camera_name in sorted(datums):
                image = datums[camera_name]["datum"].get("image")
                if image is None:
                    continue
                shot = self._shot(path.parent, datums[camera_name], image)
                intrinsics = cameras[camera_name]
                size_wh = int(image["width"]), int(image["height"])
                items.append(
                    Item(
                        f"{path.parent.name}/{camera_name}/{Path(shot.file).stem}",
                        (shot, (*intrinsics, *size_wh), sweep),
                    )
                )
        return items

    def _shot(self, folder: Path, datum: _Json, inner: _Json) -> _Shot:
        pose = inner.get("pose", {})
        return _Shot(
            (folder / inner["filename"]).relative_to(self.root).as_posix(),
            _microseconds(datum["id"]["timestamp"]),
            _numbers(pose.get("rotation", {}), "qw", "qx", "qy", "qz"),
            _numbers(pose.get("translation", {}), "x", "y", "z"),
        )

    def load(self, item: Item) -> Frame:
        """Return a picture with the points of its sample's sweep that its camera sees."""
        where = f"ddad {item.frame_id}"
        shot, intrinsics, sweep = item.at
        scene, camera_name, _ = item.frame_id.split("/")
        if sweep is None or abs(sweep.time_us - shot.time_us) > _NEAR_US:
            raise RecordError(
                "no sweep near in time",
                where,
                f"its sample has no datum {_LIDAR} within {_NEAR_US // 1000} ms",
            )
        camera = Camera.from_intrinsics(intrinsics)
        pose = motion(shot.rotation_wxyz, shot.translation_m)
        to_camera = inverse(pose) @ motion(sweep.rotation_wxyz, sweep.translation_m)
        points_m = off_vehicle(_points(self.root / sweep.file))
        pixels, distance_m, dropped = seen_points(points_m, to_camera, camera, LIDARS)
        mask = self.root / (self.masks or "") / f"{camera_name}.png"
        if self.masks is not None and mask.is_file():
            free = read_mask(mask, camera.size_wh[::-1], where)[pixels[:, 1], pixels[:, 0]]
            dropped["masked as the vehicle"] = int((~free).sum())
            pixels, distance_m = pixels[free], distance_m[free]
        return Frame(
            self.root / shot.file,
            camera,
            "distance",
            pixels=pixels,
            points_m=distance_m,
            scene=scene,
            camera_name=camera_name,
            timestamp=shot.time_us,
            pose=pose,
            dropped=dropped,
        )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error}); is the download complete and all of it unpacked?"
        ) from error


@lru_cache(maxsize=8)
def _cameras(path: Path) -> Mapping[str, tuple[float, ...]]:
    """Return (fx, fy, cx, cy) by the names of sensors; a lidar's are zeros."""
    calibration = _json(path)
    pairs = zip(calibration["names"], calibration["intrinsics"], strict=True)
    cameras = {}
    for name, intrinsics in pairs:
        if abs(intrinsics.get("skew", 0)) > 1e-6:
            raise DepthLMError(
                f"{path}: {name} has a skew of {intrinsics['skew']} px; expected none"
            )
        cameras[name] = _numbers(intrinsics, "fx", "fy", "cx", "cy")
    return cameras


def _numbers(values: _Json, *names: str) -> tuple[float, ...]:
    """Return numbers of a message whose JSON leaves zeros out."""
    return tuple(float(values.get(name, 0)) for name in names)


def _microseconds(text: str) -> int:
    """Return an ISO 8601 time as microseconds since 1970."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return (time - _EPOCH) // timedelta(microseconds=1)


@lru_cache(maxsize=2)  # the six cameras of a sample share it
def _points(path: Path) -> Floats:
    """Return the points (N, 3) of a sweep in the lidar's frame, metres."""
    where = f"ddad {path.parent.parent.parent.name}/{_LIDAR}/{path.stem}"
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            data = file["data"]
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} does not exist; is all of it unpacked?"
        ) from error
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise RecordError(
            "damaged file", where, f"{path} cannot be read ({error}); unpack it again"
        ) from error
    if data.dtype.names and set(_AXES) <= set(data.dtype.names):
        data = np.stack([data[axis] for axis in _AXES], axis=-1)
    if data.ndim != 2 or data.shape[1] < 3 or not np.issubdtype(data.dtype, np.floating):
        raise RecordError(
            "bad file",
            where,
            f"{path} holds {data.dtype} of the shape {data.shape}, expected floating-point metres"
            " (N, 4) or the fields X, Y, Z",
        )
    points_m: Floats = data[:, :3].astype(np.float64)
    return points_m[np.isfinite(points_m).all(axis=1)]
