"""Files of records as DepthLM publishes them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from ...errors import DepthLMError, RecordError
from ...geometry.arrays import Floats
from ...records.files import record_files
from ...records.raw import parse_row
from ...records.record import check_record, find_image
from ...records.rows import Rows, open_rows
from ...records.stated import Stated
from ..frames import Frame, Item
from ..reading import Reader, missing

# What a frame holds itself; other keys of a record are passed on.
_KNOWN = {
    *("image", "image_path", "intrinsics", "distortion", "pixel_coords", "depth", "depth_kind"),
    *("scene", "camera", "timestamp", "pose", "source", "id"),
}


@dataclass(frozen=True)
class DepthLMFiles(Reader):
    """Files as DepthLM publishes them, checked and otherwise as they are.

    Source: any folder with `.jsonl`, `.json` or `.parquet` records and their pictures, such as the
    examples of DepthLM's repository.

    Licence: that of the dataset that the records were made from.

    Camera: as each record gives it, `[fx, fy, cx, cy, W, H]`, with its distortion if it has one.

    Depth: as each record says, or `--option depth_kind=...` where it does not (the published
    iBims-1, DDAD and nuScenes files hold z); kept, with all digits.

    Units: metres.

    Invalid: points outside the picture or without a positive finite depth are left out and counted;
    pixels between two are rounded.

    Split: as in the files; `--option file=NAME` takes one of them.
    """

    depth_kind: str | None = None
    file: str | None = None
    media_dir: str | None = None

    STORED_DEPTH: ClassVar[str] = "as given"
    CALIBRATED: ClassVar[bool] = True  # `check_record` has asked
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")
    VERBATIM: ClassVar[bool] = True

    def items(self) -> Iterator[Item]:
        """Yield the rows of all files, in name order."""
        if not self.root.is_dir():
            raise missing(self.root, "a folder of records", "records files")
        for option in ("file", "media_dir"):
            self.below(self.root / (getattr(self, option) or ""), f"--option {option}")
        path = self.root / self.file if self.file else self.root
        try:
            files = record_files(str(path))
            for file in files:
                self.below(Path(file), "depthlm")
            counts = {file: len(_rows(file)) for file in files}
        except RecordError:
            raise
        except DepthLMError as error:
            looked_for = self.file or "*.jsonl, *.json or *.parquet"
            raise missing(self.root, "a folder of DepthLM records", looked_for) from error
        for file, count in counts.items():
            relative = os.path.relpath(file, self.root)
            for row in range(count):
                yield Item(f"{relative}:{row}", (file, row))

    def load(self, item: Item) -> Frame:
        """Return a record's picture and points."""
        file, row = item.at
        where, raw = _rows(file)[row]
        raw = parse_row(raw, where) if isinstance(raw, str) else raw
        record, problems = check_record(raw, where, row, Stated(self.depth_kind, self.unusual))
        if not len(record.depth_m):
            raise problems[0]
        folder = str(self.root / self.media_dir) if self.media_dir else os.path.dirname(file)
        image = Path(find_image(record.image, [folder], where))
        if not image.is_relative_to(self.root):
            raise RecordError(
                "image outside its root", where, f"{image} is not below --root {self.root}"
            )
        dropped: dict[str, int] = {}
        for problem in problems:
            dropped[problem.reason] = dropped.get(problem.reason, 0) + 1
        return Frame(
            image,
            record.camera,
            record.depth_kind,
            pixels=record.pixels,
            points_m=record.depth_m,
            scene=_plain(raw.get("scene")),
            camera_name=_plain(raw.get("camera")),
            timestamp=raw.get("timestamp"),
            pose=_pose(raw.get("pose"), where),
            dropped=dropped,
            extra={key: value for key, value in raw.items() if key not in _KNOWN},
        )


@lru_cache(maxsize=16)
def _rows(file: str) -> Rows:
    return open_rows(file)


def _pose(value: object, where: str) -> Floats | None:
    if value is None:
        return None
    try:
        return np.array(value, dtype=np.float64).reshape(4, 4)  # row-major, nested or not
    except (TypeError, ValueError) as error:
        raise RecordError("bad pose", where, f"pose must be 4x4 numbers ({error})") from error


def _plain(value: object) -> str | None:
    return None if value is None else str(value)
