"""What the host tests share besides fixtures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SUPPORT = Path(__file__).resolve().parent

# Small views, so that a step takes a second: 640x480 at f = 560 becomes about 340x258.
SMALL = {"focal_px": 300, "crop_height": [168, 224], "crop_width": [224, 308]}

Cli = Callable[..., subprocess.CompletedProcess[str]]


def environment(**variables: str) -> dict[str, str]:
    """The environment of a user with the virtual environment activated."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path} | variables


def run(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with its output as text."""
    return subprocess.run(
        command, capture_output=True, text=True, env=environment(**variables), check=False
    )


def overrides(**values: Any) -> list[str]:
    """`key=value` arguments; a depthlm dict becomes `depthlm.key=value`."""
    flat = {k: v for k, v in values.items() if k != "depthlm"}
    flat |= {f"depthlm.{k}": v for k, v in values.get("depthlm", {}).items()}
    return [f"{key}={_text(value)}" for key, value in flat.items()]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"  # torchrun's arguments cannot hold spaces
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)


def losses(output_dir: Path) -> dict[int, float]:
    """Step -> loss as LLaMA-Factory's trainer_state.json has them."""
    history = json.loads((output_dir / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
