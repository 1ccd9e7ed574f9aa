"""Rows: any record of a file or folder by its number, at any scale.

What `open_rows` returns can be pickled and used after a fork: every process opens its own handles
when it first needs them. It is not for several threads at once.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import DepthLMError
from . import storage
from .files import check_readable, record_files
from .line_index import Lines, find_lines
from .shard_format import Shard, decode_records, fingerprint, read_index

T = TypeVar("T")
_GROUP_BYTES = 8 * 2**20  # random access seldom meets a group again; sequential access needs one
# Parquet files that a process holds open. Random rows of 160 files: 0.54 ms and 117 MiB with this
# bound, 0.26 ms and 163 MiB with all of them open, and growing with the number of files.
_OPEN_FILES = 48


class Rows(ABC):
    """Records by number: `rows[i]` is (where, raw), raw as JSON text or, from Parquet, a dict.

    `where` is as `read_rows` gives it: `file.jsonl:12`, `file.parquet row 11`.
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

    Of shards only the index is read; of a JSONL file every byte is looked at once; of other Parquet
    files the footers are read, and a row costs the decoding of its row group.

    Raises:
        DepthLMError: For what `read_rows` refuses, and for shards that are unfinished.
    """
    path = os.fspath(path)
    kept = _PerProcess(_Kept)
    if storage.is_folder(path):
        shards = read_index(path)
        if shards is not None:
            parts = [_Parquet(storage.join(path, shard.file), kept, shard) for shard in shards]
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
        for where, raw in open_rows(path):
            yield where, raw if isinstance(raw, str) else json.dumps(raw)
        return
    readers = {".jsonl": _read_jsonl, ".json": _read_json, ".parquet": _read_parquet}
    for file in record_files(path):
        check_readable(file)
        yield from readers[os.path.splitext(file)[1]](file)


def _open(path: str, kept: _PerProcess[_Kept]) -> Rows:
    check_readable(path)
    if path.endswith(".jsonl"):
        return _Jsonl(path)
    return _Parquet(path, kept) if path.endswith(".parquet") else _Json(path)


class _PerProcess(Generic[T]):
    """A value made anew in every process that asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._pid = -1

    def get(self) -> T:
        if self._pid != os.getpid():
            self._value = self._make()
            self._pid = os.getpid()
        return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return _PerProcess, (self._make,)


