"""A corpus of records that would be learnt as other metres, and of rare ones that are right."""

from __future__ import annotations

import json
import math
import random
from typing import Any

SIZE = 200, 150
GOOD = {
    "image": "a.png",
    "intrinsics": [150.0, 148.0, 99.0, 76.0, *SIZE],
    "pixel_coords": [[100, 75], [60, 60], [140, 90]],
    "depth": [1.5, 2.5, 3.5],
    "depth_kind": "z",
}
UNUSUAL, UNIT, DEPTH, KEY = "unusual camera", "implausible unit", "bad depth", "unknown key"
MALFORMED, INTRINSICS, LABELS = "malformed record", "bad intrinsics", "contradicting depths"


def _camera(*values: float) -> dict[str, Any]:
    return {"intrinsics": list(values)}


def _depths(*values: Any) -> dict[str, Any]:
    return {"depth": list(values)}


# What the record says instead, the reason why it is refused, and what the message must hold.
REFUSED: dict[str, tuple[dict[str, Any] | str, str, str]] = {
    # units
    "millimetres": (_depths(1500, 2500, 3500), UNIT, "are 1000 or 100 of its units a metre?"),
    "far centimetres": (_depths(350, 450, 380), UNIT, '"unusual": ["depth"]'),
    "raw 1/5000": (_depths(7500, 9500, 9800), UNIT, "expected 0.05 to 300 m"),
    "kilometres": (_depths(0.0015, 0.0025, 0.0035), UNIT, "the median of its 3 depths is 0.0025 m"),
    "a marker of missing depth": (_depths(1.5, 65535, 3.5), DEPTH, "point 1: depth 65535 m is no"),
    "a huge depth": (_depths(1.5, 1e308, 3.5), DEPTH, "(0.001 to 10000 m)"),
    "a tiny depth": (_depths(1.5, 5e-324, 3.5), DEPTH, "point 1: depth 4.94066e-324 m is no"),
    "a unit beside": ({"depth_unit": "mm"}, KEY, "'depth_unit' is not read: depths are metres"),
    "a scale beside": ({"depth_scale": 1000}, KEY, "convert them and take the key out"),
    "units beside": ({"Units": "cm"}, KEY, "depths are metres"),
    # booleans and texts
    "a true depth": (_depths(1.5, True, 3.5), MALFORMED, "'depth' must hold numbers only"),
    "a false pixel": ({"pixel_coords": [[100, 75], [60, False], [140, 90]]}, MALFORMED, "False"),
    "a true focal length": (_camera(150.0, True, 99, 76, *SIZE), MALFORMED, "found True"),
    "a boolean pose": ({"pose": [[True, 0, 0, 0], *[[0, 0, 0, 1]] * 3]}, MALFORMED, "found True"),
    "digits in text": (_depths("1.5", "2.5", "3.5"), MALFORMED, "found '1.5'"),
    "digits with a sign of Python": (_depths(1.5, "1_0.0", 3.5), MALFORMED, "found '1_0.0'"),
    "Arabic digits": (_depths(1.5, "\u0661\u0662", 3.5), MALFORMED, "'depth' must hold numbers"),
    "intrinsics in text": ({"intrinsics": ["150", "148", "99", "76", "200", "150"]}, MALFORMED, ""),
    # keys
    "a lens mistyped": ({"distorsion": [0.1, 0, 0, 0]}, KEY, "did you mean 'distortion'?"),
    "a lens of OpenCV's name": ({"dist_coeffs": [0.1, 0, 0, 0]}, KEY, "belongs into 'distortion'"),
    "a lens by its first number": ({"k1": -0.3}, KEY, "'distortion'"),
    "a kind mistyped": ({"depth_kidn": "distance"}, KEY, "did you mean 'depth_kind'?"),
    "a kind of another name": ({"depth_type": "distance"}, KEY, "'depth_kind'"),
    "a pose of many": ({"poses": [[1]]}, KEY, "did you mean 'pose'?"),
    "a Cyrillic letter": ({"d\u0435pth_kind": "distance"}, KEY, "'d\\u0435pth_kind'"),
    "full width letters": ({"\uff44\uff45\uff50\uff54\uff48": [1.0]}, KEY, "did you mean 'depth'"),
    "capitals": ({"Distortion": [0.1, 0, 0, 0]}, KEY, "did you mean 'distortion'?"),
    # cameras
    "cx and cy swapped": (_camera(150, 148, 76, 99, *SIZE), UNUSUAL, "[fx, fy, cy, cx, W, H]"),
    "fx, cx, fy, cy": (_camera(150, 99, 148, 76, *SIZE), UNUSUAL, "as [fx, cx, fy, cy, W, H]"),
    "cx, cy, fx, fy": (_camera(99, 76, 150, 148, *SIZE), UNUSUAL, "as [cx, cy, fx, fy, W, H]"),
    "no principal point": (_camera(150, 148, 0, 0, *SIZE), UNUSUAL, "(0, 0) is 50 % of a side"),
    "a normalised principal point": (_camera(150, 148, 0.5, 0.5, *SIZE), UNUSUAL, "(0.5, 0.5)"),
    "a principal point outside": (_camera(150, 148, 210, 76, *SIZE), UNUSUAL, "(210, 76) is 55 %"),
    "a principal point far outside": (_camera(150, 148, 900, 76, *SIZE), INTRINSICS, "far outside"),
    "fy of 1.9 fx": (_camera(150, 285, 99, 76, *SIZE), UNUSUAL, "differ by a factor of 1.9"),
    "a focal length in mm": (_camera(24, 24, 99, 76, *SIZE), UNUSUAL, "view is 153 degrees"),
    "a normalised focal length": (_camera(0.75, 0.75, 99, 76, *SIZE), INTRINSICS, "in pixels?"),
    "half the size": (_camera(75, 74, 49, 37.5, *SIZE), UNUSUAL, "for a picture of half the size"),
    "double the size": (_camera(300, 296, 199, 152, *SIZE), UNUSUAL, "of double the size"),
    "a telescope": (_camera(900, 900, 99, 76, *SIZE), UNUSUAL, "view is 12.7 degrees"),
    # ambiguous
    "depth twice": (
        json.dumps(GOOD)[:-1] + ', "depth": [9, 9, 9]}', MALFORMED, "the key 'depth' is there twice"
    ),
    "a key twice inside": (
        json.dumps(GOOD)[:-1] + ', "distortion": {"model": "a", "model": 1}}', MALFORMED, "'model'"
    ),
    "two images": ({"image_path": "b.png"}, "two images", "'image' is 'a.png', 'image_path' 'b"),
    "one pixel, three depths": (
        {"pixel_coords": [[100, 75]] * 3, "depth": [1, 2, 30]}, LABELS, "(100, 75) is labelled"
    ),
    "lists of x and y": (
        {"pixel_coords": [[100, 60, 140], [75, 60, 90]]}, "lengths differ", "not [[x, ...], [y, "
    ),
    "an unusual what": ({"unusual": ["lens"]}, MALFORMED, "'lens'; known: camera, depth"),
}  # fmt: skip

