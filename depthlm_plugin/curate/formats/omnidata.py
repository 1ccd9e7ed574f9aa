"""Scanned buildings as Omnidata packs them: pictures, depth images, a JSON file for each view."""

from __future__ import annotations

import json
import math
import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DepthLMError, GeometryError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.rigid import FLIP_YZ, inverse, motion, moved
from ...views.decode import image_size
from ..frames import Frame, Item
from ..reading import Reader, chosen, missing
from .csv_rows import read_rows
from .files import named, read_depth_png, read_mask

_UNITS = 512.0  # of the depth images, a metre
_NO_DEPTH = 65535
_KINDS = {"zbuffer": "z", "euclidean": "distance"}
_RGB = "_domain_rgb.png"
# Omnidata's, and those of Taskonomy's older archives, which hold one building or one kind of image.
_LAYOUTS = (
    "{domain}/{component}/{building}",
    "{domain}/{building}",
    "{building}_{domain}/{domain}",
    "{building}_{domain}",
    "{building}/{domain}",
)
_INFO_FOLDERS, _INFO_NAMES = ("point_info", "points"), ("point_info", "fixatedpose")
_FOCAL_TOLERANCE = 0.03  # between the two depth images and the field of view
_MASK_TOLERANCE = 0.01  # share of pixels where the mask and 65535 may disagree
_COMPARED_EVERY = 8  # rows and columns
_COMPARED_FROM = 256  # units: nearer depths are too coarse
_COMPARED_PIXELS = 50
_NO_POSE = "pose (none in its JSON file)"
_ROTATIONS_DIFFER = "pose (its two rotations differ)"
_NOT_SEEN = "pose (its own point is not in the picture)"
_SAME_TURN = 1e-3  # of the entries of two rotations