class _Kept:
    """What a process used last of all Parquet files together: open files, decoded row groups."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _OpenParquet] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._bytes = 0

    def file(self, path: str, expected: Shard | None) -> _OpenParquet:
        """Return an open file."""
        if path not in self._files:
            self._files[path] = _OpenParquet(path, expected)
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        return self._files[path]

    def group(self, path: str, group: int, file: _OpenParquet) -> Any:
        """Return a decoded row group."""
        key = path, group
        if key not in self._groups:
            table = self._groups[key] = file.read(group)
            self._bytes += table.nbytes
            while self._bytes > _GROUP_BYTES and len(self._groups) > 1:
                self._bytes -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key]


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
        self._rows = _PerProcess(partial(read_json, path))
        self._count = len(self._rows.get())

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> tuple[str, str]:
        raw = self._rows.get()[_checked(row, self._count)]
        return f"{self._name} row {row}", json.dumps(raw)


class _Parquet(Rows):
    """A Parquet file; of a shard, opened when it is first needed and held against the index."""

    def __init__(self, path: str, kept: _PerProcess[_Kept], expected: Shard | None = None) -> None:
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
        first = int(file.starts[group])
        table = self._kept.get().group(self._path, group, file)
        try:
            [record] = decode_records(table.slice(row - first, 1))
        except (ValueError, IndexError) as error:
            raise _damaged(self._path, row, error) from error
        return f"{self._name} row {row}", record


class _OpenParquet:
    def __init__(self, path: str, expected: Shard | None) -> None:
        self._path = path
        if expected is not None:
            self._check_size(expected)
        self._file = open_parquet(path)
        metadata = self._file.metadata
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.starts = np.array([0, *accumulate(counts)], np.int64)
        if expected is not None:
            schema = fingerprint(self._file.schema_arrow)
            self._check("rows", expected.rows, int(self.starts[-1]))
            self._check("columns", expected.schema, schema)

    def read(self, group: int) -> Any:
        import pyarrow

        try:
            return self._file.read_row_group(group, use_threads=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise _damaged(self._path, int(self.starts[group]), error) from error

    def _check_size(self, expected: Shard) -> None:
        try:
            size = storage.size_bytes(self._path)
        except OSError as error:
            raise DepthLMError(
                f"{self._path} cannot be found ({error}); the index of its folder expects it, with"
                f" {expected.rows} rows; copy it again, or write the folder again with depthlm"
                " shard"
            ) from error
        self._check("bytes", expected.bytes, size)

    def _check(self, what: str, expected: object, found: object) -> None:
        if found != expected:
            raise DepthLMError(
                f"{self._path} was cut off or changed: the index of its folder says {what}"
                f" {expected}, found {found}; copy it again, or write the folder again with depthlm"
                " shard"
            )


class _Folder(Rows):
    def __init__(self, parts: list[Any]) -> None:
        self._parts = parts
        self._starts = np.array([0, *accumulate(map(len, parts))], np.int64)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, row: int) -> tuple[str, dict[str, Any] | str]:
        _checked(row, len(self))
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        found: tuple[str, dict[str, Any] | str] = self._parts[part][row - int(self._starts[part])]
        return found


def _read_jsonl(path: str) -> Iterator[tuple[str, str]]:
    with storage.open_binary(path) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{storage.name(path)}:{number}", line.decode(errors="replace")


def _read_json(path: str) -> Iterator[tuple[str, str]]:
    for row, raw in enumerate(read_json(path)):
        yield f"{storage.name(path)} row {row}", json.dumps(raw)


def _read_parquet(path: str) -> Iterator[tuple[str, str]]:
    import pyarrow

    row = 0
    file = open_parquet(path)
    try:
        for batch in file.iter_batches(batch_size=1024):
            for raw in decode_records(batch):
                # Extra columns may hold what JSON cannot; nobody reads them back.
                yield f"{storage.name(path)} row {row}", json.dumps(raw, default=str)
                row += 1
    except (pyarrow.ArrowException, OSError) as error:
        raise DepthLMError(
            f"{path} cannot be read after row {row} ({error}); is the file complete?"
        ) from error


def open_parquet(path: str) -> Any:
    """Return pyarrow's ParquetFile, whose groups are read when they are asked for.

    Not memory-mapped: what a worker has looked at would count as its memory, without end, and a row
    takes a third longer (measured on 16 million rows).

    Raises:
        DepthLMError: For a file that is none.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        if storage.is_remote(path):
            return pyarrow.parquet.ParquetFile(storage.open_binary(path), pre_buffer=True)
        return pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, 0, error) from error


def read_json(path: str) -> list[Any]:
    """Return the list in a JSON file.

    Raises:
        DepthLMError: For anything else.
    """
    try:
        rows = json.loads(storage.read_bytes(path).decode())
    except (ValueError, OSError) as error:
        raise DepthLMError(f"{path} is not valid JSON ({error}); is the file complete?") from error
    if not isinstance(rows, list):
        raise DepthLMError(f"{path}: expected a list of records")
    return rows


def _damaged(path: str, row: int, error: Exception) -> DepthLMError:
    reason = " ".join(str(error).split())  # Parquet's take several lines
    return DepthLMError(f"{path} cannot be read after row {row} ({reason}); is the file complete?")


def _checked(row: int, count: int) -> int:
    if not 0 <= row < count:
        raise IndexError(f"row {row} of {count} (counted from 0)")
    return row
