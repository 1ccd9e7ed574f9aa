"""Real photographs, shown as the study's rooms are: iBims-1, and stereo pairs matched by OpenCV."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .data import Record, window_of, write_json_lines

# Of the package `stereodemo` 0.7 (MIT), its `oak-d` folder: pixels, metres.
_OAK = ("f=451.0344", "baseline=0.075", "cx=299.0384", "cy=255.1650")
_PAIRS = ("left=*_left.png", "right=*_right.png")
STEREO_POINTS = 100


def write_real(out: Path, ibims: Path, pairs: Path) -> None:
    """Write the datasets `ibims_half`, `ibims` and `pairs` of a folder, unless they are there.

    Args:
        out: The dataset folder.
        ibims: Has `ibims1_dev.jsonl` and its pictures.
        pairs: The folder `stereodemo/datasets/oak-d` of the package.
    """
    if (out / "dataset_info.json").is_file():
        return
    records = _records(ibims / "ibims1_dev.jsonl")
    mine = _half(Counter(_kind(record) for record in records))
    sets = {
        "ibims_half": (ibims, [record for record in records if _kind(record) in mine]),
        "ibims": (ibims, [record for record in records if _kind(record) not in mine]),
        "pairs": (out / "curated", _matched(out / "curated", pairs)),
    }
    info = {}
    for name, (folder, some) in sets.items():
        (out / "window").mkdir(parents=True, exist_ok=True)
        write_json_lines(out / f"{name}.jsonl", _padded(out, folder, name, some))
        info[name] = {
            "file_name": f"{name}.jsonl",
            "formatting": "depthlm",
            "depthlm": {"depth_kind": "z"},
        }
    (out / "dataset_info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")


def _records(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _kind(record: Record) -> str:
    """Return the kind of place: pictures of one may show the same room."""
    return Path(record["image"]).stem.rpartition("_")[0]


def _half(pictures: Counter[str]) -> set[str]:
    """Return kinds of place that have about half of the pictures."""
    halves: tuple[set[str], set[str]] = set(), set()
    counts = [0, 0]
    for kind, count in sorted(pictures.items(), key=lambda pair: (-pair[1], pair[0])):
        smaller = counts.index(min(counts))
        halves[smaller].add(kind)
        counts[smaller] += count
    return halves[0]


def _matched(out: Path, pairs: Path) -> list[Record]:
    command = [sys.executable, "-m", "depthlm_plugin.cli", "curate", "stereo", "--root", str(pairs)]
    command += ["--out", str(out), "--points", str(STEREO_POINTS)]
    for option in (*_PAIRS, *_OAK):
        command += ["--option", option]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return _records(out / "stereo.jsonl")


def _padded(out: Path, folder: Path, name: str, records: list[Record]) -> Iterator[Record]:
    """Yield records of what lies within VIEW_PX about the principal point, black where nothing is.

    Pictures of a phone or a robot are seldom as high as that at the study's focal length.
    """
    for number, record in enumerate(records):
        fx, fy, cx, cy, width, height = record["intrinsics"]
        low, high, kept = window_of(record)
        border = np.concatenate([np.maximum(-low, 0), np.maximum(high - [width, height], 0)])
        pixels = np.array(record["pixel_coords"], float)
        with Image.open(folder / record["image"]) as image:
            image = ImageOps.expand(image.convert("RGB"), tuple(map(int, border)))
        shift = border[:2]
        window = f"window/{name}{number:03d}.png"
        image.crop((*(low + shift), *(high + shift))).save(out / window, compress_level=1)
        yield {
            "image": window,
            "intrinsics": [fx, fy, cx - int(low[0]), cy - int(low[1]), *map(int, high - low)],
            "pixel_coords": (pixels[kept] - low).tolist(),
            "depth": [record["depth"][k] for k in kept],
            "scene": _kind(record),
        }