@dataclass(frozen=True)
class Omnidata(Reader):
    """Views of scanned buildings; a dataset says which of Omnidata's components, and its splits."""

    depth: str = "zbuffer"

    COMPONENT: ClassVar[str] = ""
    """The name of the dataset in Omnidata's folders."""
    MIN_VALID: ClassVar[float] = 0.0
    """The least share of a picture's pixels that must have a depth."""

    @abstractmethod
    def listed(self) -> set[str]:
        """Return the buildings of the split."""

    def items(self) -> Iterator[Item]:
        """Yield the views that have a picture, by building and in name order."""
        chosen("depth", self.depth, tuple(_KINDS))
        layout = self._layout()
        before, _, after = self._named(layout, "rgb", "*").partition("*")
        folders = {
            path.relative_to(self.root).as_posix().removeprefix(before).removesuffix(after): path
            for path in sorted(self.root.glob(f"{before}*{after}"))
            if path.is_dir()
        }
        if self.split != "all":
            listed = self.listed()
            if not listed & folders.keys():
                raise DepthLMError(
                    f"--root {self.root} has {len(folders)} buildings ({next(iter(folders))}, ...),"
                    f" none of the {len(listed)} of the split {self.split}; --split all takes all"
                )
            folders = {name: folders[name] for name in folders if name in listed}
        for building, folder in folders.items():
            for name in sorted(os.listdir(folder)):
                if name.endswith(_RGB):
                    yield Item(f"{building}/{name.removesuffix(_RGB)}", layout)

    def load(self, item: Item) -> Frame:
        """Return a view."""
        where = f"{self.COMPONENT} {item.frame_id}"
        building, view = item.frame_id.split("/")

        def place(domain: str, suffix: str = ".png", name: str | None = None) -> Path:
            folder = self.root / self._named(item.at, domain, building)
            return self.below(folder / f"{view}_domain_{name or domain}{suffix}", where)

        image = place("rgb")
        infos = [place(of, ".json", name) for of in _INFO_FOLDERS for name in _INFO_NAMES]
        info = _read_info(infos, where)
        camera = _camera(info, image_size(str(image), where), where)
        raw = _read_depth(place(f"depth_{self.depth}"), camera, where)
        good = _valid(raw)
        mask = place("mask_valid")
        if mask.is_file():
            kept = read_mask(mask, raw.shape, where)
            if np.mean(kept != (raw != _NO_DEPTH)) > _MASK_TOLERANCE:
                raise RecordError(
                    "bad mask",
                    where,
                    f"{mask} differs from where the depth image has no value (65535); the mask of"
                    " another view, or the other way round?",
                )
            good &= kept
        if good.mean() < self.MIN_VALID:
            raise RecordError(
                "mostly holes",
                where,
                f"{100 * good.mean():.0f} % of its pixels have a depth, expected"
                f" {100 * self.MIN_VALID:.0f} % or more; the view is of a hole in the scan",
            )
        other = next(kind for kind in _KINDS if kind != self.depth)
        if place(f"depth_{other}").is_file():
            both = {self.depth: raw, other: _read_depth(place(f"depth_{other}"), camera, where)}
            _check_focal(both["zbuffer"], both["euclidean"], camera, where)
        pose, lacking = _pose(info, camera, where)
        return Frame(
            image,
            camera,
            _KINDS[self.depth],
            depth_m=np.where(good, raw / _UNITS, np.nan),
            scene=building,
            pose=pose,
            lacking=() if lacking is None else (lacking,),
        )

    def _layout(self) -> str:
        for layout in _LAYOUTS:
            if any(self.root.glob(f"{self._named(layout, 'rgb', '*')}/*{_RGB}")):
                return layout
        raise missing(
            self.root,
            f"{type(self).__name__} of Omnidata",
            f"rgb/{self.COMPONENT}/<building>/point_<p>_view_<v>{_RGB}",
        )

    def _named(self, layout: str, domain: str, building: str) -> str:
        return layout.format(domain=domain, component=self.COMPONENT, building=building)

    def table(self, name: str, origin: str, columns: tuple[str, ...]) -> list[dict[str, str]]:
        """Return the rows of the file that says which building is in which split.

        Args:
            name: Of the file, in the root or in `splits_taskonomy/`.
            origin: Where it can be had, for the error.
            columns: Those that it must have.

        Raises:
            DepthLMError: For a file that is not there, or not such a table.
        """
        places = [
            named(self.root / folder, name, "--option splits")
            for folder in ("", "splits_taskonomy")
        ]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            looked_for = f"{name} (from {origin}; --split all needs none)"
            raise missing(self.root, f"{type(self).__name__} with its splits", looked_for)
        return read_rows(path, columns)


def _read_info(paths: list[Path], where: str) -> dict[str, Any]:
    """Return the JSON object of a view, whichever of its names it has."""
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise RecordError(
            "missing file",
            where,
            f"{paths[0]} (or ..._{_INFO_NAMES[1]}.json) does not exist; is the download complete?",
        )
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordError(
            "bad file", where, f"{path} is not JSON ({error}); fetch it again"
        ) from error
    if not isinstance(info, dict):
        raise RecordError("bad file", where, f"{path} holds no JSON object; fetch it again")
    return info


def _camera(info: dict[str, Any], size_wh: tuple[int, int], where: str) -> Camera:
    fov_rad, resolution = info.get("field_of_view_rads"), info.get("resolution")
    width, height = size_wh
    if not isinstance(fov_rad, int | float) or not 0 < fov_rad < math.pi:
        raise RecordError(
            "bad intrinsics",
            where,
            f"field_of_view_rads of its JSON file is {fov_rad!r}, expected an angle in radians",
        )
    if width != height or resolution not in (None, width):
        raise RecordError(
            "bad intrinsics",
            where,
            f"its picture is {width}x{height}, expected {resolution or 512}x{resolution or 512} as"
            " its field of view was given for; take the picture as it was published",
        )
    focal_px = width / (2 * math.tan(fov_rad / 2))
    centre = (width - 1) / 2  # the picture's, where integers are pixel centres
    return Camera.from_intrinsics([focal_px, focal_px, centre, centre, width, height])


