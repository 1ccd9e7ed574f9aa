"""Does the size of the data matter? Start to first batch and memory, at 0.2 and 16 million rows.

    python tests/benchmarks/scale.py [FOLDER]

Makes record shards of 100 points a row (about 13 GB for 16 million rows, removed afterwards), then
starts training on the small and the large set in turns (first_batch.py) and prints one table.
The rows are synthetic and show the photographs of ../shared/data/ibims1; shards beyond the first
are copies of it under their own names.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen
from depthlm_plugin.records.shard_index import read_index, write_index
from depthlm_plugin.records.shard_writer import ROWS_PER_SHARD, write_shards

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "ibims1"
LARGE = 16_000_000
ROUNDS = 3
SAMPLES = 400


def records(count: int) -> Iterator[dict[str, Any]]:
    """Rows as a curated dataset has them: real images, 100 random points."""
    rng = np.random.default_rng(0)
    lines = (PHOTOGRAPHS / "ibims1_dev.jsonl").read_text().splitlines()
    photographs = [json.loads(line) for line in lines]
    for index in range(count):
        photograph = photographs[index % len(photographs)]
        xy = np.stack([rng.integers(0, 640, 100), rng.integers(0, 480, 100)], axis=1)
        yield {
            "image": photograph["image"],
            "intrinsics": photograph["intrinsics"],
            "pixel_coords": xy.tolist(),
            "depth": rng.uniform(0.5, 9, 100).astype(np.float32).tolist(),
            "scene": f"scene{index // 100}",
        }


def dataset_dir(folder: Path, rows: int, first: Path | None) -> Path:
    """Return a dataset_dir with that many rows; `first` is where a finished one lies."""
    folder.mkdir()
    (folder / "rgb").symlink_to(PHOTOGRAPHS / "rgb")
    target = folder / "rooms"
    if first is None:
        write_shards(records(rows), str(target))
    else:
        shutil.copytree(first / "rooms", target)
        shards = read_index(str(target)) or []
        for number in range(len(shards), rows // ROWS_PER_SHARD):
            name = f"{number:05d}.arrow"
            shutil.copyfile(target / shards[0].file, target / name)
            shards.append(replace(shards[0], file=name))
        write_index(str(target), shards)
    entry = {"file_name": "rooms", "formatting": "depthlm", "depthlm": {"depth_kind": "z"}}
    (folder / "dataset_info.json").write_text(json.dumps({"rooms": entry}))
    return folder


def main() -> int:
    scratch = Path(tempfile.mkdtemp(prefix="depthlm-scale-", dir=(sys.argv[1:] or [None])[0]))
    try:
        model = build_tiny_qwen(scratch / "model", seed=0, hidden_size=64, layers=2)
        small = dataset_dir(scratch / "small", 2 * ROWS_PER_SHARD, None)
        large = dataset_dir(scratch / "large", LARGE, small)
        found: dict[str, list[dict[str, Any]]] = {"small": [], "large": []}
        for _ in range(ROUNDS):
            for name, folder in (("small", small), ("large", large)):
                command = [
                    sys.executable,
                    str(Path(__file__).parents[1] / "support" / "first_batch.py"),
                ]
                command += [str(model), str(folder), str(scratch / "out"), str(SAMPLES)]
                result = subprocess.run(
                    command,
                    env=os.environ | {"HF_HOME": str(scratch / "hf"), "HF_HUB_OFFLINE": "1"},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if result.returncode:
                    sys.stderr.write(result.stderr[-3000:])
                    return 1
                found[name].append(json.loads(result.stdout.splitlines()[-1]))
        _print(found, small, large, scratch / "hf")
    finally:
        shutil.rmtree(scratch)
    return 0


def _print(found: dict[str, list[dict[str, Any]]], small: Path, large: Path, hf: Path) -> None:
    print("| rows | on disk | start to first batch | after imports | samples/s | MiB a worker |")
    print("|---|---|---|---|---|---|")
    for name, folder in (("small", small), ("large", large)):
        runs = found[name]
        size = sum(file.stat().st_size for file in (folder / "rooms").iterdir())
        middle = {
            key: statistics.median(run[key] for run in runs)
            for key in ("first_batch_s", "after_imports_s", "samples_per_s")
        }
        worker = max(mib for run in runs for mib in run["worker_mib"])
        print(
            f"| {runs[0]['rows'] / 1e6:g} M | {size / 1e9:.2f} GB | {middle['first_batch_s']:.1f} s"
            f" | {middle['after_imports_s']:.1f} s | {middle['samples_per_s']:.0f} | {worker} |"
        )
    ratio = statistics.median(
        large["first_batch_s"] / small["first_batch_s"]
        for small, large in zip(found["small"], found["large"], strict=True)
    )
    written = [path for path in hf.rglob("*.arrow")]
    print(f"\nlarge / small, start to first batch: {ratio:.2f}; cache files: {len(written)}")


if __name__ == "__main__":
    raise SystemExit(main())
