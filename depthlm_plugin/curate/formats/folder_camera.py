"""The camera and pose of a picture in an RGB-D folder: from text files, or assumed."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...cameras.exif import focal_of
from ...errors import ConfigError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from .files import array_of, inside, mapped_array, named, opened_image
from .pairing import fill

_NAMES = ("intrinsics.json", "K.txt", "K.npy", "intrinsics.npy", "intrinsics.npz")
_MOST_NUMBERS = 16  # of a camera's matrix
_MOST_BYTES = 1 << 20  # of an archive of arrays, unpacked
_EXIF = 0x8769  # the EXIF block


def find_camera(
    root: Path,
    folders: Sequence[Path],
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
        folders: Where the scene's files may be, relative to the root.
        stars: The picture's identifier: the text in place of each star of its pattern.
        intrinsics: What `given_camera` takes; None: files of usual names are looked for.
        fov: Horizontal field of view in degrees, or `exif`; None: it is not assumed.
        picture: The picture's file.
        size_wh: Its size, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `no intrinsics`, `bad intrinsics`.
    """
    if fov is not None:
        return assumed_camera(fov, picture, size_wh, where), True
    if intrinsics is not None:
        return given_camera(root, stars, intrinsics, size_wh, where), False
    places = [root / folder / name for name in _NAMES for folder in (*folders, Path())]
    for place in places:
        if place.is_file():
            return _read(inside(root, place, where), size_wh, where), False
    raise _no_intrinsics([*dict.fromkeys(places)], where)


def given_camera(
    root: Path, stars: tuple[str, ...], intrinsics: str, size_wh: tuple[int, int], where: str
) -> Camera:
    """Return the camera that a user gives: `fx,fy,cx,cy`, or a file or pattern below the root.

    Args:
        root: The dataset's folder.
        stars: The picture's identifier: the text in place of each star of its pattern.
        intrinsics: What the user gives.
        size_wh: Size of the picture, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `no intrinsics`, `bad intrinsics`.
    """
    if intrinsics.count(",") == 3:
        return camera_of(_plain(intrinsics.split(","), where), size_wh, intrinsics, where)
    path = _given(root, intrinsics, stars, where)
    if not path.is_file():
        raise _no_intrinsics([path], where)
    return _read(path, size_wh, where)


def _given(root: Path, pattern: str, stars: tuple[str, ...], where: str) -> Path:
    """Return the file of a pattern, which no link in the dataset leads out of the root."""
    return named(root, fill(pattern, stars), where)


def _no_intrinsics(places: list[Path], where: str) -> RecordError:
    return RecordError(
        "no intrinsics",
        where,
        f"none of {', '.join(str(place) for place in places)} exists; write intrinsics.json, or"
        " give --option intrinsics=FX,FY,CX,CY, or assume one with --option fov=60 or fov=exif",
    )


def _read(path: Path, size_wh: tuple[int, int], where: str) -> Camera:
    try:
        if path.suffix in (".npy", ".npz"):
            numbers = _from_array(path)
        elif path.suffix == ".json":
            raw = json.loads(path.read_text(encoding="utf-8"))
            numbers = _from_json(raw, path, size_wh, where)
        else:
            text = path.read_text(encoding="utf-8")
            numbers = _plain(text.replace(",", " ").split(), where)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(
            "bad intrinsics", where, f"{path} cannot be read: {error!r}; expected fx, fy, cx, cy"
        ) from error
    return camera_of(numbers, size_wh, str(path), where)


def _from_array(path: Path) -> list[float]:
    """Return the numbers of a `.npy` file, or of an `.npz` archive's one array or the one named K.

    Raises:
        ValueError: For other files.
    """
    array = mapped_array(path) if path.suffix == ".npy" else _archived(path)
    if array.size > _MOST_NUMBERS:
        raise ValueError(f"an array of the shape {array.shape}")
    return np.asarray(array, np.float64).ravel().tolist()


