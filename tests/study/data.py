"""The datasets of the study: scenes by `depthlm scenes`, and what is made of their records."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from depthlm_plugin import Camera, DepthSamples
from depthlm_plugin.views.view import normalised

from .arms import ASIDE

KNOWN_DEG = (60.0, 85.0)  # horizontal field of view of the cameras of training
UNSEEN_DEG = (95.0, 110.0)
RIG = ("--height", "1.2", "1.3", "--pitch", "-15", "-9", "--roll", "-1", "1")  # a robot's
HELD_OUT_AT = 1_000_000  # number of the first held-out scene
VIEW_PX = 84  # side of what every model sees: 3 x 3 tokens of a Qwen-VL
WIDTH_PX = 140
FOCAL_PX = 80.0  # as `arms.yaml` has it
ROOM_PX = 7  # for a mark
LABELS = 3000  # of the arms that share them out over pictures
FEW = 500
ROWS = 50_000  # questions of the arms whose questions this module words

Record = dict[str, Any]
Ints = NDArray[np.int64]
Wording = Callable[[Record, tuple[int, int]], str]


def write_data(out: Path, scenes: int, held_out: int, labels: int = LABELS) -> None:
    """Write all datasets and their `dataset_info.json`, unless they are there.

    Args:
        out: The dataset folder.
        scenes: Rooms to train on; a quarter as many streets.
        held_out: Rooms of either kind of camera to be asked about.
        labels: Of each arm that shares them out over pictures.
    """
    if (out / "dataset_info.json").is_file():
        return
    made = {  # name: domain, scenes, number of the first, points, cameras
        "indoor": ("indoor", scenes, 0, 20, KNOWN_DEG),
        "dense": ("indoor", labels // 4, HELD_OUT_AT // 2, 500, KNOWN_DEG),
        "street": ("street", scenes // 4, 0, 10, KNOWN_DEG),
        "known": ("indoor", held_out, HELD_OUT_AT, 4, KNOWN_DEG),
        "unseen": ("indoor", held_out, 2 * HELD_OUT_AT, 4, UNSEEN_DEG),
        "warehouse": ("warehouse", held_out // 2, HELD_OUT_AT, 4, KNOWN_DEG),
        "street_known": ("street", held_out // 4, HELD_OUT_AT, 4, KNOWN_DEG),
    }
    sets: dict[str, list[Record]] = {}
    native: dict[str, list[Record]] = {}
    for name, (domain, count, start, points, field_deg) in made.items():
        folder = out / "raw" / f"{domain}_0_{start}"
        if not folder.is_dir():
            _scenes(folder.parent, domain, count, start, points, field_deg)
        pairs = list(_windows(out, folder, name))
        sets[name] = [window for window, _ in pairs]
        native[name] = [whole for _, whole in pairs]
    train, first = sets["indoor"], sets["known"][0]
    sets |= {
        "few": train[:FEW],
        ASIDE: [first | {key: first[key][:1] for key in ("pixel_coords", "depth")}],
        "points_1": _sharing(train, 1, labels),
        "points_10": _sharing(sets["dense"], 10, labels),
        "points_100": _sharing(sets.pop("dense"), 100, labels),
        "indoor_mixed": [_as_z(r) if row % 2 else r for row, r in enumerate(train)],
        **{f"{name}_native": native[name] for name in ("indoor", "known", "unseen")},
    }
    info: dict[str, Any] = {}
    for name, records in sets.items():
        write_json_lines(out / f"{name}.jsonl", records)
        info[name] = {
            "file_name": f"{name}.jsonl",
            "formatting": "depthlm",
            "depthlm": {"depth_kind": "distance"},
        }
    for style, wording in STYLES.items():
        for name in ("indoor", "known", "unseen"):
            records = (native if style == "told" else sets)[name]
            most = ROWS if name == "indoor" else None
            info |= _plain(out, f"{name}_{style}", _worded(out, records, wording, most))
    info |= _plain(out, "ordinary", _ordinary(out, train, sets["street"], 3000))
    held = _ordinary(out, sets["known"], sets["street_known"], 400)
    info |= _plain(out, "ordinary_held", held)
    (out / "dataset_info.json").write_text(json.dumps(info, indent=1), encoding="utf-8")


def _scenes(
    raw: Path, domain: str, count: int, start: int, points: int, field_deg: tuple[float, float]
) -> None:
    options = {
        "--out": raw, "--domain": domain, "--n": count, "--start": start, "--points": points,
        "--size": WIDTH_PX, "--workers": 2,
    }  # fmt: skip
    command = [sys.executable, "-m", "depthlm_plugin.cli", "scenes"]
    for option, value in options.items():
        command += [option, str(value)]
    command += ["--fov", *map(str, field_deg), *RIG]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _windows(out: Path, folder: Path, name: str) -> Iterator[tuple[Record, Record]]:
    """Yield two records of each picture that is large enough, about the same points.

    First what lies within VIEW_PX pixels at the unified focal length, about the principal point:
    the same angles of every camera. Then the largest square about the principal point, brought to
    VIEW_PX pixels whatever its angles, as if it had the unified focal length.
    """
    for kind in ("window", "native"):
        (out / kind).mkdir(exist_ok=True)
    for number, line in enumerate((folder / "records.jsonl").read_text("utf-8").splitlines()):
        record = json.loads(line)
        fx, fy, cx, cy, width, height = record["intrinsics"]
        low, high, kept = window_of(record)
        if (low < 0).any() or high[0] > width or high[1] > height or not len(kept):
            continue
        pixels = np.array(record["pixel_coords"], float)
        middle = np.array([cx, cy])
        side = int(2 * min(cx + 0.5, cy + 0.5, width - 0.5 - cx, height - 0.5 - cy))
        corner = np.round(middle + 0.5 - side / 2)
        scale = VIEW_PX / side
        to_native = (pixels + 0.5 - corner) * scale - 0.5
        window, whole = f"window/{name}{number:06d}.png", f"native/{name}{number:06d}.png"
        box = (*corner, *(corner + side))
        with Image.open(folder / record["image"]) as image:
            image.crop((*low, *high)).save(out / window, compress_level=1)
            image.resize((VIEW_PX, VIEW_PX), Image.Resampling.BICUBIC, box).save(out / whole)
        common = record | {"depth": [record["depth"][k] for k in kept]}
        centre = (VIEW_PX - 1) / 2
        yield (
            common
            | {
                "image": window,
                "intrinsics": [fx, fy, cx - int(low[0]), cy - int(low[1]), *map(int, high - low)],
                "pixel_coords": (pixels[kept] - low).tolist(),
            },
            common
            | {
                "image": whole,
                "intrinsics": [FOCAL_PX, FOCAL_PX, centre, centre, VIEW_PX, VIEW_PX],
                "pixel_coords": to_native[kept].tolist(),
                "true_intrinsics": [fx * scale, fy * scale],
            },
        )


def window_of(record: Record) -> tuple[Ints, Ints, Ints]:
    """Return what lies within VIEW_PX about the principal point at the unified focal length.

    Returns:
        The first column and row, those after the last, and which labels a mark can be drawn at.
    """
    focal_px, middle = np.array(record["intrinsics"][:2]), np.array(record["intrinsics"][2:4])
    half = (VIEW_PX + 1) / 2 / FOCAL_PX * focal_px
    low, high = np.floor(middle - half).astype(int), np.ceil(middle + half).astype(int) + 1
    from_middle = (np.array(record["pixel_coords"], float) - middle) * FOCAL_PX / focal_px
    kept = np.flatnonzero((np.abs(from_middle) <= VIEW_PX / 2 - ROOM_PX).all(axis=1))
    return low, high, kept


def _sharing(records: list[Record], count: int, labels: int) -> list[Record]:
    """Return records of one label, `count` of a picture: epochs are equally long."""
    wanted = labels // count
    many = [r for r in records if len(r["depth"]) >= count][:wanted]
    if len(many) < wanted:
        raise ValueError(f"only {len(many)} of {wanted} pictures have {count} points")
    return [
        r | {key: [r[key][k]] for key in ("pixel_coords", "depth")}
        for k in range(count)
        for r in many
    ]


def _as_z(record: Record) -> Record:
    """Return the record with z in place of distances, which it still says they are."""
    camera = Camera.from_intrinsics(record["intrinsics"])
    ratio = camera.distance_over_z(record["pixel_coords"])
    return record | {
        "depth": [round(d / r, 6) for d, r in zip(record["depth"], ratio, strict=True)]
    }


def _by_pixels(record: Record, pixel: tuple[int, int]) -> str:
    return f"the point at ({pixel[0]}, {pixel[1]})"


def _scaled(record: Record, pixel: tuple[int, int]) -> str:
    """Return what the package's own text reference says."""
    x, y = normalised(pixel, (VIEW_PX, VIEW_PX))
    return f"the point at ({x}, {y})"


