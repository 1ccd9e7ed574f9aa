"""Stray Scanner: recordings of an iPhone or iPad with lidar, as the app exports them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.rigid import motion
from ..formats.files import encode_png, read_depth_png, read_numbers, read_text
from ..formats.phone_lidar import (
    DEPTH_WH,
    EDGES,
    centred_camera,
    check_lidar_options,
    kept,
    lidar_rules,
    read_confidence,
)
from ..formats.video import Video, open_video
from ..frames import Frame, Item, same_field
from ..reading import Reader, chosen, missing

_ODOMETRY, _VIDEO, _MATRIX = "odometry.csv", "rgb.mp4", "camera_matrix.csv"
_POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
_INTRINSICS = ("fx", "fy", "cx", "cy")  # of each frame, written by newer versions of the app


@dataclass(frozen=True)
class StrayScanner(Reader):
    """Stray Scanner: your own recordings by an iPhone or iPad with lidar.

    Source: the app, https://github.com/strayrobots/scanner: the folder of a recording (`rgb.mp4`,
    `depth/`, `confidence/`, `odometry.csv`, `camera_matrix.csv`), or a folder of such folders, as
    exported. Every 10th frame (`--option every=10`). Needs `pip install "depthlm-plugin[video]"`;
    pictures are written as PNG, as the sensor sees them: on their side where the phone was upright.

    Licence: yours to state.

    Camera: pinhole, the intrinsics of each frame where `odometry.csv` has them (fx, fy, cx, cy);
    else those of `camera_matrix.csv`, which are of the last frame: the focus moves, by up to about
    2 %. Integers are taken for pixel centres. Poses are ARKit's, in metres, in a world whose y
    points up; the app turns the camera's axes to OpenCV's. Timestamps are seconds since the phone
    was started.

    Depth: z along the principal axis, by ARKit from the lidar, 256x192, in register with the
    picture. Only depth of high confidence is labelled (2; `--option confidence=1` adds medium, 0
    all). Depth pixels at edges, where 3x3 differ by 5 % or more, are left out (`--option
    edges=keep`), as are those beyond 5 m, the reach of the lidar (`--option farthest_m=10`).

    Units: 16-bit PNG, millimetres.

    Invalid: value 0.

    Split: none; use `depthlm split`. Scenes are recordings.
    """

    every: int = 10
    confidence: int = 2
    edges: str = "avoid"
    farthest_m: float = 5.0

    STORED_DEPTH: ClassVar[str] = "z, mm"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<recording>/<number>`; a recording without odometry as itself."""
        chosen("edges", self.edges, EDGES)
        check_lidar_options(self.every, self.farthest_m, self.confidence)
        folders = [self.root] if _is_recording(self.root) else []
        if not folders and self.root.is_dir():
            folders = sorted(path for path in self.root.iterdir() if _is_recording(path))
        if not folders:
            raise missing(
                self.root, "a recording of Stray Scanner", f"{_ODOMETRY}, {_VIDEO} and depth/"
            )
        for folder in folders:
            name = folder.resolve().name if folder == self.root else folder.name
            try:
                odometry = self._odometry(folder, f"strayscanner {name}")
            except RecordError as error:
                yield Item(name, problem=(error.reason, error.message))
                continue
            for number in range(0, len(odometry.times_s), self.every):
                yield Item(f"{name}/{number:06d}", str(folder))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"strayscanner {item.frame_id}"
        folder = Path(item.at)
        name, _, stem = item.frame_id.rpartition("/")
        number = int(stem)
        odometry = self._odometry(folder, where)
        depth = self.below(folder / "depth" / f"{stem}.png", where)
        z_m = read_depth_png(depth, where, DEPTH_WH) / 1000.0
        rules = lidar_rules(z_m, self.edges, self.farthest_m)
        if self.confidence:
            path = self.below(folder / "confidence" / f"{stem}.png", where)
            sure = read_confidence(path, where) >= self.confidence
            rules = {"low confidence": sure} | rules
        depth_m, dropped = kept(z_m, rules)
        video, path = self._video(folder, len(odometry.times_s), where)
        try:
            pixels = video.read(number, "rgb24")
        except ValueError as error:
            raise RecordError("bad video", where, f"{path} {error}") from error
        size_wh = pixels.shape[1], pixels.shape[0]
        if not same_field(size_wh, DEPTH_WH):
            raise RecordError(
                "other field of view",
                where,
                f"{path} is {size_wh[0]}x{size_wh[1]}, its depth {DEPTH_WH[0]}x{DEPTH_WH[1]};"
                " expected the video as the app wrote it, neither turned nor cut",
            )
        matrix = self.below(folder / _MATRIX, where)
        if odometry.intrinsics is None:
            k = read_numbers(matrix, 9, where, "a camera matrix of 3x3")
            intrinsics, source = [k[0], k[4], k[2], k[5]], matrix
        else:
            intrinsics = odometry.intrinsics[number].tolist()
            source = folder / _ODOMETRY
        position, quaternion = np.split(odometry.poses[number], [3])
        return Frame(
            encode_png(pixels),
            centred_camera(intrinsics, size_wh, where, source),
            "z",
            depth_m=depth_m,
            scene=name,
            timestamp=odometry.times_s[number],
            pose=motion(quaternion[[3, 0, 1, 2]], position),
            dropped=dropped,
            noted=["intrinsics of the recording's last frame"] * (source == matrix),
        )

    def _odometry(self, folder: Path, where: str) -> _Odometry:
        path = self.below(folder / _ODOMETRY, where)
        if not path.is_file():
            raise RecordError(
                "missing file", where, f"{path} does not exist; export the recording again"
            )
        try:
            return _read_odometry(str(path))
        except DepthLMError as error:
            raise RecordError("bad file", where, str(error)) from error

    def _video(self, folder: Path, described: int, where: str) -> tuple[Video, Path]:
        """Return the video, of as many frames as are described, and its path."""
        path = self.below(folder / _VIDEO, where)
        if not path.is_file():
            raise RecordError(
                "missing image", where, f"{path} does not exist; export the recording again"
            )
        try:
            # The app gives the first frame a time before the video's start, so that players and
            # ffmpeg do not show it: without it pictures would be one frame off.
            video = open_video(str(path), whole=True)
        except ValueError as error:
            raise RecordError("bad video", where, f"{path} {error}") from error
        if len(video) != described:
            raise RecordError(
                "frame counts differ",
                where,
                f"{path} has {len(video)} frames but {_ODOMETRY} describes {described}: which are"
                " the same is not known; expected the video as the app wrote it, not converted"
                " (versions of before August 2021 left frames out)",
            )
        return video, path


