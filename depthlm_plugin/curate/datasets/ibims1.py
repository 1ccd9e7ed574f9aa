"""iBims-1, as its raw archive unpacks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ...geometry.camera import Camera
from ...views.decode import image_size
from ..formats.files import read_depth_png, read_mask, read_numbers, read_text
from ..frames import Frame, Item
from ..reading import Official, Reader, missing

_METRES = 50 / 65535  # a unit of the depth images
_FOLDERS = ("rgb", "depth", "calib", "mask_invalid", "mask_transp")
_LEAST_KEPT = 0.25  # of the pixels with a depth; masks that leave less are taken for inverted


@dataclass(frozen=True)
class Ibims1(Reader):
    """iBims-1: 100 indoor photographs with laser-scanned depth (Koch et al., 2018).

    Source: TU Munich: `ibims1_core_raw.zip`, unpacked.

    Licence: academic, non-commercial, share-alike (CC BY-NC-SA); read the terms of the download.

    Camera: pinhole, one `calib/<name>.txt` a picture, `fx,fy,cx,cy` for 640x480; none distorted.

    Depth: z along the principal axis, from a laser scanner.

    Units: 16-bit PNG, metres = value * 50 / 65535.

    Invalid: value 0; pixels where `mask_invalid` is 0 and, being transparent, where `mask_transp`
    is 0 (both masks are non-zero on good pixels, whatever their names say).

    Split: none: 100 pictures, used for evaluation. Scenes are the kinds of room in the names.
    """

    STORED_DEPTH: ClassVar[str] = "z, 50/65535 m"
    CALIBRATED: ClassVar[bool] = True
    OFFICIAL: ClassVar[Official] = Official(
        "z",
        border_px=10,
        note="They are z, not the distance that the question asks for, drawn at least 10 pixels"
        " from the border. Which pixels were drawn was not published as a seed: the published file"
        " has other pixels of the same depth maps.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the names in `imagelist.txt`, or of `rgb/*.png` where it is missing."""
        base = self._base()
        if not all((base / folder).is_dir() for folder in _FOLDERS):
            raise missing(base, "iBims-1", ", ".join(f"{folder}/" for folder in _FOLDERS))
        listed = self.below(base / "imagelist.txt", "ibims1")
        if listed.is_file():
            names = read_text(listed).split()
        else:
            names = [path.stem for path in (base / "rgb").glob("*.png")]
        for name in sorted(names):
            yield Item(name)

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map, both masks applied."""
        base, name = self._base(), item.frame_id
        where = f"ibims1 {name}"
        picture, depth, invalid, transparent = (
            self.below(base / folder / f"{name}.png", where)
            for folder in ("rgb", "depth", "mask_invalid", "mask_transp")
        )
        calib = self.below(base / "calib" / f"{name}.txt", where)
        raw = read_depth_png(depth, where, image_size(str(picture), where))
        fx, fy, cx, cy = read_numbers(calib, 4, where, "fx,fy,cx,cy")
        height, width = raw.shape
        good = raw > 0
        for path in (invalid, transparent):
            mask = read_mask(path, raw.shape, where)
            _check_mask(good, mask, path.parent.name, where)
            good &= mask
        return Frame(
            picture,
            Camera.from_intrinsics([fx, fy, cx, cy, width, height]),
            "z",
            depth_m=np.where(good, raw * _METRES, np.nan),
            scene=name.rpartition("_")[0] or name,
        )

    def _base(self) -> Path:
        """Return the folder of the archive, which may be the root or in it."""
        inner = self.root / "ibims1_core_raw"
        return inner if inner.is_dir() else self.root


def _check_mask(good: NDArray[np.bool_], mask: NDArray[np.bool_], folder: str, where: str) -> None:
    # That the masks are non-zero where depth is good is from the documentation, not from data.
    kept = int((good & mask).sum())
    if kept < _LEAST_KEPT * int(good.sum()) and kept < int((good & ~mask).sum()):
        raise RecordError(
            "bad mask",
            where,
            f"{folder} leaves {kept} of {int(good.sum())} pixels with depth; expected non-zero on"
            " most good pixels. Is this another release, whose masks are the other way round?",
        )
