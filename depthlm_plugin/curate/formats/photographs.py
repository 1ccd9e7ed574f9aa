"""Anyone's pictures, which a model labels, and what is known of their cameras."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ...cameras.files import CAMERAS_JSON
from ...cameras.source import CameraSource, FoundCamera
from ...errors import RecordError
from ..frames import Item
from ..reading import Reader, missing
from .files import named

_SUFFIXES = (".png", ".jpg", ".jpeg")
_FILES = (
    CAMERAS_JSON,
    *(
        f"{folder}{name}{suffix}"
        for folder in ("", "sparse/0/", "sparse/")
        for name in ("cameras", "images")
        for suffix in (".bin", ".txt")
    ),
)


@dataclass(frozen=True)
class Photographs(Reader):
    """Pictures anywhere below the root, which a model labels.

    Attributes:
        cameras: A `cameras.json` or a COLMAP model; None: one of the root, if there is one.
        fov: Horizontal field of view of all pictures, degrees.
    """

    cameras: str | None = None
    fov: float | None = None

    WORKERS: ClassVar[int | None] = 1  # each would load the model

    def items(self) -> Iterator[Item]:
        """Yield the pictures, if the model is one that labels them."""
        pictures = sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
        )
        if not pictures:
            raise missing(self.root, "a folder of pictures", " ".join(_SUFFIXES))
        self.check_model()
        for picture in pictures:
            yield Item(picture.rpartition(".")[0], picture)

    @abstractmethod
    def check_model(self) -> None:
        """Refuse a model that cannot label, without loading it.

        Raises:
            ConfigError: Says why.
        """

    def scene_of(self, item: Item) -> str:
        """Return the folder of a picture, or of pictures in the root its name."""
        return str(item.at).rpartition("/")[0] or self.root.resolve().name

    def camera_of(self, path: Path, where: str) -> FoundCamera | None:
        """Return the pinhole camera of a picture, from a file, `fov=` or EXIF; None: none says it.

        Raises:
            RecordError: `distorted picture`; as `CameraSource.find`.
        """
        found = self._cameras.find(path)
        if found.camera.lens is not None:
            raise RecordError(
                "distorted picture",
                where,
                "the model takes pictures without distortion; undistort them first",
            )
        return None if found.source == "assumed" else found

    @cached_property
    def _cameras(self) -> CameraSource:
        if self.cameras is not None:
            file = named(self.root, self.cameras, "--option cameras")
            return CameraSource(file=file, fov_deg=self.fov)
        for name in _FILES:
            self.below(self.root / name, name)
        return CameraSource(fov_deg=self.fov).within(self.root)


def no_camera(where: str, model: str) -> RecordError:
    """Return the error of a picture whose camera nothing says, and `model` does not predict."""
    return RecordError(
        "no intrinsics",
        where,
        f"nothing states its camera, and {model} does not predict it; give a {CAMERAS_JSON}, or"
        " assume one with --option fov=60",
    )


def source_mark(found: FoundCamera | None) -> dict[str, str]:
    """Return what records say of a camera that nobody calibrated; None: one that a model predicted.

    As the other readers say it, also of EXIF.
    """
    if found is None:
        return {"intrinsics_source": "predicted"}
    return {"intrinsics_source": "assumed"} if found.source in ("exif", "fov_deg") else {}
