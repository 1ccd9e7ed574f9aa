"""Run `depthlm demo` with three seeds and print one table: does it learn every time?

python tests/benchmarks/demo_seeds.py [folder]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="depthlm-seeds-"))
    print("| seed | delta1 before | delta1 after | best constant | unparsed | minutes |")
    print("|---|---|---|---|---|---|")
    learnt = True
    for seed in range(3):
        out = folder / f"seed{seed}"
        started = time.monotonic()
        command = [sys.executable, "-m", "depthlm_plugin.cli", "demo"]
        subprocess.run(
            [*command, "--seed", str(seed), "--out", str(out)],
            check=False,
            stdout=subprocess.DEVNULL,
        )
        minutes = (time.monotonic() - started) / 60
        before, after = (
            json.loads((out / name / "predict_results.json").read_text())
            for name in ("before", "after")
        )
        constant = after["predict_constant_delta1"]
        learnt &= after["predict_delta1"] > constant
        print(
            f"| {seed} | {before['predict_delta1']:.3f} | {after['predict_delta1']:.3f} |"
            f" {constant:.3f} | {after['predict_parse_failure_rate']:.3f} | {minutes:.1f} |",
            flush=True,
        )
    return 0 if learnt else 1


if __name__ == "__main__":
    sys.exit(main())
