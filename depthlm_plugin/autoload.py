"""Waits for LLaMA-Factory: what `import torch` calls in every process of this environment.

PyTorch calls the entry points of the group `torch.backends` at the end of its own import, so this
runs in the command line, in every torchrun rank, in Ray workers and data loaders. It imports
nothing but the standard library, costs microseconds unless LLaMA-Factory is imported too, and never
raises: what goes wrong here is reported by the first run that uses depth data.
Off: DEPTHLM_AUTOLOAD=0, or TORCH_DEVICE_BACKEND_AUTOLOAD=0 for all such entry points.
"""

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from .host.seams import SEAMS

WATCHED = frozenset(seam.module for seam in SEAMS)  # each is extended after its own code has run


def activate() -> None:
    """Extend LLaMA-Factory's modules when they are imported, or now if they already are."""
    if os.environ.get("DEPTHLM_AUTOLOAD", "1").lower() in ("0", "false", "no", "off"):
        return
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    modules = [sys.modules[name] for name in sorted(WATCHED & sys.modules.keys())]
    # One of them may be importing torch, and so us, at this moment: it is not complete yet.
    sys.meta_path.insert(0, _Finder([m for m in modules if _is_importing(m)]))
    for module in modules:
        if not _is_importing(module):
            _install(module)


class _Finder:
    """Finds the watched modules as usual, and adds a step after their execution.

    `unfinished` are modules whose execution had begun before; they get theirs at the next import.
    """

    def __init__(self, unfinished: list[ModuleType]) -> None:
        self._unfinished = unfinished

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for module in [m for m in self._unfinished if not _is_importing(m)]:
            self._unfinished.remove(module)
            _install(module)
        if name not in WATCHED:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                _extend(spec)
                return spec
        return None


def _is_importing(module: ModuleType) -> bool:
    return bool(getattr(module.__spec__, "_initializing", False))


def _extend(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None:
        return

    def exec_module(module: ModuleType) -> None:
        execute(module)
        _install(module)

    loader.exec_module = exec_module


def _install(module: ModuleType) -> None:
    # Whatever fails must not break a program that happens to import LLaMA-Factory without depthlm.
    try:
        from .host.install import extend

        extend(module)
    except Exception as error:
        sys.stderr.write(f"depthlm-plugin: cannot extend {module.__name__}: {error!r}\n")