def _read_depth(path: Path, camera: Camera, where: str) -> NDArray[np.uint16]:
    return read_depth_png(path, where, camera.size_wh)


def _valid(raw: NDArray[np.uint16]) -> NDArray[np.bool_]:
    result: NDArray[np.bool_] = (raw > 0) & (raw != _NO_DEPTH)
    return result


def _check_focal(
    z: NDArray[np.uint16], distance: NDArray[np.uint16], camera: Camera, where: str
) -> None:
    """Refuse a view whose two depth images are not those of its field of view.

    Each pixel gives a focal length: (distance / z)^2 = 1 + (pixels to the centre / focal)^2.
    """
    width, height = camera.size_wh
    rows, columns = np.mgrid[0:height:_COMPARED_EVERY, 0:width:_COMPARED_EVERY]
    z, distance = z[rows, columns], distance[rows, columns]
    radius = np.hypot(columns - camera.cx, rows - camera.cy)
    compared = _valid(z) & _valid(distance) & (z >= _COMPARED_FROM) & (radius > width / 4)
    if compared.sum() < _COMPARED_PIXELS:
        return
    ratio = distance[compared] / z[compared].astype(np.float64)
    tangent = float(np.median(np.sqrt(np.maximum(ratio**2 - 1, 0)) / radius[compared]))
    if not abs(tangent * camera.fx - 1) < _FOCAL_TOLERANCE:
        implied = f"{1 / tangent:.1f} px" if tangent else "infinity"
        raise RecordError(
            "bad intrinsics",
            where,
            f"depth_euclidean over depth_zbuffer is that of a focal length of {implied}, but"
            f" field_of_view_rads means {camera.fx:.1f} px; are all files of the same view?",
        )


def _pose(info: dict[str, Any], camera: Camera, where: str) -> tuple[Floats | None, str | None]:
    """Return camera to world, from Blender's axes, or None and what is lacking.

    Files of Taskonomy have the rotation as Euler angles about fixed axes, those of other components
    as a quaternion too.
    """
    location_m, point_m = info.get("camera_location"), info.get("point_location")
    if location_m is None:
        return None, _NO_POSE
    try:
        poses = [motion(quaternion, location_m) @ FLIP_YZ for quaternion in _quaternions(info)]
        if not poses:
            return None, _NO_POSE
        pose = poses[0]
        if not np.allclose(pose[:3, :3], poses[-1][:3, :3], rtol=0, atol=_SAME_TURN):
            return None, _ROTATIONS_DIFFER
        seen_m = None if point_m is None else moved(inverse(pose), point_m).reshape(1, 3)
    except (TypeError, ValueError, GeometryError) as error:
        raise RecordError(
            "bad file", where, f"the pose in its JSON file is not of numbers ({error})"
        ) from error
    if seen_m is not None and not _in_picture(seen_m, camera):
        return None, _NOT_SEEN
    return pose, None


def _quaternions(info: dict[str, Any]) -> Iterator[Any]:
    """Yield the rotations (w, x, y, z) from Blender's camera axes to the world that a file has."""
    if (stored := info.get("camera_rotation_final_quaternion")) is not None:
        yield stored
    if (angles_rad := info.get("camera_rotation_final")) is not None:
        from scipy.spatial.transform import Rotation  # as geometry.rigid: it takes a while

        x, y, z, w = Rotation.from_euler("xyz", np.reshape(angles_rad, 3)).as_quat().tolist()
        yield w, x, y, z


def _in_picture(seen_m: Floats, camera: Camera) -> bool:
    """Return whether a point (1, 3) in the camera's frame is seen; none that is no number is."""
    if not seen_m[0, 2] > 0:
        return False
    place = camera.project(seen_m)[0]
    return bool(((place > -0.5) & (place < np.array(camera.size_wh) - 0.5)).all())
