"""ARKitScenes: Apple's indoor recordings of an iPad with lidar, and laser scans of some."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.rigid import inverse, motion
from ...views.decode import image_size
from ..formats.csv_rows import read_rows
from ..formats.files import read_depth_png, read_numbers, read_text
from ..formats.phone_lidar import (
    DEPTH_WH,
    EDGES,
    centred_camera,
    check_lidar_options,
    kept,
    lidar_rules,
    read_confidence,
)
from ..frames import Frame, Item
from ..reading import Reader, chosen, missing

_FOLDS = {"val": "Validation", "train": "Training"}
_PICTURES = {"lowres": "lowres_wide", "highres": "wide"}
_TRAJECTORY, _METADATA = "lowres_wide.traj", "metadata.csv"
_NEAR_S = 0.005  # a pose that is no further away in time is the picture's, as Apple's loader has it
_ROUNDED_S = 0.001  # by which the names of intrinsics may differ from those of their pictures


@dataclass(frozen=True)
class ArkitScenes(Reader):
    """ARKitScenes: rooms recorded by an iPad with lidar, some laser-scanned (Baruch et al., 2021).

    Source: Apple, by `download_data.py` of https://github.com/apple/ARKitScenes: `--root` is the
    folder `3dod`, `raw` or `upsampling` of the download. `--option depth=lowres` (default) reads
    `lowres_wide`, `lowres_depth`, `confidence`, `lowres_wide_intrinsics` and `lowres_wide.traj`;
    `depth=highres` the laser scanner's `highres_depth` with `wide` and `wide_intrinsics`. A frame
    is a time at which there are all of these images, and, of `lowres`, a pose where the recording
    has poses; every 10th one (`--option every=10`). Pictures are as they are stored, often on their
    side: the card counts the `sky_direction` of `metadata.csv`.

    Licence: Apple's own (LICENSE in the repository): non-commercial; commercial with conditions.

    Camera: pinhole, `.pincam` of each picture, 256x192 (`lowres`) or 1920x1440 (`highres`). Poses
    are `lowres_wide.traj` turned from world-to-camera to camera-to-world, axes OpenCV's, z of the
    world up; that of a time within 5 ms. Timestamps are seconds, as in the files' names.

    Depth: z along the principal axis, in register with the picture. `lowres`: ARKit's, from the
    lidar. Only depth of high confidence is labelled (2; `--option confidence=1` adds medium, 0
    all). Depth pixels at edges, where 3x3 differ by 5 % or more, are left out (`--option
    edges=keep`), as are those beyond 5 m, the reach of the lidar (`--option farthest_m=10`).
    `highres`: of a mesh of a stationary laser scanner; none is left out.

    Units: 16-bit PNG, millimetres.

    Invalid: value 0.

    Split: `val` (default) and `train`, the folders `Validation` and `Training`. Scenes are the
    visits of `metadata.csv`, of which one may have several recordings; else recordings.
    """

    depth: str = "lowres"
    every: int = 10
    confidence: int = 2
    edges: str = "avoid"
    farthest_m: float = 5.0

    SPLITS: ClassVar[tuple[str, ...]] = ("val", "train")
    STORED_DEPTH: ClassVar[str] = "z, mm"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<recording>/<time>`; a recording without frames as itself."""
        chosen("depth", self.depth, tuple(_PICTURES))
        chosen("edges", self.edges, EDGES)
        check_lidar_options(self.every, self.farthest_m, self.confidence)
        fold = self.root / _FOLDS[str(self.split)]
        if not fold.is_dir():
            raise missing(
                self.root, "ARKitScenes", f"{fold.name}/ (the folder 3dod, raw or upsampling)"
            )
        for place in sorted(path for path in fold.iterdir() if path.is_dir()):
            try:
                names = self._names(place)
            except RecordError as error:
                yield Item(place.name, problem=(error.reason, error.message))
                continue
            for name in names[:: self.every]:
                yield Item(f"{place.name}/{name.removeprefix(f'{place.name}_')}", str(place))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"arkitscenes {item.frame_id}"
        place = Path(item.at)
        folder, name = _assets(place), item.frame_id.replace("/", "_")
        time_s = _time(name)
        pictures = _PICTURES[self.depth]
        picture = self.below(folder / pictures / f"{name}.png", where)
        size_wh = image_size(str(picture), where)
        pincam = self.below(_intrinsics(folder / f"{pictures}_intrinsics", place.name, name), where)
        width, height, *intrinsics = read_numbers(pincam, 6, where, "width height fx fy cx cy")
        if (width, height) != size_wh:
            raise RecordError(
                "bad intrinsics",
                where,
                f"{pincam} is of {width:g}x{height:g} pixels, its picture"
                f" {size_wh[0]}x{size_wh[1]}; fetch both again",
            )
        depth = self.below(folder / f"{self.depth}_depth" / f"{name}.png", where)
        rules = {}
        if self.depth == "lowres":
            z_m = read_depth_png(depth, where, DEPTH_WH) / 1000.0
            rules = lidar_rules(z_m, self.edges, self.farthest_m)
            if self.confidence:
                path = self.below(folder / "confidence" / f"{name}.png", where)
                sure = read_confidence(path, where) >= self.confidence
                rules = {"low confidence": sure} | rules
        else:
            z_m = read_depth_png(depth, where, size_wh) / 1000.0
        depth_m, dropped = kept(z_m, rules)
        visit, sky = self._recording(place.name)
        times_s, poses = self._trajectory(folder, where)
        at = _near(times_s, time_s)
        return Frame(
            picture,
            centred_camera(intrinsics, size_wh, where, pincam),
            "z",
            depth_m=depth_m,
            scene=visit or place.name,
            timestamp=time_s,
            pose=None if at is None else inverse(_moved(poses[at])),
            dropped=dropped,
            noted=[f"sky_direction {sky}"] if sky else [],
        )

    def _names(self, place: Path) -> list[str]:
        """Return the names of the frames of a recording, in order of time."""
        folder, where = _assets(place), f"arkitscenes {place.name}"
        needed = [_PICTURES[self.depth], f"{self.depth}_depth"]
        if self.depth == "lowres" and self.confidence:
            needed.append("confidence")
        absent = [name for name in needed if not (folder / name).is_dir()]
        if absent:
            hint = "; --option confidence=0 reads without" if absent == ["confidence"] else ""
            raise RecordError(
                "missing file",
                where,
                f"{folder / absent[0]}/ does not exist; fetch it, unpack it{hint}",
            )
        have = [{path.stem for path in (folder / name).glob("*.png")} for name in needed]
        times_s, _ = self._trajectory(folder, where) if self.depth == "lowres" else ([], None)
        timed = [
            (_time(name), name)
            for name in set.intersection(*have)
            if name.startswith(f"{place.name}_") and not math.isnan(_time(name))
        ]
        names = [
            name
            for time_s, name in sorted(timed)
            if not times_s or _near(times_s, time_s) is not None
        ]
        if not names:
            raise RecordError(
                "missing file",
                where,
                f"{folder} has no time at which there are images of {', '.join(needed)}, and poses"
                f" where {_TRAJECTORY} is; expected {needed[0]}/{place.name}_<seconds>.png",
            )
        return names

    def _trajectory(self, folder: Path, where: str) -> tuple[list[float], Floats]:
        path = self.below(folder / _TRAJECTORY, where)
        try:
            return _read_trajectory(str(path))
        except DepthLMError as error:
            raise RecordError("bad file", where, str(error)) from error

    def _recording(self, video: str) -> tuple[str, str]:
        """Return the visit and the sky's direction of a recording, empty where not known."""
        path = self.below(self.root / _METADATA, "arkitscenes")
        return _read_metadata(str(path)).get(video, ("", ""))


