"""What the package makes of a fixed corpus, through its public doors only: name -> text.

    PYTHONPATH=tests python -m support.corpus OUT.json

Two versions of the package are compared by running this with each and comparing the files; the test
beside it compares today's with what is written down, numbers to nine digits.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.rewards import accuracy, delta1, negative_abs_rel, negative_l1
from support.scene import Pinhole, hits, looking, picture

PINHOLE = Pinhole(150.0, 146.0, 97.0, 78.0, 200, 150)
SMALL = {"focal_px": 300, "crop_height": [224, 280], "crop_width": [308, 364]}
ALL_TASKS = {
    "depth": 1, "principal_axis_distance": 1, "speed": 1, "time": 1, "two_point_distance": 1,
    "depth_order": 1, "camera_translation": 1, "relative_pose": 1, "point_correspondence": 1,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "evaluation": {},
    "training": {"train": True},
    "training of epoch 3": {"train": True, "epoch": 3, "seed": 7},
    "plain z": {"prompt": "plain", "label": "z"},
    "text": {"reference": "text", "train": True},
    "packed": {"reference": "numbered", "questions_per_image": 4, "train": True},
    "packed text": {"reference": "text", "questions_per_image": 10, "train": True},
    "all points": {"points_per_record": "all", "max_depth_m": 4.0},
    "three points": {"points_per_record": 3, "train": True, "min_depth_m": 1.0},
    "all tasks": {"tasks": ALL_TASKS},
    "all tasks in training": {"tasks": ALL_TASKS, "train": True},
    "all tasks, packed": {
        "tasks": ALL_TASKS, "train": True, "reference": "numbered", "questions_per_image": 3,
    },
    "one size": {"fixed_wh": (448, 448)},
    "multiples of 32": {"size_multiple": 32, "train": True},
    **{f"marker {m}": {"marker": m, "marker_px": 7, "marker_outline": "white"}
       for m in ("arrow", "cross", "dot", "ring", "box")},
}  # fmt: skip
ANSWERS = [
    "2.35", "<answer> 2.35 </answer>", "2.35 m", "235 cm", "7 ft 8.5 in", "about 2.35 meters",
    "2,35", "1,234", "between 2 and 3", "", "none", "-2", "0", "1e3", "<answer> 2", "2.35 (7.7 ft)",
    "<think> 3 </think> <answer> 1.2 </answer>", "1/2", "point 2", "the first", "x: 3, y: 4",
    "(1200, 56)", "8 km/h", "3 s", "2 min", "nan", "inf", "2.35.1", "12 000 mm", "six metres",
]  # fmt: skip


_NUMBER = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


def collect() -> dict[str, str]:
    """Return everything of the corpus by name, written in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_records()
        return dict(_all())


def digests(corpus: Mapping[str, str]) -> dict[str, str]:
    """Return a short hash of each text, its numbers to nine digits; without the pixels.

    Sines differ in their last bit between processors, pixels between versions of Pillow.
    """
    return {
        name: hashlib.sha256(_NUMBER.sub(_nine_digits, text).encode()).hexdigest()[:16]
        for name, text in corpus.items()
        if not name.startswith("pixels")
    }


def _nine_digits(number: re.Match[str]) -> str:
    return f"{float(number[0]):.9g}"


