"""What a predictor can be asked: pictures, cameras, pixels and numbers, as they are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, TypedDict

from ..cameras.source import CameraSource, FoundCamera
from ..errors import ConfigError
from ..geometry.camera import Camera
from ..sampling.sample import Sample
from ..tasks import Task
from .answer import Answer
from .calibration import Calibration
from .distribution import Distribution


class CameraOptions(TypedDict, total=False):
    """What can be said of a picture's camera in place of the camera: see `CameraSource`."""

    intrinsics: Sequence[float] | None
    """fx, fy, cx, cy, pixels."""
    focal_px: float | None
    """Focal length, pixels."""
    fov_deg: float | None
    """Horizontal field of view, degrees."""
    cameras: str | PathLike[str] | None
    """A `cameras.json` or a COLMAP model."""
    distortion: Any
    """The lens, as records state it."""
    sensor_width_mm: float | None
    """The sensor's longer side, for a focal length in EXIF."""


@dataclass(frozen=True)
class Asked:
    """A question that can be answered, and the cameras by which it is shown.

    Attributes:
        sample: What the model is shown and asked.
        cameras: Of each picture, and where it comes from.
    """

    sample: Sample
    cameras: tuple[FoundCamera, ...]

    def answered(
        self,
        text: str,
        distribution: Distribution | None = None,
        calibration: Calibration | None = None,
    ) -> Answer:
        """Return the answer that a text of the model is."""
        return Answer.of(self.sample, text, self.cameras, distribution, calibration)


def paths_of(image: str | PathLike[str] | Sequence[str | PathLike[str]]) -> list[str]:
    """Return the paths of one picture, or of several."""
    images = [image] if isinstance(image, (str, PathLike)) else image
    return [fspath(one) for one in images]


def given_numbers(task: Task, time_s: float | None, speed_m_s: float | None) -> Mapping[str, float]:
    """Return the numbers that a task's question states, by placeholder.

    Raises:
        ConfigError: For one that is missing, is no positive number, or is not stated.
    """
    options = {"time": ("time_s", time_s), "speed": ("speed_m_s", speed_m_s)}
    given = {}
    for placeholder, (option, number) in options.items():
        if placeholder in task.given:
            if number is None or not (math.isfinite(number) and number > 0):
                raise ConfigError(f"task {task.name} states {option}, above 0; found {number}")
            given[placeholder] = number
        elif number is not None:
            raise ConfigError(f"task {task.name} states no {option}; leave it out")
    return given


def groups_of(
    task: Task, paths: Sequence[str], at: Sequence[tuple[float, float]]
) -> list[list[tuple[float, float]]]:
    """Return the pixels of each question.

    Raises:
        ConfigError: For pictures or pixels that the task is not about.
    """
    if len(paths) != task.images:
        what = "one picture" if task.images == 1 else f"{task.images} pictures"
        raise ConfigError(f"task {task.name} is about {what}, found {len(paths)}")
    pixels = [(float(x), float(y)) for x, y in at]
    if not all(map(math.isfinite, [part for pixel in pixels for part in pixel])):
        raise ConfigError(f"pixels must be finite numbers, found {pixels}")
    if not task.points:
        if pixels:
            raise ConfigError(f"task {task.name} is about whole pictures; give no pixels")
        return [[]]
    if len(pixels) % task.points:
        raise ConfigError(f"task {task.name} is about {task.points} pixels a question, found"
                          f" {len(pixels)} in all")  # fmt: skip
    return [pixels[start : start + task.points] for start in range(0, len(pixels), task.points)]


def source_of(
    camera: Camera | FoundCamera | CameraSource | None, known: CameraOptions
) -> CameraSource:
    """Return where the camera of each picture comes from.

    Raises:
        ConfigError: For two of them.
    """
    if not isinstance(camera, CameraSource):
        options: dict[str, Any] = {**known}
        return CameraSource(camera=camera, file=options.pop("cameras", None), **options)
    also = [name for name, value in known.items() if value is not None]
    if also:
        raise ConfigError(f"give a camera or {' and '.join(also)}, not both")
    return camera


def sources_of(camera: CameraSource | Sequence[Camera], pictures: int) -> list[CameraSource]:
    """Return the source of the camera of each of some pictures.

    Raises:
        ConfigError: For another number of cameras.
    """
    if isinstance(camera, CameraSource):
        return [camera] * pictures
    if len(camera) != pictures:
        raise ConfigError(f"found {len(camera)} cameras, expected one for each picture")
    return [CameraSource(camera=one) for one in camera]
