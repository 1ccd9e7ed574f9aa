"""Datasets of the Hugging Face hub with a column of pictures and one of depth."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ....errors import ConfigError, DepthLMError, GeometryError, RecordError
from ....geometry.arrays import Floats
from ....geometry.camera import Camera
from ...formats.folder_camera import assumed_camera, camera_of
from ...frames import Frame, Item, same_field
from ...reading import Reader, chosen, chosen_kind, missing
from .cells import content_of, depth_of, picture_of
from .columns import Roles, find_roles
from .tables import (
    SPLIT_WORDS,
    find_tables,
    groups_of,
    read_row,
    refuse_incomplete,
    split_of,
)

_NO_SCALE, _AXES = "no depth scale", "other axes"  # what an option is missing for


@dataclass(frozen=True)
class HuggingFaceDataset(Reader):
    """A dataset of the Hugging Face hub, on disk, with pictures and metric depth in its rows.

    Source: the hub, downloaded: Parquet shards (of one configuration, where there are several), a
    folder written by `save_to_disk`, or an image folder with `metadata.jsonl` or `metadata.csv`.
    Columns have their usual names (`image`, `rgb`, `pixel_values`, `file_name`; `depth`,
    `depth_map`, `depth_image`, `depth_file_name`, `label`) or those of `--option image=...` and
    `--option depth=...`.

    Licence: that of the dataset card; the data may have another that binds too.

    Camera: columns `fx`, `fy`, `cx`, `cy`, or one with four numbers or a matrix (`intrinsics`, `K`,
    ..., or `--option intrinsics=COLUMN`); `--option intrinsics=FX,FY,CX,CY` for all; `--option
    fov=60` (horizontal, degrees) or `fov=exif` assumes one, and records say so. A pinhole, integers
    being pixel centres. `--option pose=COLUMN` is camera-to-world in OpenCV's axes and metres.

    Depth: `--option depth_kind=z` or `distance` must be given. Encoded images of 16 bits or of
    floating point, `.npy` files, or arrays: (H, W), or (W, H) with `--option axes=wh`. Of the size
    of the pictures, or smaller with the same field of view.

    Units: floating point: metres, or `--option depth_scale=...` values a metre; integers:
    `depth_scale` must be given, 1000 for millimetres. Depth of 8 bits is relative as a rule, and is
    refused without it.

    Invalid: 0, negative, not finite, and the value of `--option invalid=65535`.

    Split: `train` (default), `validation`, `test`, as the names of files and folders say, or `all`;
    where no name says, all is `train`. Scenes are those of a column `scene`, `scene_id` or
    `scene_name`, or of `--option scene=COLUMN`.
    """

    image: str | None = None
    depth: str | None = None
    depth_scale: float | None = None
    depth_kind: str | None = None
    intrinsics: str | None = None
    fov: str | None = None
    invalid: float | None = None
    axes: str = "hw"
    scene: str | None = None
    pose: str | None = None

    SPLITS: ClassVar[tuple[str, ...]] = (*SPLIT_WORDS, "all")
    STORED_DEPTH: ClassVar[str] = "stated by you"
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp")

    def items(self) -> Iterator[Item]:
        """Yield the rows of the split's tables as `<table>/<row>`; the first is looked at."""
        tables = find_tables(self.root)
        if not tables:
            raise missing(
                self.root,
                "a Hugging Face dataset",
                "*.parquet, *.arrow of save_to_disk, metadata.jsonl or metadata.csv",
            )
        chosen_kind(self.depth_kind)
        chosen("axes", self.axes, ("hw", "wh"))
        if self.depth_scale is not None and not 0 < self.depth_scale < np.inf:
            raise ConfigError(f"--option depth_scale={self.depth_scale:g}: expected values a metre")
        refuse_incomplete(tables)
        first = True
        for table in self._of_split(tables):
            self.below(table, "huggingface")
            self._roles(table)
            relative = table.relative_to(self.root)
            number = 0
            for group, rows in enumerate(groups_of(table)):
                for row in range(rows):
                    name = f"{relative.with_suffix('').as_posix()}/{number:06d}"
                    item = Item(name, (relative.as_posix(), group, row))
                    if first:
                        self._look_at(item)
                        first = False
                    yield item
                    number += 1

    def _of_split(self, tables: list[Path]) -> list[Path]:
        splits = [split_of(table, self.root) for table in tables]
        if self.split == "all":
            return tables
        if not any(splits):
            splits = ["train"] * len(tables)
        kept = [table for table, split in zip(tables, splits, strict=True) if split == self.split]
        if not kept:
            counts = Counter(split or "no split" for split in splits)
            there = ", ".join(f"{count} of {split}" for split, count in counts.items())
            raise DepthLMError(
                f"{self.root} has no table of the split {self.split}; by their names there are"
                f" {there}; choose another --split, or all"
            )
        return kept

    def _look_at(self, item: Item) -> None:
        """Ask for options that are missing before a long run rather than after it."""
        try:
            self.load(item)
        except (GeometryError, OSError):
            return  # counted with the others
        except RecordError as error:
            if error.reason in (_NO_SCALE, _AXES):
                raise ConfigError(str(error)) from error

    def load(self, item: Item) -> Frame:
        """Return the frame of a row."""
        relative, group, row = item.at
        path = self.root / relative
        where = f"{relative} row {int(item.frame_id.rpartition('/')[2])}"
        roles = self._roles(path)
        cells = read_row(path, group, row, roles.names, where)
        image, size_wh = picture_of(
            content_of(cells.get(roles.image), roles.image, path.parent, self.root, where), where
        )
        values, is_array = depth_of(
            content_of(cells.get(roles.depth), roles.depth, path.parent, self.root, where),
            where,
            lambda map_wh: _check_field(size_wh, map_wh, where),
        )
        scene, time = cells.get(roles.scene or ""), cells.get(roles.timestamp or "")
        return Frame(
            image,
            self._camera([cells.get(name) for name in roles.intrinsics], image, size_wh, where),
            chosen_kind(self.depth_kind),
            depth_m=self._metres(values, is_array, size_wh, where),
            scene=None if scene is None else str(scene),
            timestamp=time if isinstance(time, int | float) else None,
            pose=_pose(cells.get(roles.pose or ""), where),
            extra={"intrinsics_source": "assumed"} if self.fov is not None else {},
        )

    def _roles(self, table: Path) -> Roles:
        return find_roles(
            table,
            self.image,
            self.depth,
            self.scene,
            self.pose,
            self.intrinsics,
            self.fov is not None or self._literal is not None,
        )

    @property
    def _literal(self) -> list[float] | None:
        """The fx, fy, cx, cy that `intrinsics` gives as numbers; None where it names a column."""
        if self.intrinsics is None or "," not in self.intrinsics:
            return None
        try:
            fx, fy, cx, cy = map(float, self.intrinsics.split(","))
        except ValueError as error:
            raise ConfigError(
                f"--option intrinsics={self.intrinsics}: expected FX,FY,CX,CY or a column"
            ) from error
        return [fx, fy, cx, cy]

    def _camera(
        self, values: list[Any], image: Path | bytes, size_wh: tuple[int, int], where: str
    ) -> Camera:
        if self.fov is not None:
            source = io.BytesIO(image) if isinstance(image, bytes) else image
            return assumed_camera(self.fov, source, size_wh, where)
        numbers = self._literal
        if numbers is None:
            parts = [_numbers(value, "intrinsics", where) for value in values]
            numbers = np.concatenate(parts).tolist()
        return camera_of(numbers, size_wh, "the intrinsics", where)

    def _metres(
        self, raw: NDArray[Any], is_array: bool, size_wh: tuple[int, int], where: str
    ) -> Floats:
        """Return a depth map (H, W) in metres, NaN where there is none."""
        is_float = np.issubdtype(raw.dtype, np.floating)
        if self.depth_scale is None and not is_float:
            relative = "; depth of 8 bits is relative as a rule, and no use then"
            raise RecordError(
                _NO_SCALE,
                where,
                f"its depth is {raw.dtype}: give --option depth_scale=..., the values that are a"
                f" metre, such as 1000{relative if raw.dtype == np.uint8 else ''}",
            )
        if is_array and self.axes == "wh":
            raw = raw.T
        map_wh = raw.shape[1], raw.shape[0]
        if not same_field(size_wh, map_wh):
            if is_array and same_field(size_wh, raw.shape):
                raise RecordError(
                    _AXES,
                    where,
                    f"its depth is an array {raw.shape}, its picture {size_wh[0]}x{size_wh[1]}:"
                    " columns first, it seems; give --option axes="
                    f"{'hw' if self.axes == 'wh' else 'wh'}",
                )
            _check_field(size_wh, map_wh, where)
        good = np.isfinite(raw) & (raw > 0)
        if self.invalid is not None:
            good &= raw != self.invalid
        if self.depth_scale is None and good.any() and raw[good].max() == 1 and raw.min() == 0:
            raise RecordError(
                _NO_SCALE,
                where,
                "its depth runs from exactly 0 to exactly 1: relative, it seems; if these are"
                " metres, say so with --option depth_scale=1",
            )
        return np.where(good, raw / (self.depth_scale or 1.0), np.nan)


def _check_field(size_wh: tuple[int, int], map_wh: tuple[int, int], where: str) -> None:
    if not same_field(size_wh, map_wh):
        raise RecordError(
            "other field of view",
            where,
            f"its depth is {map_wh[0]}x{map_wh[1]}, its picture {size_wh[0]}x{size_wh[1]};"
            " expected the same size, or the picture made smaller",
        )


def _numbers(value: Any, name: str, where: str) -> Floats:
    """Return all numbers of a cell, in order: of lists, of JSON text, or one."""
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
        return np.array(parsed, np.float64).reshape(-1)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError(
            "malformed record", where, f"{name} must hold numbers, found {value!r}"
        ) from error


def _pose(value: Any, where: str) -> Floats | None:
    """Return a pose (4, 4); None where there is none, or tracking was lost."""
    numbers = np.array([np.nan]) if value is None else _numbers(value, "pose", where)
    if not np.isfinite(numbers).all():
        return None
    if numbers.size != 16:
        raise RecordError("bad pose", where, f"a pose is 4x4 numbers, found {numbers.size}")
    return numbers.reshape(4, 4)