def _nowhere(record: Record, pixel: tuple[int, int]) -> str:
    return "the point"


def _told(record: Record, pixel: tuple[int, int]) -> str:
    fx, fy = map(round, record["true_intrinsics"])
    return f"{_scaled(record, pixel)} of the picture with fx {fx} and fy {fy}"


STYLES = {"scaled": _scaled, "pixels": _by_pixels, "nowhere": _nowhere, "told": _told}
"""How questions of ordinary datasets name their point: `scaled` as the package does, a control."""


def _worded(out: Path, records: list[Record], wording: Wording, most: int | None) -> list[Record]:
    """Return questions about the views that a depth run would show, worded by this study."""
    samples = DepthSamples(
        records, depth_kind="distance", media_dir=out, points_per_record="all", reference="text",
        prompt="plain", focal_px=FOCAL_PX, crop_height=None, crop_width=None,
    )  # fmt: skip
    (out / "views").mkdir(exist_ok=True)
    chosen = list(samples)
    if most is not None:
        chosen = random.Random(0).sample(chosen, min(most, len(chosen)))
    rows = []
    for sample in chosen:
        path = out / "views" / sample.question.image.replace("/", "_")
        if not path.exists():
            sample.image.save(path)
        asked = wording(records[sample.question.row], sample.pixels[0])
        question = f"<image>How far is {asked} from the camera, in metres?"
        question += " Answer with the number only."
        rows.append(_turns(question, sample.messages[-1]["content"], path))
    return rows


