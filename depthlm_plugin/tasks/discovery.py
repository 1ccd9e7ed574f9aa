"""Finding tasks: each file of a folder is one, and its name is the task's."""

from __future__ import annotations

import pkgutil
from collections.abc import Collection, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ..errors import ConfigError
from .options import Option
from .task import Task


def find_tasks(
    package: str, folders: Iterable[str], besides: Collection[str] = ()
) -> dict[str, Task]:
    """Return the tasks of a package by name: those that need least (pictures, points) first.

    Args:
        package: Name of the package.
        folders: Its folders: its `__path__`.
        besides: Its modules that are no tasks.

    Raises:
        ConfigError: For a file that cannot be imported, or has no `TASK` of its name; names it.
    """
    names = [module.name for module in pkgutil.iter_modules(folders)]
    found = [_load(f"{package}.{name}", name) for name in names if name not in besides]
    found.sort(key=lambda task: (task.images, task.points, task.name))
    return {task.name: task for task in found}


def _load(module: str, name: str) -> Task:
    spec = find_spec(module)
    file = spec.origin if spec else module
    try:
        task = getattr(import_module(module), "TASK", None)
    except Exception as error:
        raise ConfigError(f"{file}: this task cannot be imported: {error!r}") from error
    if not isinstance(task, Task) or task.name != name:
        found = f"the one of {task.name!r}" if isinstance(task, Task) else repr(task)
        raise ConfigError(f"{file}: TASK must be Task({name!r}, ...), found {found}")
    return task


def find_options(tasks: Iterable[Task]) -> dict[str, Option[Any]]:
    """Return the options of tasks by key, in the order of the tasks.

    Raises:
        ConfigError: For two tasks that mean different things by one key; names them.
    """
    options: dict[str, Option[Any]] = {}
    owners: dict[str, str] = {}
    for task in tasks:
        for option in task.options:
            owner = owners.setdefault(option.key, task.name)
            if options.setdefault(option.key, option) != option:
                raise ConfigError(
                    f"tasks {owner!r} and {task.name!r} mean different things by the option"
                    f" {option.key!r}; let them refer to one Option, or rename one of the keys"
                )
    return options
