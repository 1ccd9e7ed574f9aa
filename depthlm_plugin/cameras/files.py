"""Files that hold the cameras of many pictures: `cameras.json`, or a COLMAP model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DepthLMError, RecordError
from ..geometry.camera import Camera
from ..records.raw import check_keys, once
from ..records.record import lens_of
from .colmap import images_with_cameras

CAMERAS_JSON = "cameras.json"
_MODELS = (".", "sparse/0", "sparse")
_FOCAL = ("fx", "fy", "cx", "cy")
_EVERY = "*"  # the name that stands for every picture that is not named


class CameraFile:
    """The cameras of pictures, by their names.

    `cameras.json` is an object: a picture's name, or "*" for every other, to its camera. That is
    `{"intrinsics": [fx, fy, cx, cy, W, H]}` as in records, or `{"fx": .., "fy": .., "cx": ..,
    "cy": ..}` with or without `width` and `height`; either with a `distortion` as in records. A
    COLMAP model is `cameras` and `images`, `.bin` or `.txt`, in the folder, its `sparse/0` or
    `sparse`.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        """Read the file.

        Args:
            path: A `.json` file; or a folder with a `cameras.json` or a COLMAP model.

        Raises:
            ConfigError: When there is neither.
            DepthLMError: For one that cannot be read.
        """
        path = Path(path)
        if path.is_dir() and (path / CAMERAS_JSON).is_file():
            path /= CAMERAS_JSON
        self._entries: dict[str, Any]
        if path.is_file():
            self.path = path
            self._entries = _read_json(path)
            return
        files = _colmap_files(path)
        if files is None:
            raise ConfigError(
                f"{path} holds no cameras: expected a {CAMERAS_JSON}, or a folder with one or with"
                f" a COLMAP model (cameras and images, .bin or .txt, in it or its sparse/0)"
            )
        self.path = files[1].parent
        self._entries = {image.name: stored for image, stored in images_with_cameras(*files)}

    def camera_of(self, image: str, size_wh: tuple[int, int]) -> Camera:
        """Return a picture's camera.

        Args:
            image: Its path, which must end in the name that the file has.
            size_wh: Its (width, height), pixels.

        Raises:
            GeometryError: For one that is no camera, or has a lens that we have no model of.
            RecordError: `no intrinsics` when the file does not have it; `bad intrinsics`.
        """
        name = self._name_of(image)
        entry, where = self._entries[name], f"{self.path}: {name}"
        if not isinstance(entry, Mapping):
            camera: Camera = entry.camera()
            return camera
        check_keys(entry, where)
        lens = lens_of(entry.get("distortion"), where)
        try:
            if "intrinsics" in entry:
                numbers = [float(number) for number in entry["intrinsics"]]
            else:
                numbers = [float(entry[key]) for key in _FOCAL]
                numbers += [
                    float(entry.get(key, size))
                    for key, size in zip(("width", "height"), size_wh, strict=True)
                ]
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(
                "bad intrinsics",
                where,
                f"expected intrinsics: [fx, fy, cx, cy, W, H], or fx, fy, cx and cy ({error!r})",
            ) from error
        return Camera.from_intrinsics(numbers, lens)

    def _name_of(self, image: str) -> str:
        parts = Path(image).absolute().parts
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            if name in self._entries:
                return name
        if _EVERY in self._entries:
            return _EVERY
        names = ", ".join(list(self._entries)[:3])
        raise RecordError(
            "no intrinsics",
            image,
            f"{self.path} has no camera of this picture, but of {len(self._entries)} others"
            f" ({names} ...); names are the ends of paths",
        )


def holds_cameras(folder: str | PathLike[str]) -> bool:
    """Return whether a folder holds a `cameras.json` or a COLMAP model."""
    return Path(folder, CAMERAS_JSON).is_file() or _colmap_files(Path(folder)) is not None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except (OSError, ValueError, RecursionError) as error:
        raise DepthLMError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise DepthLMError(
            f'{path} must be an object of pictures: {{"a.jpg": {{"intrinsics": [fx, fy, cx, cy, W,'
            ' H]}, "*": ...}'
        )
    return entries


def _colmap_files(folder: Path) -> tuple[Path, Path] | None:
    """Return the images and the cameras of a COLMAP model, binary before text."""
    for model in _MODELS:
        for suffix in (".bin", ".txt"):
            images, cameras = (folder / model / f"{n}{suffix}" for n in ("images", "cameras"))
            if images.is_file() and cameras.is_file():
                return images, cameras
    return None
