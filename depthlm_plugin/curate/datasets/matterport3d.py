"""Matterport3D: the undistorted pictures and depth images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import FLIP_YZ
from ...views.decode import image_size
from ..formats.files import named, read_depth_png, read_text
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_CAMERAS, _PICTURES, _DEPTHS = (
    f"undistorted_{what}" for what in ("camera_parameters", "color_images", "depth_images")
)
_UNITS = 4000.0  # of the depth images, a metre
_SIZE_WH = 1280, 1024
_PUBLISHED_RANGE_M = 0.05, 50.0
_NAME = re.compile(r"(?P<pano>\w+)_[id](?P<camera>[0-2])_(?P<yaw>[0-5])\.(jpg|png)")
_LISTS = "https://github.com/niessner/Matterport, tasks/benchmark"


@dataclass(frozen=True)
class Matterport3d(Reader):
    """Matterport3D: 194,400 pictures of 90 houses with depth (Chang et al., 2017).

    Source: niessner.github.io/Matterport, after signing its terms: `download_mp.py --type
    undistorted_color_images undistorted_depth_images undistorted_camera_parameters`, unpacked.
    Folders may be nested as the archives or the user nests them; each house needs all three.

    Licence: Matterport's terms of use: research, not commercial.

    Camera: pinhole, undistorted, 1280x1024, the `intrinsics_matrix` that stands above a picture's
    line in `<house>.conf`, one for each of the three cameras of a tripod. It counts rows from the
    bottom: `cy` becomes 1023 - `cy`, which is the `cy` of the camera's own calibration.

    Depth: z along the principal axis, of structured light, reprojected to the picture.

    Units: 16-bit PNG, 0.25 mm: metres = value / 4000.

    Invalid: value 0.

    Split: `all` (default) 90 houses, as DepthLM; `train`, `val` or `test` (61, 11 and 18
    houses, none in two of them) of `scenes_<split>.txt`, to be put into the root from the dataset's
    repository, its `tasks/benchmark/`; `--option houses=FILE` names another list. A scene is a
    house.
    """

    houses: str | None = None

    SPLITS: ClassVar[tuple[str, ...]] = ("all", "train", "val", "test")
    STORED_DEPTH: ClassVar[str] = "z, 1/4000 m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        "all",
        note=(
            "Distances of all 90 houses, kept from 0.05 to 50 m. Their `cy` was not turned round,"
            " which moves distances by about 0.1 % near the edges, and pictures were paired with"
            " depth images by their places in two lists; neither is repeated here. They left out"
            " pictures with fewer than 50 depths, and drew up to 100 of 200 pixels; which ones was"
            " not published."
        ),
    )

    def items(self) -> Iterator[Item]:
        """Yield the `scan` lines of the houses that have pictures, by house."""
        houses = _folders(self.root)
        if not houses:
            raise missing(
                self.root,
                "Matterport3D",
                f"folders {_CAMERAS}/ with <house>.conf and {_PICTURES}/ and {_DEPTHS}/ of a house",
            )
        if self.split != "all":
            listed = self._listed()
            if not listed & houses.keys():
                raise DepthLMError(
                    f"--root {self.root} has {len(houses)} houses ({next(iter(houses))}, ...), none"
                    f" of the {len(listed)} of the split {self.split}; --split all takes all"
                )
            houses = {house: houses[house] for house in houses if house in listed}
        for house, places in houses.items():
            self.below(Path(places[0]), f"matterport3d {house}")
            for stem in _read_conf(places[0]):
                yield Item(f"{house}/{stem}", places)

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        where = f"matterport3d {item.frame_id}"
        conf, pictures, depths = item.at
        house, stem = item.frame_id.split("/")
        scan = _read_conf(conf)[stem]
        image = Path(pictures) / scan.picture
        size_wh = image_size(str(self.below(image, where)), where)

        def check(depth_wh: tuple[int, int]) -> None:
            if not size_wh == depth_wh == _SIZE_WH:
                raise RecordError(
                    "size differs from intrinsics",
                    where,
                    f"the picture is {size_wh[0]}x{size_wh[1]}, depth {depth_wh[0]}x{depth_wh[1]};"
                    f" the intrinsics are for {_SIZE_WH[0]}x{_SIZE_WH[1]}, as they were published",
                )

        depth = self.below(Path(depths) / scan.depth, where)
        raw = read_depth_png(depth, where, check=check)
        fx, fy, cx, cy = scan.intrinsics
        # Not 1024 - cy, and no half pixel in cx: of the camera with fx = 1076.45 the .conf has
        # (631.116, 509.202), its calibration in OpenCV's notation (631.116, 513.798).
        camera = Camera.from_intrinsics([fx, fy, cx, _SIZE_WH[1] - 1 - cy, *_SIZE_WH])
        depth_m = raw / _UNITS
        return Frame(
            image,
            camera,
            "z",
            depth_m=_published(depth_m, camera) if self.compat else depth_m,
            scene=house,
            camera_name=f"i{scan.camera}",
            pose=scan.pose @ FLIP_YZ,
        )

    def _listed(self) -> set[str]:
        name = self.houses or f"scenes_{self.split}.txt"
        path = named(self.root, name, "--option houses")
        if not path.is_file():
            looked_for = f"{name} (from {_LISTS}; --split all needs none)"
            raise missing(self.root, "Matterport3D with its splits", looked_for)
        return set(read_text(path).split())


@dataclass(frozen=True)
class _Scan:
    """A `scan` line of a house.

    Attributes:
        picture: File name of the picture.
        depth: File name of the depth image.
        camera: Which of the tripod's three cameras took it: `0`, `1` or `2`.
        intrinsics: fx, fy, cx, cy in pixels, cy counted from the bottom row.
        pose: Camera to world (4, 4), metres; the camera's y is up and it looks along -z.
    """

    picture: str
    depth: str
    camera: str
    intrinsics: tuple[float, float, float, float]
    pose: Floats


def _folders(root: Path) -> dict[str, tuple[str, str, str]]:
    """Return the .conf file, picture folder and depth folder of each house that has all three."""
    confs: dict[str, str] = {}
    images: dict[str, dict[str, str]] = {_PICTURES: {}, _DEPTHS: {}}  # by every name in its path
    for place, folders, names in os.walk(root):
        folders.sort()
        parts = (root.resolve().name, *Path(place).relative_to(root).parts)
        kind = next((part for part in reversed(parts) if part in (_CAMERAS, *images)), None)
        if kind == _CAMERAS:
            for name in sorted(names):
                if name.endswith(".conf"):
                    confs.setdefault(name.removesuffix(".conf"), os.path.join(place, name))
        elif kind is not None and any(map(_NAME.fullmatch, names)):
            for part in parts:
                images[kind].setdefault(part, place)
    return {
        house: (conf, images[_PICTURES][house], images[_DEPTHS][house])
        for house, conf in sorted(confs.items())
        if house in images[_PICTURES] and house in images[_DEPTHS]
    }


@lru_cache(maxsize=4)
def _read_conf(path: str) -> dict[str, _Scan]:
    """Return the scan lines of a house by the names of their pictures, in their order."""
    scans: dict[str, _Scan] = {}
    intrinsics = None
    lines = read_text(Path(path)).splitlines()
    for number, words in enumerate(map(str.split, lines), start=1):
        if words[:1] == ["intrinsics_matrix"]:
            k = _numbers(words[1:], (3, 3), path, number)
            if k[0, 1] or k[1, 0] or k[2].tolist() != [0, 0, 1]:
                raise _bad_line(path, number, "intrinsics_matrix fx 0 cx 0 fy cy 0 0 1")
            intrinsics = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
        elif words[:1] == ["scan"]:
            pose = _numbers(words[3:], (4, 4), path, number)
            depth, picture = (_NAME.fullmatch(name) for name in words[1:3])
            if not depth or not picture or depth.group(1, 2, 3) != picture.group(1, 2, 3):
                raise _bad_line(path, number, "scan PANO_d0_0.png PANO_i0_0.jpg of one view")
            if intrinsics is None:
                raise _bad_line(path, number, "an intrinsics_matrix above the first scan")
            stem = Path(words[2]).stem
            scans[stem] = _Scan(words[2], words[1], picture["camera"], intrinsics, pose)
    return scans


def _numbers(words: list[str], shape: tuple[int, int], path: str, number: int) -> Floats:
    try:
        return np.array([float(word) for word in words]).reshape(shape)
    except ValueError as error:
        raise _bad_line(path, number, f"{shape[0] * shape[1]} numbers") from error


def _bad_line(path: str, number: int, expected: str) -> DepthLMError:
    return DepthLMError(f"{path}:{number}: expected {expected}; fetch the file again")


def _published(depth_m: Floats, camera: Camera) -> NDArray[np.float64]:
    """Return z (H, W) where the distance is in the published range."""
    height, width = depth_m.shape
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
    distance_m = depth_m * camera.distance_over_z(pixels).reshape(depth_m.shape)
    low_m, high_m = _PUBLISHED_RANGE_M
    return np.where((distance_m >= low_m) & (distance_m <= high_m), depth_m, np.nan)