def _assets(place: Path) -> Path:
    """Return the folder of a recording's images: of `3dod` it is one further down."""
    inner = place / f"{place.name}_frames"
    return inner if inner.is_dir() else place


def _time(name: str) -> float:
    """Return the time of a file, seconds, or NaN for one whose name has none."""
    try:
        return float(name.rpartition("_")[2])
    except ValueError:
        return math.nan


def _intrinsics(folder: Path, video: str, name: str) -> Path:
    """Return the file of a picture's intrinsics, whose name may be a millisecond off."""
    shifted = (f"{video}_{_time(name) + shift_s:.3f}" for shift_s in (-_ROUNDED_S, _ROUNDED_S))
    near = [folder / f"{stem}.pincam" for stem in (name, *shifted)]
    return next((path for path in near if path.is_file()), near[0])


def _near(times_s: list[float], time_s: float) -> int | None:
    """Return the place of the nearest time in an ordered list, or None where none is near."""
    after = bisect_left(times_s, time_s)
    near = [i for i in (after - 1, after) if 0 <= i < len(times_s)]
    best = min(near, key=lambda i: abs(times_s[i] - time_s), default=None)
    # Names have whole milliseconds.
    is_near = best is not None and abs(times_s[best] - time_s) <= _NEAR_S + 5e-4
    return best if is_near else None


def _moved(row: Floats) -> Floats:
    """Return the world-to-camera matrix (4, 4) of an axis-angle (3) and a translation (3)."""
    angle = float(np.linalg.norm(row[:3]))
    # sinc(x) is sin(pi x) / (pi x)
    xyz = row[:3] / 2 * np.sinc(angle / (2 * math.pi))
    return motion([math.cos(angle / 2), *xyz], row[3:])


@lru_cache(maxsize=4)
def _read_trajectory(path: str) -> tuple[list[float], Floats]:
    """Return times (N), in order, and axis-angles (radians) with translations (m) (N, 6).

    Raises:
        DepthLMError: For lines that are not seven numbers.
    """
    if not Path(path).is_file():
        return [], np.empty((0, 6))
    rows = []
    for number, line in enumerate(read_text(Path(path)).splitlines(), start=1):
        try:
            row = np.array(line.split(), dtype=np.float64)
        except ValueError:
            row = np.empty(0)
        if row.shape != (7,) or not np.isfinite(row).all():
            raise DepthLMError(
                f"{path}:{number}: expected seven numbers, time, axis-angle and translation, found"
                f" {line[:120]!r}; fetch it again"
            )
        rows.append(row)
    rows.sort(key=lambda row: float(row[0]))
    values = np.reshape(rows, (-1, 7))
    return values[:, 0].tolist(), values[:, 1:]


@lru_cache(maxsize=4)
def _read_metadata(path: str) -> dict[str, tuple[str, str]]:
    """Return the visit and the direction of the sky of recordings, empty where not stated."""
    if not Path(path).is_file():
        return {}
    return {
        row["video_id"].removesuffix(".0"): (
            _stated(row.get("visit_id")).removesuffix(".0"),
            _stated(row.get("sky_direction")),
        )
        for row in read_rows(Path(path), ["video_id"])
    }


def _stated(text: str | None) -> str:
    return "" if text in (None, "NA", "nan", "NaN") else str(text)
