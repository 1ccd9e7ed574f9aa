"""Files of records as DepthVLM makes them: labelled points, or depth maps."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ....errors import ConfigError, DepthLMError, RecordError
from ....records.files import record_files
from ....records.raw import parse_row
from ....records.rows import Rows, open_rows
from ....views.decode import check_size, image_size
from ...frames import Frame, Item, same_field
from ...reading import Reader, chosen_kind, missing
from .record import camera_of_record, depth_map, labelled_points, size_of

_KINDS = {"z_depth": "z", "z": "z", "euclidean": "distance", "distance": "distance"}
_MISNAMED = ("argoverse", "waymo", "_ring_")  # in paths of maps that hold distances, not z
_MASKS = ("mask_valid_path", "mask_invalid_path", "mask_transp_path")  # not zero where good


@dataclass(frozen=True)
class DepthVLMFiles(Reader):
    """Records as the scripts of DepthVLM make them, with labelled points or with depth maps.

    Source: any folder with `.jsonl` or `.json` records of DepthVLM, and their pictures and depth
    maps below it: `image` from `--option media_dir=...`, `depth_path` and masks from `--option
    depth_dir=...`, which are the file's own folder, or each other's, by default. `--option
    file=NAME` takes one file.

    Licence: that of the dataset that the records were made from.

    Camera: `original_fx` for both axes (`original_fy` where stated) and the middle of the picture,
    because records hold no principal point (`original_cx` and `original_cy` where stated). Such a
    camera is assumed, and records say so.

    Depth: z, as `depth_type` says; kept, with all digits. Under that name DepthVLM stores distances
    for Argoverse 2 and Waymo, so for these `--option depth_kind=distance` (or `z`) must be given.
    Where a record has points, they are its labels; else they are drawn from its map. Points are
    pixels of the depth map, and are moved to those of the picture. Maps of nuScenes were made
    without regard to the motion between lidar and camera.

    Units: metres; maps are 16-bit PNG, metres = value / `depth_scale`, or float32 metres.

    Invalid: 0, 65535, not finite, outside the masks; of maps with 8000 values a metre (SUN RGB-D)
    those of 8.192 m or more, whose bits have wrapped. Records of ETH3D are refused: their maps
    belong to other pictures, before undistortion.

    Split: as in the files.
    """

    depth_kind: str | None = None
    file: str | None = None
    media_dir: str | None = None
    depth_dir: str | None = None

    STORED_DEPTH: ClassVar[str] = "z, as given"
    ANNOUNCED: ClassVar[tuple[str, ...]] = ("depth of another picture",)
    VERBATIM: ClassVar[bool] = True

    def items(self) -> Iterator[Item]:
        """Yield the rows of all files, in name order."""
        if not self.root.is_dir():
            raise missing(self.root, "a folder of DepthVLM records", "records files")
        for option in ("file", "media_dir", "depth_dir"):
            self.below(self.root / (getattr(self, option) or ""), f"--option {option}")
        try:
            files = record_files(str(self.root / self.file if self.file else self.root))
            files = [file for file in files if file.endswith((".jsonl", ".json"))]
            for file in files:
                self.below(Path(file), "depthvlm")
            counts = {file: len(_rows(file)) for file in files}
        except RecordError:
            raise
        except DepthLMError as error:
            looked_for = self.file or "*.jsonl or *.json"
            raise missing(self.root, "a folder of DepthVLM records", looked_for) from error
        if self.depth_kind is not None:
            chosen_kind(self.depth_kind)
            if len(files) > 1:
                raise ConfigError(
                    "--option depth_kind speaks for one file; say which with --option file=..., one"
                    f" of {', '.join(os.path.relpath(file, self.root) for file in files)}"
                )
        for file, count in counts.items():
            for row in range(count):
                yield Item(f"{os.path.relpath(file, self.root)}:{row}", (file, row))

    def load(self, item: Item) -> Frame:
        """Return a record's picture with its points, or its depth map."""
        file, row = item.at
        where, text = _rows(file)[row]
        raw = parse_row(text, where) if isinstance(text, str) else text
        kind = self._kind(raw, file, where)
        beside = os.path.dirname(file)
        image = self._file(raw, "image", (self.media_dir, self.depth_dir), beside, where)
        camera, assumed = camera_of_record(raw, where)
        check_size(image_size(str(image), where), camera, str(image), where)
        depth_wh = size_of(raw, "original_depth_size", where)
        if raw.get("depth_format") == "binary_float32" and depth_wh != camera.size_wh:
            raise RecordError(
                "depth of another picture",
                where,
                f"its depth map is {depth_wh[0]}x{depth_wh[1]}, before undistortion, its picture"
                f" {camera.size_wh[0]}x{camera.size_wh[1]}, after it: pixels do not agree; use"
                " depthlm curate eth3d",
            )
        if not same_field(camera.size_wh, depth_wh):
            raise RecordError(
                "other field of view",
                where,
                f"its depth map is {depth_wh[0]}x{depth_wh[1]}, its picture"
                f" {camera.size_wh[0]}x{camera.size_wh[1]}; expected the picture made smaller",
            )
        depth_m = pixels = points_m = None
        dropped: dict[str, int] = {}
        if raw.get("pixel_coords") is not None:
            pixels, points_m, dropped = labelled_points(raw, camera.size_wh, depth_wh, where)
        else:
            folders = (self.depth_dir, self.media_dir)
            depth = self._file(raw, "depth_path", folders, beside, where)
            masks = [self._file(raw, key, folders, beside, where) for key in _MASKS if raw.get(key)]
            depth_m = depth_map(raw, depth, masks, depth_wh, where)
        scene = raw.get("scene", raw.get("scene_id"))
        return Frame(
            image,
            camera,
            kind,
            depth_m=depth_m,
            pixels=pixels,
            points_m=points_m,
            scene=None if scene is None else str(scene),
            camera_name=None if raw.get("camera") is None else str(raw["camera"]),
            dropped=dropped,
            extra={"intrinsics_source": "assumed"} if assumed else {},
        )

    def _kind(self, raw: Mapping[str, Any], file: str, where: str) -> str:
        if self.depth_kind is not None:
            return self.depth_kind
        places = [str(raw.get(key, "")) for key in ("image", "depth_path")]
        places.append(file)
        if any(name in place.lower() for place in places for name in _MISNAMED):
            raise RecordError(
                "no depth kind",
                where,
                "is of Argoverse 2 or Waymo, of which DepthVLM's scripts store distances though"
                " their records say z_depth; give --option depth_kind=distance, or z if yours were"
                " made another way, or label the raw data: depthlm curate argoverse2 or waymo",
            )
        stated = str(raw.get("depth_type", "z_depth"))
        if stated not in _KINDS:
            raise RecordError(
                "bad depth kind",
                where,
                f"depth_type is {stated!r}, expected one of {', '.join(_KINDS)}; or give --option"
                " depth_kind=z or distance",
            )
        return _KINDS[stated]

    def _file(
        self,
        raw: Mapping[str, Any],
        key: str,
        folders: tuple[str | None, ...],
        beside: str,
        where: str,
    ) -> Path:
        """Return the file that a record names, below the first folder that is given."""
        name = raw.get(key)
        if not isinstance(name, str) or not name:
            raise RecordError(
                "malformed record", where, f"key {key!r} must hold a path, found {name!r}"
            )
        start = next((self.root / folder for folder in folders if folder is not None), Path(beside))
        path = self.below(Path(os.path.normpath(start / name.lstrip("/"))), where)
        if not path.is_file():
            option = "media_dir" if key == "image" else "depth_dir"
            raise RecordError(
                "missing file",
                where,
                f"{key} {name!r} is not in {start}; set --option {option}=... to the folder, below"
                " --root, that such paths start from",
            )
        return self.root / path.relative_to(os.path.normpath(self.root))


@lru_cache(maxsize=16)
def _rows(file: str) -> Rows:
    return open_rows(file)
