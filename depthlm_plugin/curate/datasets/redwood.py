"""Open3D's and Redwood's RGB-D recordings: color/, depth/, intrinsics and a trajectory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import ConfigError, DepthLMError, RecordError
from ...views.decode import image_size
from ..formats.aligned_depth import metric
from ..formats.files import named, read_depth_png
from ..formats.folder_camera import camera_of
from ..formats.open3d_files import PRIMESENSE, Intrinsics, read_intrinsics, read_log
from ..formats.pairing import find_pattern, pairs
from ..frames import Frame, Item
from ..reading import Reader, missing

_PICTURES = ("image", "rgb", "color")  # in the order in which Open3D looks for them
_INTRINSICS = ("camera_intrinsic.json", "intrinsic.json", "camera_primesense.json")
_LOGS = ("trajectory.log", "scene/trajectory.log")
_DEFAULT = "primesense"


@dataclass(frozen=True)
class Redwood(Reader):
    """A recording for Open3D's reconstruction system, or Redwood: color/, depth/, a trajectory.

    Source: your own recording (Open3D's `realsense_recorder.py --record_imgs`, frames saved of a
    RealSense bag), or Redwood's and others in its layout: pictures in `image/`, `rgb/` or `color/`,
    depth in `depth/`, of the root or of every folder in it (one a scene). A picture belongs to the
    depth image with the same name.

    Licence: yours to state.

    Camera: `camera_intrinsic.json`, `intrinsic.json` or `camera_primesense.json` of the scene's
    folder or the root, or `--option intrinsics=FILE`: Open3D's PinholeCameraIntrinsic (9 numbers,
    column by column), for integers as pixel centres. Recordings without one need `--option
    intrinsics=primesense`, Open3D's default (fx = fy = 525, cx = 319.5, cy = 239.5 of 640x480); the
    records say that it is assumed. A pinhole; lenses are not in the format. Poses are those of
    `trajectory.log` or `scene/trajectory.log`, if there is one: camera to world, OpenCV's axes,
    metres, the n-th entry the n-th picture's.

    Depth: z along the principal axis, registered to the picture, of its size.

    Units: 16-bit PNG, millimetres unless the JSON file states `depth_scale`, or `--option
    depth_scale=...`, values a metre. `realsense_recorder.py` writes the camera's own unit without
    stating it: 10000 values a metre of a D405, 4000 of an L515, 1000 of other RealSense cameras.

    Invalid: value 0.

    Split: none; use `depthlm split`. The scene is the folder, or the name of the root.
    """

    intrinsics: str | None = None
    depth_scale: float | None = None

    STORED_DEPTH: ClassVar[str] = "z, mm unless told"
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)

    def items(self) -> Iterator[Item]:
        """Yield the pictures of all scenes, in order, with the entries of their files."""
        if self.depth_scale is not None and not 0 < self.depth_scale < np.inf:
            raise ConfigError(
                f"--option depth_scale={self.depth_scale:g}: expected the values of the depth"
                " images that are a metre, over 0"
            )
        rgb = find_pattern(self.root, None, _PICTURES)
        depth = find_pattern(self.root, None, ("depth",))
        if rgb is None or depth is None:
            raise missing(
                self.root,
                "a recording of Open3D's layout",
                "pictures in image/, rgb/ or color/ and depth images in depth/",
            )
        scenes: dict[str, list[tuple[str, str, str | None]]] = {}
        for stars, picture, partner in pairs(self.root, rgb, depth):
            scenes.setdefault("/".join(stars[:-1]), []).append((stars[-1], picture, partner))
        if not any(partner for frames in scenes.values() for _, _, partner in frames):
            raise DepthLMError(
                f"--root {self.root}: no picture of {rgb} has a depth image of {depth} with the"
                " same name; where the names differ, rename them, or use the reader `folder`"
            )
        for scene, frames in scenes.items():
            folder = self.root / scene
            camera = self._intrinsics(folder)
            log = self._found(folder, _LOGS)
            poses = None if log is None else read_log(log, len(frames))
            in_order = sorted(frames, key=lambda frame: _as_open3d(frame[0]))
            for number, (name, picture, partner) in enumerate(in_order):
                pose = None if poses is None else poses[number]
                frame_id = f"{scene}/{name}" if scene else name
                yield Item(frame_id, (scene, picture, partner, camera, pose))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        scene, picture, partner, intrinsics, pose = item.at
        where = f"redwood {item.frame_id}"
        if partner is None:
            raise RecordError("missing depth", where, f"{picture} has no depth image of its name")
        path = self.below(self.root / picture, where)
        size_wh = image_size(str(path), where)
        if size_wh != intrinsics.size_wh:
            width, height = intrinsics.size_wh
            raise RecordError(
                "size differs from intrinsics",
                where,
                f"the intrinsics are for {width}x{height}, the picture is {size_wh[0]}x{size_wh[1]}"
                "; give those of the stored pictures",
            )
        camera = camera_of(intrinsics.matrix, size_wh, "intrinsic_matrix", where)
        raw = read_depth_png(self.below(self.root / partner, where), where, size_wh)
        scale = self.depth_scale or intrinsics.depth_scale or 1000.0
        return Frame(
            path,
            camera,
            "z",
            depth_m=metric(raw, 1 / scale),
            scene=scene or self.root.resolve().name,
            pose=pose,
            extra={"intrinsics_source": "assumed"} if self.intrinsics == _DEFAULT else {},
        )

    def _intrinsics(self, folder: Path) -> Intrinsics:
        if self.intrinsics == _DEFAULT:
            return PRIMESENSE
        if self.intrinsics is not None:
            path: Path | None = named(self.root, self.intrinsics, "--option intrinsics")
        else:
            path = self._found(folder, _INTRINSICS) or self._found(self.root, _INTRINSICS)
        if path is None or not path.is_file():
            looked = f"{folder} has none of {', '.join(_INTRINSICS)}" if path is None else path
            raise DepthLMError(
                f"no intrinsics: {looked}{' does not exist' if path else ''}; give --option"
                f" intrinsics=FILE, or intrinsics={_DEFAULT} for the 525 px that Open3D assumes of"
                " Kinects and their like (Redwood's recordings)"
            )
        found = read_intrinsics(path)
        scale = self.depth_scale
        if scale and found.depth_scale and not np.isclose(scale, found.depth_scale, rtol=1e-6):
            raise DepthLMError(
                f"{path} says depth_scale {found.depth_scale:g}, --option depth_scale={scale:g};"
                " which are the values a metre? Correct the wrong one"
            )
        return found

    def _found(self, folder: Path, names: tuple[str, ...]) -> Path | None:
        for name in names:
            if (folder / name).is_file():
                return self.below(folder / name, "redwood")
        return None


def _as_open3d(name: str) -> list[tuple[int, str]]:
    """Return the key by which Open3D orders names: their numbers as numbers."""
    parts = re.split("([0-9]+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