@dataclass(frozen=True)
class _Odometry:
    """What is written of the frames of a recording.

    Attributes:
        times_s: When each was taken, seconds since the phone was started.
        poses: Positions (metres) and quaternions (x, y, z, w) of the camera (N, 7).
        intrinsics: fx, fy, cx, cy (N, 4) in pixels of the video, or None.
    """

    times_s: list[float]
    poses: Floats
    intrinsics: Floats | None


def _is_recording(path: Path) -> bool:
    return any((path / name).is_file() for name in (_ODOMETRY, _VIDEO))


@lru_cache(maxsize=4)
def _read_odometry(path: str) -> _Odometry:
    """Return what `odometry.csv` holds; columns that are not known are passed over.

    Raises:
        DepthLMError: For a file that is damaged or another.
    """
    head, *lines = read_text(Path(path)).splitlines() or [""]
    names = [word.strip() for word in head.split(",")]
    wanted = ["timestamp", "frame", *_POSE]
    if not set(wanted) <= set(names):
        raise DepthLMError(
            f"{path}:1: expected the columns {', '.join(wanted)}, found {head[:120]!r}; recordings"
            " of older versions of the app cannot be read"
        )
    if set(_INTRINSICS) <= set(names):
        wanted += _INTRINSICS
    places = [names.index(name) for name in wanted]
    rows: list[list[float]] = []
    for line in lines:
        words = line.split(",")
        try:
            row = [float(words[place]) for place in places]
        except (ValueError, IndexError) as error:
            raise DepthLMError(
                f"{path}:{len(rows) + 2}: expected numbers for {', '.join(wanted)}, found"
                f" {line[:120]!r}; export the recording again"
            ) from error
        if row[1] != len(rows) or not np.isfinite(row).all():
            raise DepthLMError(
                f"{path}:{len(rows) + 2}: expected finite numbers of frame {len(rows)}, found"
                f" {line[:120]!r}: which frames of the video are described is not known"
            )
        rows.append(row)
    if not rows:
        raise DepthLMError(f"{path} describes no frame; export the recording again")
    values = np.array(rows)
    return _Odometry(
        values[:, 0].tolist(), values[:, 2:9], values[:, 9:] if len(wanted) > 9 else None
    )
