"""Answers as rows of a predictions file, which `depthlm score` reads where there is a truth."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from ..scoring.prediction import Prediction
from .answer import Answer

OFF = 0.1  # of the focal length, of which rows say what it does to metres
_OF_RECORDS = ("dataset", "row", "point", "points", "target", "at_edge")


def row_of(answer: Answer) -> dict[str, Any]:
    """Return an answer as a row: that of a prediction, its camera, and what an error in it does.

    A question without a truth has no target, and no place in a dataset. Further keys:
    `image_sha256`, 16 digits of the picture's, of two a list, null if remote; `camera`, as
    `FoundCamera.to_json` says it, of two pictures a list; `if_focal_10_percent_off`, the value for
    a focal length 10 % shorter and 10 % longer, in the row's unit; null where it is no length;
    `calibrated` (and `calibrated_interval_90`), what the model's calibration makes of its answer,
    where it has one, of which `if_focal_10_percent_off` then is; `distribution`, of the answer as
    it was given, where it was asked for and the model had a number.
    """
    row: dict[str, Any] = {**Prediction(answer.sample.question, answer.text).to_row()}
    if math.isnan(answer.sample.target):
        row = {key: value for key, value in row.items() if key not in _OF_RECORDS}
    cameras = [found.to_json() for found in answer.cameras]
    shorter, longer = answer.if_focal(1 - OFF), answer.if_focal(1 + OFF)
    calibrated = answer.calibrated
    if calibrated is not None:
        row["calibrated"] = calibrated
        if answer.interval_90 is not None:
            row["calibrated_interval_90"] = answer.interval_90
    if answer.distribution is not None:
        row["distribution"] = asdict(answer.distribution)
    digests = [_digest(view.image) for view in answer.sample.views]
    return row | {
        "image_sha256": digests[0] if len(digests) == 1 else digests,
        "camera": cameras[0] if len(cameras) == 1 else cameras,
        "if_focal_10_percent_off": None if shorter is None else [shorter, longer],
    }


def key_of(row: Mapping[str, Any]) -> str:
    """Return what tells a row's question from every other of its file."""
    parts = {name: row.get(name, [row.get(name[:-1])]) for name in ("images", "pixels", "points")}
    return json.dumps([row.get("dataset"), row.get("row"), row.get("task"), *parts.values()])


def premises_of(row: Mapping[str, Any]) -> bytes:
    """Return a digest of what a row's question took as given: truth, cameras and pictures."""
    given = [row.get(key) for key in ("target", "camera", "image_sha256")]
    text = json.dumps(given, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _digest(path: str) -> str | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # remote, or gone: who renders it will say so
        return None
    return _digest_of(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest_of(path: str, _size: int, _mtime_ns: int) -> str | None:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return None
