"""A frame to its record: labels drawn, converted and rounded, its picture named or written."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DepthLMError, GeometryError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import Camera, convert_depth
from ...geometry.plausible import unusual_camera
from ...records.record import check_record
from ...records.stated import NOTHING
from ...views.decode import check_size, coarse_rgb, decode_rgb, load_coarse, load_rgb
from ..formats.files import inside, opened_image
from ..frames import Frame, Item
from ..reading import Reader
from .audit import AWAY, BESIDE, count_camera
from .chunks import Chunks, Outcome
from .counts import Counts
from .duplicates import View, picture_hash
from .jpeg import carried, prepare
from .output import IMAGES, PARTS, RAW
from .points import beside_edges, drawn, frame_rng, sample

_DIGITS = 6  # of a label in metres: a micrometre, finer than any of the sensors
_KEPT_BYTES = (1 << 25) - (1 << 16)
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg"}


@dataclass(frozen=True)
class Job:
    """What a worker process needs to know of a curation.

    Attributes:
        reader: The reader of the raw dataset.
        dataset: Name of the dataset.
        name: Name of the curation; image paths begin with it.
        folder: The folder of what belongs to the records; pictures are written below it.
        points: How many points are drawn of a frame.
        seed: Seed of the draw.
        sampling: Strategy of the draw, one of `points.STRATEGIES`.
        jpeg_focal_px: Focal length at which pictures are written as JPEG, pixels; None: they are
            used as they are.
        drop_repeats: Whether near-duplicates are left out.
    """

    reader: Reader
    dataset: str
    name: str
    folder: Path
    points: int
    seed: int
    sampling: str
    jpeg_focal_px: float | None = None
    drop_repeats: bool = False

    def label(self, items: Sequence[Item]) -> tuple[list[Outcome], list[dict[str, Any]]]:
        """Return what became of each of some frames, and the records of those that have one.

        Pictures that records need are written. A frame that is damaged is counted under its reason,
        and the others are done.
        """
        _keep_memory()
        outcomes, records = [], []
        for item in items:
            counts, view = Counts(frames=1), None
            where = f"{self.dataset} {_escaped(item.frame_id)}"
            try:
                _check_text(item.frame_id, where)
                frame = self.load(item, where)
                record, bits = self._record(frame, item, where, counts)
                records.append(record)
                view = View(bits, frame.scene, _rows(frame.pose))
            except RecordError as error:
                counts.left_out[error.reason] += 1
                counts.messages.append(self._without_root(error))
            outcomes.append(Outcome(counts, view))
        return outcomes, records

    def _without_root(self, error: RecordError) -> str:
        """Return an error with ROOT for the root where a path begins with it.

        So the card is the same on every machine.
        """
        root = str(self.reader.root)
        # A relative root alone may be any word.
        end = r"(?![\w-]|\.\w)" if self.reader.root.is_absolute() else "(?=/)"
        said = re.sub(rf"(?<![\w./-]){re.escape(root)}{end}", "ROOT", error.message)
        return _escaped(f"{error.where}: {said}")

    def load(self, item: Item, where: str) -> Frame:
        """Return a frame of the reader's, whatever fails in it being a RecordError.

        Raises:
            RecordError: For a frame that is damaged.
        """
        if item.problem is not None:
            reason, message = item.problem
            raise RecordError(reason, where, message)
        try:
            frame = self.reader.load(item)
            if isinstance(frame.image, Path):
                inside(self.reader.root, frame.image, where)
            return frame
        except GeometryError as error:
            raise RecordError("bad geometry", where, str(error)) from error
        except OSError as error:
            raise RecordError("unreadable file", where, f"{error}; fetch it again") from error

    def _record(
        self, frame: Frame, item: Item, where: str, counts: Counts
    ) -> tuple[dict[str, Any], str]:
        """Return the record of a frame and its picture's hash."""
        official = self.reader.OFFICIAL if self.reader.compat else None
        rng = frame_rng(self.seed, self.dataset, item.frame_id)
        each: Mapping[str, Sequence[Any]] = {}
        if frame.ask is None:
            pixels, depth_m = sample(
                frame,
                self.points,
                rng,
                strategy=self.sampling,
                border_px=official.border_px if official else 0,
                where=where,
            )
        else:
            pixels = drawn(frame, self.points, rng, strategy=self.sampling, where=where)
            answers = frame.ask(pixels)
            pixels, depth_m, each = pixels[answers.labelled], answers.depth_m, answers.each
            frame = replace(frame, dropped={**frame.dropped, **answers.dropped})
            if not len(pixels):
                why = ", ".join(f"{n} {reason}" for reason, n in answers.dropped.items())
                raise RecordError(
                    "no valid depth", where, f"no label is left of {self.points}: {why}"
                )
        kind = official.depth_kind if official else "distance"
        if self.reader.VERBATIM:
            kind = frame.depth_kind
        depth_m = convert_depth(depth_m, pixels, frame.camera, kind=frame.depth_kind, to=kind)
        verbatim = self.reader.VERBATIM or official is not None
        at_edge = None if verbatim else beside_edges(frame, pixels)
        camera = frame.camera
        if self.jpeg_focal_px is None:
            image, bits = self._kept(frame, item, where)
        else:
            image, bits, camera = self._prepared(frame, item, where, self.jpeg_focal_px)
            pixels, kept = carried(pixels, frame.camera, camera)
            depth_m = depth_m[kept]
            each = {key: [values[at] for at in kept] for key, values in each.items()}
            at_edge = None if at_edge is None else at_edge[kept]
            if not len(kept):
                raise RecordError(
                    "no valid depth", where, "no labelled pixel is left in the undistorted picture"
                )
        labels = depth_m.tolist()
        if not verbatim:
            labels = [round(label, _DIGITS) for label in labels]
        for text in (image, frame.scene, frame.camera_name, *_texts(frame.extra)):
            _check_text(text or "", where)
        counts.points += len(labels)
        counts.short += len(labels) < self.points
        counts.dropped.update(frame.dropped)
        counts.lacking.update(frame.lacking)
        counts.noted.update(frame.noted)
        counts.add_depths(depth_m)
        if frame.scene is not None:
            counts.scenes.add(frame.scene)
        unusual = self._unusual(camera, where)
        record = _without_none(
            {
                "image": image,
                "intrinsics": [*camera.intrinsics, *camera.size_wh],
                "pixel_coords": pixels.tolist(),
                "depth": labels,
                "depth_kind": kind,
                "at_edge": None if at_edge is None else at_edge.astype(int).tolist(),
                "distortion": _distortion(camera),
                "scene": frame.scene,
                "camera": frame.camera_name,
                "timestamp": frame.timestamp,
                "pose": None if frame.pose is None else np.asarray(frame.pose).tolist(),
                "source": self.dataset,
                "id": item.frame_id,
                "unusual": unusual or None,
                **each,
                **frame.extra,
            }
        )
        if not verbatim:  # whoever reads the records would refuse it
            _, problems = check_record(record, where, 0, NOTHING)
            if problems:
                raise problems[0]
        counts.records += 1
        count_camera(counts, camera)
        if at_edge is not None:
            beside = int(at_edge.sum())
            counts.edges.update({BESIDE: beside, AWAY: len(at_edge) - beside})
        return record, bits

    def _unusual(self, camera: Camera, where: str) -> list[str]:
        """Return what the record states to be unusual: a calibration is, what a user gave may be.

        Raises:
            RecordError: `unusual camera`.
        """
        problem = unusual_camera(camera)
        if problem and not self.reader.CALIBRATED and "camera" not in self.reader.unusual:
            raise RecordError(
                "unusual camera",
                where,
                f"{problem}. Correct the intrinsics, or, where they are right: --unusual camera",
            )
        return ["camera"] * bool(problem) + ["depth"] * ("depth" in self.reader.unusual)

    def _kept(self, frame: Frame, item: Item, where: str) -> tuple[str, str]:
        """Return the path and hash of a picture that stays as it is, having looked at all of it."""
        if isinstance(frame.image, bytes):
            suffix, bits = _suffix(frame.image, frame.camera, where)
            name = self._name(item, suffix)
            self._write(name, frame.image)
            return name, bits
        bits = picture_hash(coarse_rgb(str(frame.image), where, camera=frame.camera))
        relative = frame.image.relative_to(self.reader.root).as_posix()
        return f"{self.name}/{RAW}/{relative}", bits

    def _prepared(
        self, frame: Frame, item: Item, where: str, focal_px: float
    ) -> tuple[str, str, Camera]:
        """Write a picture for training; return its path, the raw one's hash, and its camera."""
        if isinstance(frame.image, bytes):
            source = io.BytesIO(frame.image)
            picture = decode_rgb(source, "its picture", where, camera=frame.camera)
        else:
            picture = load_rgb(str(frame.image), where, camera=frame.camera)
        name = self._name(item, ".jpg")
        data, camera = prepare(picture, frame.camera, focal_px)
        self._write(name, data)
        return name, picture_hash(picture), camera

    def _name(self, item: Item, suffix: str) -> str:
        return f"{self.name}/{IMAGES}/{_file_name(item.frame_id)}{suffix}"

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder.parent / name
        if not path.parent.resolve().is_relative_to(self.folder.resolve()):
            raise DepthLMError(f"{path.parent} leads out of {self.folder}; remove that link")
        path.parent.mkdir(parents=True, exist_ok=True)
        Chunks(self.folder / PARTS).write_whole(path, data)


