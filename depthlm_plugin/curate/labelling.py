"""One frame to one record."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..camera import convert_depth
from ..errors import GeometryError, RecordError
from ..images import check_size, load_rgb
from .frames import Frame, Item
from .parts import write_whole
from .reading import Reader
from .sampling import frame_rng, sample
from .tallies import SHOWN, Tally
from .writing import IMAGES, RAW

_DIGITS = 6  # of a label in metres: a micrometre, finer than any of the sensors
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


@dataclass(frozen=True)
class Job:
    """What a worker process needs to know of a curation.

    Attributes:
        reader: Of the raw dataset.
        dataset: Its name.
        name: Of the curation; image paths begin with it.
        folder: What belongs to the records: pictures are written below it.
        points: To draw a frame.
        seed: Of the draw.
        sampling: Its strategy.
    """

    reader: Reader
    dataset: str
    name: str
    folder: Path
    points: int
    seed: int
    sampling: str

    def label(self, items: Sequence[Item]) -> tuple[Tally, list[dict[str, Any]]]:
        """Return the records of some frames, and what was counted; write pictures they need.

        A frame that is damaged is counted under its reason, and the others are done.
        """
        tally = Tally()
        records = []
        for item in items:
            tally.frames += 1
            where = f"{self.dataset} {item.frame_id}"
            try:
                records.append(self._record(self._load(item, where), item, where, tally))
            except RecordError as error:
                tally.left_out[error.reason] += 1
                if len(tally.messages) < SHOWN:
                    # The card is the same on every machine.
                    tally.messages.append(str(error).replace(str(self.reader.root), "ROOT"))
        return tally, records

    def _load(self, item: Item, where: str) -> Frame:
        try:
            return self.reader.load(item)
        except GeometryError as error:
            raise RecordError("bad geometry", where, str(error)) from error
        except OSError as error:
            raise RecordError("unreadable file", where, f"{error}; fetch it again") from error

    def _record(self, frame: Frame, item: Item, where: str, tally: Tally) -> dict[str, Any]:
        image = self._image(frame, item, where)
        official = self.reader.OFFICIAL if self.reader.compat else None
        pixels, depth_m = sample(
            frame,
            self.points,
            frame_rng(self.seed, self.dataset, item.frame_id),
            strategy=self.sampling,
            border_px=official.border_px if official else 0,
            where=where,
        )
        kind = official.depth_kind if official else "distance"
        if self.reader.VERBATIM:
            kind = frame.depth_kind
        depth_m = convert_depth(depth_m, pixels, frame.camera, kind=frame.depth_kind, to=kind)
        if isinstance(frame.image, bytes):
            path = self.folder.parent / image
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, frame.image)
        labels = depth_m.tolist()
        if not (self.reader.VERBATIM or official):
            labels = [round(label, _DIGITS) for label in labels]
        tally.records += 1
        tally.points += len(labels)
        tally.short += len(labels) < self.points
        tally.dropped.update(frame.dropped)
        tally.add_depths(depth_m)
        if frame.scene is not None:
            tally.scenes.add(frame.scene)
        return _without_none(
            {
                "image": image,
                "intrinsics": [*frame.camera.intrinsics, *frame.camera.size_wh],
                "pixel_coords": pixels.tolist(),
                "depth": labels,
                "depth_kind": kind,
                "distortion": _distortion(frame),
                "scene": frame.scene,
                "camera": frame.camera_name,
                "timestamp": frame.timestamp,
                "pose": None if frame.pose is None else np.asarray(frame.pose).tolist(),
                "source": self.dataset,
                "id": item.frame_id,
                **frame.extra,
            }
        )

    def _image(self, frame: Frame, item: Item, where: str) -> str:
        """Return the picture's path in the record, having looked at all of it."""
        if isinstance(frame.image, bytes):
            suffix, size_wh = _inspect(frame.image, where)
            name = f"{self.name}/{IMAGES}/{_file_name(item.frame_id)}{suffix}"
        else:
            size_wh = load_rgb(str(frame.image), where).size
            name = f"{self.name}/{RAW}/{frame.image.relative_to(self.reader.root).as_posix()}"
        check_size(size_wh, frame.camera, name, where)
        return name


def _inspect(data: bytes, where: str) -> tuple[str, tuple[int, int]]:
    """Return the suffix and size of an encoded picture, which must decode."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            suffix = _SUFFIXES.get(str(image.format))
            size_wh = image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise RecordError("unreadable image", where, f"its picture is damaged ({error})") from error
    if suffix is None:
        raise RecordError(
            "unreadable image", where, f"its picture is {image.format}; expected PNG or JPEG"
        )
    return suffix, size_wh


def _file_name(frame_id: str) -> str:
    """Return a frame's identifier as a relative path of plain names."""
    return "/".join(
        re.sub(r"[^\w.+-]", "_", part) for part in frame_id.split("/") if part.strip(".")
    )


def _distortion(frame: Frame) -> dict[str, Any] | None:
    lens = frame.camera.lens
    if lens is None:
        return None
    return {"model": lens.model, "coefficients": list(lens.coefficients)}


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
