"""Which files hold records: one file, or those of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import DepthLMError
from . import storage
from .atomic import UNFINISHED, cut_off

SUFFIXES = (".jsonl", ".json", ".parquet", ".arrow")


def record_files(path: str) -> list[str]:
    """Return the records files in a folder, in name order, or the path of a file as it is.

    Raises:
        DepthLMError: For a folder without any, or one of shards that is still being written.
    """
    if not storage.is_folder(path):
        return [path]
    names = storage.names_in(path)
    if UNFINISHED in names:
        raise DepthLMError(
            f"{path} is not finished: it is being written, or that was cut off; wait for it, or run"
            " the same command again"
        )
    names = [name for name in names if os.path.splitext(name)[1] in SUFFIXES]
    files = [storage.join(path, name) for name in names if name != "dataset_info.json"]
    if not files:
        raise DepthLMError(f"{path} holds no {', '.join(SUFFIXES)} file")
    return [nested for file in files for nested in record_files(file)]


def check_readable(path: str) -> None:
    """Refuse a path that is no file, or whose suffix is none of `SUFFIXES`.

    Raises:
        DepthLMError: Which says what was expected.
    """
    if not storage.is_file(path):
        held = None if storage.is_remote(path) else cut_off(Path(path))
        if held is not None:
            raise DepthLMError(
                f"{path} was being replaced when that was cut off; run the same command again, or"
                f" rename {held}, which is what was there"
            )
        raise DepthLMError(
            f"{path} does not exist; expected a records file ({', '.join(SUFFIXES)})"
        )
    if os.path.splitext(path)[1] not in SUFFIXES:
        raise DepthLMError(f"{path}: records are {', '.join(SUFFIXES)} files")
