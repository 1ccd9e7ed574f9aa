"""The datasets that can be curated: each is a file, or a folder, of `datasets/` and has its name.

Importing this module imports no reader: one is imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from ..errors import ConfigError, did_you_mean
from . import datasets

if TYPE_CHECKING:
    from .reading import Reader


def dataset_names() -> list[str]:
    """Return the names of the shipped datasets, in order."""
    return sorted(module.name for module in iter_modules(datasets.__path__))


def dataset_name(dataset: str) -> str:
    """Return the name that records, seeds and files of a dataset have: its own, or its file's.

    Args:
        dataset: A shipped dataset's name, or the path of somebody's reader.
    """
    path = _path(dataset)
    return dataset if path is None else path.name.removesuffix(".py")


def reader_class(dataset: str) -> type[Reader]:
    """Return the reader of a dataset.

    Args:
        dataset: One of `dataset_names()`, or the path of a reader from outside this package: a file
            (`readers/my_dataset.py`) or a folder (`readers/my_dataset/`).

    Raises:
        ConfigError: For an unknown name, or a path without exactly one reader.
    """
    from .loading import outside_reader, shipped_reader

    path, name, names = _path(dataset), dataset_name(dataset), dataset_names()
    if path is None and name not in names:
        raise ConfigError(
            f"unknown dataset {dataset!r}{did_you_mean(dataset, names)}; depthlm curate --list"
            f" describes them; a reader of your own is given by its path, as ./{dataset}.py"
        )
    if path is None:
        return shipped_reader(name)
    if name in names:
        raise ConfigError(
            f"{dataset} has the name of a dataset that is shipped, and records, seeds and --name go"
            f" by it; rename the file, as my_{name}.py"
        )
    return outside_reader(path)


def make_reader(
    dataset: str,
    root: Path,
    *,
    split: str | None = None,
    compat: bool = False,
    unusual: frozenset[str] = frozenset(),
    options: Mapping[str, str] | None = None,
) -> Reader:
    """Return the reader of a dataset at `root`; nothing of the data is opened yet.

    Args:
        dataset: A name or a path: see `reader_class`.
        root: Folder of the raw download.
        split: One of the dataset's; its first by default.
        compat: Whether to read published labels instead of the correct ones.
        unusual: What is rare in the data and nevertheless right (`records.stated.UNUSUAL`).
        options: Values of the reader's own options, as text.

    Raises:
        ConfigError: For a dataset, split or option that does not exist, or compatibility with
            labels that were never published.
    """
    reader = reader_class(dataset)
    if split is not None and split not in reader.SPLITS:
        known = did_you_mean(split, list(reader.SPLITS)) if reader.SPLITS else "; it has none"
        raise ConfigError(f"{dataset} has no split {split!r}{known}")
    if split is None and reader.SPLITS:
        published = reader.OFFICIAL.split if compat and reader.OFFICIAL else None
        split = published or reader.SPLITS[0]
    if compat and reader.OFFICIAL is None and not reader.VERBATIM:
        raise ConfigError(
            f"--compat official: DepthLM published no labels of {dataset} in this form; leave it"
            " out"
        )
    known_options = reader.options()
    types = get_type_hints(reader)
    values = {}
    for name, text in (options or {}).items():
        if name not in known_options:
            has = did_you_mean(name, list(known_options)) if known_options else "; it has none"
            raise ConfigError(f"{dataset} has no option {name!r}{has}")
        values[name] = _parsed(name, text, types[name])
    return reader(root=root, split=split, compat=compat, unusual=unusual, **values)


def _path(dataset: str) -> Path | None:
    """Return the path that is given in place of a name, or None where a name is."""
    return Path(dataset) if dataset.endswith(".py") or "/" in dataset else None


def _parsed(name: str, text: str, hint: Any) -> Any:
    """Return the value of an option whose type is `int`, `float | None` or the like."""
    kinds = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
    try:
        return kinds[0](text)
    except ValueError as error:
        raise ConfigError(
            f"--option {name}={text}: expected a number ({kinds[0].__name__})"
        ) from error
