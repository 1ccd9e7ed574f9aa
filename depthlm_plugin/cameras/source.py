"""The camera of a picture, from the best that there is, and what an error in it would do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from os import PathLike, fspath
from typing import Any

from ..errors import ConfigError, GeometryError, RecordError
from ..geometry.camera import Camera
from ..geometry.plausible import unusual_camera
from ..records.record import lens_of
from ..views.decode import check_size, image_size, photograph_tags
from .exif import focal_of
from .files import CameraFile, holds_cameras

ASSUMED_FOV_DEG = 60.0
"""Horizontal field of view of a picture of which nothing is known, degrees."""
_FOV_DEG = (1.0, 170.0)


@dataclass(frozen=True)
class FoundCamera:
    """A picture's camera, and where it comes from.

    Attributes:
        camera: The camera.
        source: `camera`, `intrinsics`, `focal_px`, `fov_deg`, `file`, `exif` or `assumed`.
        detail: The source in words.
        warnings: What was not used and why, and what is rare about it, for people.
    """

    camera: Camera
    source: str
    detail: str
    warnings: tuple[str, ...] = ()

    @property
    def fov_deg(self) -> float:
        """The horizontal field of view that its focal length means without a lens, degrees."""
        return 2 * math.degrees(math.atan(self.camera.size_wh[0] / (2 * self.camera.fx)))

    def to_json(self) -> dict[str, Any]:
        """Return what results say of it, as JSON can write it.

        Source, detail, fx in pixels, all of `fx, fy, cx, cy, W, H`, the lens, degrees, warnings.
        """
        lens = self.camera.lens
        return {
            "source": self.source,
            "detail": self.detail,
            "focal_px": self.camera.fx,
            "intrinsics": [*self.camera.intrinsics, *self.camera.size_wh],
            "lens": lens and [lens.model, *lens.coefficients],
            "fov_deg": self.fov_deg,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class CameraSource:
    """What is known of the camera of one or many pictures; at most one of the first five.

    Without any, EXIF is read; where that says nothing usable, 60 degrees are assumed, with a
    warning. Focal lengths and pixels are those of the picture as `exif_rotation` turns it. The
    principal point is the middle where nothing says another.

    Attributes:
        camera: The camera itself.
        intrinsics: `fx, fy, cx, cy` in pixels, integers being pixel centres; may go on with the
            size that they are for, `W, H`.
        focal_px: Focal length on both axes, pixels.
        fov_deg: Horizontal field of view, degrees.
        file: A `cameras.json` or a COLMAP model, see `files.CameraFile`.
        distortion: The lens as records state it; not with a camera or a file.
        sensor_width_mm: Length of the sensor's longer side, for the focal length in EXIF.

    Raises:
        ConfigError: For two sources at once, or a number that cannot be one.
    """

    camera: Camera | FoundCamera | None = None
    intrinsics: Sequence[float] | None = None
    focal_px: float | None = None
    fov_deg: float | None = None
    file: str | PathLike[str] | None = None
    distortion: Any = None
    sensor_width_mm: float | None = None

    def __post_init__(self) -> None:
        given = [item.name for item in fields(self) if getattr(self, item.name) is not None]
        sources = [name for name in given if name not in ("distortion", "sensor_width_mm")]
        if len(sources) > 1:
            raise ConfigError(f"give one of {' and '.join(sources)}: each is the whole camera")
        if self.distortion is not None and sources[:1] in (["camera"], ["file"]):
            raise ConfigError(f"distortion belongs into the {sources[0]} that is given")
        if self.sensor_width_mm is not None:
            if sources:
                raise ConfigError(f"sensor_width_mm is for EXIF, which {sources[0]} leaves unread")
            if not 1 <= self.sensor_width_mm <= 80:
                raise ConfigError(f"sensor_width_mm must be 1 to 80, found {self.sensor_width_mm}")
        if self.fov_deg is not None and not _FOV_DEG[0] <= self.fov_deg <= _FOV_DEG[1]:
            low, high = _FOV_DEG
            raise ConfigError(
                f"fov_deg, the horizontal field of view, must be {low:g} to {high:g} degrees, found"
                f" {self.fov_deg:g}"
            )
        if self.intrinsics is not None and len(self.intrinsics) not in (4, 6):
            raise ConfigError(
                f"intrinsics are fx, fy, cx, cy in pixels (and W, H), found {len(self.intrinsics)}"
                " numbers"
            )

    def within(self, folder: str | PathLike[str]) -> CameraSource:
        """Return the source of the pictures of a folder: its cameras file, if nothing is stated.

        Raises:
            ConfigError: When something is stated that is not for such a file.
        """
        stated = [self.camera, self.intrinsics, self.focal_px, self.fov_deg, self.file]
        if any(one is not None for one in stated) or not holds_cameras(folder):
            return self
        return replace(self, file=folder)

    def find(self, image: str | PathLike[str], exif_rotation: str = "refuse") -> FoundCamera:
        """Return the camera of a picture; only its header and metadata are read.

        Args:
            image: The picture.
            exif_rotation: What an EXIF orientation means: see `views.decode.image_size`.

        Raises:
            ConfigError: For a file that holds no cameras.
            DepthLMError: For one that cannot be read.
            RecordError: For a picture that cannot be read, is turned or is of another size;
                `bad intrinsics`, `bad distortion`, `no intrinsics`.
        """
        path = fspath(image)
        if isinstance(self.camera, FoundCamera):
            return self.camera
        size_wh = image_size(path, path, exif_rotation)
        try:
            found = self._found(path, size_wh)
        except GeometryError as error:
            raise RecordError("bad intrinsics", path, str(error)) from error
        check_size(size_wh, found.camera, path, path)
        rare = None if found.source == "camera" else unusual_camera(found.camera)
        if rare is None:
            return found
        return FoundCamera(found.camera, found.source, found.detail, (*found.warnings, rare))

    def _found(self, path: str, size_wh: tuple[int, int]) -> FoundCamera:
        if isinstance(self.camera, Camera):
            return FoundCamera(self.camera, "camera", "the camera that was given")
        if self._file is not None:
            camera = self._file.camera_of(path, size_wh)
            return FoundCamera(camera, "file", f"{self._file.path}")
        if self.intrinsics is not None:
            numbers = [float(number) for number in self.intrinsics]
            if len(numbers) == 4:
                numbers += size_wh
            camera = Camera.from_intrinsics(numbers, lens_of(self.distortion, path))
            return FoundCamera(camera, "intrinsics", "fx, fy, cx, cy as given")
        if self.focal_px is not None:
            detail = f"a focal length of {self.focal_px:g} px as given"
            return FoundCamera(self._central(self.focal_px, path, size_wh), "focal_px", detail)
        if self.fov_deg is not None:
            detail = f"a horizontal field of view of {self.fov_deg:g} degrees as given"
            return FoundCamera(self._of_fov(self.fov_deg, path, size_wh), "fov_deg", detail)
        tags, stored_wh = photograph_tags(path, path)
        exif = focal_of(tags, stored_wh, self.sensor_width_mm)
        problems = tuple(f"EXIF: {problem}" for problem in exif.problems) if tags else ()
        if exif.focal_px is not None:
            camera = self._central(exif.focal_px, path, size_wh)
            return FoundCamera(camera, "exif", f"EXIF: {exif.detail}", problems)
        detail = f"an assumed horizontal field of view of {ASSUMED_FOV_DEG:g} degrees"
        loud = (
            f"nobody says this picture's focal length: {ASSUMED_FOV_DEG:g} degrees across are"
            " ASSUMED, and metres are wrong by as much as that is; give the intrinsics, focal"
            " length or field of view"
        )
        camera = self._of_fov(ASSUMED_FOV_DEG, path, size_wh)
        return FoundCamera(camera, "assumed", detail, (*problems, loud))

    def _of_fov(self, fov_deg: float, path: str, size_wh: tuple[int, int]) -> Camera:
        return self._central(size_wh[0] / (2 * math.tan(math.radians(fov_deg) / 2)), path, size_wh)

    def _central(self, focal_px: float, path: str, size_wh: tuple[int, int]) -> Camera:
        """Return a camera that looks through the middle of its picture."""
        (width, height), lens = size_wh, lens_of(self.distortion, path)
        middle = ((width - 1) / 2, (height - 1) / 2)
        return Camera.from_intrinsics([focal_px, focal_px, *middle, width, height], lens)

    @cached_property
    def _file(self) -> CameraFile | None:
        return None if self.file is None else CameraFile(self.file)


def focal_effect(ratio: float, depth_kind: str | None, distance_over_z: float | None) -> float:
    """Return by which factor a depth changes when the focal length is `ratio` times the stated one.

    A view is the picture resampled by focal_px / f, so a longer f shows everything smaller by its
    ratio r. The scene that such a view is a true picture of keeps every place across the axis and
    stretches along it: (x, y, z) becomes (x, y, r z). So z is r times as large, and a distance, of
    a point seen under the angle whose 1 / cos is `distance_over_z`, sqrt(tan^2 + r^2) cos times:
    exactly r on the axis, less beside it. An ideal model answers so; a real one nearly. The lens is
    taken to stay. What is no depth, as the distance between two points, changes by `ratio` at most.

    Args:
        ratio: The true focal length divided by the stated one.
        depth_kind: `z` or `distance`; None for other lengths, speeds and times.
        distance_over_z: Of a distance's pixel, by the stated camera.
    """
    if depth_kind != "distance" or distance_over_z is None:
        return ratio
    return math.sqrt(distance_over_z**2 - 1 + ratio**2) / distance_over_z
