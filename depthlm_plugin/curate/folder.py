"""Anyone's RGB-D folder: pictures, 16-bit depth images, an intrinsics file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DepthLMError, RecordError
from ..images import image_size
from .folder_camera import find_camera, read_pose
from .frames import Frame, Item
from .pairing import find_pattern, pairs
from .reading import Reader, chosen_kind, missing, read_depth_png

_PICTURES = ("rgb", "color", "image", "images")
_DEPTHS = ("depth", "depths")


@dataclass(frozen=True)
class RgbdFolder(Reader):
    """A folder of pictures, 16-bit depth images and camera intrinsics.

    Source: your own recording, or any dataset in such a layout (TUM, ScanNet, Replica, 7-Scenes).
    Pictures in `rgb/`, `color/`, `image/` or `images/` and depth in `depth/` or `depths/`, of the
    root or of every folder in it (one a scene); elsewhere: `--option rgb=results/frame*.jpg`
    `--option depth=results/depth*.png`. A picture belongs to the depth image with the same name;
    of a pattern, to the one with the same text in place of the stars.

    Licence: yours to state.

    Camera: `intrinsics.json` (`{"fx": ..., "fy": ..., "cx": ..., "cy": ..., "width": ..., "height":
    ...}`, or these under `camera`) or `K.txt` (3x3 or 4x4), of the scene's folder or the root;
    `--option intrinsics=FILE` for another name, with stars for one a picture, or
    `--option intrinsics=FX,FY,CX,CY`; `--option fov=60` (horizontal, degrees) or `fov=exif`
    assumes one, and records say so. A pinhole: undistort first.

    Depth: `--option depth_kind=z` (depth cameras) or `distance` must be given. Depth images may be
    smaller than the pictures if they cover the same field of view.

    Units: `--option depth_scale=...` must be given: values a metre, 1000 for millimetres.

    Invalid: value 0, and that of `--option invalid=65535`.

    Split: none; use `depthlm split`. The scene is the text of all stars of the pattern but the
    last, or the name of the root.
    """

    depth_scale: float | None = None
    depth_kind: str | None = None
    rgb: str | None = None
    depth: str | None = None
    intrinsics: str | None = None
    fov: str | None = None
    invalid: int | None = None
    pose: str | None = None

    def items(self) -> Iterator[Item]:
        """Yield the pictures that have a depth image, and those that have none, to be counted."""
        chosen_kind(self.depth_kind)
        if self.depth_scale is None or not self.depth_scale > 0:
            raise ConfigError(
                "give --option depth_scale=..., the values of the depth images that are a metre:"
                " 1000 for millimetres, 5000 TUM, 6553.5 Replica"
            )
        if not self.root.is_dir():
            raise missing(self.root, "an RGB-D folder", "pictures and depth images")
        rgb = find_pattern(self.root, self.rgb, _PICTURES)
        depth = find_pattern(self.root, self.depth, _DEPTHS)
        if rgb is None or depth is None:
            absent = "rgb" if rgb is None else "depth"
            pattern, folders = (self.rgb, _PICTURES) if rgb is None else (self.depth, _DEPTHS)
            places = pattern or " or ".join(f"{folder}/" for folder in folders)
            raise missing(
                self.root,
                "an RGB-D folder",
                f"images in {places} (--option {absent}=PATTERN says where)",
            )
        found = pairs(self.root, rgb, depth)
        if not any(partner for _, _, partner in found):
            raise DepthLMError(
                f"--root {self.root}: none of {len(found)} pictures of {rgb} has a depth image of"
                f" {depth} with the same name, as {found[0][1]}; give --option rgb= and depth= with"
                " stars where the names agree"
            )
        for stars, picture, partner in found:
            yield Item("/".join(stars), (stars, picture, partner))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        assert self.depth_scale is not None
        stars, picture, partner = item.at
        where = f"folder {item.frame_id}"
        if partner is None:
            raise RecordError("missing depth", where, f"{picture} has no depth image of its name")
        path = self.root / picture
        scene_folder = Path(picture).parent.parent
        size_wh = image_size(str(path), where)
        camera, assumed = find_camera(
            self.root, scene_folder, stars, self.intrinsics, self.fov, path, size_wh, where
        )
        raw = read_depth_png(self.root / partner, where)
        good = raw > 0
        if self.invalid is not None:
            good &= raw != self.invalid
        return Frame(
            path,
            camera,
            chosen_kind(self.depth_kind),
            depth_m=np.where(good, raw / self.depth_scale, np.nan),
            scene="/".join(stars[:-1]) or self.root.resolve().name,
            pose=read_pose(self.root, stars, self.pose, where),
            extra={"intrinsics_source": "assumed"} if assumed else {},
        )
