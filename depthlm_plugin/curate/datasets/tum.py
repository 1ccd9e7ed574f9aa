"""TUM RGB-D: handheld and robot sequences of a Kinect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.lens import Lens
from ...geometry.rigid import motion
from ..formats.files import read_depth_png, read_text
from ..formats.in_time import associated
from ..frames import Frame, Item
from ..reading import Reader, missing

_UNITS = 5000.0  # of the depth images, a metre
_UNIT = 1e-2  # by which the norm of a quaternion may differ from 1
_NEAR_S = 0.02  # pictures, depth images and poses of one moment are no further apart
_SIZE_WH = 640, 480
_NAME = re.compile(r"rgbd_dataset_freiburg([123])_")
_CAMERAS = {
    "1": Camera(
        *(517.3, 516.5, 318.6, 255.3),
        _SIZE_WH,
        Lens("opencv", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)),
    ),
    "2": Camera(
        *(520.9, 521.0, 325.1, 249.7),
        _SIZE_WH,
        Lens("opencv", (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)),
    ),
    "3": Camera(535.4, 539.2, 320.1, 247.6, _SIZE_WH),
}


@dataclass(frozen=True)
class TumRgbd(Reader):
    """TUM RGB-D: indoor sequences of Kinect cameras with tracked poses (Sturm et al., 2012).

    Source: Technical University of Munich: `rgbd_dataset_freiburg*.tgz`, unpacked into one folder,
    or the folder of one sequence. A picture has the depth image that is nearest in time, within
    0.02 s, each being used once; pictures without one are no frames.

    Licence: CC BY 4.0.

    Camera: the published calibration of the RGB camera of Freiburg 1, 2 or 3, 640x480, for
    integers as pixel centres. Pictures of 1 and 2 are distorted, and are kept so with their lens
    (OpenCV's k1, k2, p1, p2, k3); those of 3 are undistorted. Poses are of the motion-capture
    system (`groundtruth.txt`), interpolated between the two that enclose the picture's time if both
    are within 0.02 s of it; other frames, and sequences without that file, have none.

    Depth: z along the principal axis, registered to the picture as it is, distorted or not.

    Units: 16-bit PNG, metres = value / 5000; the published scale corrections are in it.

    Invalid: value 0.

    Split: none; use `depthlm split`. Scenes are sequences; many of one Freiburg number were
    recorded in the same hall or office.
    """

    STORED_DEPTH: ClassVar[str] = "z, 1/5000 m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<sequence>/<time of the picture>`, sequences in name order."""
        folders = [self.root] if _NAME.match(self.root.resolve().name) else []
        if not folders and self.root.is_dir():
            folders = sorted(
                path for path in self.root.iterdir() if path.is_dir() and _NAME.match(path.name)
            )
        if not folders:
            raise missing(self.root, "TUM RGB-D", "rgbd_dataset_freiburg*/ with rgb.txt, depth.txt")
        for folder in folders:
            name = folder.resolve().name
            absent = [file for file in ("rgb.txt", "depth.txt") if not (folder / file).is_file()]
            if absent:
                text = f"{folder / absent[0]} does not exist; is the download complete?"
                yield Item(name, problem=("missing file", text))
                continue
            pictures, depths = (
                _listed(self.below(folder / file, f"tum {name}"))
                for file in ("rgb.txt", "depth.txt")
            )
            times, depth_times = [at for at, _ in pictures], [at for at, _ in depths]
            for i, j in associated(times, depth_times, _NEAR_S):
                time, picture = pictures[i]
                frame_id = f"{name}/{Path(picture).stem}"
                yield Item(frame_id, (str(folder), time, picture, depths[j][1]))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"tum {item.frame_id}"
        place, time, picture, depth = item.at
        folder = Path(place)
        name = item.frame_id.split("/")[0]
        raw = read_depth_png(self.below(folder / depth, where), where, _SIZE_WH)
        recording = _NAME.match(name)
        assert recording is not None
        tracked = self.below(folder / "groundtruth.txt", where)
        try:
            pose = _pose_at(_trajectory(str(tracked)), time)
        except ValueError as error:
            raise RecordError(
                "bad file",
                where,
                f"{tracked} cannot be read ({error}); expected lines of"
                " timestamp tx ty tz qx qy qz qw",
            ) from error
        return Frame(
            folder / picture,
            _CAMERAS[recording[1]],
            "z",
            depth_m=np.where(raw > 0, raw / _UNITS, np.nan),
            scene=name,
            camera_name=f"freiburg{recording[1]}",
            timestamp=time,
            pose=pose,
        )


def _listed(path: Path) -> list[tuple[float, str]]:
    """Return the times and files of a list, in order of time."""
    result = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            time, name = line.split()
            result.append((float(time), name))
        except ValueError as error:
            raise DepthLMError(
                f"{path}:{number}: expected a timestamp and a file, found {line!r}; is the download"
                " complete?"
            ) from error
    return sorted(result)


@lru_cache(maxsize=4)
def _trajectory(path: str) -> Floats:
    """Return rows (N, 8) of time, position and quaternion (x, y, z, w), in order of time."""
    if not Path(path).is_file():
        return np.empty((0, 8))
    rows: Floats = np.loadtxt(path, comments="#", ndmin=2)
    if rows.shape[1:] != (8,):
        raise ValueError(f"it has {rows.shape[1]} columns")
    if not (np.abs(np.linalg.norm(rows[:, 4:], axis=1) - 1) < _UNIT).all():
        raise ValueError("a quaternion is not of unit length")
    return rows[np.argsort(rows[:, 0], kind="stable")]


def _pose_at(trajectory: Floats, time: float) -> Floats | None:
    """Return the camera-to-world matrix at a time, or None where none was tracked near it."""
    after = int(np.searchsorted(trajectory[:, 0], time))
    if after == len(trajectory) or (after == 0 and trajectory[0, 0] > time):
        return None
    last = trajectory[after]
    first = last if last[0] == time else trajectory[after - 1]
    if max(time - first[0], last[0] - time) > _NEAR_S:
        return None
    share = (time - first[0]) / (last[0] - first[0]) if last[0] > first[0] else 0.0
    middle = (1 - share) * first + share * (last if first[4:] @ last[4:] > 0 else _turned(last))
    # Of so near rotations the normalised mean is the spherical one, to a thousandth of a degree.
    x, y, z, w = middle[4:] / np.linalg.norm(middle[4:])
    return motion((w, x, y, z), middle[1:4])


def _turned(row: Floats) -> Floats:
    """Return a row whose quaternion has the other sign, which is the same rotation."""
    return np.concatenate([row[:4], -row[4:]])
