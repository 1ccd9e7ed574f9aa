"""Records: an image, its intrinsics, labelled pixels and their depth, checked (design §7)."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError, RecordError, did_you_mean
from ..geometry.arrays import Floats
from ..geometry.camera import DEPTH_KINDS, Camera
from ..geometry.lens import Lens
from ..geometry.rigid import check_pose
from . import storage


@dataclass(frozen=True, eq=False)
class Record:
    """An image with labelled pixels, all of them checked.

    Attributes:
        image: Path as the record gives it, without a leading slash.
        camera: Camera of the stored image, with its lens where the record states a distortion.
        pixels: Labelled pixels (N, 2) as (x, y); integers are pixel centres.
        depth_m: Their depths (N,), metres, finite and positive.
        points: Their positions (N,) in the record's own lists.
        depth_kind: What `depth_m` is: `distance` or `z`.
        where: File and line (or row), for messages.
        row: Number of the record in its dataset, from 0.
        pose: Camera to world (4, 4), metres, OpenCV axes; None where it is not known.
        scene: What it is a picture of; poses of one scene have one world.
        timestamp: When it was taken, in the dataset's own unit.
        partner: The second picture of a record of two.
        at_edge: Of each point (N,) whether it lies beside a depth edge; None where nobody says.
    """

    image: str
    camera: Camera
    pixels: Floats
    depth_m: Floats
    points: NDArray[np.int64]
    depth_kind: str
    where: str
    row: int
    pose: Floats | None = None
    scene: str | None = None
    timestamp: float | None = None
    partner: Record | None = None
    at_edge: NDArray[np.bool_] | None = None


def parse_row(text: str, where: str) -> dict[str, Any]:
    """Return the record in a row's JSON text.

    Raises:
        RecordError: `malformed record`.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError(
            "malformed record", where, f"not valid JSON ({error}); is the file complete?"
        ) from error
    if not isinstance(raw, dict):
        raise RecordError("malformed record", where, "expected a JSON object with one record")
    return raw


def check_record(
    raw: Mapping[str, Any], where: str, row: int, depth_kind: str | None, *, poses: bool = True
) -> tuple[Record, list[RecordError]]:
    """Return the checked record and the problems of single points, which it leaves out.

    Args:
        raw: The record as read; keys that are not known here are ignored.
        where: File and line, for messages.
        row: Its number in the dataset, from 0.
        depth_kind: What the dataset says that `depth` is, or None where it says nothing.
        poses: Whether to look at its pose; without, the record has none.

    Raises:
        RecordError: When the record as a whole cannot be used.
    """
    image = raw.get("image") or raw.get("image_path")  # the published Matterport3D files say _path
    if not isinstance(image, str):
        raise RecordError("no image", where, "key 'image' must hold the path of the photograph")
    lens = _lens(raw.get("distortion"), where)
    try:
        camera = Camera.from_intrinsics(_numbers(raw, "intrinsics", where), lens)
    except GeometryError as error:
        raise RecordError("bad intrinsics", where, str(error)) from error
    kind = _depth_kind(raw.get("depth_kind"), depth_kind, where)
    pixels = _numbers(raw, "pixel_coords", where)
    depth_m = _numbers(raw, "depth", where)
    if pixels.ndim != 2 and pixels.size:
        raise RecordError("malformed record", where, "pixel_coords must be [[x, y], ...]")
    if depth_m.ndim != 1:
        raise RecordError("malformed record", where, "depth must be [metres, ...]")
    if len(pixels) != len(depth_m):
        raise RecordError(
            "lengths differ",
            where,
            f"{len(pixels)} pixel_coords but {len(depth_m)} depths; expected one depth a pixel",
        )
    if not len(depth_m):
        raise RecordError("no points", where, "the record labels no pixel; drop the row")
    if pixels.ndim != 2 or pixels.shape[1] != 2:
        raise RecordError("malformed record", where, "pixel_coords must be [[x, y], ...]")
    problems = list(_point_problems(pixels, depth_m, camera, where))
    bad = {index for index, _ in problems}
    good = np.array([index for index in range(len(depth_m)) if index not in bad], dtype=np.int64)
    record = Record(
        image.lstrip("/"),
        camera,
        pixels[good],
        depth_m[good],
        good,
        kind,
        where,
        row,
        pose_of(raw, "pose", where) if poses else None,
        None if raw.get("scene") is None else str(raw["scene"]),
        _timestamp(raw.get("timestamp")),
        at_edge=_at_edge(raw, len(depth_m), good, where),
    )
    return record, [problem for _, problem in problems]


def pose_of(raw: Mapping[str, Any], key: str, where: str) -> Floats | None:
    """Return the pose (4, 4) that a record holds under `key`, or None where it holds none.

    Raises:
        RecordError: `bad pose`.
    """
    if raw.get(key) is None:
        return None
    pose = _numbers(raw, key, where)
    pose = pose.reshape(4, 4) if pose.shape == (16,) else pose  # rows one after the other
    try:
        check_pose(pose)
    except GeometryError as error:
        raise RecordError("bad pose", where, str(error)) from error
    return pose