def write_records() -> None:
    """Write three records files and their pictures into the current folder."""
    for number in range(8):
        pose = looking(4.0 * number - 9, 5 - number, (0.1 * number, -0.05 * number, 0.12 * number))
        Image.fromarray(picture(PINHOLE, pose)).save(f"{number}.png")
        rng = np.random.default_rng(number)
        flat = rng.choice(200 * 150, 60, replace=False)
        u, v = flat % 200, flat // 200
        _, distance = hits(PINHOLE, pose, u, v)
        record = {
            "image": f"{number}.png",
            "intrinsics": [PINHOLE.fx, PINHOLE.fy, PINHOLE.cx, PINHOLE.cy, 200, 150],
            "pixel_coords": np.stack([u, v], 1).tolist(),
            "depth": np.round(distance, 6).tolist(),
            "depth_kind": "distance",
            "at_edge": (flat % 3 == 0).astype(int).tolist(),
            "pose": np.round(pose, 9).tolist(),
            "scene": f"room {number // 6}",
            "timestamp": 0.5 * number,
        }
        lens = {"distortion": [0.08, -0.02, 0.001, -0.002]} if number % 2 else {}
        bad = dict(record)
        if number == 2:
            bad["depth"] = [0.0, *record["depth"][1:]]
        if number == 4:
            bad["pixel_coords"] = [[500, 3], *record["pixel_coords"][1:]]
        if number == 5:
            del bad["intrinsics"]
        for name, row in (("posed", record), ("lens", record | lens), ("bad", bad)):
            with open(f"{name}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def _all() -> Iterator[tuple[str, str]]:
    for name, config in CONFIGS.items():
        yield f"samples: {name}", _samples("posed.jsonl", **config)
    yield "samples: lens", _samples("lens.jsonl", train=True)
    yield "samples: bad, skipped", _samples("bad.jsonl", on_error="skip")
    yield "samples: bad, raised", _samples("bad.jsonl")
    for name in ("evaluation", "training", "packed", "marker ring", "one size"):
        yield f"pixels: {name}", _pixels("posed.jsonl", **CONFIGS[name])
    yield from _scores()
    yield from _rewards()
    yield from _commands()


def _read(records: str, **config: Any) -> DepthSamples:
    return DepthSamples(records, **(SMALL | {"resampling": "reference"} | config))


def _samples(records: str, **config: Any) -> str:
    try:
        samples = _read(records, **config)
        every = [
            [sample.to_uris(), sample.messages, sample.truth, sample.pixels, sample.unit]
            for sample in samples
        ]
    except DepthLMError as error:
        return f"{type(error).__name__}: {error}"
    return json.dumps([every, sorted(samples.counts.items())])


def _pixels(records: str, **config: Any) -> str:
    samples = [sample for sample, _ in zip(_read(records, **config), range(3), strict=False)]
    hashes = [hashlib.sha256(sample.image.tobytes()).hexdigest() for sample in samples]
    return json.dumps([hashes, [sample.image.size for sample in samples]])


def _scores() -> Iterator[tuple[str, str]]:
    """Score answers near and far from the truth, of every task, in two datasets."""
    rng = random.Random(0)
    rows = []
    for dataset in ("a", "b"):
        for sample in _read("posed.jsonl", tasks=ALL_TASKS, points_per_record=6, name=dataset):
            question = sample.question
            texts = [sample.messages[-1]["content"], rng.choice(ANSWERS)]
            changed = re.sub(
                r"\d+\.\d+", lambda m: f"{float(m[0]) * rng.uniform(0.7, 1.4):.2f}", texts[0]
            )
            truth: Any = sample.truth
            rows.append(
                {
                    "dataset": dataset,
                    "task": question.task,
                    "prompt": question.prompt,
                    "row": question.row,
                    "image": question.image,
                    "images": list(question.images),
                    "point": question.point,
                    "points": list(question.points),
                    "unit": question.unit,
                    "depth_kind": question.depth_kind,
                    "distance_over_z": question.distance_over_z,
                    "at_edge": question.at_edge,
                    "target": truth["value"] if set(truth) == {"value"} else truth,
                    "text": rng.choice([*texts, changed, changed, changed]),
                }
            )
    Path("answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    host = [
        {"prompt": "?", "predict": text, "label": "<answer> 2.35 </answer>"} for text in ANSWERS
    ]
    Path("host.jsonl").write_text("".join(json.dumps(row) + "\n" for row in host))
    for options in (["--json"], ["--parts"], ["--json", "--parts"]):
        yield f"score {options}", _command("score", "answers.jsonl", *options)
    yield "score of LLaMA-Factory's", _command("score", "host.jsonl", "--task", "depth", "--json")


def _rewards() -> Iterator[tuple[str, str]]:
    target = [2.3] * len(ANSWERS)
    for function in (delta1, negative_l1, negative_abs_rel):
        for style in ("official", "plain"):
            given = function(ANSWERS, target=target, style=[style] * len(ANSWERS))
            yield f"reward {function.__name__} {style}", json.dumps(given)
    order = {"target": [2.0] * len(ANSWERS), "task": ["depth_order"] * len(ANSWERS)}
    yield "reward accuracy", json.dumps(accuracy(ANSWERS, **order))


def _commands() -> Iterator[tuple[str, str]]:
    for name in ("posed", "lens", "bad"):
        yield f"validate {name}", _command("validate", f"{name}.jsonl", "--json", "--workers", "1")
    small = ["--size-multiple", "28", "--focal", "300"]
    yield (
        "render",
        _command("render", "posed.jsonl", "--row", "1", "--point", "3", "--out", "r.png", *small),
    )
    yield "shard", _command("shard", "posed.jsonl", "--out", "shards")
    yield "samples: shards", _samples("shards", train=True, name="posed", media_dir=".")
    yield "split", _command("split", "posed.jsonl", "--out", "split", "--eval", "0.5")
    yield "split files", json.dumps(_files("split"))
    yield (
        "harness",
        _command("harness", "posed.jsonl", "--out", "tasks", "--points", "2", "--focal", "300"),
    )
    yield "harness files", json.dumps(_files("tasks"))


def _files(folder: str) -> dict[str, str]:
    """Return what is written, pictures as hashes: they depend on the resampling library."""
    return {
        str(path): path.read_text(encoding="utf-8")
        for path in sorted(Path(folder).rglob("*"))
        if path.suffix in (".json", ".jsonl", ".yaml", ".py") or path.name == "depthlm_common"
    }


def _command(*arguments: str) -> str:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(list(arguments))
    return json.dumps([status, out.getvalue(), err.getvalue()])


if __name__ == "__main__":
    target = os.path.abspath(sys.argv[1])
    found = collect()
    Path(target).write_text(json.dumps(found, indent=1), encoding="utf-8")
