"""Hypersim: rendered indoor scenes."""

from __future__ import annotations

import math
import os
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
from ...views.decode import image_size
from ..formats.csv_rows import read_rows
from ..formats.files import inside, named
from ..formats.hdf5 import read_hdf5
from ..frames import Frame, Item
from ..reading import Reader, missing

_PICTURE = re.compile(r"frame\.(\d{4,})\.tonemap\.jpg")
_REPOSITORY = "https://github.com/apple/ml-hypersim"
_ENTRIES = tuple(f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3))
_SIZE = ("settings_output_img_width", "settings_output_img_height")
_FOV_DEG, _ASPECT = 60.0, 4 / 3
_SKEW = 1e-4  # cosine of the angle between a picture's rows and columns that is still 0


@dataclass(frozen=True)
class Hypersim(Reader):
    """Hypersim: 77,400 rendered pictures of 461 indoor scenes (Roberts et al., 2021).

    Source: the scenes `ai_VVV_NNN.zip` of Apple's download script, unpacked into one folder, of
    which are read: `images/scene_cam_XX_final_preview/*.tonemap.jpg`,
    `images/scene_cam_XX_geometry_hdf5/*.depth_meters.hdf5` and, for poses, `_detail/`; and
    `metadata_camera_parameters.csv` in the root, from the repository apple/ml-hypersim, its
    `contrib/mikeroberts3000/`.

    Licence: CC BY-SA 3.0.

    Camera: pinhole, from the `M_cam_from_uv` of the scene. Many scenes have a tilted or shifted
    picture: their intrinsics are those of the axis at right angles to it, and poses are turned to
    it. Scenes whose pixels are no rectangles are refused. `--option cameras=nominal` takes fx = fy
    = 886.81 and the picture's centre for all, without the file: distances stay right, but the
    intrinsics of those scenes are wrong, by 250 pixels in one of them; records say that they are
    assumed.

    Depth: distance to the optical centre.

    Units: HDF5 of half-precision metres (to 0.05 %).

    Invalid: NaN: windows, sky.

    Split: `train` (default), `val` or `test` of `metadata_images_split_scene_v1.csv` in the root,
    from the repository, its `evermotion_dataset/analysis/` (`--option splits=FILE` for another
    place), without the pictures that it excludes; or `all` that are there.
    """

    cameras: str = "metadata_camera_parameters.csv"
    splits: str = "metadata_images_split_scene_v1.csv"

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")
    STORED_DEPTH: ClassVar[str] = "distance, m"
    CALIBRATED: ClassVar[bool] = True
    ANNOUNCED: ClassVar[tuple[str, ...]] = ("tilt-shift camera",)
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)

    def items(self) -> Iterator[Item]:
        """Yield the pictures by scene, camera and number."""
        folders = sorted(self.root.glob("ai_*/images/scene_cam_*_final_preview"))
        if not folders:
            raise missing(self.root, "Hypersim", "ai_VVV_NNN/images/scene_cam_XX_final_preview/")
        if self.cameras != "nominal" and not self._cameras().is_file():
            raise missing(
                self.root,
                "Hypersim with its cameras",
                f"{self.cameras} (from {_REPOSITORY}, contrib/mikeroberts3000; --option"
                " cameras=nominal does without it, and is wrong for many scenes)",
            )
        listed = None if self.split == "all" else self._listed()
        none = True
        for folder in folders:
            scene = folder.parts[-3]
            camera = folder.name.removeprefix("scene_").removesuffix("_final_preview")
            for name in sorted(os.listdir(folder)):
                number = _PICTURE.fullmatch(name)
                if number and (listed is None or (scene, camera, str(int(number[1]))) in listed):
                    none = False
                    yield Item(f"{scene}/{camera}/{number[1]}")
        if none and listed is not None:
            raise DepthLMError(
                f"--root {self.root} has no picture of the split {self.split} of {self.splits};"
                " --split all takes all"
            )

    def load(self, item: Item) -> Frame:
        """Return a picture with its map of distances."""
        where = f"hypersim {item.frame_id}"
        scene, camera_name, number = item.frame_id.split("/")
        images = self.root / scene / "images"
        image = images / f"scene_{camera_name}_final_preview" / f"frame.{number}.tonemap.jpg"
        width, height = image_size(str(image), where)
        folder = images / f"scene_{camera_name}_geometry_hdf5"
        path = self.below(folder / f"frame.{number}.depth_meters.hdf5", where)
        if not path.is_file():
            raise RecordError(
                "missing depth", where, f"{path} does not exist; is the download complete?"
            )
        depth_m = read_hdf5(path, where, (height, width))
        if not np.issubdtype(depth_m.dtype, np.floating):
            raise RecordError(
                "bad depth array",
                where,
                f"{path} holds {depth_m.dtype} of the shape {depth_m.shape}, expected"
                " floating-point metres",
            )
        matrix, aspect = self._matrix(scene, where)
        if not math.isclose(width / height, aspect, rel_tol=1e-3):
            raise RecordError(
                "bad intrinsics",
                where,
                f"the picture is {width}x{height}, but its camera has sides of {aspect:g} to 1;"
                " take the picture as it was published",
            )
        camera, turn = _pinhole(matrix, (width, height), where)
        pose = _trajectory(self.root, scene, camera_name).get(int(number))
        if pose is not None:
            pose = pose.copy()
            pose[:3, :3] @= turn.T
        return Frame(
            image,
            camera,
            "distance",
            depth_m=depth_m.astype(np.float64),
            scene=scene,
            camera_name=camera_name,
            pose=pose,
            extra={"intrinsics_source": "assumed"} if self.cameras == "nominal" else {},
        )

    def _listed(self) -> set[tuple[str, str, str]]:
        path = named(self.root, self.splits, "--option splits")
        if not path.is_file():
            raise missing(
                self.root,
                "Hypersim with its splits",
                f"{self.splits} (from {_REPOSITORY}, evermotion_dataset/analysis; --split all needs"
                " none)",
            )
        columns = ("scene_name", "camera_name", "frame_id", "split_partition_name")
        # A picture that is not in the release is in no partition.
        return {
            (row["scene_name"], row["camera_name"], row["frame_id"])
            for row in read_rows(path, columns)
            if row["split_partition_name"] == self.split
        }

    def _matrix(self, scene: str, where: str) -> tuple[Floats, float]:
        """Return what takes picture coordinates to rays (3, 3), and width over height."""
        if self.cameras == "nominal":
            tangent = math.tan(math.radians(_FOV_DEG / 2))
            return np.diag([tangent, tangent / _ASPECT, -1.0]), _ASPECT
        camera = _read_cameras(self._cameras()).get(scene)
        if camera is None:
            raise RecordError("no intrinsics", where, f"{self._cameras()} has no row of {scene}")
        return camera

    def _cameras(self) -> Path:
        return named(self.root, self.cameras, "--option cameras")


