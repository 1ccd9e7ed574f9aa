"""Files of COLMAP's sparse models, as text or binary: cameras, images and observations."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError, GeometryError
from ..geometry.arrays import Floats
from ..geometry.camera import Camera
from ..geometry.lens import Lens
from ..geometry.rigid import motion

_UNDISTORT = "undistort the pictures first (colmap image_undistorter) and curate what it writes"


class _Model(NamedTuple):
    """A camera model of COLMAP.

    Attributes:
        name: COLMAP's name.
        parameters: How many parameters it has.
        focal_lengths: How many of them, at the start, are focal lengths.
        lens: Which of our lens models it is; None: a pinhole; empty: none of ours.
    """

    name: str
    parameters: int
    focal_lengths: int = 0
    lens: str | None = None


_MODELS = (  # by their numbers in binary files
    _Model("SIMPLE_PINHOLE", 3, 1),
    _Model("PINHOLE", 4, 2),
    _Model("SIMPLE_RADIAL", 4, 1, "opencv"),
    _Model("RADIAL", 5, 1, "opencv"),
    _Model("OPENCV", 8, 2, "opencv"),
    _Model("OPENCV_FISHEYE", 8, 2, "fisheye"),
    _Model("FULL_OPENCV", 12, lens=""),
    _Model("FOV", 5, lens=""),
    _Model("SIMPLE_RADIAL_FISHEYE", 4, 1, "fisheye"),
    _Model("RADIAL_FISHEYE", 5, 1, "fisheye"),
    _Model("THIN_PRISM_FISHEYE", 12, 2, "thin_prism_fisheye"),
    _Model("RAD_TAN_THIN_PRISM_FISHEYE", 16, lens=""),
    _Model("SIMPLE_DIVISION", 4, lens=""),
    _Model("DIVISION", 5, lens=""),
    _Model("SIMPLE_FISHEYE", 3, 1, "fisheye"),
    _Model("FISHEYE", 4, 2, "fisheye"),
    _Model("EUCM", 6, lens=""),
    _Model("EQUIRECTANGULAR", 2, lens=""),
)
_BY_NAME = {model.name: model for model in _MODELS}
_COEFFICIENTS = 4  # of our lenses with fewer in COLMAP: the others are zero

_CAMERA = struct.Struct("<IiQQ")  # id, model, width, height; then its parameters
_IMAGE = struct.Struct("<I7dI")  # id, quaternion, translation, camera; then name, NUL, observations
COUNT = struct.Struct("<Q")
_OBSERVATION = np.dtype([("keypoint", "<f8", 2), ("point", "<i8")])


class StoredCamera(NamedTuple):
    """A camera as the file has it.

    Attributes:
        model: COLMAP's name of its model.
        size_wh: Size of its pictures, pixels.
        parameters: The model's parameters, in COLMAP's order.
    """

    model: str
    size_wh: tuple[int, int]
    parameters: tuple[float, ...]

    def camera(self) -> Camera:
        """Return it as a camera where integers are pixel centres; COLMAP's first one is (0.5, 0.5).

        Raises:
            GeometryError: For a lens that we have no model of, or no camera.
        """
        model = _BY_NAME.get(self.model)
        if model is None or model.lens == "":
            raise GeometryError(
                f"its camera is a {self.model}, which depthlm cannot undistort; {_UNDISTORT}"
            )
        if len(self.parameters) != model.parameters:
            raise GeometryError(
                f"its camera, a {self.model}, has {len(self.parameters)} parameters, expected"
                f" {model.parameters}"
            )
        focal_lengths = self.parameters[: model.focal_lengths]
        cx, cy, *rest = self.parameters[model.focal_lengths :]
        lens = None
        if model.lens:
            lens = Lens(model.lens, (*rest, *[0.0] * (_COEFFICIENTS - len(rest))))
        return Camera.from_intrinsics(
            [focal_lengths[0], focal_lengths[-1], cx - 0.5, cy - 0.5, *self.size_wh], lens
        )


class StoredImage(NamedTuple):
    """An image as the file has it.

    Attributes:
        image_id: Its number in the model.
        name: Its file.
        quaternion: Rotation from world to camera (w, x, y, z).
        translation: Translation from world to camera, in the model's unit.
        camera_id: The number of its camera.
        start: The byte of the file where its observations begin.
    """

    image_id: int
    name: str
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    camera_id: int
    start: int

    def world_to_camera(self) -> Floats:
        """Return the matrix (4, 4) from world to camera, in the model's unit.

        Raises:
            GeometryError: For a quaternion that is not of unit length.
        """
        return motion(self.quaternion, self.translation)


@dataclass(frozen=True)
class ModelFiles:
    """The three files of a model: all binary, or all text."""

    cameras: Path
    images: Path
    points: Path


def find_model(folder: Path) -> ModelFiles | None:
    """Return the files of a model's folder, binary before text; None where one is missing."""
    for suffix in (".bin", ".txt"):
        files = ModelFiles(*(folder / f"{n}{suffix}" for n in ("cameras", "images", "points3D")))
        if all(path.is_file() for path in (files.cameras, files.images, files.points)):
            return files
    return None


