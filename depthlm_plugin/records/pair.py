"""Records of two pictures (design §7): `images`, `intrinsics`, `relative_pose`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import RecordError
from .raw import check_keys
from .record import Record, camera_of, check_record, pose_of, unusual_of
from .stated import Stated

_LISTS = ("pixel_coords", "depth", "distortion")  # of each picture, where there are such


def is_pair(raw: Mapping[str, Any]) -> bool:
    """Return whether a record is of two pictures."""
    return raw.get("images") is not None


def check_any(
    raw: Mapping[str, Any], where: str, row: int, stated: Stated
) -> tuple[Record, list[RecordError]]:
    """Return the checked record of one picture or of two; see `record.check_record`.

    Every command and every trainer decides by this function which records and points it takes.

    Of two, the first is returned with the second as its `partner`. `relative_pose` is the second
    camera's pose in the first one's frame (4x4, metres, OpenCV axes); `intrinsics` and, where there
    are labels, `pixel_coords` and `depth` are lists of two.

    Raises:
        RecordError: When the record as a whole cannot be used.
    """
    if not is_pair(raw):
        return check_record(raw, where, row, stated)
    check_keys(raw, where)
    pose = pose_of(raw, "relative_pose", where)
    if pose is None:
        raise RecordError("bad pose", where, "a record of two images needs their relative_pose")
    problems: list[RecordError] = []
    both = []
    for index in (0, 1):
        single = {key: _of(raw, key, index, where) for key in ("intrinsics", *_LISTS)}
        single["image"] = _of(raw, "images", index, where)
        single |= {key: raw.get(key) for key in ("depth_kind", "unusual")}
        if single["depth"] is None:
            both.append(_unlabelled(single, where, row, stated))
            continue
        record, point_problems = check_record(single, where, row, stated)
        problems += point_problems
        both.append(record)
    scene = str(raw.get("scene", where))
    first, second = (
        replace(record, pose=camera_pose, scene=scene)
        for record, camera_pose in zip(both, (np.eye(4), pose), strict=True)
    )
    return replace(first, partner=second), problems


def _of(raw: Mapping[str, Any], key: str, index: int, where: str) -> Any:
    value = raw.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise RecordError("malformed record", where, f"{key!r} of a pair must be a list of two")
    return value[index]


def _unlabelled(raw: Mapping[str, Any], where: str, row: int, stated: Stated) -> Record:
    """Return the record of a picture without labels."""
    if not isinstance(raw["image"], str):
        raise RecordError("no image", where, "'images' must hold the paths of two photographs")
    camera = camera_of(raw, where, stated.unusual | unusual_of(raw, where))
    none = np.zeros(0)
    image = raw["image"].lstrip("/")
    return Record(
        image, camera, none.reshape(0, 2), none, none.astype(np.int64), "distance", where, row
    )
