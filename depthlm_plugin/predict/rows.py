"""Answers as rows of a predictions file, which `depthlm score` reads where there is a truth."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..scoring.prediction import Prediction
from .answer import Answer

OFF = 0.1  # of the focal length, of which rows say what it does to metres
_OF_RECORDS = ("dataset", "row", "point", "points", "target", "at_edge")


def row_of(answer: Answer) -> dict[str, Any]:
    """Return an answer as a row: that of a prediction, its camera, and what an error in it does.

    A question without a truth has no target, and no place in a dataset. Further keys: `camera`, as
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
    return row | {
        "camera": cameras[0] if len(cameras) == 1 else cameras,
        "if_focal_10_percent_off": None if shorter is None else [shorter, longer],
    }


def key_of(row: Mapping[str, Any]) -> str:
    """Return what tells a row's question from every other of its file."""
    parts = {name: row.get(name, [row.get(name[:-1])]) for name in ("images", "pixels", "points")}
    return json.dumps([row.get("dataset"), row.get("row"), row.get("task"), *parts.values()])


def premises_of(row: Mapping[str, Any]) -> bytes:
    """Return a digest of what a row's question took as given: truth and cameras."""
    text = json.dumps([row.get("target"), row.get("camera")], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
