"""Anyone's RGB-D folder: pictures, 16-bit depth images, an intrinsics file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import ConfigError, DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...views.decode import image_size
from ..formats.files import read_depth_png
from ..formats.folder_camera import check_scale, find_camera, given_camera, read_pose
from ..formats.pairing import find_pattern, pairs
from ..frames import Frame, Item, same_field
from ..reading import Reader, chosen_kind, missing

_PICTURES = ("rgb", "color", "image", "images")
_DEPTHS = ("depth", "depths")


@dataclass(frozen=True)
class RgbdFolder(Reader):
    """A folder of pictures, 16-bit depth images and camera intrinsics.

    Source: your own recording, or any dataset in such a layout (ScanNet, Replica, 7-Scenes).
    Pictures in `rgb/`, `color/`, `image/` or `images/` and depth in `depth/` or `depths/`, of the
    root or of every folder in it (one a scene), or one `rgb.png` beside one `depth.png` there;
    elsewhere: `--option rgb=results/frame*.jpg` `--option depth=results/depth*.png`. A picture
    belongs to the depth image with the same name; of a pattern, to the one with the same text in
    place of the stars.

    Licence: yours to state.

    Camera: `intrinsics.json` (`{"fx": ..., "fy": ..., "cx": ..., "cy": ..., "width": ..., "height":
    ...}`, or these under `camera`), `K.txt` (3x3 or 4x4), `K.npy`, `intrinsics.npy` or
    `intrinsics.npz` (of one array, or one named K) of the scene's folder or the root; `--option
    intrinsics=FILE` for another name below the root, with stars for one a picture, or
    `--option intrinsics=FX,FY,CX,CY`; `--option fov=60` (horizontal, degrees) or `fov=exif`
    assumes one, and records say so. A pinhole: undistort first. `--option pose=FILE` is
    camera-to-world in OpenCV's axes and metres: 4x4 with a star in its name, or a line a picture.

    Depth: `--option depth_kind=z` (depth cameras) or `distance` must be given. Registered to the
    pictures: of their size, or smaller with the same field of view; where one is a crop of the
    other, `--option depth_intrinsics=...`, as `intrinsics`, of a camera at the same place.

    Units: `--option depth_scale=...` must be given: values a metre, 1000 for millimetres.

    Invalid: value 0, and that of `--option invalid=65535`.

    Split: none; use `depthlm split`. The scene is the text of all stars of the pattern but the
    last, or of the first N with `--option scene_stars=N`, or the name of the root.

    Options of some layouts, `--root` being one scene; for a folder of scenes, begin patterns with
    `*/`:

        ScanNet v2, extracted  depth_scale=1000 depth_kind=z pose=pose/*.txt
                               intrinsics=intrinsic/intrinsic_color.txt
                               depth_intrinsics=intrinsic/intrinsic_depth.txt
        ... its scans          the same after scene*_*/, rgb=scene*_*/color/*.jpg
                               depth=scene*_*/depth/*.png scene_stars=1 (rooms, not their scans)
        Replica (NICE-SLAM)    depth_scale=6553.5 depth_kind=z rgb=results/frame*.jpg
                               depth=results/depth*.png intrinsics=cam_params.json pose=traj.txt
        7-Scenes               depth_scale=1000 depth_kind=z invalid=65535 scene_stars=0
                               rgb=seq-*/frame-*.color.png depth=seq-*/frame-*.depth.png
                               pose=seq-*/frame-*.pose.txt intrinsics=585,585,320,240
        Stray Scanner          rather `depthlm curate strayscanner`; of extracted pictures:
                               depth_scale=1000 depth_kind=z intrinsics=camera_matrix.csv

    The depth that 7-Scenes distributes is not registered to its pictures: put rendered or
    registered depth in its place, with the intrinsics of the pictures.
    """

    depth_scale: float | None = None
    depth_kind: str | None = None
    rgb: str | None = None
    depth: str | None = None
    intrinsics: str | None = None
    fov: str | None = None
    invalid: int | None = None
    pose: str | None = None
    depth_intrinsics: str | None = None
    scene_stars: int | None = None

    STORED_DEPTH: ClassVar[str] = "stated by you"
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)

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
        if rgb is None and (videos := sorted(self.root.glob("**/rgb.mp4"))):
            raise DepthLMError(
                f"{videos[0]} is a video; `depthlm curate strayscanner` reads recordings of Stray"
                " Scanner. Of others extract the pictures first, named as their depth images, none"
                " twice and none left out: mkdir rgb; ffmpeg -ignore_editlist 1 -i rgb.mp4"
                " -fps_mode passthrough -start_number 0 rgb/%06d.png"
            )
        if rgb is None or depth is None:
            absent = "rgb" if rgb is None else "depth"
            pattern, folders = (self.rgb, _PICTURES) if rgb is None else (self.depth, _DEPTHS)
            places = pattern or " or ".join(f"{folder}/" for folder in folders)
            raise missing(
                self.root,
                "an RGB-D folder",
                f"images in {places}, or one {_PICTURES[0]}.png beside one {_DEPTHS[0]}.png"
                f" (--option {absent}=PATTERN says where)",
            )
        paired = pairs(self.root, rgb, depth)
        if not any(partner for _, _, partner in paired):
            raise DepthLMError(
                f"--root {self.root}: none of {len(paired)} pictures of {rgb} has a depth image of"
                f" {depth} with the same name, as {paired[0][1]}; give --option rgb= and depth="
                " with stars where the names agree"
            )
        stars_of_scene = max(len(paired[0][0]) - 1, 0)
        if self.scene_stars is not None and not 0 <= self.scene_stars <= stars_of_scene:
            raise ConfigError(
                f"--option scene_stars={self.scene_stars}: expected 0 to {stars_of_scene}, as {rgb}"
                f" has {len(paired[0][0])} stars"
            )
        for stars, picture, partner in paired:
            yield Item("/".join(stars) or Path(picture).stem, (stars, picture, partner))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        assert self.depth_scale is not None
        stars, picture, partner = item.at
        where = f"folder {item.frame_id}"
        if partner is None:
            raise RecordError("missing depth", where, f"{picture} has no depth image of its name")
        path = self.below(self.root / picture, where)
        folder, beside = Path(picture).parent, Path(partner).parent
        folders = (folder.parent, folder) if folder == beside else (folder.parent,)
        size_wh = image_size(str(path), where)
        camera, assumed = find_camera(
            self.root, folders, stars, self.intrinsics, self.fov, path, size_wh, where
        )
        check_scale(self.root, stars, self.intrinsics, self.depth_scale, where)
        depth = self.below(self.root / partner, where)
        raw = read_depth_png(depth, where, check=self._check(size_wh, where))
        good = raw > 0
        if self.invalid is not None:
            good &= raw != self.invalid
        metres = np.where(good, raw / self.depth_scale, np.nan)
        depth_wh = raw.shape[1], raw.shape[0]
        depth_m: Floats | None = metres
        pixels = points_m = None
        dropped = {}
        if self.depth_intrinsics is not None:
            depth_camera = given_camera(self.root, stars, self.depth_intrinsics, depth_wh, where)
            pixels, points_m, outside = _through(depth_camera, metres, camera)
            depth_m = None
            dropped = {"outside the picture": outside} if outside else {}
        named = stars[:-1] if self.scene_stars is None else stars[: self.scene_stars]
        return Frame(
            path,
            camera,
            chosen_kind(self.depth_kind),
            depth_m=depth_m,
            pixels=pixels,
            points_m=points_m,
            scene="/".join(named) or self.root.resolve().name,
            pose=read_pose(self.root, stars, self.pose, where),
            dropped=dropped,
            extra={"intrinsics_source": "assumed"} if assumed else {},
        )

    def _check(
        self, size_wh: tuple[int, int], where: str
    ) -> Callable[[tuple[int, int]], None] | None:
        """Return what refuses a depth image by its size before it is decoded."""

        def check(depth_wh: tuple[int, int]) -> None:
            if not same_field(size_wh, depth_wh):
                raise RecordError(
                    "other field of view",
                    where,
                    f"depth is {depth_wh[0]}x{depth_wh[1]}, the picture {size_wh[0]}x{size_wh[1]}:"
                    " not the picture made smaller, both axes alike; where one of them is cropped,"
                    " give --option depth_intrinsics=FILE or FX,FY,CX,CY",
                )

        return check if self.depth_intrinsics is None else None


def _through(source: Camera, depth_m: Floats, target: Camera) -> tuple[Floats, Floats, int]:
    """Return the picture's pixels (N, 2) that a depth map's fall on, their depths (N,), metres.

    Both cameras are at the same place and look the same way, so that depths stay as they are.

    Args:
        source: The camera of the depth map.
        depth_m: The map (H, W), NaN where there is no depth.
        target: The camera of the picture.

    Returns:
        Pixels, each once, depths, and how many fell outside the picture.
    """
    rows, columns = np.nonzero(np.isfinite(depth_m))
    rays = (np.stack([columns, rows], axis=1) - (source.cx, source.cy)) / (source.fx, source.fy)
    pixels = np.floor(rays * (target.fx, target.fy) + (target.cx, target.cy) + 0.5)
    inside = ((pixels >= 0) & (pixels < target.size_wh)).all(axis=1)
    points_m = depth_m[rows, columns][inside]
    pixels = pixels[inside]
    _, first = np.unique(pixels @ (1, target.size_wh[0]), return_index=True)
    return pixels[first], points_m[first], int((~inside).sum())
