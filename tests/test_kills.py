"""Killed at any moment and given again, a command ends as if nothing had been."""

import json
import os
import subprocess
import sys

import pytest
from support import kills
from support.kill_cases import CASES

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_killed_before_any_touch_of_the_disk_or_at_any_time(case, tmp_path):
    """In a process of its own, without threads, which may be forked."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    result = subprocess.run(
        [sys.executable, kills.__file__, "--random", "2", str(tmp_path / "kills"), case.name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr[-3000:]}"
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["touches"] > 8
    assert sum(told["tried"].values()) == told["touches"] + 2
