"""Peak memory and speed of `depthlm score` on more and more predictions: python score_memory.py

Rows are synthetic: official answers about 20 points a picture.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COUNTS = (50_000, 250_000, 1_000_000)


def write(path, count):
    rng = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            target = rng.uniform(0.5, 60)
            value = target * rng.lognormvariate(0, 0.25)
            row = {
                "dataset": "street",
                "row": number // 20,
                "point": number % 20,
                "image": f"rgb/{number // 20:06d}.jpg",
                "pixel": [100.0, 200.0],
                "task": "depth",
                "prompt": "official",
                "target": target,
                "unit": "m",
                "text": f"<think> It is about {value:.2f} metres away. </think>\n\n"
                f"<answer> {value:.2f} </answer>",
                "depth_kind": "distance",
                "distance_over_z": 1.1,
                "run": "r",
                "of": count,
            }
            file.write(json.dumps(row) + "\n")


def main():
    print(f"{'rows':>9s}  {'MB':>6s}  {'s':>6s}  {'peak MiB':>8s}")
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            path = Path(folder, f"{count}.jsonl")
            write(path, count)
            began = time.perf_counter()
            command = [sys.executable, "-m", "depthlm_plugin.cli", "score", "--json", str(path)]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise SystemExit(f"depthlm score failed on {path}")
            seconds = time.perf_counter() - began
            megabytes = path.stat().st_size / 1e6
            peak = usage.ru_maxrss / 1024
            print(f"{count:9d}  {megabytes:6.0f}  {seconds:6.1f}  {peak:8.0f}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
