"""`transforms.json` of nerfstudio and Instant NGP: cameras, poses and files of frames."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...geometry.lens import Lens
from ...geometry.rigid import FLIP_YZ

_PINHOLES = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")
_FISHEYE = "OPENCV_FISHEYE"
_LENS = ("k1", "k2", "k3", "k4", "p1", "p2")  # in the order of `distortion_params`
_SUFFIXES = (".png", ".jpg", ".jpeg")  # that Instant NGP's paths may lack


@dataclass(frozen=True)
class Shared:
    """What a file says of all of its frames.

    Attributes:
        path: The file.
        values: Its top level, without the frames.
    """

    path: Path
    values: dict[str, Any]

    @property
    def is_reconstructed(self) -> bool:
        """Whether structure from motion made the poses, so that their unit is arbitrary.

        `ns-process-data` says so by `applied_transform`, and left COLMAP's files beside older ones.
        """
        return "applied_transform" in self.values or (self.path.parent / "colmap").is_dir()


def read_transforms(path: Path) -> tuple[Shared, list[dict[str, Any]]]:
    """Return what a file says of all frames, and its frames, each with a `file_path`.

    Raises:
        DepthLMError: For a file that is not of this format.
    """
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        frames = meta.pop("frames")
        if not isinstance(frames, list) or not frames:
            raise TypeError("`frames` is no list of frames")
        for number, frame in enumerate(frames):
            if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
                raise TypeError(f"frames[{number}] has no file_path")
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error or type(error).__name__}); expected nerfstudio's JSON,"
            " an object with frames, each with file_path, depth_file_path and transform_matrix"
        ) from error
    return Shared(path, meta), frames


def picture_of(folder: Path, name: str) -> Path:
    """Return the picture's file; a name without a suffix is that of a PNG or JPEG file."""
    path = folder / name
    found = [path.with_name(path.name + suffix) for suffix in _SUFFIXES if not path.suffix]
    return next((one for one in found if one.is_file()), path)


def camera_of_frame(
    shared: Shared, frame: dict[str, Any], size_wh: tuple[int, int], where: str
) -> Camera:
    """Return the camera of a frame, where integers are pixel centres; the file's are at .5.

    Args:
        shared: The file's top level.
        frame: The frame.
        size_wh: Size of the picture, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `bad intrinsics`, `unknown lens`, `size differs from intrinsics`.
        GeometryError: For numbers that are no camera.
    """
    fx, fy, cx, cy, width, height = (
        _number(shared, frame, key, where) for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")
    )
    if (width, height) != size_wh:
        raise RecordError(
            "size differs from intrinsics",
            where,
            f"{shared.path} is for {width:g}x{height:g}, the picture is {size_wh[0]}x{size_wh[1]};"
            " give the intrinsics of the stored pictures",
        )
    lens = _lens(shared, frame, where)
    return Camera.from_intrinsics([fx, fy, cx - 0.5, cy - 0.5, *size_wh], lens)


def pose_of_frame(frame: dict[str, Any], unit_m: float, where: str) -> Floats:
    """Return the camera-to-world matrix (4, 4), OpenCV axes, metres; the file's are OpenGL's.

    Args:
        frame: The frame.
        unit_m: Metres of one unit of the file's poses.
        where: What to name in errors.

    Raises:
        RecordError: `bad pose`.
    """
    try:
        pose: Floats = np.array(frame.get("transform_matrix"), np.float64)
    except (TypeError, ValueError):
        pose = np.empty(0)
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise RecordError(
            "bad pose", where, "transform_matrix is not 4x4 numbers, camera to world, row by row"
        )
    pose[:3, 3] *= unit_m
    return pose @ FLIP_YZ


def stated(shared: Shared, key: str) -> float | None:
    """Return a positive number of the top level, or None where it has no such key.

    Raises:
        DepthLMError: For anything else.
    """
    if key not in shared.values:
        return None
    value = shared.values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DepthLMError(f"{shared.path}: {key} is {value!r}, expected a number over 0")
    return float(value)


def _lens(shared: Shared, frame: dict[str, Any], where: str) -> Lens | None:
    model = _value(shared, frame, "camera_model", where) or "OPENCV"
    if _value(shared, frame, "is_fisheye", where):  # Instant NGP's
        model = _FISHEYE
    given = _value(shared, frame, "distortion_params", where)
    if given is not None:
        if not isinstance(given, list) or len(given) != len(_LENS):
            raise RecordError(
                "unknown lens", where, f"distortion_params is {given!r}, expected {_LENS}"
            )
        values = dict(zip(_LENS, given, strict=True))
    else:
        values = {key: _value(shared, frame, key, where) or 0.0 for key in _LENS}
    k1, k2, k3, k4, p1, p2 = (_finite(value, key, where) for key, value in values.items())
    unused = (p1, p2) if model == _FISHEYE else (k4,)
    if model not in (*_PINHOLES, _FISHEYE) or any(unused):
        raise RecordError(
            "unknown lens",
            where,
            f"camera_model {model!r} with {values} is not one of {', '.join(_PINHOLES)} with k1,"
            f" k2, p1, p2, k3, or {_FISHEYE} with k1, k2, k3, k4; undistort the pictures and depth"
            " first",
        )
    if model == _FISHEYE:
        return Lens("fisheye", (k1, k2, k3, k4))
    return Lens("opencv", (k1, k2, p1, p2, k3)) if any((k1, k2, p1, p2, k3)) else None


def _number(shared: Shared, frame: dict[str, Any], key: str, where: str) -> float:
    return _finite(_value(shared, frame, key, where), key, where)


def _finite(value: Any, key: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        found = "is missing" if value is None else f"is {value!r}"
        raise RecordError(
            "bad intrinsics",
            where,
            f"{key} {found}, in the frame and at the top level; expected a number",
        )
    return float(value)


def _value(shared: Shared, frame: dict[str, Any], key: str, where: str) -> Any:
    """Return what is said of a frame; with nerfstudio the top level counts, else the frame."""
    top, own = shared.values.get(key), frame.get(key)
    if own is None or top is None:
        return top if own is None else own
    if own != top and "depth_file_path" in frame:
        raise RecordError(
            "bad intrinsics",
            where,
            f"{key} is {top!r} at the top level of {shared.path} and {own!r} in the frame:"
            " nerfstudio takes the first, Instant NGP the second; remove the wrong one",
        )
    return own