@lru_cache(maxsize=4)
def _read_cameras(path: Path) -> dict[str, tuple[Floats, float]]:
    """Return `M_cam_from_uv` and the aspect ratio of every scene."""
    cameras = {}
    for number, row in enumerate(read_rows(path, ("scene_name", *_SIZE, *_ENTRIES)), start=2):
        try:
            matrix = np.array([float(row[name]) for name in _ENTRIES]).reshape(3, 3)
            width, height = (float(row[name]) for name in _SIZE)
            cameras[row["scene_name"]] = matrix, width / height
        except (ValueError, ZeroDivisionError) as error:
            raise DepthLMError(f"{path}: row {number} is not of numbers ({error})") from error
    return cameras


def _pinhole(matrix: Floats, size_wh: tuple[int, int], where: str) -> tuple[Camera, Floats]:
    """Return the pinhole camera whose rays a matrix gives, and the turn (3, 3) to its axes.

    The matrix takes (u, v, 1), u to the right and v up from -1 to 1 over the whole picture, to rays
    in the scene's camera axes: x right, y up, z backward. A tilted picture is one at right angles
    to another axis; distances are the same.
    """
    right, up, middle = matrix.T
    half_width, half_height = np.linalg.norm(right), np.linalg.norm(up)
    if not abs(right @ up) < _SKEW * half_width * half_height:
        raise RecordError(
            "tilt-shift camera",
            where,
            "its M_cam_from_uv has rows and columns that are not at right angles; no pinhole camera"
            " takes such a picture",
        )
    x_axis, y_axis = right / half_width, -up / half_height
    turn = np.stack([x_axis, y_axis, np.cross(x_axis, y_axis)])
    x, y, z = turn @ middle
    width, height = size_wh
    camera = Camera.from_intrinsics(
        [
            z * width / (2 * half_width),
            z * height / (2 * half_height),
            (width - 1) / 2 - x * width / (2 * half_width),
            (height - 1) / 2 - y * height / (2 * half_height),
            *size_wh,
        ]
    )
    return camera, turn


@lru_cache(maxsize=16)
def _trajectory(root: Path, scene: str, camera: str) -> dict[int, Floats]:
    """Return the camera-to-world matrices by frame, of the scene's camera axes; none is empty."""
    where = f"hypersim {scene}/{camera}"
    detail = root / scene / "_detail"
    names = ("frame_indices", "positions", "orientations")
    paths = [
        inside(root, detail / camera / f"camera_keyframe_{name}.hdf5", where) for name in names
    ]
    scale = inside(root, detail / "metadata_scene.csv", where)
    if not all(path.is_file() for path in (*paths, scale)):
        return {}
    frames, centres, turns = (read_hdf5(path, where) for path in paths)
    try:
        rows = read_rows(scale, ("parameter_name", "parameter_value"))
        values = {row["parameter_name"].strip(): row["parameter_value"] for row in rows}
        metres = float(values["meters_per_asset_unit"])
    except (DepthLMError, KeyError, ValueError) as error:
        raise RecordError(
            "bad file", where, f"{scale} has no number meters_per_asset_unit ({error!r})"
        ) from error
    count = frames.size
    if centres.shape != (count, 3) or turns.shape != (count, 3, 3):
        raise RecordError(
            "bad file",
            where,
            f"{detail / camera} has {count} frame indices, positions {centres.shape} and"
            f" orientations {turns.shape}; expected as many of each",
        )
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = turns, centres * metres
    return dict(zip(frames.ravel().tolist(), poses, strict=True))
