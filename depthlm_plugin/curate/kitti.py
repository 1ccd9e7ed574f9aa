"""KITTI: raw drives with the annotated depth maps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..camera import Camera
from ..errors import DepthLMError, RecordError
from ..images import image_size
from .frames import Frame, Item
from .reading import Reader, missing, read_depth_png

_UNITS = 256.0  # of the depth images, a metre
_CAMERAS = ("image_02", "image_03")


@dataclass(frozen=True)
class Kitti(Reader):
    """KITTI: street scenes with accumulated lidar depth (Geiger et al. 2013; Uhrig et al. 2017).

    Source: cvlibs.net: raw drives (`<date>/<drive>_sync/`, `<date>/calib_cam_to_cam.txt`) and
    `data_depth_annotated.zip` (`train/`, `val/`), unpacked into one folder.

    Licence: CC BY-NC-SA 3.0.

    Camera: pinhole, rectified: the left 3x3 of `P_rect_02` or `P_rect_03` of its date.

    Depth: z along the principal axis, of 11 lidar sweeps, checked against stereo.

    Units: 16-bit PNG, metres = value / 256.

    Invalid: value 0.

    Split: `eigen_test` (default): the lines of `eigen_test_files_with_gt.txt` in the root
    (`--option files=NAME`) whose depth map is not `None`, 652 of 697; or `train`, `val`: every
    annotated frame of both colour cameras. Scenes are drives; Eigen's test drives are in `train`
    too.
    """

    files: str = "eigen_test_files_with_gt.txt"

    SPLITS: ClassVar[tuple[str, ...]] = ("eigen_test", "train", "val")

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<drive>_sync/<camera>/<number>`."""
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
        path = self.root / self.files
        if not path.is_file():
            raise missing(self.root, "KITTI with Eigen's list", self.files)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            words = line.split()
            if not words or words[1:2] == ["None"]:
                continue
            if len(words) != 3 or words[0].count("/") != 4:
                raise DepthLMError(
                    f"{path}:{number}: expected date/drive/camera/data/number.png, the depth map"
                    f" and the focal length, found {line!r}"
                )
            picture, depth, focal_px = words
            _, drive, camera, _, name = picture.split("/")
            yield Item(f"{drive}/{camera}/{Path(name).stem}", (picture, depth, float(focal_px)))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"kitti {item.frame_id}"
        picture, depth, focal_px = item.at
        drive, camera_name, _ = item.frame_id.split("/")
        path = self.root / picture
        size_wh = image_size(str(path), where)
        camera = _camera(
            self.root / drive[:10] / "calib_cam_to_cam.txt", camera_name, size_wh, where
        )
        if focal_px is not None and not math.isclose(camera.fx, focal_px, rel_tol=0.01):
            raise RecordError(
                "bad intrinsics",
                where,
                f"the calibration says fx = {camera.fx:g} px, the list {focal_px:g}; are both of"
                " the same release?",
            )
        raw = read_depth_png(self._found(depth), where)
        if raw.shape != (size_wh[1], size_wh[0]):
            raise RecordError(
                "bad depth image",
                where,
                f"depth is {raw.shape[1]}x{raw.shape[0]}, the picture {size_wh[0]}x{size_wh[1]}",
            )
        return Frame(
            path,
            camera,
            "z",
            depth_m=np.where(raw > 0, raw / _UNITS, np.nan),
            scene=drive,
            camera_name=camera_name,
        )

    def _found(self, depth: str) -> Path:
        """Return the place of a depth map, which the list gives without `train/` or `val/`."""
        places = [self.root / part / depth for part in ("", "val", "train")]
        return next((place for place in places if place.is_file()), places[0])


def _camera(path: Path, name: str, size_wh: tuple[int, int], where: str) -> Camera:
    key = f"P_rect_{name[-2:]}:"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        words = next(line.split()[1:] for line in lines if line.startswith(key))
        row = [float(word) for word in words]
        fx, cx, fy, cy = row[0], row[2], row[5], row[6]
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} does not exist; it comes with the raw drives"
        ) from error
    except (StopIteration, ValueError, IndexError) as error:
        raise RecordError(
            "bad file", where, f"{path} has no line {key} with 12 numbers; fetch it again"
        ) from error
    return Camera.from_intrinsics([fx, fy, cx, cy, *size_wh])