def _timestamp(value: Any) -> float | None:
    """Return a timestamp that can be compared; other forms are left to whoever wrote them."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if number and math.isfinite(value) else None


def _at_edge(
    raw: Mapping[str, Any], count: int, good: NDArray[np.int64], where: str
) -> NDArray[np.bool_] | None:
    if raw.get("at_edge") is None:
        return None
    flags = _numbers(raw, "at_edge", where)
    if flags.shape != (count,) or not np.isin(flags, (0, 1)).all():
        raise RecordError(
            "malformed record", where, f"at_edge must hold 0 or 1 for each of {count} points"
        )
    return flags[good].astype(np.bool_)


def _numbers(raw: Mapping[str, Any], key: str, where: str) -> Floats:
    if raw.get(key) is None:
        raise RecordError("malformed record", where, f"key {key!r} is missing")
    try:
        return np.array(raw[key], dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise RecordError(
            "malformed record", where, f"{key!r} must hold numbers only ({error})"
        ) from error


def _lens(raw: Any, where: str) -> Lens | None:
    if raw is None:
        return None
    entry = dict(raw) if isinstance(raw, Mapping) else {"model": "opencv", "coefficients": raw}
    model = entry.get("model")
    try:
        coefficients = np.array(entry.get("coefficients"), dtype=np.float64)
        if set(entry) != {"model", "coefficients"} or not isinstance(model, str):
            raise GeometryError(f"found the keys {sorted(entry)} and the model {model!r}")
        if coefficients.ndim != 1:
            raise GeometryError(f"found the coefficients {entry['coefficients']!r}")
        lens = Lens(model, tuple(coefficients.tolist()))
    except (TypeError, ValueError, OverflowError, GeometryError) as error:
        raise RecordError(
            "bad distortion",
            where,
            '\'distortion\' must be [k1, k2, p1, p2], the same with k3, or {"model": "opencv",'
            f' "fisheye" or "thin_prism_fisheye", "coefficients": [...]}}; {error}',
        ) from error
    # The zeros of a fisheye are no pinhole: they are an equidistant projection.
    return None if lens.model == "opencv" and not any(lens.coefficients) else lens


def _depth_kind(stated: Any, dataset: str | None, where: str) -> str:
    for kind in (stated, dataset):
        if kind is not None and kind not in DEPTH_KINDS:
            raise RecordError(
                "bad depth kind",
                where,
                f"unknown depth_kind {kind!r}{did_you_mean(str(kind), list(DEPTH_KINDS))}",
            )
    if stated is None and dataset is None:
        raise RecordError(
            "no depth kind",
            where,
            "is 'depth' the distance to the camera centre or z along the principal axis? Say"
            ' "depth_kind": "distance" or "z" in the record, in the depthlm object of the dataset'
            " in dataset_info.json, or with --depth-kind (published iBims-1, DDAD and nuScenes"
            " files hold z)",
        )
    if stated is not None and dataset is not None and stated != dataset:
        raise RecordError(
            "bad depth kind",
            where,
            f"the record says depth_kind {stated!r}, its dataset {dataset!r}; remove the wrong one",
        )
    return str(stated or dataset)


def _point_problems(
    pixels: Floats, depth_m: Floats, camera: Camera, where: str
) -> Iterator[tuple[int, RecordError]]:
    width, height = camera.size_wh
    inside = (
        (pixels >= -0.5).all(axis=1) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] < height - 0.5)
    )
    seen = inside.copy()
    seen[inside] = camera.can_undistort(pixels[inside])
    fine = np.isfinite(depth_m) & (depth_m > 0) & seen
    for index in np.flatnonzero(~fine):
        x, y = pixels[index]
        if not inside[index]:
            yield (
                int(index),
                RecordError(
                    "pixel outside the image",
                    where,
                    f"point {index}: pixel ({x:g}, {y:g}) is outside the {width}x{height} image;"
                    " drop the point or check whether coordinates are (row, column)",
                ),
            )
        elif not seen[index]:
            yield (
                int(index),
                RecordError(
                    "pixel outside the lens model",
                    where,
                    f"point {index}: pixel ({x:g}, {y:g}) has no ray within the field where the"
                    " distortion is one-to-one; drop the point or check the record's 'distortion'",
                ),
            )
        else:
            yield (
                int(index),
                RecordError(
                    "bad depth",
                    where,
                    f"point {index}: depth {depth_m[index]:g} is not a positive finite number of"
                    " metres; drop the point (many datasets mark missing depth so)",
                ),
            )


def find_image(image: str, roots: list[str], where: str) -> str:
    """Return the path of a record's image under the first of `roots` that has it.

    Raises:
        RecordError: `missing image`, or `image outside its root` for a path that climbs out.
    """
    if os.path.normpath(image).split(os.sep)[0] == ".." or storage.is_remote(image):
        raise RecordError(
            "image outside its root",
            where,
            f"image path {image!r} leaves the image folder; give paths below it, and the folder,"
            " which may be a URL, as media_dir",
        )
    for root in roots:
        try:
            path = storage.join(root, image)
        except ValueError as error:
            raise RecordError("image outside its root", where, f"image path {error}") from error
        if storage.is_file(path):
            return path
    raise RecordError(
        "missing image",
        where,
        f"image {image!r} is in none of {', '.join(roots)}; set media_dir to the folder that"
        " image paths start from",
    )
