"""Anyone's nerfstudio folder: `transforms.json` with depth images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np

from ...errors import ConfigError, DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...views.decode import image_size
from ..formats.aligned_depth import metric, read_depth_array, same_view
from ..formats.files import read_depth_png, read_mask
from ..formats.transforms_json import (
    Shared,
    camera_of_frame,
    picture_of,
    pose_of_frame,
    read_transforms,
    stated,
)
from ..frames import Frame, Item
from ..reading import Reader, chosen_kind, missing

_FILE = "transforms.json"
_MILLIMETRE = 0.001
_NO_POSE = "pose (of structure from motion, in an arbitrary unit; --option pose_scale=METRES)"


@dataclass(frozen=True)
class Nerfstudio(Reader):
    """A nerfstudio folder with depth: `transforms.json`, as Polycam or your own recording.

    Source: your own recording, or any dataset in this format: `transforms.json`, whose frames name
    pictures (`file_path`) and depth (`depth_file_path`), in the root or in every folder of it (one
    a scene). Instant NGP's `depth_path` with `integer_depth_scale`, as NeRFCapture writes them, is
    read too. The file's own `train_filenames` and the like are not looked at.

    Licence: yours to state.

    Camera: `fl_x`, `fl_y`, `cx`, `cy`, `w`, `h` of the file or of each frame, both only if they
    agree; pixels count from corners there: the first centre is (0.5, 0.5). PINHOLE and OPENCV with
    k1, k2, p1, p2, k3, OPENCV_FISHEYE with k1 to k4; distorted pictures keep their lens. Others, as
    EQUIRECTANGULAR and FISHEYE624, are left out. Poses are `transform_matrix`, turned from OpenGL's
    axes to OpenCV's, divided by `applied_scale` if there is one.

    Depth: z along the principal axis, as nerfstudio takes it by default; of models trained with
    `is_euclidean_depth`, `--option depth_kind=distance`. Of the picture's size, or smaller with the
    same field of view.

    Units: images of 16 bits are millimetres, as nerfstudio's documentation has it, or
    `integer_depth_scale` metres; other units, and `.npy` files of floating-point numbers, which
    nerfstudio scales too, need `--option depth_unit_scale_factor=...`, metres of one value (1 for
    metres). So does a file of structure from motion (`applied_transform`, or a folder `colmap/`
    beside it), because neither its poses nor depth made of them are metres; its poses are left out
    without `--option pose_scale=...`, metres of one unit of them.

    Invalid: values that are 0, negative, NaN or infinite; black pixels of `mask_path`.

    Split: none; use `depthlm split`. The scene is the folder, or the name of the root.
    """

    depth_unit_scale_factor: float | None = None
    depth_kind: str = "z"
    pose_scale: float | None = None

    STORED_DEPTH: ClassVar[str] = "z, mm unless told"
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)

    def items(self) -> Iterator[Item]:
        """Yield the frames by the paths of their pictures, in order."""
        chosen_kind(self.depth_kind)
        for option in ("depth_unit_scale_factor", "pose_scale"):
            value = getattr(self, option)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"--option {option}={value:g}: expected metres, over 0")
        files = [self.root / _FILE]
        if not files[0].is_file():
            files = sorted(self.root.glob(f"*/{_FILE}"))
        if not files:
            raise missing(self.root, "a nerfstudio folder", f"{_FILE}, or */{_FILE}")
        for file in files:
            shared, frames = read_transforms(self.below(file, "nerfstudio"))
            scene = file.parent.name if file.parent != self.root else None
            if not any("depth_file_path" in frame or "depth_path" in frame for frame in frames):
                raise DepthLMError(
                    f"{file}: none of {len(frames)} frames has a depth_file_path, which"
                    " names its depth image; there are no labels without depth"
                )
            unit_m, pose_m = self._unit_m(shared), self.pose_scale
            if pose_m is None and not shared.is_reconstructed:
                pose_m = 1 / (stated(shared, "applied_scale") or 1.0)
            names = [str(PurePosixPath(frame["file_path"])) for frame in frames]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise DepthLMError(f"{file}: {twice} is the file_path of two frames; remove one")
            for name, frame in sorted(zip(names, frames, strict=True), key=lambda pair: pair[0]):
                frame_id = name if scene is None else f"{scene}/{name}"
                yield Item(frame_id, (shared, frame, scene, unit_m, pose_m))

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map."""
        shared, frame, scene, unit_m, pose_m = item.at
        where = f"nerfstudio {item.frame_id}"
        folder = shared.path.parent
        picture = self.below(picture_of(folder, frame["file_path"]), where)
        size_wh = image_size(str(picture), where)
        camera = camera_of_frame(shared, frame, size_wh, where)
        depth_m = self._depth(folder, frame, unit_m, size_wh, where)
        mask_path = self._named(folder, frame, "mask_path", where)
        if mask_path is not None:
            mask = read_mask(mask_path, size_wh[::-1], where)
            rows, columns = (
                np.floor((np.arange(count) + 0.5) * side / count).astype(int)
                for count, side in zip(depth_m.shape, mask.shape, strict=True)
            )
            depth_m = np.where(mask[np.ix_(rows, columns)], depth_m, np.nan)
        return Frame(
            picture,
            camera,
            self.depth_kind,
            depth_m=depth_m,
            scene=scene or self.root.resolve().name,
            pose=None if pose_m is None else pose_of_frame(frame, pose_m, where),
            lacking=(_NO_POSE,) if pose_m is None else (),
        )

    def _unit_m(self, shared: Shared) -> float | None:
        """Return the metres of one value of depth, None if the file and the options do not say."""
        if self.depth_unit_scale_factor is not None:
            return self.depth_unit_scale_factor
        if shared.is_reconstructed:
            raise ConfigError(
                f"{shared.path} is of structure from motion (it has applied_transform, or colmap/"
                " beside it), whose unit is arbitrary, as is that of depth made of its points; give"
                " --option depth_unit_scale_factor=METRES of one value: 0.001 for a depth sensor's"
                " millimetres, 0.001 times the metres of one unit for nerfstudio's depth of points;"
                " --option pose_scale=METRES of one unit, to have poses"
            )
        return stated(shared, "integer_depth_scale")

    def _depth(
        self,
        folder: Path,
        frame: dict[str, Any],
        unit_m: float | None,
        size_wh: tuple[int, int],
        where: str,
    ) -> Floats:
        path = self._named(folder, frame, "depth_file_path", where) or self._named(
            folder, frame, "depth_path", where
        )
        if path is None:
            raise RecordError("missing depth", where, "the frame has no depth_file_path")
        if path.suffix != ".npy":
            check = same_view(size_wh, where)
            values = read_depth_png(path, where, check=check)
            if unit_m is None and "depth_file_path" not in frame:
                raise RecordError(
                    "no depth unit",
                    where,
                    "the frame has Instant NGP's depth_path, the file no integer_depth_scale; give"
                    " --option depth_unit_scale_factor=METRES of one value",
                )
            return metric(values, unit_m or _MILLIMETRE)
        array = read_depth_array(path, size_wh, where)
        if self.depth_unit_scale_factor is None and array.dtype.kind == "f":
            raise RecordError(
                "no depth unit",
                where,
                f"{path} holds {array.dtype}: nerfstudio takes them as millimetres unless told,"
                " most write metres; give --option depth_unit_scale_factor=1 for metres, 0.001 for"
                " millimetres",
            )
        return metric(array, unit_m or _MILLIMETRE)

    def _named(self, folder: Path, frame: dict[str, Any], key: str, where: str) -> Path | None:
        """Return the file that a frame names, below the root; None where it names none."""
        name = frame.get(key)
        if name is None:
            return None
        if not isinstance(name, str):
            raise RecordError("bad transforms", where, f"{key} is {name!r}, expected a path")
        return self.below(folder / name, where)