TAKEN: dict[str, dict[str, Any]] = {
    "usual": {},
    "metres, said": {"unit": "m", "depth_scale": 1.0},
    "keys of other files": {"dataset": "x", "camera": "CAM_FRONT", "conversations": [], "id": 7},
    "a key without a value": {"distorsion": None, "depth_unit": None},
    "two equal images": {"image_path": "a.png"},
    "one pixel, two returns": {
        "pixel_coords": [[100, 75], [100, 75], [140, 90]], "depth": [1.5, 1.52, 3.5]
    },
    "flags as booleans": {"at_edge": [True, False, 0]},
    "a rare camera, confirmed": _camera(150, 285, 99, 76, *SIZE) | {"unusual": ["camera"]},
    "rare metres, confirmed": _depths(1500, 2500, 3500) | {"unusual": "depth"},
    "far metres": _depths(150, 180, 280),
    "near metres": _depths(0.06, 0.07, 0.3),
    "a wide camera": _camera(60, 60, 99, 76, *SIZE),
    "a crop off the middle": _camera(150, 148, 130, 60, *SIZE),
    "a pose": {"pose": [[1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 1, 4], [0, 0, 0, 1]]},
    "a lens": {"distortion": [0.05, -0.01, 0, 0]},
    "integers": _depths(1, 2, 3),
}  # fmt: skip


def record_of(changes: dict[str, Any] | str) -> str:
    """Return a record's line."""
    return changes if isinstance(changes, str) else json.dumps(GOOD | changes)


def mutated(count: int, seed: int) -> list[str]:
    """Return lines of good and refused records with one or two more values changed at random."""
    rng = random.Random(seed)
    bases = [*TAKEN.values(), *(value[0] for value in REFUSED.values())]
    values = [
        *(None, True, "", "1.5", 0, -1, 1e308, math.nan, math.inf, [], {}, [[1]], "a.png", 10**400),
        *(0.5, 99, 300, [1.0, 2.0, 3.0], ["camera"], "camera,depth", "z", "distance", "b.png"),
    ]
    lines = []
    while len(lines) < count:
        base = rng.choice(bases)
        if isinstance(base, str):
            continue
        record = json.loads(json.dumps(GOOD | base))
        for _ in range(rng.randint(1, 2)):
            key = rng.choice([*GOOD, "pose", "distortion", "unusual", "at_edge", "timestamp"])
            value = record.get(key)
            if isinstance(value, list) and value and rng.random() < 0.7:
                value[rng.randrange(len(value))] = rng.choice(values)
            else:
                record[key] = rng.choice(values)
        lines.append(json.dumps(record))
    return lines
