"""What LLaMA-Factory's own source says: the keys that a recipe may have, and the chat templates.

It is read as text: to import LLaMA-Factory takes seconds, and torch.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ARGUMENTS = (
    ("llamafactory", "hparams"),
    ("transformers", "training_args.py"),
    ("transformers", "training_args_seq2seq.py"),
)
_NO_ARGUMENTS = {"evaluation_args.py", "parser.py"}  # those of `train` are wanted


@cache
def argument_names() -> frozenset[str]:
    """Return the keys that `llamafactory-cli train` takes; none where it is not installed."""
    names: set[str] = set()
    for package, part in _ARGUMENTS:
        place = _folder(package) / part
        for path in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            if path.name not in _NO_ARGUMENTS and path.is_file():
                names |= _fields(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(names) if _is_read(names) else frozenset()


@cache
def template_names() -> frozenset[str]:
    """Return the chat templates of LLaMA-Factory; none where they are not found."""
    path = _folder("llamafactory") / "data" / "template.py"
    if not path.is_file():
        return frozenset()
    text = path.read_text(encoding="utf-8")
    return frozenset(re.findall(r"^register_template\(\s*name=\"([\w.-]+)\"", text, re.M))


def _is_read(names: set[str]) -> bool:
    return {"model_name_or_path", "cutoff_len", "learning_rate"} <= names


def _fields(tree: ast.Module) -> set[str]:
    """Return the annotated fields of all dataclasses of a module that can be given."""
    return {
        item.target.id
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        if "init=False" not in ast.unparse(item)
    }


@cache
def _folder(package: str) -> Path:
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) if places else Path("/nowhere")
