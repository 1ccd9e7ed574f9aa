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
from numpy.typing import NDArray

from ...errors import ConfigError, DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import inverse, motion
from ..formats.files import read_mask
from ..formats.lidar import Lidar, off_vehicle, seen_points
from ..formats.own_vehicle import APART_M, LEAST_PICTURES, apart, body_rows
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_SPLIT_KEYS = {"train": "0", "val": "1"}
_LIDAR = "LIDAR"
_AXES = ["X", "Y", "Z"]
_SEE_THE_VEHICLE = ("CAMERA_05", "CAMERA_06", "CAMERA_07", "CAMERA_08", "CAMERA_09")
_MASKS = "masks of it are published with SurroundDepth, github.com/weiyithu/SurroundDepth"
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
    distortion. CAMERA_05 to 09 see parts of the vehicle, which hide what the lidar sees:
    `--option masks=FOLDER` takes masks from there, `<camera>.png` of the pictures' size, 0 where
    the vehicle is. Without one, the vehicle is what lies below edges that stay where they are in
    the scene's pictures; where these are too few 2 m apart, or it is not found, nothing below the
    horizon is labelled.

    Depth: distance, of the lidar's points of the same sample, moved by the vehicle's own motion to
    the time of the picture, without those hidden from the camera. What moves by itself is where the
    sweep met it, which may be 0.2 s away: how far is counted. Reaches 250 m.

    Units: floating-point metres.

    Invalid: no point; points over the vehicle's own outline or within 1 m of the camera; and what
    its body in the picture hides.

    Split: `val` (default; 50 scenes, 3950 samples) or `train` (150 scenes, 12650 samples), as
    `ddad.json` lists them. Timestamps are microseconds since 1970.
    """

    masks: str | None = None

    SPLITS: ClassVar[tuple[str, ...]] = ("val", "train")
    STORED_DEPTH: ClassVar[str] = "lidar, m"
    CALIBRATED: ClassVar[bool] = True
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
        views: dict[str, list[_Shot]] = {}
        found = []
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
                size_wh = int(image["width"]), int(image["height"])
                views.setdefault(camera_name, []).append(shot)
                found.append((camera_name, shot, (*cameras[camera_name], *size_wh), sweep))
        spread = {
            name: tuple(shots[index].file for index in apart([one.translation_m for one in shots]))
            for name, shots in views.items()
        }
        return [
            Item(
                f"{path.parent.name}/{name}/{Path(shot.file).stem}",
                (shot, intrinsics, sweep, spread[name] if name in _SEE_THE_VEHICLE else ()),
            )
            for name, shot, intrinsics, sweep in found
        ]

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
        shot, intrinsics, sweep, spread = item.at
        scene, camera_name, _ = item.frame_id.split("/")
        if sweep is None:
            raise RecordError("no sweep", where, f"its sample has no datum {_LIDAR}")
        camera = Camera.from_intrinsics(intrinsics)
        pose = motion(shot.rotation_wxyz, shot.translation_m)
        to_camera = inverse(pose) @ motion(sweep.rotation_wxyz, sweep.translation_m)
        points_m = off_vehicle(_points(self.root / sweep.file))
        pixels, distance_m, dropped = seen_points(points_m, to_camera, camera, LIDARS)
        late_ms = 10 * (abs(sweep.time_us - shot.time_us) // 10_000)
        noted = [f"sweep {late_ms} to {late_ms + 10} ms from the picture"]
        mask = self.root / (self.masks or "") / f"{camera_name}.png"
        free, found = None, ""
        if self.masks is not None and mask.is_file():
            free = read_mask(mask, camera.size_wh[::-1], where)
        elif camera_name in _SEE_THE_VEHICLE:
            up = np.round(to_camera[:3, 2], 2)  # nearly the same in all pictures of the camera
            free, found = _free(self.root, spread, camera, tuple(up.tolist()))
            noted.append(f"{camera_name} without masks=, {found}")
        if free is not None:
            seen = free[pixels[:, 1], pixels[:, 0]]
            dropped["masked as the vehicle"] = int((~seen).sum())
            pixels, distance_m = pixels[seen], distance_m[seen]
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
            noted=noted,
        )


@lru_cache(maxsize=5)  # the pictures of a scene by the cameras that see the vehicle
def _free(
    root: Path, files: tuple[str, ...], camera: Camera, up: tuple[float, ...]
) -> tuple[NDArray[np.bool_], str]:
    """Return where (H, W) a camera's pictures of a scene do not show the vehicle, and how found.

    Args:
        root: The root.
        files: Pictures taken at places that are apart.
        camera: The camera.
        up: The lidar's upward axis in the camera's frame.
    """
    width, height = camera.size_wh
    rows, columns = np.mgrid[:height, :width]
    rays = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    below = rays[0] * up[0] + rays[1] * up[1] + up[2] < 0
    tops = None
    if len(files) >= LEAST_PICTURES:
        tops = body_rows([root / file for file in files], below)
        reason = "none of the vehicle found"
    else:
        reason = f"fewer than {LEAST_PICTURES} pictures of its scene {APART_M:g} m apart"
    if tops is None:
        return ~below, f"{reason}: nothing below the horizon labelled; {_MASKS}"
    return rows < tops, f"the vehicle found by edges that never move; {_MASKS}"


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
