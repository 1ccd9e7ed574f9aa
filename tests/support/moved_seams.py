"""LLaMA-Factory with one of its names moved, seam by seam: what depth runs and others say of it.

And with one more parameter at every seam: what is noted of each.

    PYTHONPATH=SITE:... moved_seams.py RUNS.json SITE RESULTS.json

RUNS.json holds the arguments of a `depth` and an `ordinary` training, and of chats with a model
that depthlm has trained (`taught`) and with another (`plain`). For each seam SITE gets a copy of
LLaMA-Factory in which the seam's name is another, as after an update. What takes long to import is
imported once; a forked process for each seam then imports that copy.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from depthlm_plugin.host.compat import broken
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
    copy = Path(site, "llamafactory")

    def in_copy(change: Callable[[Path], None], observe: Callable[[], Any]) -> Any:
        """Return what a process of its own observes in a changed copy of LLaMA-Factory."""
        shutil.copytree(source, copy)  # with compiled files, whose times stay right
        change(copy)
        answer = Path(site, "answer.json")
        pid = os.fork()
        if pid == 0:
            try:
                answer.write_text(json.dumps(observe()))
            finally:
                sys.stdout.flush()
                os._exit(0)
        os.waitpid(pid, 0)
        shutil.rmtree(copy)
        return json.loads(answer.read_text())

    results = {
        str(seam): in_copy(partial(_move, seam), partial(_observed, seam, runs)) for seam in SEAMS
    }
    results["parameters"] = in_copy(_add_parameters, _noted)
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


def _add_parameters(copy: Path) -> None:
    """Give what is at every seam a first parameter, behind `self`; a data class a first field."""
    for seam in SEAMS:
        path = copy / Path(*seam.home.split(".")).with_suffix(".py")
        lines = path.read_text(encoding="utf-8").split("\n")
        node: Any = ast.parse("\n".join(lines))
        for name in seam.name.split("."):
            [node] = [own for own in node.body if getattr(own, "name", None) == name]
        makers = [own for own in node.body if getattr(own, "name", None) == "__init__"]
        if isinstance(node, ast.ClassDef) and not makers:
            [first, *_] = [own for own in node.body if isinstance(own, ast.AnnAssign)]
            lines.insert(first.lineno - 1, "    moved: str | None = None")
        else:
            function = makers[0] if isinstance(node, ast.ClassDef) else node
            arguments = [own for own in function.args.args if own.arg != "self"]
            line, column = arguments[0].lineno - 1, arguments[0].col_offset
            lines[line] = f"{lines[line][:column]}moved, {lines[line][column:]}"
        path.write_text("\n".join(lines), encoding="utf-8")


def _noted() -> dict[str, str]:
    """Return what is noted of the seams once their modules are imported."""
    for seam in SEAMS:
        import_module(seam.module)
    return broken


def _observed(seam: Seam, runs: dict[str, Any]) -> dict[str, str | None]:
    """Return the error of the run that meets the seam, and of the one without depth data."""
    if seam.module.startswith(("llamafactory.chat.", "llamafactory.webui.")):
        import_module(seam.module)  # the page's own process chats too
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
