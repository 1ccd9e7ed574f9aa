"""HM3D: rendered views of scanned buildings, as Omnidata packs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..formats.omnidata import Omnidata


@dataclass(frozen=True)
class Hm3d(Omnidata):
    """HM3D: rendered views of 900 scanned buildings (Ramakrishnan et al., 2021), from Omnidata.

    Source: Omnidata's download tool: `omnitools.download rgb depth_zbuffer point_info mask_valid
    --components hm3d`. Folders `<domain>/hm3d/<scene>/`. `mask_valid` and a second kind of depth
    are used to check, where present.

    Licence: HM3D's terms of Matterport: academic, not commercial.

    Camera: pinhole, the horizontal and vertical field of view in the JSON file of each view,
    principal point at the centre of the picture, 512x512.

    Depth: z along the principal axis, `depth_zbuffer`; `--option depth=euclidean` takes the
    distances `depth_euclidean`. Where both are there, a view is refused when they contradict its
    field of view by 3 %.

    Units: 16-bit PNG, metres = value / 512.

    Invalid: value 65535 or 0, and where `mask_valid` is 0. Views with depth on fewer than half
    of their pixels are left out: they look through holes of the scan.

    Split: `train` (default) or `val` of `metadata.csv` in the root (`--option splits=FILE` for
    another), by scene; or `all`. Poses are `camera_location` and `camera_rotation_final` (Euler
    angles about fixed axes) or its quaternion; where there is none, both differ, or the point that
    the view was made for is not in the picture, a record has no pose and is counted.
    """

    splits: str = "metadata.csv"

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "all")
    STORED_DEPTH: ClassVar[str] = "z, 1/512 m"
    CALIBRATED: ClassVar[bool] = True
    ANNOUNCED: ClassVar[tuple[str, ...]] = ("mostly holes",)
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)
    COMPONENT: ClassVar[str] = "hm3d"
    MIN_VALID: ClassVar[float] = 0.5

    def listed(self) -> set[str]:
        """Return the scenes of the split, as `metadata.csv` names them."""
        origin = "https://github.com/matterport/habitat-matterport-3dresearch"
        rows = self.table(self.splits, origin, ("scene", "split"))
        return {row["scene"] for row in rows if row["split"].strip() == self.split}
