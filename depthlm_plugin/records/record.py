"""Records: an image, its intrinsics, labelled pixels and their depth, checked (design §7)."""

from __future__ import annotations

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
from ..geometry.plausible import (
    DEPTH_M,
    RECORD_MEDIAN_M,
    is_depth,
    unit_question,
    unusual_camera,
)
from ..geometry.rigid import check_pose
from . import storage
from .raw import check_keys, numbers
from .stated import Stated, parse_unusual


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


def check_record(
    raw: Mapping[str, Any], where: str, row: int, stated: Stated
) -> tuple[Record, list[RecordError]]:
    """Return the checked record and the problems of single points, which it leaves out.

    Args:
        raw: The record as read; keys that are not known here are ignored, unless one looks like a
            key that decides metres (`raw.check_keys`).
        where: File and line, for messages.
        row: Its number in the dataset, from 0.
        stated: What its dataset states.

    Raises:
        RecordError: When the record as a whole cannot be used.
    """
    check_keys(raw, where)
    unusual = stated.unusual | unusual_of(raw, where)
    image = _image(raw, where)
    camera = camera_of(raw, where, unusual)
    kind = _depth_kind(raw.get("depth_kind"), stated.depth_kind, where)
    pixels = numbers(raw, "pixel_coords", where)
    depth_m = numbers(raw, "depth", where)
    if pixels.ndim != 2 and pixels.size:
        raise RecordError("malformed record", where, "pixel_coords must be [[x, y], ...]")
    if depth_m.ndim != 1:
        raise RecordError("malformed record", where, "depth must be [metres, ...]")
    if len(pixels) != len(depth_m):
        lists = pixels.shape == (2, len(depth_m))
        raise RecordError(
            "lengths differ",
            where,
            f"{len(pixels)} pixel_coords but {len(depth_m)} depths; expected one depth a pixel"
            + (", as [[x, y], ...] and not [[x, ...], [y, ...]]" if lists else ""),
        )
    if not len(depth_m):
        raise RecordError("no points", where, "the record labels no pixel; drop the row")
    if pixels.ndim != 2 or pixels.shape[1] != 2:
        raise RecordError("malformed record", where, "pixel_coords must be [[x, y], ...]")
    problems = dict(_point_problems(pixels, depth_m, camera, where, "depth" in unusual))
    good = np.array([at for at in range(len(depth_m)) if at not in problems], dtype=np.int64)
    if "depth" not in unusual:
        _check_unit(depth_m, where)
    record = Record(
        image,
        camera,
        pixels[good],
        depth_m[good],
        good,
        kind,
        where,
        row,
        pose_of(raw, "pose", where),
        None if raw.get("scene") is None else str(raw["scene"]),
        _timestamp(raw.get("timestamp")),
        at_edge=_at_edge(raw, len(depth_m), good, where),
    )
    return record, list(problems.values())


def camera_of(raw: Mapping[str, Any], where: str, unusual: frozenset[str]) -> Camera:
    """Return the camera that a record's `intrinsics` and `distortion` are of.

    Raises:
        RecordError: `bad distortion`; `bad intrinsics`; `unusual camera` when it is rare and not
            stated to be.
    """
    lens = lens_of(raw.get("distortion"), where)
    try:
        camera = Camera.from_intrinsics(numbers(raw, "intrinsics", where), lens)
    except GeometryError as error:
        raise RecordError("bad intrinsics", where, str(error)) from error
    problem = None if "camera" in unusual else unusual_camera(camera)
    if problem is not None:
        raise RecordError(
            "unusual camera",
            where,
            f"{problem}. intrinsics are [fx, fy, cx, cy, W, H] in pixels of the stored image; where"
            ' these are right, say so: "unusual": ["camera"] in the record or in the depthlm object'
            " of its dataset, or --unusual camera",
        )
    return camera


def _image(raw: Mapping[str, Any], where: str) -> str:
    image, other = raw.get("image"), raw.get("image_path")  # of published Matterport3D files
    if image and other and image != other:
        raise RecordError(
            "two images",
            where,
            f"'image' is {image!r}, 'image_path' {other!r}; remove the wrong one",
        )
    image = image or other
    if not isinstance(image, str):
        raise RecordError("no image", where, "key 'image' must hold the path of the photograph")
    return image.lstrip("/")


def unusual_of(raw: Mapping[str, Any], where: str) -> frozenset[str]:
    """Return what a record states to be unusual about itself.

    Raises:
        RecordError: `malformed record`.
    """
    try:
        return parse_unusual(raw.get("unusual"))
    except ValueError as error:
        raise RecordError("malformed record", where, str(error)) from error