def _keep_memory() -> None:
    """Make the C library keep the memory of arrays for the next, by freeing one of 32 MB.

    glibc takes the largest mapping that was freed, up to 32 MB, for what is worth keeping. Without
    it, every array of a megabyte is of new pages: a third of the time of `hidden_points` on a
    virtual machine. Elsewhere it does nothing.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def _escaped(text: str) -> str:
    """Return text as UTF-8 can hold it: other bytes of names in hexadecimal."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        return text.encode("utf-8", "backslashreplace").decode()


def _check_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RecordError(
            "name is not UTF-8",
            where,
            f"'{_escaped(text[max(0, error.start - 40) : error.end + 20])}' is not UTF-8, which"
            " records are; rename it, as convmv -f latin1 -t utf8 does for whole folders",
        ) from error


def _rows(pose: Floats | None) -> list[float] | None:
    """Return a pose's first three rows as 12 numbers."""
    return None if pose is None else np.asarray(pose, np.float64)[:3].ravel().tolist()


def _texts(extra: Mapping[str, Any]) -> Iterator[str]:
    """Yield further keys and values of a record, as JSON has them."""
    for key, value in extra.items():
        yield key
        yield json.dumps(value, ensure_ascii=False)


def _suffix(data: bytes, camera: Camera, where: str) -> tuple[str, str]:
    """Return the suffix and hash of an encoded picture, which must decode, to its camera's size."""

    def check(size_wh: tuple[int, int]) -> None:
        check_size(size_wh, camera, "its picture", where)

    with opened_image(io.BytesIO(data), "unreadable image", where, "its picture", check) as image:
        load_coarse(image)
        bits = picture_hash(image)
        suffix = _SUFFIXES.get(str(image.format))
    if suffix is None:
        raise RecordError(
            "unreadable image", where, f"its picture is {image.format}; expected PNG or JPEG"
        )
    return suffix, bits


def _file_name(frame_id: str) -> str:
    """Return a frame's identifier as a relative path of plain names."""
    return "/".join(
        re.sub(r"[^\w.+-]", "_", part) for part in frame_id.split("/") if part.strip(".")
    )


def _distortion(camera: Camera) -> dict[str, Any] | None:
    if camera.lens is None:
        return None
    return {"model": camera.lens.model, "coefficients": list(camera.lens.coefficients)}


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}
