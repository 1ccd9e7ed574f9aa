"""The benchmark of training steps runs, in its tiny form."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from support.host_tools import ROOT, run


def test_the_tiny_form_measures_a_cell_beside_its_estimates() -> None:
    script = Path(__file__).with_name("training_step.py")
    done = run(
        [sys.executable, str(script), "--tiny", "--methods", "lora", "--steps", "2"],
        PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    number = r"[\d.e-]+"
    cells = rf"\| lora \| 280x196 (\| {number} ){{4}}\| - \| {number} \|"
    assert re.search(cells, done.stdout), done.stdout
