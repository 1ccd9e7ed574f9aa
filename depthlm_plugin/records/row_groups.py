"""Files whose rows are read a group at a time: Parquet's row groups, a shard's record batches."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from ..errors import DepthLMError
from . import storage
from .shard_format import MARK, decode_record, read_head
from .shard_index import Shard

T = TypeVar("T")
_GROUP_BYTES = 8 * 2**20  # random access seldom meets a group again; sequential access needs one
_MOST_GROUP_BYTES = 2**31  # of a Parquet row group in memory
# Files that a process holds open: a process may open 1024, and a run may have many datasets. Random
# rows of 160 shards, 15 million rows: 0.24 ms with this bound, 0.10 ms with all of them open.
_OPEN_FILES = 48


class PerProcess(Generic[T]):
    """A value made anew in every process that asks for it."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._pid = -1

    def get(self) -> T:
        """Return this process's value."""
        if self._pid != os.getpid():
            self._value = self._make()
            self._pid = os.getpid()
        return self._value

    def __reduce__(self) -> tuple[Any, ...]:
        return PerProcess, (self._make,)


class _GroupedFile(ABC):
    """An open file of records in groups.

    Attributes:
        starts: The number of every group's first row, then how many rows there are.
    """

    starts: Any

    @abstractmethod
    def read(self, group: int) -> Any:
        """Return the Arrow data of a group.

        Raises:
            DepthLMError: For a damaged file.
        """

    @abstractmethod
    def record(self, data: Any, row: int) -> dict[str, Any]:
        """Return the record in a row of a group's data, counted from the group's first.

        Raises:
            ValueError: For cells that are damaged.
        """


class _ParquetFile(_GroupedFile):
    """A Parquet file of records."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = open_parquet(path)
        metadata = self._file.metadata
        counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self.starts = np.array([0, *accumulate(counts)], np.int64)

    def read(self, group: int) -> Any:
        import pyarrow

        try:
            return self._file.read_row_group(group, use_threads=False)
        except (pyarrow.ArrowException, OSError) as error:
            raise damaged(self._path, int(self.starts[group]), error) from error

    def record(self, data: Any, row: int) -> dict[str, Any]:
        [record] = data.slice(row, 1).to_pylist()
        return record  # type: ignore[no-any-return]


class _ShardFile(_GroupedFile):
    """A shard; it is held against what the index of its folder says of it, where there is one.

    Not memory-mapped: what a worker has looked at would count as its memory, without end.
    """

    def __init__(self, path: str, expected: Shard | None) -> None:
        import pyarrow

        self._path = path
        if expected is not None:
            self._check_size(expected)
        try:
            remote = storage.is_remote(path)
            self._file = (
                pyarrow.PythonFile(storage.open_binary(path), "r")
                if remote
                else pyarrow.OSFile(path)
            )
            self._head = read_head(self._file)
        except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
            raise damaged(path, 0, error) from error
        self.starts = self._head.starts
        if expected is not None:
            self._check("rows", expected.rows, int(self.starts[-1]))
            self._check("checksum", expected.checksum, self._head.checksum)

    def read(self, group: int) -> Any:
        import pyarrow

        try:
            start, end = self._head.offsets[group : group + 2].tolist()
            self._file.seek(start)
            content = self._file.read_buffer(end - start)
            if zlib.crc32(content) != self._head.sums[group]:
                raise ValueError("its checksum differs: bytes were changed")
            batch = pyarrow.ipc.read_record_batch(content, self._head.schema)
            batch.validate(full=True)  # Arrow looks up a wild offset wherever it points
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise damaged(self._path, int(self.starts[group]), error) from error
        return batch

    def record(self, data: Any, row: int) -> dict[str, Any]:
        return decode_record(data, row)

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

    def _check(self, what: str, expected: object, actual: object) -> None:
        if actual != expected:
            raise DepthLMError(
                f"{self._path} was cut off or changed: the index of its folder says {what}"
                f" {expected}, found {actual}; copy it again, or write the folder again with"
                " depthlm shard"
            )


class KeptFiles:
    """The open files, and groups of all of them, that a process used last."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, _GroupedFile] = OrderedDict()
        self._groups: OrderedDict[tuple[str, int], Any] = OrderedDict()
        self._bytes = 0

    def file(self, path: str, expected: Shard | None) -> _GroupedFile:
        """Return an open file; `expected` is what an index says of it."""
        if path not in self._files:
            is_parquet = path.endswith(".parquet")
            self._files[path] = _ParquetFile(path) if is_parquet else _ShardFile(path, expected)
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(path)
        return self._files[path]

    def group(self, path: str, group: int, file: _GroupedFile) -> Any:
        """Return the Arrow data of a group."""
        key = path, group
        if key not in self._groups:
            data = self._groups[key] = file.read(group)
            self._bytes += data.nbytes
            while self._bytes > _GROUP_BYTES and len(self._groups) > 1:
                self._bytes -= self._groups.popitem(last=False)[1].nbytes
        self._groups.move_to_end(key)
        return self._groups[key]


def open_parquet(path: str) -> Any:
    """Return pyarrow's ParquetFile, whose groups are read when they are asked for.

    Not memory-mapped: what a worker has looked at would count as its memory, without end.

    Raises:
        DepthLMError: For a file that is none, or a shard of format 1.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        if storage.is_remote(path):
            file = pyarrow.parquet.ParquetFile(storage.open_binary(path), pre_buffer=True)
        else:
            file = pyarrow.parquet.ParquetFile(path, memory_map=False, pre_buffer=False)
    except (pyarrow.ArrowException, OSError) as error:
        raise damaged(path, 0, error) from error
    if MARK in (file.metadata.metadata or {}):
        raise DepthLMError(
            f"{path} is a shard of an earlier version; write its folder again with this version's"
            " depthlm shard"
        )
    _check_groups(file.metadata, path)
    return file


def _check_groups(metadata: Any, path: str) -> None:
    """Refuse a file whose footer announces a row group that memory may not hold."""
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        columns = [group.column(column) for column in range(group.num_columns)]
        # A value repeated a million times takes a few bytes in the file, uncompressed too.
        size = sum(max(each.total_uncompressed_size, 8 * each.num_values) for each in columns)
        if size > _MOST_GROUP_BYTES:
            raise DepthLMError(
                f"{path}: row group {number} takes {size / 1e9:.1f} GB of memory, over the limit of"
                f" {_MOST_GROUP_BYTES / 1e9:.1f} GB; write it in smaller row groups, or with"
                " `depthlm shard` from JSON Lines"
            )


def damaged(path: str, row: int, error: Exception) -> DepthLMError:
    """Return the error of a file that cannot be read after a row."""
    reason = " ".join(str(error).split())  # Arrow's take several lines
    return DepthLMError(f"{path} cannot be read after row {row} ({reason}); is the file complete?")
