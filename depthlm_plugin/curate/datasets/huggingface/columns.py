"""Which columns of a table hold a frame's picture, depth, camera and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ....errors import ConfigError, did_you_mean
from .tables import columns_of

# Of a role, usual names; those of a later group are looked for when an earlier has none.
_IMAGES = ("image", "rgb", "pixel_values"), ("file_name",)
_DEPTHS = ("depth", "depth_map", "depth_image"), ("depth_file_name",), ("label",)
_CAMERAS = (("intrinsics", "intrinsic", "camera_intrinsics", "camera_matrix", "K"),)
_FOUR = ("fx", "fy", "cx", "cy")
_SCENES = (("scene", "scene_id", "scene_name"),)


@dataclass(frozen=True)
class Roles:
    """The names of a table's columns by what they are for.

    Attributes:
        image: The column of pictures.
        depth: The column of depth maps.
        intrinsics: One column, or four of fx, fy, cx, cy; none where the camera is given otherwise.
        scene: The column of scenes, or None.
        pose: The column of camera-to-world matrices, or None.
        timestamp: The column of times, or None.
    """

    image: str
    depth: str
    intrinsics: tuple[str, ...]
    scene: str | None
    pose: str | None
    timestamp: str | None

    @property
    def names(self) -> list[str]:
        """The names of all columns that are needed, each once."""
        single = (self.image, self.depth, self.scene, self.pose, self.timestamp)
        return [*dict.fromkeys(name for name in (*single, *self.intrinsics) if name is not None)]


@lru_cache(maxsize=4096)
def find_roles(
    table: Path,
    image: str | None,
    depth: str | None,
    scene: str | None,
    pose: str | None,
    intrinsics: str | None,
    without_camera: bool,
) -> Roles:
    """Return the columns of a table, those that options name or those of usual names.

    Args:
        table: The file.
        image: The option `image`, as given by the user; None: look for usual names.
        depth: The option `depth`, likewise.
        scene: The option `scene`, likewise.
        pose: The option `pose`; None: there are no poses.
        intrinsics: The option `intrinsics`, likewise.
        without_camera: Whether no column is needed for the camera.

    Raises:
        ConfigError: For columns that are not there, or several that might be meant.
        DepthLMError: For a file that cannot be read.
    """
    columns = columns_of(table)
    camera: tuple[str, ...] = ()
    if not without_camera:
        if intrinsics is None and set(_FOUR) <= columns.keys():
            camera = _FOUR
        else:
            camera = (_needed(table, columns, "intrinsics", intrinsics, _CAMERAS),)
    return Roles(
        _needed(table, columns, "image", image, _IMAGES),
        _needed(table, columns, "depth", depth, _DEPTHS),
        camera,
        _optional(table, columns, "scene", scene, _SCENES),
        _optional(table, columns, "pose", pose, ()),
        "timestamp" if "timestamp" in columns else None,
    )


def _optional(
    table: Path,
    columns: dict[str, str],
    option: str,
    given: str | None,
    usual: Sequence[Sequence[str]],
) -> str | None:
    if given is not None:
        if given not in columns:
            raise ConfigError(f"{table} has no column {given!r}{did_you_mean(given, [*columns])}")
        return given
    for names in usual:
        present = [name for name in names if name in columns]
        if len(present) > 1:
            raise ConfigError(
                f"{table} has {' and '.join(present)}; say which is meant with --option"
                f" {option}=..."
            )
        if present:
            return present[0]
    return None


def _needed(
    table: Path,
    columns: dict[str, str],
    option: str,
    given: str | None,
    usual: Sequence[Sequence[str]],
) -> str:
    column = _optional(table, columns, option, given, usual)
    if column is None:
        instead = " or FX,FY,CX,CY, or assume one with fov=60" * (option == "intrinsics")
        raise ConfigError(
            f"{table} has no column of a usual name for {option}"
            f" ({', '.join(name for names in usual for name in names)}); give --option"
            f" {option}=COLUMN{instead}; there are"
            f" {', '.join(f'{name} ({kind})' for name, kind in columns.items())}"
        )
    return column
