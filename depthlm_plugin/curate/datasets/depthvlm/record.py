"""What a record of DepthVLM holds: a camera in part, and depths in one of three forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import GeometryError, RecordError
from ....geometry.arrays import Floats
from ....geometry.camera import Camera
from ...formats.files import read_depth_png, read_mask

_FULL = 65535  # what 16 bits are cut to, and no depth in Taskonomy and HM3D
_SUN_SCALE = 8000  # of millimetres whose bits are rotated by three; from 8.192 m on they wrap


def camera_of_record(raw: Mapping[str, Any], where: str) -> tuple[Camera, bool]:
    """Return the camera, and whether anything of it was assumed.

    Raises:
        RecordError: `malformed record`, `bad intrinsics`.
    """
    width, height = size_of(raw, "original_rgb_size", where)
    keys = ("original_fx", "original_fy", "original_cx", "original_cy")
    stated: list[Any] = [raw.get(key) for key in keys]
    guesses = (None, stated[0], (width - 1) / 2, (height - 1) / 2)
    values = [
        guess if value is None else value for value, guess in zip(stated, guesses, strict=True)
    ]
    try:
        camera = Camera.from_intrinsics([*values, width, height])
    except (TypeError, ValueError, GeometryError) as error:
        raise RecordError(
            "bad intrinsics", where, f"{dict(zip(keys, stated, strict=True))}: {error}"
        ) from error
    return camera, None in stated


def size_of(raw: Mapping[str, Any], key: str, where: str) -> tuple[int, int]:
    """Return a size (width, height) that a record states.

    Raises:
        RecordError: `malformed record`.
    """
    value: Any = raw.get(key)
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(isinstance(side, int) and side > 0 for side in value)
    ):
        raise RecordError(
            "malformed record", where, f"key {key!r} must be [width, height], found {value!r}"
        )
    return value[0], value[1]


def _scale(raw: Mapping[str, Any], where: str) -> float:
    value = raw.get("depth_scale")
    if not isinstance(value, int | float) or not 0 < value < np.inf:
        raise RecordError(
            "malformed record", where, f"'depth_scale' must be the values a metre, found {value!r}"
        )
    return float(value)


def _is_depth(values: NDArray[Any], scale: float) -> NDArray[np.bool_]:
    """Return which stored values of 16 bits are depths."""
    good: NDArray[np.bool_] = (values > 0) & (values != _FULL)
    return good & (values % 8 == 0) if scale == _SUN_SCALE else good


def labelled_points(
    raw: Mapping[str, Any], size_wh: tuple[int, int], depth_wh: tuple[int, int], where: str
) -> tuple[Floats, Floats, dict[str, int]]:
    """Return the points' pixels (N, 2) in the picture, depths (N,), and how many were left out.

    `pixel_coords` are pixels of the depth map, whose centres have a place in the picture.

    Raises:
        RecordError: `malformed record`, `lengths differ`.
    """
    try:
        pixels = np.array(raw["pixel_coords"], np.float64).reshape(-1, 2)
        points_m = np.array(raw["depth"], np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            "malformed record",
            where,
            f"expected pixel_coords [[x, y], ...] and depth [metres, ...] ({error!r})",
        ) from error
    if points_m.shape != (len(pixels),):
        raise RecordError(
            "lengths differ", where, f"{len(pixels)} pixel_coords but depths {points_m.shape}"
        )
    inside = ((pixels >= 0) & (pixels < depth_wh) & (pixels % 1 == 0)).all(axis=1)
    scale = _scale(raw, where)
    good = np.isfinite(points_m) & (points_m > 0)
    if raw.get("depth_format") != "binary_float32":
        # Labels are rounded to 0.1 mm, less than a step of the maps: their values come back.
        good &= _is_depth(np.round(np.where(good, points_m, 0) * scale), scale)
    ratio = np.array(size_wh) / depth_wh
    picture = np.floor((pixels + 0.5) * ratio) if size_wh != depth_wh else pixels
    counts = {
        "pixel outside the depth map": int((~inside).sum()),
        "bad depth": int((inside & ~good).sum()),
    }
    dropped = {reason: count for reason, count in counts.items() if count}
    return picture[inside & good], points_m[inside & good], dropped


def depth_map(
    raw: Mapping[str, Any], path: Path, masks: list[Path], depth_wh: tuple[int, int], where: str
) -> Floats:
    """Return a record's depth map (H, W), metres, NaN where there is none.

    Raises:
        RecordError: `malformed record`, `bad depth format`, or one for a file that is not its map
            or its mask.
    """
    shape = depth_wh[1], depth_wh[0]
    form = raw.get("depth_format")
    if form not in (None, "binary_float32"):
        raise RecordError(
            "bad depth format",
            where,
            f"depth_format is {form!r}, expected 'binary_float32' or none for 16-bit PNG",
        )
    scale = _scale(raw, where)
    if form == "binary_float32":
        if path.stat().st_size != 4 * shape[0] * shape[1]:
            raise RecordError(
                "bad depth map",
                where,
                f"{path} has {path.stat().st_size} bytes, expected {depth_wh[0]}x{depth_wh[1]}"
                " float32; is the download complete?",
            )
        values: NDArray[Any] = np.fromfile(path, "<f4").reshape(shape).astype(np.float64)
        good = np.isfinite(values) & (values > 0)
        scale = 1.0  # DepthVLM takes such files for metres, whatever the record says
    else:
        values = read_depth_png(path, where, depth_wh)
        good = _is_depth(values, scale)
    for mask in masks:
        good &= read_mask(mask, shape, where)
    return np.where(good, values / scale, np.nan)
