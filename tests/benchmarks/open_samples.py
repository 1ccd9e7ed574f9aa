"""How long DepthSamples takes to open, to give a sample, and what it costs to hand to a worker.

    python tests/benchmarks/open_samples.py [OTHER_CHECKOUT [MOST_ROWS]]

Opens JSON Lines of 20 000 and 200 000 rows and shards of 2 million (100 points a row), each in a
process of its own, and prints one table, of processor time: other jobs on the machine change it
little. Another checkout of the package is measured beside it, on files of up to MOST_ROWS rows
(20 000 by default).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depthlm_plugin.records.shard_index import read_index, write_index
from depthlm_plugin.records.shard_writer import ROWS_PER_SHARD, write_shards

HERE = str(Path(__file__).parents[2])
BLOCK = 1000  # different rows; more are these again
LINES = (20_000, 200_000)
SHARDED = 2_000_000
MEASURE = """
import json, pickle, sys, time
from pathlib import Path
import depthlm_plugin
from depthlm_plugin import DepthSamples
assert depthlm_plugin.__file__.startswith(sys.argv[2]), depthlm_plugin.__file__
seconds = [time.process_time()]
samples = DepthSamples(sys.argv[1], train=True, media_dir=sys.argv[3])
seconds.append(time.process_time())
samples[len(samples) // 2].to_uris()
seconds.append(time.process_time())
for position in range(0, len(samples), len(samples) // 1000):
    samples[position].to_uris()
seconds.append(time.process_time())
print(json.dumps({
    "open_s": seconds[1] - seconds[0],
    "first_ms": 1e3 * (seconds[2] - seconds[1]),
    "next_ms": seconds[3] - seconds[2],
    "pickled_bytes": len(pickle.dumps(samples)),
    "peak_mib": int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024,
}))
"""


def records() -> Iterator[dict[str, Any]]:
    """Yield the rows of a block: one picture, 100 random points each."""
    rng = np.random.default_rng(0)
    for _ in range(BLOCK):
        xy = np.stack([rng.integers(0, 640, 100), rng.integers(0, 480, 100)], axis=1)
        yield {
            "image": "a.png",
            "intrinsics": [560.0, 560.0, 319.5, 239.5, 640, 480],
            "pixel_coords": xy.tolist(),
            "depth": rng.uniform(0.5, 9, 100).round(3).tolist(),
            "depth_kind": "z",
        }


def write_files(folder: Path) -> dict[str, int]:
    """Write the picture and the records files; return their rows by name."""
    Image.new("RGB", (640, 480)).save(folder / "a.png")
    block = list(records())
    text = "".join(json.dumps(row) + "\n" for row in block)
    for rows in LINES:
        with open(folder / f"{rows}.jsonl", "w", encoding="utf-8") as file:
            for _ in range(rows // BLOCK):
                file.write(text)
    shards = folder / "shards"
    write_shards((row for _ in range(ROWS_PER_SHARD // BLOCK) for row in block), str(shards))
    [first] = read_index(str(shards)) or []
    others = [f"{number:05d}.arrow" for number in range(1, SHARDED // ROWS_PER_SHARD)]
    for name in others:
        os.link(shards / first.file, shards / name)
    write_index(str(shards), [first, *(replace(first, file=name) for name in others)])
    return {f"{rows}.jsonl": rows for rows in LINES} | {"shards": SHARDED}


def measured(path: Path, checkout: str) -> dict[str, float]:
    """Return what a fresh process with that checkout of the package measures."""
    command = [sys.executable, "-c", MEASURE, str(path), checkout, str(path.parent)]
    result = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": checkout},
        cwd=path.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(result.stdout)
    return found


def main() -> None:
    """Print the table."""
    other = sys.argv[1] if len(sys.argv) > 1 else None
    most = int(sys.argv[2]) if len(sys.argv) > 2 else LINES[0]
    print("| rows | checkout | open | first sample | the next | pickled | peak memory |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for name, rows in write_files(Path(scratch)).items():
            for checkout in [HERE] + ([other] if other and rows <= most else []):
                row = measured(Path(scratch) / name, checkout)
                print(
                    f"| {rows} {Path(name).suffix or 'shards'} | {Path(checkout).name}"
                    f" | {row['open_s']:.3f} s | {row['first_ms']:.1f} ms | {row['next_ms']:.2f} ms"
                    f" | {row['pickled_bytes'] / 1e3:.1f} kB | {row['peak_mib']:.0f} MiB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
