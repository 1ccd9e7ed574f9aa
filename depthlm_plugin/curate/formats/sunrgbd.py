"""SUN RGB-D, and NYU Depth V2 as it is part of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera
from ...views.decode import image_size
from ..formats.matlab import read_mat
from ..frames import Frame, Item
from ..reading import Reader, chosen, missing
from .files import inside, read_depth_png, read_numbers

_FARTHEST_MM = 8000  # the toolbox cuts there; 8192 and more have lost their highest bits
_DEPTHS = {"filled": "depth_bfx", "raw": "depth"}
_SPLIT_FILE = Path("SUNRGBDtoolbox", "traintestSUNRGBD", "allsplit.mat")
_NYU = "kv1/NYUdata/"
_PUBLISHED_RANGE_M = 0.005, 25.0
NOTE = (
    "Their depths are 0.8 times the true ones, because the depth images were read as"
    " value / 10000, and were kept from 0.005 to 25 m of those units; the principal point was"
    " MATLAB's, one pixel off, which is not repeated here. {} Which pixels were drawn was not"
    " published."
)


@dataclass(frozen=True)
class SunRgbdFrames(Reader):
    """The frames of SUN RGB-D: those of NYU Depth V2, or all others."""

    depth: str = "filled"

    SPLITS: ClassVar[tuple[str, ...]] = ("test", "train", "all")
    IS_NYU: ClassVar[bool] = False

    def items(self) -> Iterator[Item]:
        """Yield the frames by their folders, in name order."""
        chosen("depth", self.depth, tuple(_DEPTHS))
        base = self.root / "SUNRGBD"
        base = base if base.is_dir() else self.root
        split_file = next(
            (up / _SPLIT_FILE for up in (self.root, base.parent) if (up / _SPLIT_FILE).is_file()),
            None,
        )
        if not base.is_dir() or not any(
            (base / part).is_dir() for part in ("kv1", "kv2", "realsense", "xtion")
        ):
            raise missing(self.root, "SUN RGB-D", "SUNRGBD/ with kv1/, kv2/, realsense/, xtion/")
        wanted = None
        if self.split != "all":
            if split_file is None:
                raise missing(self.root, "SUN RGB-D with its toolbox", f"{_SPLIT_FILE}")
            inside(split_file.parents[2], split_file, "sunrgbd")
            wanted = _listed(split_file, f"all{self.split}")
        taken = set()
        for folder in _frame_folders(base):
            name = folder.relative_to(base).as_posix()
            if self.compat and (place := _sun3d_place(name)) is not None:
                if place in taken:
                    continue
                taken.add(place)
            if name.startswith(_NYU) == self.IS_NYU and (wanted is None or name in wanted):
                yield Item(name, str(folder))

    def load(self, item: Item) -> Frame:
        """Return a frame."""
        where = f"sunrgbd {item.frame_id}"
        folder = Path(item.at)
        image = self.below(_only(folder / "image", ".jpg", where), where)
        depth = self.below(_only(folder / _DEPTHS[self.depth], ".png", where), where)
        width, height = image_size(str(image), where)
        raw = read_depth_png(depth, where, (width, height))
        intrinsics = self.below(folder / "intrinsics.txt", where)
        k = read_numbers(intrinsics, 9, where, "a 3x3 matrix")
        return Frame(
            image,
            Camera.from_intrinsics([k[0], k[4], k[2] - 1, k[5] - 1, width, height]),
            "z",
            depth_m=_published(raw) if self.compat else _metres(raw),
            scene=_sun3d_place(item.frame_id) or item.frame_id,
            camera_name=item.frame_id.split("/")[0],
        )


def _sun3d_place(name: str) -> str | None:
    """Return the folder of a place of SUN3D that a frame is of; None for other parts."""
    parts = name.split("/")
    return "/".join(parts[:3]) if "sun3ddata" in parts else None


def _metres(raw: NDArray[np.uint16]) -> Floats:
    """Return z (H, W) in metres, NaN where there is none."""
    millimetres = (raw >> 3) | (raw << 13)  # uint16: the high bits fall off
    good = (millimetres > 0) & (millimetres <= _FARTHEST_MM)
    return np.where(good, millimetres / 1000.0, np.nan)


def _published(raw: NDArray[np.uint16]) -> Floats:
    metres = raw / 10000.0
    low_m, high_m = _PUBLISHED_RANGE_M
    return np.where((metres >= low_m) & (metres <= high_m), metres, np.nan)


def _frame_folders(base: Path) -> Iterator[Path]:
    """Yield the folders of frames, at whatever depth, in name order."""
    for place, folders, _ in os.walk(base):
        if {"image", "depth_bfx"} <= set(folders):
            folders.clear()
            yield Path(place)
        else:
            folders[:] = sorted(set(folders) - {"fullres"})


def _only(folder: Path, suffix: str, where: str) -> Path:
    """Return the one file of a frame's folder; those of picture and depth have other names."""
    files = sorted(folder.glob(f"*{suffix}"))
    if len(files) != 1:
        raise RecordError(
            "missing file",
            where,
            f"{folder} holds {len(files)} {suffix} files, expected one; is the download complete?",
        )
    return files[0]


def _listed(path: Path, key: str) -> set[str]:
    """Return the frames of a split, as paths below SUNRGBD."""
    names = set()
    for cell in np.ravel(read_mat(path, key)):
        text = str(np.ravel(cell)[0])
        _, separator, name = text.partition("SUNRGBD/")
        if not separator:
            raise DepthLMError(f"{path}: {key} names {text!r}; expected a path with SUNRGBD/ in it")
        names.add(name.strip("/"))
    return names
