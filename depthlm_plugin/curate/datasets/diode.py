"""DIODE: indoor and outdoor laser scans."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import RecordError
from ...geometry.camera import Camera
from ..formats.files import read_npy
from ..frames import Frame, Item
from ..reading import Reader, chosen, chosen_kind, missing

_PLACES = ("indoors", "outdoor")
_SIZE_WH = 1024, 768
_CAMERA = Camera(886.81, 927.06, 512.0, 384.0, _SIZE_WH)


@dataclass(frozen=True)
class Diode(Reader):
    """DIODE: indoor and outdoor photographs with laser-scanned depth (Vasiljevic et al., 2019).

    Source: diode-dataset.org: `val.tar.gz` (2.6 GB), `train.tar.gz` (81 GB), unpacked into one
    folder.

    Licence: MIT.

    Camera: pinhole, one for all pictures of 1024x768: fx 886.81, fy 927.06, cx 512, cy 384, as in
    the dataset's development kit.

    Depth: read as z, as most do; the dataset does not say. `--option depth_kind=distance` reads it
    as distance. Scans bleed over edges outdoors: consider `--sampling edges`.

    Units: float32 metres.

    Invalid: where `_depth_mask.npy` is not 1.

    Split: `val` (default) or `train`, folders of the download with scenes of their own;
    `--option place=indoors` or `outdoor` takes one kind.
    """

    depth_kind: str = "z"
    place: str = "both"

    SPLITS: ClassVar[tuple[str, ...]] = ("val", "train")
    STORED_DEPTH: ClassVar[str] = "z unless told, m"
    CALIBRATED: ClassVar[bool] = True

    def items(self) -> Iterator[Item]:
        """Yield the pictures of `<split>/<place>/scene_*/scan_*/`, in name order."""
        chosen_kind(self.depth_kind)
        place = chosen("place", self.place, (*_PLACES, "both"))
        places = [kind for kind in _PLACES if place in (kind, "both")]
        base = self.root / str(self.split)
        if not any((base / kind).is_dir() for kind in places):
            looked_for = " or ".join(f"{self.split}/{kind}/" for kind in places)
            raise missing(self.root, "DIODE", looked_for)
        for kind in places:
            for path in sorted((base / kind).glob("scene_*/scan_*/*.png")):
                yield Item(path.relative_to(base).with_suffix("").as_posix())

    def load(self, item: Item) -> Frame:
        """Return a picture with its depth map, the mask applied."""
        where = f"diode {item.frame_id}"
        stem = self.root / str(self.split) / item.frame_id
        width, height = _SIZE_WH
        depths, masks = (
            self.below(stem.with_name(f"{stem.name}_{what}.npy"), where)
            for what in ("depth", "depth_mask")
        )
        depth = read_npy(depths, (height, width, 1), where).squeeze(2)
        mask = read_npy(masks, (height, width), where)
        if not np.isin(mask, (0, 1)).all():
            raise RecordError("bad mask", where, "its mask holds numbers other than 0 and 1")
        if not np.issubdtype(depth.dtype, np.floating):
            raise RecordError(
                "bad depth array", where, f"depth is {depth.dtype}; expected float32 metres"
            )
        return Frame(
            stem.with_name(f"{stem.name}.png"),
            _CAMERA,
            self.depth_kind,
            depth_m=np.where(mask == 1, depth, np.nan),
            scene=item.frame_id.split("/")[1],
        )