def _archived(path: Path) -> NDArray[Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            name = names[0] if len(names) == 1 else "K.npy"
            if name not in names:
                raise ValueError(f"it has the arrays {', '.join(names)}, none of them K")
            if archive.getinfo(name).file_size > _MOST_BYTES:
                raise ValueError(f"its array {name} is large")
            return array_of(archive.read(name))
    except Exception as error:  # damaged archives raise what they like
        raise ValueError(str(error) or type(error).__name__) from error


def camera_of(numbers: Sequence[float], size_wh: tuple[int, int], what: str, where: str) -> Camera:
    """Return the camera of fx fy cx cy, or of a matrix, 3x3 or 4x4, row by row.

    Args:
        numbers: 4, 9 or 16 numbers, pixels.
        size_wh: Size of the picture, pixels.
        what: Where the numbers come from, for errors.
        where: What to name in errors.

    Raises:
        RecordError: `bad intrinsics`.
    """
    if len(numbers) not in (4, 9, 16):
        raise RecordError(
            "bad intrinsics",
            where,
            f"{what} holds {len(numbers)} numbers; expected a 3x3 or 4x4 matrix or fx fy cx cy",
        )
    if len(numbers) == 4:
        return _checked(list(numbers), size_wh, where)
    matrix = np.reshape(numbers, (math.isqrt(len(numbers)),) * 2)[:3, :3]
    if abs(matrix[0, 1]) > 1e-6 * matrix[0, 0] or not np.allclose(
        matrix[[1, 2, 2, 2], [0, 0, 1, 2]], (0, 0, 0, 1)
    ):
        raise RecordError(
            "bad intrinsics",
            where,
            f"{what} is {matrix.tolist()}; expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]",
        )
    values = [float(matrix[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2))]
    return _checked(values, size_wh, where)


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


def assumed_camera(
    fov: str, picture: Path | BinaryIO, size_wh: tuple[int, int], where: str
) -> Camera:
    """Return a camera that looks through the middle of its picture.

    Args:
        fov: Horizontal field of view in degrees, or `exif`.
        picture: The picture's file.
        size_wh: Its size, pixels.
        where: What to name in errors.

    Raises:
        ConfigError: For another `fov`.
        RecordError: `no intrinsics` that can be used in the EXIF block.
    """
    width, height = size_wh
    if fov == "exif":
        with opened_image(picture, "unreadable image", where, "the picture") as image:
            found = focal_of(dict(image.getexif().get_ifd(_EXIF)), image.size)
        if found.focal_px is None:
            raise RecordError("no intrinsics", where, f"EXIF: {'; '.join(found.problems)}")
        focal_px = found.focal_px
    else:
        try:
            degrees = float(fov)
        except ValueError:
            degrees = math.nan
        if not 1 <= degrees <= 175:
            raise ConfigError(f"--option fov is degrees from 1 to 175, or exif; found {fov}")
        focal_px = width / (2 * math.tan(math.radians(degrees) / 2))
    return Camera(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, size_wh)


def check_scale(
    root: Path, stars: tuple[str, ...], intrinsics: str | None, scale: float, where: str
) -> None:
    """Refuse a scale of the depth images that differs from the one beside the intrinsics.

    Replica's `cam_params.json` states it as `{"camera": {..., "scale": 6553.5}}`.

    Args:
        root: The dataset's folder.
        stars: The picture's identifier: the text in place of each star of its pattern.
        intrinsics: The file or pattern of the intrinsics; None, or no JSON: nothing is refused.
        scale: The depth image's values a metre, as the user gives it.
        where: What to name in errors.

    Raises:
        RecordError: `other depth scale`.
    """
    if intrinsics is None or not intrinsics.endswith(".json"):
        return
    path = _given(root, intrinsics, stars, where)
    try:
        stated = _stated_scale(path)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RecordError(
            "bad intrinsics", where, f"{path} has no number as its scale ({error})"
        ) from error
    if stated is not None and not math.isclose(stated, scale, rel_tol=1e-6):
        raise RecordError(
            "other depth scale",
            where,
            f"{path} says scale {stated:g}, --option depth_scale={scale:g}; which are the values a"
            " metre? Correct the wrong one",
        )


@lru_cache(maxsize=64)
def _stated_scale(path: Path) -> float | None:
    camera = json.loads(path.read_text(encoding="utf-8")).get("camera", {})
    return float(camera["scale"]) if "scale" in camera else None


def read_pose(root: Path, stars: tuple[str, ...], pattern: str | None, where: str) -> Floats | None:
    """Return the camera-to-world matrix (4, 4) of a picture; None where tracking was lost.

    A file with a star in its name belongs to one picture; another holds a line of 16 numbers for
    each, and the picture's number, which counts from 0, says which.

    Args:
        root: The dataset's folder.
        stars: The picture's identifier: the text in place of each star of its pattern.
        pattern: The file, or a pattern; None: there are no poses.
        where: What to name in errors.

    Raises:
        RecordError: `bad pose`.
    """
    if pattern is None:
        return None
    path = _given(root, pattern, stars, where)
    try:
        if "*" in pattern.rpartition("/")[2] or not stars:
            pose: Floats = np.loadtxt(path).reshape(4, 4)
        else:
            pose = np.array(_lines(path)[int(stars[-1])].split(), np.float64).reshape(4, 4)
    except (OSError, ValueError) as error:
        raise RecordError("bad pose", where, f"{path} holds no 4x4 matrix ({error})") from error
    except IndexError as error:
        raise RecordError(
            "bad pose", where, f"{path} has {len(_lines(path))} lines, none for this picture"
        ) from error
    return pose if np.isfinite(pose).all() else None


@lru_cache(maxsize=16)
def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
