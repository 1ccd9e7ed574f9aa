"""ScanNet++: the iPhone recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....errors import RecordError
from ....geometry.arrays import Floats
from ...formats.files import read_text
from ...formats.phone_lidar import (
    EDGES,
    centred_camera,
    check_lidar_options,
    kept,
    lidar_rules,
)
from ...frames import Frame, Item
from ...reading import Official, Reader, chosen, missing
from .scene import CAPTURES, Capture, frame_numbers, read_captures, read_poses
from .shot import SIZE_WH, Shot, disagreement, extracted

_SPLIT_FILES = {"val": "nvs_sem_val.txt", "train": "nvs_sem_train.txt"}


@dataclass(frozen=True)
class ScanNetPP(Reader):
    """ScanNet++: indoor recordings of an iPhone with lidar depth (Yeshwanth et al., 2023).

    Source: the authors, on application: `splits/` and, of `data/<scene>/iphone/`, the files
    `rgb.*`, `rgb_mask.*`, `depth.bin`, `pose_intrinsic_imu.json` and `colmap/`. Frames that the
    authors' toolkit has extracted (`rgb/frame_000000.jpg`, `rgb_masks/*.png`, `depth/*.png`) are
    used instead where they are. Every 10th frame, by number (`--option every=10`). Videos and
    `depth.bin` need `pip install "depthlm-plugin[video]"`; pictures of videos are written as PNG.

    Licence: the terms of use of ScanNet++: non-commercial research, not to be passed on.

    Camera: pinhole, 1920x1440, the intrinsics of each frame: the focus moves. Poses are
    `aligned_pose`, whose axes are those that agree with `colmap/images.txt`, or OpenCV's where that
    file is not there, as in the toolkit. A frame that is 10 degrees or 0.5 m from its COLMAP pose
    has none; a scene that is so as a whole is refused unless `--option poses=none`.

    Depth: z along the principal axis, by ARKit from the phone's lidar, 256x192, in register with
    the picture. Depth pixels at edges, where 3x3 differ by 5 % or more, are left out
    (`--option edges=keep`), as are those beyond 5 m, the reach of the lidar
    (`--option farthest_m=10`), and those of which a part is masked as anonymised.

    Units: uint16 millimetres, or float32 metres in some of `depth.bin`.

    Invalid: 0.

    Split: `val` (default) and `train`, the scenes of `splits/nvs_sem_val.txt` and
    `nvs_sem_train.txt`; or DepthLM's `published_train` and `published_eval`, the first 98 % and
    the rest of the frames of all scenes in `data/`, by name: one scene is in both, so the second
    does not tell how a model does on unseen scenes.
    """

    every: int = 10
    edges: str = "avoid"
    farthest_m: float = 5.0
    poses: str = "aligned"

    SPLITS: ClassVar[tuple[str, ...]] = ("val", "train", "published_train", "published_eval")
    STORED_DEPTH: ClassVar[str] = "z, mm"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        "published_eval",
        note="Depths at edges and beyond 5 m are kept. Their labels are not repeated where they"
        " were wrong: distances were computed as the root of x^2 + y^2 + z^2 with x and y for a"
        " depth of 1 m, pixels without depth were labelled, and one focal length was taken for all"
        " frames. Their pictures were scaled to 1280x960. The order of scenes, which decides what"
        " the last 2 % are, was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the frames as `<scene>/frame_<number>`; a scene that is not there as itself."""
        chosen("edges", self.edges, EDGES)
        chosen("poses", self.poses, ("aligned", "none"))
        check_lidar_options(self.every, self.farthest_m)
        data = self.root / "data"
        name = _SPLIT_FILES.get(str(self.split))
        if name is not None:
            path = self.below(self.root / "splits" / name, "scannetpp")
            if not data.is_dir() or not path.is_file():
                raise missing(self.root, "ScanNet++", f"data/ and splits/{name}")
            for scene in read_text(path).split():
                yield from self._frames(scene)
            return
        if not data.is_dir():
            raise missing(self.root, "ScanNet++", "data/")
        everything = [
            item
            for scene in sorted(path.parent.name for path in data.glob("*/iphone"))
            for item in self._frames(scene)
        ]
        cut = int(0.98 * len(everything))
        yield from everything[:cut] if self.split == "published_train" else everything[cut:]

    def _frames(self, scene: str) -> Iterator[Item]:
        try:
            folder = self._folder(scene)
        except RecordError as error:
            yield Item(scene, problem=(error.reason, error.message))
            return
        path = folder / CAPTURES
        if not path.is_file():
            text = f"{path} does not exist; is the download complete?"
            yield Item(scene, problem=("missing scene", text))
            return
        numbers = frame_numbers(folder)
        if not numbers:
            text = f"{path} names no frame_000000; fetch it again"
            yield Item(scene, problem=("bad file", text))
            return
        pictures = extracted(folder)
        problem = None
        if pictures:
            # A part of them may have been extracted, but never more than there are.
            count = max(numbers[-1], *pictures) + 1
            if difference := disagreement(f"{folder / 'rgb'}/", count, numbers[-1] + 1):
                problem = "frame counts differ", difference
        for number in numbers:
            if number % self.every == 0 and (number in pictures or not pictures):
                yield Item(f"{scene}/frame_{number:06d}", problem=problem)

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"scannetpp {item.frame_id}"
        scene, _, name = item.frame_id.partition("/")
        folder = self._folder(scene)
        number = int(name.removeprefix("frame_"))
        captures = _captures(folder, where)
        shot = Shot(self.root, folder, number, max(captures) + 1, where)
        z_m, dropped = self._kept(shot.z_m(), shot.shown())
        return Frame(
            shot.picture(),
            centred_camera(captures[number].intrinsics, SIZE_WH, where, CAPTURES),
            "z",
            depth_m=z_m,
            scene=scene,
            camera_name="iphone",
            timestamp=captures[number].timestamp,
            pose=_pose(folder, number, where) if self.poses == "aligned" else None,
            dropped=dropped,
        )

    def _folder(self, scene: str) -> Path:
        """Return the folder of a scan, whose description is in it."""
        folder = self.root / "data" / scene / "iphone"
        for name in (CAPTURES, "colmap/images.txt"):
            self.below(folder / name, f"scannetpp {scene}")
        return folder

    def _kept(self, z_m: Floats, shown: NDArray[np.bool_]) -> tuple[Floats, dict[str, int]]:
        """Return z (H, W) of the depth pixels that are labelled, NaN elsewhere, and what is not."""
        rules = {} if self.compat else lidar_rules(z_m, self.edges, self.farthest_m)
        return kept(z_m, {"masked": shown} | rules)


def _captures(folder: Path, where: str) -> dict[int, Capture]:
    try:
        return read_captures(str(folder))
    except ValueError as error:
        raise RecordError("bad file", where, f"{folder / CAPTURES} {error}") from error


def _pose(folder: Path, number: int, where: str) -> Floats | None:
    try:
        return read_poses(str(folder)).get(number)
    except ValueError as error:
        raise RecordError(
            "bad pose",
            where,
            f"the aligned_pose of {folder / CAPTURES} {error}; --option poses=none takes the"
            " frames without poses",
        ) from error
