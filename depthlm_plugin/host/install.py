"""Extends LLaMA-Factory at its seams, and notes those that have moved.

A seam that is not as expected breaks nothing at import: it is noted in `compat.broken`, and the
first run that uses depth data ends with one error that names it.
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from ..errors import HostError
from .compat import broken
from .seams import SEAMS, Seam

_MARK = "_depthlm"  # on everything that stands in for an original


def extend(module: ModuleType) -> None:
    """Extend one freshly imported LLaMA-Factory module at its seams; safe to call again."""
    for seam in SEAMS:
        if seam.module != module.__name__:
            continue
        try:
            _extend_at(seam, module)
        except Exception as error:  # whatever it is, runs without depth data must go on
            broken[str(seam)] = str(error) or repr(error)


def _extend_at(seam: Seam, module: ModuleType) -> None:
    owner: Any = module
    *owners, name = seam.name.split(".")
    for owner_name in owners:
        owner = _attribute(owner, owner_name)
    original = _attribute(owner, name)
    if getattr(original, _MARK, False):
        return
    found, expected = list(inspect.signature(original).parameters), seam.parameters.split()
    if found[: len(expected)] != expected:
        raise HostError(f"takes ({', '.join(found)}), expected ({', '.join(expected)}, ...)")
    file, _, function = seam.maker.partition(":")
    replacement = getattr(import_module(f"{__package__}.{file}"), function)(original)
    setattr(replacement, _MARK, True)
    if owner is module:
        _replace_everywhere(module, name, original, replacement)
    elif isinstance(inspect.getattr_static(owner, name), staticmethod):
        setattr(owner, name, staticmethod(replacement))
    else:
        setattr(owner, name, replacement)


def _attribute(owner: Any, name: str) -> Any:
    if not hasattr(owner, name):
        raise HostError("is gone")
    return getattr(owner, name)


def _replace_everywhere(module: ModuleType, name: str, original: Any, replacement: Any) -> None:
    """Bind `name` to the replacement wherever LLaMA-Factory holds the original.

    Where this package is activated late, its other modules hold it by name and in lists (the
    argument parser its classes).
    """
    setattr(module, name, replacement)
    for other_name, other in list(sys.modules.items()):
        if not other_name.startswith("llamafactory."):
            continue
        variables = vars(other)
        if variables.get(name) is original:
            variables[name] = replacement
        for value in variables.values():
            if isinstance(value, list) and any(item is original for item in value):
                value[:] = [replacement if item is original else item for item in value]
