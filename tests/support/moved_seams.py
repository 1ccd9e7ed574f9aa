"""LLaMA-Factory with one of its names moved, seam by seam: what depth runs and others say of it.

    PYTHONPATH=SITE:... moved_seams.py RUNS.json SITE RESULTS.json

RUNS.json holds the arguments of a `depth` and an `ordinary` training, and of chats with a model
that depthlm has trained (`taught`) and with another (`plain`). For each seam SITE gets a copy of
LLaMA-Factory in which the seam's name is another, as after an update. What takes long to import is
imported once; a forked process for each seam then imports that copy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from depthlm_plugin.host.seams import SEAMS, Seam

# LLaMA-Factory's imports, of which some import only what is asked of them.
HEAVY = {
    "torch": [],
    "torchaudio": [],
    "datasets": [],
    "peft": ["PeftModel"],
    "accelerate": ["Accelerator"],
    "transformers": ["AutoModelForImageTextToText", "AutoProcessor", "Seq2SeqTrainer"],
    "trl": [],
}


def main(runs_file: str, site: str, results_file: str) -> None:
    original = find_spec("llamafactory")
    assert original is not None
    (source,) = original.submodule_search_locations or ()
    for module, names in HEAVY.items():
        for name in names or ["__name__"]:
            getattr(import_module(module), name)
    runs = json.loads(Path(runs_file).read_text())
    results = {}
    for seam in SEAMS:
        copy = Path(site, "llamafactory")
        shutil.copytree(source, copy)  # with compiled files, whose times stay right
        _move(seam, copy)
        answer = Path(site, "answer.json")
        pid = os.fork()
        if pid == 0:
            try:
                answer.write_text(json.dumps(_observed(seam, runs)))
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(pid, 0)
        results[str(seam)] = json.loads(answer.read_text())
        answer.unlink()
        shutil.rmtree(copy)
    Path(results_file).write_text(json.dumps(results))


def _move(seam: Seam, copy: Path) -> None:
    """Rename a seam's name in every file; for a special method its class's."""
    *owner, name = seam.name.split(".")
    moved = owner[0] if name.startswith("__") else name
    for path in copy.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        renamed = re.sub(rf"\b{moved}\b", f"{moved}_moved", text)
        if renamed != text:
            path.write_text(renamed, encoding="utf-8")


def _observed(seam: Seam, runs: dict[str, Any]) -> dict[str, str | None]:
    """Return the error of the run that meets the seam, and of the one without depth data."""
    if seam.module.startswith("llamafactory.chat."):
        from llamafactory.chat import ChatModel

        return {
            "depth": _error(ChatModel, runs["taught"]),
            "other": _error(ChatModel, runs["plain"]),
        }
    from llamafactory.train.tuner import run_exp

    return {"depth": _error(run_exp, runs["depth"]), "other": _error(run_exp, runs["ordinary"])}


def _error(run: Callable[[dict[str, Any]], Any], arguments: dict[str, Any]) -> str | None:
    try:
        run(arguments)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
