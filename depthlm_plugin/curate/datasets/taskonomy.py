"""Taskonomy, as Omnidata packs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..formats.omnidata import Omnidata


@dataclass(frozen=True)
class Taskonomy(Omnidata):
    """Taskonomy: photographs of 537 buildings with depth of their scans (Zamir et al., 2018).

    Source: Omnidata's download tool: `omnitools.download rgb depth_zbuffer point_info mask_valid
    --components taskonomy --subset fullplus`. Folders `<domain>/taskonomy/<building>/`, or those of
    the older archives. `mask_valid` and a second kind of depth are used to check, where present.

    Licence: Taskonomy's terms of Stanford: research, not commercial, to be agreed to in the tool.

    Camera: pinhole, the horizontal and vertical field of view in the JSON file of each view,
    principal point at the centre of the picture, 512x512.

    Depth: z along the principal axis, `depth_zbuffer`; `--option depth=euclidean` takes the
    distances `depth_euclidean`. Of a mesh: thin objects, mirrors and windows are wrong in it. Where
    both kinds are there, a view is refused when they contradict its field of view by 3 %.

    Units: 16-bit PNG, metres = value / 512.

    Invalid: value 65535 or 0, and where `mask_valid` is 0.

    Split: `train` (default), `val` or `test` of `train_val_test_fullplus.csv` in the root
    (`--option splits=tiny`, `medium`, `full` or FILE for another), by building; or `all`. Poses
    are `camera_location` and `camera_rotation_final` (Euler angles about fixed axes) or its
    quaternion; where there is none, both differ, or the point that the view was made for is not in
    the picture, a record has no pose and is counted.
    """

    splits: str = "fullplus"

    SPLITS: ClassVar[tuple[str, ...]] = ("train", "val", "test", "all")
    STORED_DEPTH: ClassVar[str] = "z, 1/512 m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)
    COMPONENT: ClassVar[str] = "taskonomy"

    def listed(self) -> set[str]:
        """Return the buildings of the split, as the table of that size names them."""
        name = self.splits
        if name in ("tiny", "medium", "full", "fullplus"):
            name = f"train_val_test_{name}.csv"
        origin = "splits_taskonomy.zip of https://github.com/StanfordVL/taskonomy, data/assets"
        rows = self.table(name, origin, ("id", "train", "val", "test"))
        return {row["id"] for row in rows if row[str(self.split)].strip() == "1"}
