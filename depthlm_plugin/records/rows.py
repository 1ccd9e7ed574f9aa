"""Rows: any record of a file or folder by its number, at any scale.

What `open_rows` returns can be pickled and used after a fork: every process opens its own handles
when it first needs them. It is not for several threads at once.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DepthLMError
from . import storage
from .files import check_readable, record_files
from .line_index import Lines, find_lines
from .raw import once
from .row_groups import KeptFiles, PerProcess, damaged, open_parquet
from .shard_index import Shard, read_index


class Rows(ABC):
    """Records by number: `rows[i]` is (where, raw).

    `raw` is JSON text or, from Parquet and shards, a dict; `where` is as `read_rows` gives it:
    `file.jsonl:12`, `file.parquet row 11`.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return how many records there are."""

    @abstractmethod
    def __getitem__(self, row: int) -> tuple[str, dict[str, Any] | str]:
        """Return (where, raw record) of a row, counted from 0.

        Raises:
            DepthLMError: When the file is gone, damaged, or another one than was opened.
            IndexError: For a row that does not exist.
        """

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any] | str]]:
        """Yield every row."""
        return (self[row] for row in range(len(self)))


def open_rows(path: str | Path) -> Rows:
    """Return the rows of a records file, of a folder's files in name order, or of shards.

    Of shards only the index is read; of a JSONL file every byte is looked at once; of Parquet files
    the footers are read, and a row costs the decoding of its row group.

    Raises:
        DepthLMError: For what `read_rows` refuses, and for shards that are unfinished.
    """
    path = os.fspath(path)
    kept = PerProcess(KeptFiles)
    if storage.is_folder(path):
        shards = read_index(path)
        if shards is not None:
            parts = [_Grouped(storage.join(path, shard.file), kept, shard) for shard in shards]
            return _Folder(parts)
    files = record_files(path)
    opened = [_open(file, kept) for file in files]
    return opened[0] if files == [path] else _Folder(opened)


def read_rows(path: str | Path) -> Iterator[tuple[str, str]]:
    """Yield (where, JSON text) for every record of a file, or of a folder's files in name order.

    `where` reads `file.jsonl:12` (lines from 1) or `file.parquet row 11` (rows from 0). The text is
    not parsed yet, so that one bad line can be reported, or skipped, like any other bad record.
    `open_rows` gives the same by number. The path may be a URL that fsspec opens.

    Raises:
        DepthLMError: For a missing file, or one that is not a records file at all.
    """
    path = os.fspath(path)
    if storage.is_folder(path) and read_index(path) is not None:
        yield from _read_by_number(path)
        return
    readers = {".jsonl": _read_jsonl, ".parquet": _read_parquet}
    for file in record_files(path):
        check_readable(file)
        yield from readers.get(os.path.splitext(file)[1], _read_by_number)(file)


def _open(path: str, kept: PerProcess[KeptFiles]) -> Rows:
    check_readable(path)
    if path.endswith(".jsonl"):
        return _Jsonl(path)
    return _Json(path) if path.endswith(".json") else _Grouped(path, kept)


class _Jsonl(Rows):
    def __init__(self, path: str) -> None:
        self._name = storage.name(path)
        self._lines: Lines = find_lines(path)

    def __len__(self) -> int:
        return len(self._lines)

    def __getitem__(self, row: int) -> tuple[str, str]:
        number, line = self._lines[_checked(row, len(self))]
        return f"{self._name}:{number}", line.decode(errors="replace")


class _Json(Rows):
    def __init__(self, path: str) -> None:
        self._name = storage.name(path)
        self._rows = PerProcess(partial(_read_json, path))
        self._count = len(self._rows.get())

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> tuple[str, str]:
        raw = self._rows.get()[_checked(row, self._count)]
        return f"{self._name} row {row}", json.dumps(raw)


class _Grouped(Rows):
    """A Parquet file or a shard; the shard of an index is opened when it is first needed."""

    def __init__(
        self, path: str, kept: PerProcess[KeptFiles], expected: Shard | None = None
    ) -> None:
        self._path = path
        self._name = storage.name(path)
        self._kept, self._expected = kept, expected
        self._count = expected.rows if expected else int(kept.get().file(path, None).starts[-1])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> tuple[str, dict[str, Any]]:
        _checked(row, self._count)
        file = self._kept.get().file(self._path, self._expected)
        group = int(np.searchsorted(file.starts, row, side="right")) - 1
        data = self._kept.get().group(self._path, group, file)
        try:
            record = file.record(data, row - int(file.starts[group]))
        except (ValueError, IndexError, KeyError) as error:
            raise damaged(self._path, row, error) from error
        return f"{self._name} row {row}", record


class _Folder(Rows):
    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts = parts
        self._starts = np.array([0, *accumulate(map(len, parts))], np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> tuple[str, dict[str, Any] | str]:
        _checked(row, len(self))
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        rows: Rows = self._parts[part]
        return rows[row - int(self._starts[part])]


def _read_jsonl(path: str) -> Iterator[tuple[str, str]]:
    with storage.open_binary(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{storage.name(path)}:{number}", line.decode(errors="replace")


def _read_by_number(path: str) -> Iterator[tuple[str, str]]:
    for where, raw in open_rows(path):
        yield where, raw if isinstance(raw, str) else json.dumps(raw)


def _read_parquet(path: str) -> Iterator[tuple[str, str]]:
    import pyarrow

    row = 0
    file = open_parquet(path)
    try:
        for batch in file.iter_batches(batch_size=1024):
            for raw in batch.to_pylist():
                # Extra columns may hold what JSON cannot; nobody reads them back.
                yield f"{storage.name(path)} row {row}", json.dumps(raw, default=str)
                row += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(path, row, error) from error


def _read_json(path: str) -> list[Any]:
    """Return the list in a JSON file.

    Raises:
        DepthLMError: For anything else.
    """
    try:
        rows = json.loads(storage.read_bytes(path).decode(), object_pairs_hook=once)
    except (ValueError, OSError, RecursionError) as error:
        raise DepthLMError(f"{path} is not valid JSON ({error}); is the file complete?") from error
    if not isinstance(rows, list):
        raise DepthLMError(f"{path}: expected a list of records")
    return rows


def _checked(row: int, count: int) -> int:
    if not 0 <= row < count:
        raise IndexError(f"row {row} of {count} (counted from 0)")
    return row
