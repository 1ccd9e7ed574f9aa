"""Depth of a phone's lidar: which pixels of it are labelled, and the camera of its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from .files import exactly, opened_image

DEPTH_WH = 256, 192  # of ARKit's depth and confidence
EDGES = ("avoid", "keep")
_EDGE = 1.05  # largest over smallest depth of 3x3 depth pixels without an edge
_SUREST = 2  # ARKit's confidence is 0 (low), 1 (medium) or 2 (high)


def check_lidar_options(every: int, farthest_m: float, confidence: int = _SUREST) -> None:
    """Raise a ConfigError for options of a reader that cannot be.

    Args:
        every: Which frames are read: one of so many.
        farthest_m: Beyond what no depth is labelled, metres.
        confidence: The least that is labelled.
    """
    if every < 1 or not farthest_m > 0:
        raise ConfigError(
            "--option every must be 1 or more and farthest_m more than 0, found"
            f" {every} and {farthest_m:g}"
        )
    if not 0 <= confidence <= _SUREST:
        raise ConfigError(f"--option confidence must be 0, 1 or 2, found {confidence}")


def lidar_rules(z_m: Floats, edges: str, farthest_m: float) -> dict[str, NDArray[np.bool_]]:
    """Return where depth (H, W) may be labelled, by the reason why elsewhere it is not.

    Args:
        z_m: Depth in metres; 0 or NaN where there is none.
        edges: `avoid` for a rule on depth edges, where 3x3 pixels differ by 5 % or more; or `keep`.
        farthest_m: The reach of the lidar.
    """
    rules = {"far": z_m <= farthest_m}
    if edges == "avoid":
        rules["depth edge"] = _smooth(np.where(np.isfinite(z_m) & (z_m > 0), z_m, np.nan))
    return rules


def kept(z_m: Floats, rules: Mapping[str, NDArray[np.bool_]]) -> tuple[Floats, dict[str, int]]:
    """Return depth (H, W) that is labelled, NaN elsewhere, and how many pixels each rule took.

    Args:
        z_m: Depth in metres; 0 or NaN where there is none.
        rules: Where depth may be labelled, by the reason why elsewhere it is not.
    """
    left = np.isfinite(z_m) & (z_m > 0)
    dropped = {}
    for reason, good in rules.items():
        if count := np.count_nonzero(left & ~good):
            dropped[reason] = int(count)
        left &= good
    return np.where(left, z_m, np.nan), dropped


def read_confidence(path: Path, where: str) -> NDArray[np.uint8]:
    """Return ARKit's confidence (192, 256) of a PNG: 0, 1 or 2.

    Raises:
        RecordError: `missing confidence` or `bad confidence`.
    """
    if not path.is_file():
        raise RecordError(
            "missing confidence",
            where,
            f"{path} does not exist; without it unsure depth would be labelled, as it is with"
            " --option confidence=0",
        )
    check = exactly(DEPTH_WH, "bad confidence", where, path)
    with opened_image(path, "bad confidence", where, str(path), check) as image:
        mode, values = image.mode, np.asarray(image)
    check_confidence(values, f"{path} (Pillow mode {mode})", where)
    return values


def check_confidence(values: NDArray[np.uint8], source: str, where: str) -> None:
    """Raise a RecordError `bad confidence` for values that are not those of ARKit.

    Args:
        values: Confidence (192, 256).
        source: The file that they are of, for errors.
        where: What to name in errors.
    """
    if values.ndim != 2 or values.max() > _SUREST:
        raise RecordError(
            "bad confidence",
            where,
            f"{source} has values up to {values.max()}; expected 0, 1 and 2 in one channel",
        )


def centred_camera(
    intrinsics: Sequence[float], size_wh: tuple[int, int], where: str, source: object
) -> Camera:
    """Return the camera of (fx, fy, cx, cy), in pixels of a picture of the given size.

    Args:
        intrinsics: The numbers.
        size_wh: Width and height of the picture.
        where: What to name in errors.
        source: The file that they are of, for errors.

    Raises:
        RecordError: `bad intrinsics` for a principal point far from the picture's middle: they are
            of another size then.
    """
    camera = Camera.from_intrinsics([*intrinsics, *size_wh])
    for centre, size in zip((camera.cx, camera.cy), size_wh, strict=True):
        if not 0.4 * size < centre < 0.6 * size:
            raise RecordError(
                "bad intrinsics",
                where,
                f"{source} has fx, fy, cx, cy = {list(intrinsics)}; expected those of a"
                f" picture of {size_wh[0]}x{size_wh[1]}",
            )
    return camera


def _smooth(z_m: Floats) -> NDArray[np.bool_]:
    """Return where the valid depths (H, W; others NaN) of 3x3 differ by less than 5 %."""
    high, low = (_around(_around(z_m, of).T, of).T for of in (np.fmax, np.fmin))
    smooth: NDArray[np.bool_] = high < _EDGE * low
    return smooth


def _around(z_m: Floats, extreme: np.ufunc) -> Floats:
    """Return the extreme, fmax or fmin, which pass over NaN, of rows (H, W) and both beside."""
    padded = np.pad(z_m, ((1, 1), (0, 0)), constant_values=np.nan)
    result: Floats = extreme(extreme(padded[:-2], padded[1:-1]), padded[2:])
    return result