def read_cameras(path: Path) -> dict[int, StoredCamera]:
    """Return the cameras of a file by their ids.

    Raises:
        DepthLMError: For a damaged file, or a model that COLMAP did not have when this was written.
    """
    with parsing(path, "cameras"):
        if path.suffix == ".txt":
            return dict(_text_camera(words) for words in _rows(path))
        data, at, cameras = path.read_bytes(), COUNT.size, {}
        for _ in range(*COUNT.unpack_from(data)):
            camera_id, number, width, height = _CAMERA.unpack_from(data, at)
            if not 0 <= number < len(_MODELS):
                raise ValueError(f"camera model {number} is unknown to depthlm; {_UNDISTORT}")
            model = _MODELS[number]
            values = struct.unpack_from(f"<{model.parameters}d", data, at + _CAMERA.size)
            cameras[camera_id] = StoredCamera(model.name, (width, height), values)
            at += _CAMERA.size + 8 * model.parameters
        return cameras


def _text_camera(words: list[str]) -> tuple[int, StoredCamera]:
    camera_id, model, width, height, *values = words
    return int(camera_id), StoredCamera(model, (int(width), int(height)), (*map(float, values),))


def _rows(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split()


def read_images(path: Path) -> list[StoredImage]:
    """Return the images of a file, by name; their observations are only passed over.

    Raises:
        DepthLMError: For a damaged file.
    """
    with parsing(path, "images"):
        stored = _text_images(path) if path.suffix == ".txt" else _binary_images(path)
        return sorted(stored, key=lambda image: image.name)


def images_with_cameras(images: Path, cameras: Path) -> Iterator[tuple[StoredImage, StoredCamera]]:
    """Yield the images of a file, by name, each with its camera.

    Raises:
        DepthLMError: For a damaged file, or files of two reconstructions.
    """
    known = read_cameras(cameras)
    for image in read_images(images):
        if image.camera_id not in known:
            raise DepthLMError(
                f"{images}: {image.name} is of camera {image.camera_id}, which {cameras.name} does"
                " not have; are they of one reconstruction?"
            )
        yield image, known[image.camera_id]


def _text_images(path: Path) -> Iterator[StoredImage]:
    with path.open("rb") as file:
        while line := file.readline():
            if line.startswith(b"#") or not line.strip():
                continue
            image_id, *pose, camera_id, name = line.decode().strip().split(maxsplit=9)
            values = (*map(float, pose),)
            start = file.tell()
            # Observations, three numbers each: a line of its own even where there are none.
            if len(file.readline().split(None, 10)) % 3 == 1:
                raise ValueError(f"the line after that of {name} holds no observations")
            yield StoredImage(int(image_id), name, values[:4], values[4:], int(camera_id), start)


def _binary_images(path: Path) -> Iterator[StoredImage]:
    with mapped(path) as data:
        at = COUNT.size
        for _ in range(*COUNT.unpack_from(data)):
            image_id, *pose, camera_id = _IMAGE.unpack_from(data, at)
            end = data.find(b"\0", at + _IMAGE.size)
            if end < 0:
                raise ValueError(f"it ends in the name of image {image_id}")
            name = data[at + _IMAGE.size : end].decode()
            start = end + 1
            (count,) = COUNT.unpack_from(data, start)
            at = start + COUNT.size + count * _OBSERVATION.itemsize
            if at > len(data):
                raise ValueError(f"it ends in the observations of {name}")
            yield StoredImage(image_id, name, (*pose[:4],), (*pose[4:],), camera_id, start)


def read_observations(path: Path, image: StoredImage) -> tuple[Floats, NDArray[np.int64]]:
    """Return the keypoints (N, 2) of an image that are of a 3-D point, and its ids (N,).

    The first pixel's centre is (0.5, 0.5), as in COLMAP.

    Raises:
        DepthLMError: For a damaged file.
    """
    with parsing(path, f"observations of {image.name}"), path.open("rb") as file:
        file.seek(image.start)
        if path.suffix == ".txt":
            rows = np.array(file.readline().split(), dtype=np.float64).reshape(-1, 3)
            keypoints, points = rows[:, :2], rows[:, 2].astype(np.int64)
        else:
            (count,) = COUNT.unpack(file.read(COUNT.size))
            observations = np.frombuffer(
                file.read(count * _OBSERVATION.itemsize), dtype=_OBSERVATION
            )
            keypoints, points = observations["keypoint"], observations["point"].astype(np.int64)
    return keypoints[points >= 0], points[points >= 0]


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """Open a file of which little is needed at a time."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@contextmanager
def parsing(path: Path, what: str) -> Iterator[None]:
    """Raise DepthLMError for what a damaged file makes of its content."""
    try:
        yield
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise DepthLMError(
            f"{path}: its {what} cannot be read ({error}); copy or export the model again"
        ) from error
