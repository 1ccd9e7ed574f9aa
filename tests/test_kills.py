"""Killed at any moment and given again, a command ends as if nothing had been.

`python -m support.kills` tries more, and a training run, which tests/host kills once.
"""

import json
import os
import subprocess
import sys

import pytest
from support import kills
from support.kill_cases import CASES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [*(case.name for case in CASES), "bench"])
def test_killed_before_any_touch_of_the_disk_or_at_any_time(name, tmp_path):
    """In a process of its own, without threads, which may be forked; bench: LLaMA-Factory's too."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    times = 1 if name == "bench" else 2
    result = subprocess.run(
        [sys.executable, kills.__file__, "--random", str(times), str(tmp_path / "kills"), name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr[-3000:]}"
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["touches"] > 8 or name == "bench"
    assert sum(told["tried"].values()) == told["touches"] + times