def _check_unit(depth_m: Floats, where: str) -> None:
    """Refuse depths (N,) that are metres of nothing that cameras see."""
    measured = depth_m[np.isfinite(depth_m) & (depth_m > 0)]
    if not len(measured):
        return
    median_m = float(np.partition(measured, len(measured) // 2)[len(measured) // 2])
    low_m, high_m = RECORD_MEDIAN_M
    if low_m <= median_m <= high_m:
        return
    unit = unit_question(median_m, RECORD_MEDIAN_M)
    raise RecordError(
        "implausible unit",
        where,
        f"the median of its {len(depth_m)} depths is {median_m:.3g} m, expected {low_m:g} to"
        f" {high_m:g} m; {unit}Convert them, or, where these are its metres, say so:"
        ' "unusual": ["depth"] in the record or in the depthlm object of its dataset, or'
        " --unusual depth",
    )


def pose_of(raw: Mapping[str, Any], key: str, where: str) -> Floats | None:
    """Return the pose (4, 4) that a record holds under `key`, or None where it holds none.

    Raises:
        RecordError: `bad pose`.
    """
    if raw.get(key) is None:
        return None
    pose = numbers(raw, key, where)
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
    flags = numbers(raw, "at_edge", where, no_numbers=())
    if flags.shape != (count,) or not np.isin(flags, (0, 1)).all():
        raise RecordError(
            "malformed record", where, f"at_edge must hold 0 or 1 for each of {count} points"
        )
    return flags[good].astype(np.bool_)


def lens_of(raw: Any, where: str) -> Lens | None:
    """Return the lens that a `distortion` states, as records hold it; None where it has none.

    Raises:
        RecordError: `bad distortion`.
    """
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
    pixels: Floats, depth_m: Floats, camera: Camera, where: str, unusual_depth: bool
) -> Iterator[tuple[int, RecordError]]:
    """Yield the points that cannot be used, by number, in their order."""
    width, height = camera.size_wh
    inside = (
        (pixels >= -0.5).all(axis=1) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] < height - 0.5)
    )
    seen = inside.copy()
    seen[inside] = camera.can_undistort(pixels[inside])
    measured = np.isfinite(depth_m) & (depth_m > 0)
    plausible = measured if unusual_depth else measured & is_depth(depth_m)
    single = _agree(pixels, depth_m)
    for index in np.flatnonzero(~(plausible & seen & single)):
        x, y = pixels[index]
        point, depth = f"point {index}", f"depth {depth_m[index]:g}"
        if not inside[index]:
            reason, problem = (
                "pixel outside the image",
                f"{point}: pixel ({x:g}, {y:g}) is outside the {width}x{height} image;"
                " drop the point or check whether coordinates are (row, column)",
            )
        elif not seen[index]:
            reason, problem = (
                "pixel outside the lens model",
                f"{point}: pixel ({x:g}, {y:g}) has no ray within the field where the"
                " distortion is one-to-one; drop the point or check the record's 'distortion'",
            )
        elif not measured[index]:
            reason, problem = (
                "bad depth",
                f"{point}: {depth} is not a positive finite number of"
                " metres; drop the point (many datasets mark missing depth so)",
            )
        elif not plausible[index]:
            reason, problem = (
                "bad depth",
                f"{point}: {depth} m is no depth that cameras measure ({DEPTH_M[0]:g} to"
                f" {DEPTH_M[1]:g} m); drop the point where it marks missing depth, convert to"
                ' metres, or say "unusual": ["depth"]',
            )
        else:
            reason, problem = (
                "contradicting depths",
                f"{point}: pixel ({x:g}, {y:g}) is labelled {depth_m[index]:g} m and, by another"
                " point, over 10 % nearer or farther; keep one label a pixel",
            )
        yield int(index), RecordError(reason, where, problem)


def _agree(pixels: Floats, depth_m: Floats) -> NDArray[np.bool_]:
    """Return which points (N,) share their pixel with none over 10 % nearer or farther."""
    order = np.lexsort((pixels[:, 1], pixels[:, 0]))
    placed = pixels[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (placed[1:] != placed[:-1]).any(axis=1)
    if first.all():
        return first
    starts = np.flatnonzero(first)
    group = np.cumsum(first) - 1
    depths = depth_m[order]
    nearest = np.minimum.reduceat(depths, starts)
    farthest = np.maximum.reduceat(depths, starts)
    agreeing = np.empty(len(order), dtype=np.bool_)
    agreeing[order] = ~(farthest > _SAME_DEPTH * nearest)[group]
    return agreeing


_SAME_DEPTH = 1.1  # two labels of one pixel may differ by this factor: two returns of a surface


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
