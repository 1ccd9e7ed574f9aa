"""A module to its reader: of a shipped dataset, or of somebody's file or folder elsewhere.

A dataset's module defines exactly one reader; whatever several datasets share is in `formats/`, or
begins with an underscore.
"""

from __future__ import annotations

import copyreg
import hashlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getfile
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import ConfigError
from .reading import Reader

_GUIDE = "depthlm_plugin/curate/README.md shows one"
_OUTSIDE = "depthlm_reader_"  # how the names of modules from elsewhere begin


def shipped_reader(name: str) -> type[Reader]:
    """Return the reader of a shipped dataset, importing its module."""
    module = import_module(f".datasets.{name}", __package__)
    return _reader_in(module, Path(getfile(module)))


def outside_reader(path: Path) -> type[Reader]:
    """Return the reader of a file `NAME.py`, or of a folder with an `__init__.py`, run once.

    Its instances pickle by the path, so that worker processes and Ray tasks, which must see the
    same path, run the file too. What else of it they are sent must follow such an instance.

    Raises:
        ConfigError: For a path that is no such file or folder, one that cannot be run, says where,
            or one that does not define exactly one reader.
    """
    path = path.resolve()
    name = _OUTSIDE + hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    if name in sys.modules:
        return _reader_in(sys.modules[name], path)
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file() or file.suffix != ".py":
        raise ConfigError(f"{file} does not exist; expected the Python file of a reader, {_GUIDE}")
    places = [str(path)] if path.is_dir() else None
    spec = spec_from_file_location(name, file, submodule_search_locations=places)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        reader = _reader_in(module, path)
    except ConfigError:
        del sys.modules[name]
        raise
    except Exception as error:  # whatever a stranger's file raises
        del sys.modules[name]
        raise ConfigError(
            f"{_place(error, path)}: the reader cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    copyreg.pickle(reader, _reduced)
    return reader


def source_digest(reader: type[Reader]) -> str | None:
    """Return a digest of the code of a reader from elsewhere; None for a shipped one."""
    if not reader.__module__.startswith(_OUTSIDE):
        return None
    file = Path(getfile(reader))
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.blake2b(digest_size=8)
    for module in files:
        digest.update(module.read_bytes())
    return digest.hexdigest()


def _reader_in(module: ModuleType, path: Path) -> type[Reader]:
    readers = [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Reader)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    ]
    if not readers:
        raise ConfigError(f"{path} defines no reader, a class derived from Reader; {_GUIDE}")
    if len(readers) > 1:
        raise ConfigError(
            f"{path} defines {len(readers)} readers, {' and '.join(r.__name__ for r in readers)};"
            " a dataset is a file of its own: move the others, or begin the names of those that"
            " are no dataset with an underscore"
        )
    [reader] = readers
    if "__dataclass_fields__" not in vars(reader):
        raise ConfigError(
            f"{path}: put @dataclass(frozen=True) above class {reader.__name__}; its fields are the"
            " options of the dataset"
        )
    if reader.__abstractmethods__:
        lacking = " and ".join(sorted(reader.__abstractmethods__))
        raise ConfigError(f"{path}: class {reader.__name__} lacks {lacking}; {_GUIDE}")
    return reader


def _place(error: Exception, path: Path) -> str:
    """Return FILE:LINE where code below a path failed."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(path)]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else str(path)


def _reduced(reader: Reader) -> tuple[Any, ...]:
    file = Path(getfile(type(reader)))
    values = {field.name: getattr(reader, field.name) for field in fields(reader)}
    return _restored, (file.parent if file.name == "__init__.py" else file, values)


def _restored(path: Path, values: Mapping[str, Any]) -> Reader:
    return outside_reader(path)(**values)
