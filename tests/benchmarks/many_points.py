"""Do samples of records with many labelled points stay cheap? Processor time a record, by points.

    python tests/benchmarks/many_points.py [MOST_POINTS]

Plans the samples of one record of 1000, 10 000 ... points (100 000 unless told) and prints one
table; ten times the points should take about ten times as long. `all` are all of a record's points.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from depthlm_plugin import DepthSamples

SIZE_WH = 640, 480
TASKS = "depth", "two_point_distance"


def record(points: int) -> dict[str, Any]:
    """Return a record with labels on different pixels."""
    rng = np.random.default_rng(0)
    cells = rng.choice(SIZE_WH[0] * SIZE_WH[1], points, replace=False)
    return {
        "image": "a.png",
        "intrinsics": [560.0, 560.0, 319.5, 239.5, *SIZE_WH],
        "pixel_coords": np.stack([cells % SIZE_WH[0], cells // SIZE_WH[0]], axis=1).tolist(),
        "depth": rng.uniform(0.5, 9, points).round(3).tolist(),
        "depth_kind": "z",
    }


def seconds(raw: dict[str, Any], folder: str, task: str, train: bool, wanted: int | str) -> float:
    samples = DepthSamples(
        [raw], train=train, media_dir=folder, tasks={task: 1}, points_per_record=wanted
    )
    started = time.process_time()
    samples[0]
    return time.process_time() - started


def main() -> None:
    """Print the table."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print("| points | task | one, training | one, evaluation | all, training | all, evaluation |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        Image.new("RGB", SIZE_WH).save(Path(folder) / "a.png")
        for points in (count for count in (1000, 10_000, 100_000, 300_000) if count <= most):
            raw = record(points)
            for task in TASKS:
                row = [
                    f"{seconds(raw, folder, task, train, wanted):.3f} s"
                    for wanted in (1, "all")
                    for train in (True, False)
                ]
                print(f"| {points} | {task} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
