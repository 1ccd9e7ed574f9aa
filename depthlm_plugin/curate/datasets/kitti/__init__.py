"""KITTI: raw drives with the annotated depth maps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ....errors import DepthLMError, RecordError
from ....geometry.arrays import Floats
from ....geometry.camera import Camera
from ....views.decode import image_size
from ...formats.files import named, read_depth_png, read_text
from ...frames import Frame, Item
from ...reading import Reader, chosen, missing
from .oxts import calibrated, first_packet, mounting, picture_time, vehicle_motion

_UNITS = 256.0  # of the depth images, a metre
_CAMERAS = ("image_02", "image_03")
_LISTED = re.compile(  # a line of Eigen's list; some have no folder of the date
    r"(?:\d{4}_\d\d_\d\d/)?((\d{4}_\d\d_\d\d_drive_\d{4}_sync)/(image_\d\d)/data/(\d{1,10})\.\w+)"
    r"\s+(\S+)\s+(\d+(?:\.\d*)?)",
    re.ASCII,
)
_GARG = (0.40810811, 0.99189189), (0.03594771, 0.96405229)  # of the height, of the width


@dataclass(frozen=True)
class Kitti(Reader):
    """KITTI: street scenes with accumulated lidar depth (Geiger et al. 2013; Uhrig et al. 2017).

    Source: cvlibs.net: raw drives (`<date>/<drive>_sync/`, `<date>/calib_cam_to_cam.txt`) and
    `data_depth_annotated.zip` (`train/`, `val/`), unpacked into one folder.

    Licence: CC BY-NC-SA 3.0.

    Camera: pinhole, rectified: the left 3x3 of `P_rect_02` or `P_rect_03` of its date.

    Depth: z along the principal axis, of 11 lidar sweeps, checked against stereo.

    Units: 16-bit PNG, metres = value / 256. Where the drive has `oxts/`, and its date
    `calib_imu_to_velo.txt` and `calib_velo_to_cam.txt`: the pose (x east, y north, z up from the
    drive's first packet, by the Mercator projection of KITTI's development kit) and `speed_m_s`,
    forwards. `timestamp` is the picture's, seconds since 1970 as if its clock were UTC.

    Invalid: value 0; with `--option crop=garg`, everything outside the crop of Garg et al. (2016),
    rows 0.408 to 0.992 and columns 0.036 to 0.964 of the whole picture.

    Split: `eigen_test` (default): the lines of `eigen_test_files_with_gt.txt` in the root
    (`--option files=NAME`) whose depth map is not `None`, 652 of 697; or `train`, `val`: every
    annotated frame of both colour cameras. Scenes are drives; Eigen's test drives are in `train`
    too.
    """

    files: str = "eigen_test_files_with_gt.txt"
    crop: str = "none"

    SPLITS: ClassVar[tuple[str, ...]] = ("eigen_test", "train", "val")
    STORED_DEPTH: ClassVar[str] = "z, 1/256 m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp", "speed_m_s")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<drive>_sync/<camera>/<number>`."""
        chosen("crop", self.crop, ("none", "garg"))
        if self.split == "eigen_test":
            yield from self._eigen()
            return
        folder = self.root / str(self.split)
        if not folder.is_dir():
            raise missing(self.root, "KITTI", f"{self.split}/ of data_depth_annotated")
        for camera in _CAMERAS:
            for path in sorted(folder.glob(f"*_sync/proj_depth/groundtruth/{camera}/*.png")):
                drive = path.relative_to(folder).parts[0]
                picture = f"{drive[:10]}/{drive}/{camera}/data/{path.name}"
                depth = path.relative_to(self.root).as_posix()
                yield Item(f"{drive}/{camera}/{path.stem}", (picture, depth, None))

    def _eigen(self) -> Iterator[Item]:
        path = named(self.root, self.files, "--option files")
        if not path.is_file():
            raise missing(self.root, "KITTI with Eigen's list", self.files)
        for number, line in enumerate(read_text(path).splitlines(), start=1):
            words = line.split()
            if not words or words[1:2] == ["None"]:
                continue
            listed = _LISTED.fullmatch(line.strip())
            if listed is None:
                raise DepthLMError(
                    f"{path}:{number}: expected [date/]drive/camera/data/number.png, the depth map"
                    f" and the focal length, found {line!r}"
                )
            picture, drive, camera, frame, depth, focal_px = listed.groups()
            picture = f"{drive[:10]}/{picture}"
            yield Item(f"{drive}/{camera}/{frame}", (picture, depth, float(focal_px)))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"kitti {item.frame_id}"
        picture, depth, focal_px = item.at
        drive, camera_name, number = item.frame_id.split("/")
        path = self.below(self.root / picture, where)
        size_wh = image_size(str(path), where)
        calibration = self.below(self.root / drive[:10] / "calib_cam_to_cam.txt", where)
        camera = _camera(calibration, camera_name, size_wh, where)
        if focal_px is not None and not math.isclose(camera.fx, focal_px, rel_tol=0.01):
            raise RecordError(
                "bad intrinsics",
                where,
                f"the calibration says fx = {camera.fx:g} px, the list {focal_px:g}; are both of"
                " the same release?",
            )
        raw = read_depth_png(self.below(self._found(depth), where), where, size_wh)
        depth_m = np.where(raw > 0, raw / _UNITS, np.nan)
        dropped = _outside_garg(depth_m) if self.crop == "garg" else 0
        self._check_motion(drive, camera_name, number, where)
        date = self.root / drive[:10]
        taken_s = picture_time(date / drive, camera_name, int(number), where)
        motion = vehicle_motion(date / drive, int(number), taken_s, where)
        mount = mounting(date, camera_name, where)
        return Frame(
            path,
            camera,
            "z",
            depth_m=depth_m,
            scene=drive,
            camera_name=camera_name,
            timestamp=taken_s,
            pose=None if motion is None or mount is None else motion[0] @ mount,
            dropped={"outside the crop": dropped} if dropped else {},
            extra={} if motion is None else {"speed_m_s": motion[1]},
        )

    def _check_motion(self, drive: str, camera: str, number: str, where: str) -> None:
        """Refuse files of the vehicle's motion that are links out of the root."""
        date = self.root / drive[:10]
        for name in ("calib_imu_to_velo.txt", "calib_velo_to_cam.txt"):
            self.below(date / name, where)
        packets = date / drive / "oxts" / "data"
        for path in (packets / f"{number}.txt", first_packet(packets)):
            if path is not None:
                self.below(path, where)
        for folder in (camera, "oxts"):
            self.below(date / drive / folder / "timestamps.txt", where)

    def _found(self, depth: str) -> Path:
        """Return the place of a depth map, which the list gives without `train/` or `val/`."""
        places = [self.root / part / depth for part in ("", "val", "train")]
        return next((place for place in places if place.is_file()), places[0])


def _camera(path: Path, name: str, size_wh: tuple[int, int], where: str) -> Camera:
    row = calibrated(path, f"P_rect_{name[-2:]}", 12, where)
    return Camera.from_intrinsics([row[0], row[5], row[2], row[6], *size_wh])


def _outside_garg(depth_m: Floats) -> int:
    """Make depths outside the crop invalid; return how many there were."""
    height, width = depth_m.shape
    (top, bottom), (left, right) = _GARG
    inside = np.zeros(depth_m.shape, dtype=np.bool_)
    inside[int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
    count = int(np.isfinite(depth_m[~inside]).sum())
    depth_m[~inside] = np.nan
    return count
