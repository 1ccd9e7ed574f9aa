"""The real photographs of the workshop, stored in other ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image


def photographs(ibims: Path, out: Path, suffix: str, size_wh: tuple[int, int] | None) -> list[Any]:
    """The real photographs as records, stored as `suffix` and, if given, at another size."""
    records = []
    for line in (ibims / "ibims1_dev.jsonl").read_text().splitlines():
        record = json.loads(line)
        fx, fy, cx, cy, width, height = record["intrinsics"]
        with Image.open(ibims / record["image"]) as stored:
            image = stored.convert("RGB")
        points = record["pixel_coords"]
        if size_wh is not None:  # a wide camera: the same picture over 2.5 times the pixels
            ratio = size_wh[0] / width
            image = image.resize(size_wh, Image.Resampling.BICUBIC)
            fx = fy = 600.0
            cx, cy, (width, height) = cx * ratio, cy * ratio, size_wh
            points = [[ratio * (x + 0.5) - 0.5, ratio * (y + 0.5) - 0.5] for x, y in points]
        path = out / (Path(record["image"]).stem + suffix)
        image.save(path, **({"quality": 92} if suffix == ".jpg" else {}))
        records.append(
            record
            | {
                "image": path.name,
                "intrinsics": [fx, fy, cx, cy, width, height],
                "pixel_coords": points,
                "depth_kind": "z",
            }
        )
    return records
