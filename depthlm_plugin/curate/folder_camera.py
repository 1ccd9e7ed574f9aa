"""The camera and pose of a picture in an RGB-D folder: from text files, or assumed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..camera import Camera, Floats
from ..errors import ConfigError, RecordError
from .pairing import fill

_NAMES = ("intrinsics.json", "K.txt")
_EXIF, _EXIF_F35 = 0x8769, 0xA405  # the EXIF block, FocalLengthIn35mmFilm
_FILM_PX = 36.0  # millimetres, the long side of a 35 mm picture


def find_camera(
    root: Path,
    scene_folder: Path,
    stars: tuple[str, ...],
    intrinsics: str | None,
    fov: str | None,
    picture: Path,
    size_wh: tuple[int, int],
    where: str,
) -> tuple[Camera, bool]:
    """Return the camera of a picture, and whether it was assumed.

    Args:
        root: The dataset's folder.
        scene_folder: That of the scene, relative to it.
        stars: The picture's identifier.
        intrinsics: A file or pattern relative to the root, or `fx,fy,cx,cy`; None: usual names.
        fov: Horizontal field of view, degrees, or `exif`.
        picture: The picture's file.
        size_wh: Its size.
        where: What to name in errors.

    Raises:
        RecordError: `no intrinsics`, `bad intrinsics`.
    """
    if fov is not None:
        return _assumed(fov, picture, size_wh, where), True
    if intrinsics is not None and intrinsics.count(",") == 3:
        return _checked(_plain(intrinsics.split(","), where), size_wh, where), False
    if intrinsics is not None:
        places = [root / fill(intrinsics, stars)]
    else:
        places = [root / folder / name for name in _NAMES for folder in (scene_folder, ".")]
    for place in places:
        if place.is_file():
            return _checked(_read(place, size_wh, where), size_wh, where), False
    raise RecordError(
        "no intrinsics",
        where,
        f"none of {', '.join(str(place) for place in places)} exists; write intrinsics.json, or"
        " give --option intrinsics=FX,FY,CX,CY, or assume one with --option fov=60 or fov=exif",
    )


def _read(path: Path, size_wh: tuple[int, int], where: str) -> list[float]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return _from_json(json.loads(text), path, size_wh, where)
        numbers = _plain(text.replace(",", " ").split(), where)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            "bad intrinsics", where, f"{path} cannot be read: {error!r}; expected fx, fy, cx, cy"
        ) from error
    if len(numbers) == 4:
        return numbers
    if len(numbers) not in (9, 16):
        raise RecordError(
            "bad intrinsics",
            where,
            f"{path} holds {len(numbers)} numbers; expected a 3x3 or 4x4 matrix or fx fy cx cy",
        )
    matrix = np.reshape(numbers, (math.isqrt(len(numbers)),) * 2)[:3, :3]
    if abs(matrix[0, 1]) > 1e-6 * matrix[0, 0] or not np.allclose(
        matrix[[1, 2, 2, 2], [0, 0, 1, 2]], (0, 0, 0, 1)
    ):
        raise RecordError(
            "bad intrinsics",
            where,
            f"{path} is {matrix.tolist()}; expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]",
        )
    return [float(matrix[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]


def _from_json(raw: Any, path: Path, size_wh: tuple[int, int], where: str) -> list[float]:
    raw = raw.get("camera", raw)
    stated = tuple(int(raw.get(long, raw.get(short, size))) for long, short, size in (
        ("width", "w", size_wh[0]), ("height", "h", size_wh[1])
    ))  # fmt: skip
    if stated != size_wh:
        raise RecordError(
            "size differs from intrinsics",
            where,
            f"{path} is for {stated[0]}x{stated[1]}, the picture is {size_wh[0]}x{size_wh[1]}; give"
            " the intrinsics of the stored pictures",
        )
    return [float(raw[key]) for key in ("fx", "fy", "cx", "cy")]


def _plain(words: list[str], where: str) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise RecordError("bad intrinsics", where, f"expected numbers ({error})") from error


def _checked(values: list[float], size_wh: tuple[int, int], where: str) -> Camera:
    camera = Camera.from_intrinsics([*values, *size_wh])
    # Intrinsics of another resolution are a plausible camera, but its axis is far from the middle.
    for centre, size, axis in ((camera.cx, size_wh[0], "cx"), (camera.cy, size_wh[1], "cy")):
        if not 0.25 * size <= centre <= 0.75 * size:
            raise RecordError(
                "bad intrinsics",
                where,
                f"{axis}={centre:g} is not in the middle half of {size} px; are the intrinsics of"
                " another resolution?",
            )
    return camera


def _assumed(fov: str, picture: Path, size_wh: tuple[int, int], where: str) -> Camera:
    width, height = size_wh
    if fov == "exif":
        with Image.open(picture) as image:
            focal_mm = image.getexif().get_ifd(_EXIF).get(_EXIF_F35)
        if not focal_mm:
            raise RecordError(
                "no intrinsics", where, f"{picture} has no EXIF FocalLengthIn35mmFilm"
            )
        focal_px = max(size_wh) * float(focal_mm) / _FILM_PX
    else:
        try:
            degrees = float(fov)
        except ValueError:
            degrees = math.nan
        if not 1 <= degrees <= 175:
            raise ConfigError(f"--option fov is degrees from 1 to 175, or exif; found {fov}")
        focal_px = width / (2 * math.tan(math.radians(degrees) / 2))
    return Camera(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, size_wh)


def read_pose(root: Path, stars: tuple[str, ...], pattern: str | None, where: str) -> Floats | None:
    """Return the camera-to-world matrix (4, 4) of a picture; None where tracking was lost.

    Raises:
        RecordError: `bad pose`.
    """
    if pattern is None:
        return None
    path = root / fill(pattern, stars)
    try:
        pose: Floats = np.loadtxt(path).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise RecordError("bad pose", where, f"{path} is no 4x4 matrix ({error})") from error
    return pose if np.isfinite(pose).all() else None