def _ordinary(out: Path, rooms: list[Record], streets: list[Record], count: int) -> list[Record]:
    """Return questions that have nothing to do with depth: what a picture shows, and a sum."""
    rng = random.Random(0)
    rows = []
    for _ in range(count // 2):
        kind = rng.choice(["room", "street"])
        path = out / rng.choice(rooms if kind == "room" else streets)["image"]
        rows.append(_turns("<image>Is this a room or a street?", kind, path))
        a, b = rng.randrange(10), rng.randrange(10)
        path = out / rng.choice([*rooms[:100], *streets[:100]])["image"]
        rows.append(_turns(f"<image>How much is {a} and {b}?", str(a + b), path))
    return rows


def _turns(question: str, answer: str, picture: Path) -> Record:
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": said, "images": [str(picture)]}


def _plain(out: Path, name: str, rows: list[Record]) -> dict[str, Any]:
    write_json_lines(out / f"{name}.jsonl", rows)
    tags = {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
    }
    columns = {"messages": "messages", "images": "images"}
    return {
        name: {
            "file_name": f"{name}.jsonl",
            "formatting": "sharegpt",
            "columns": columns,
            "tags": tags,
        }
    }


def write_json_lines(path: Path, rows: Iterable[Record]) -> None:
    """Write one row a line."""
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
