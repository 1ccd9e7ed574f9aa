"""The index of a text file, which finds a line by its number without reading those before."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError
from . import storage

_CHUNK_BYTES = 4 * 2**20
_BLOCK = 4096  # lines that share a 64-bit offset; the others are 32-bit distances from it
_IS_BLANK = np.zeros(256, bool)
_IS_BLANK[list(b" \t\n\r\x0b\x0c")] = True  # what bytes.strip strips
_FEW = 1000  # lines that begin blank, a chunk


class Lines:
    """The lines of a file that are not blank: `lines[i]` is (line number from 1, its bytes).

    Takes 4 bytes a line of memory. Lines end at a newline, as JSON Lines has it.
    """

    def __init__(self, path: str, starts: NDArray[np.int64], blank: NDArray[np.int64]) -> None:
        """Keep where the lines begin.

        Args:
            path: The file.
            starts: Where every line that is not blank begins, bytes, then the size of the file.
            blank: Runs of blank lines (2, N): how many of `starts` precede a run, ascending, and
                how many lines it has.
        """
        self._path = path
        self._size_bytes = int(starts[-1])
        self._version = _version(path)
        self._blank_at, self._blank_lines = blank[0], np.cumsum(blank[1])
        self._count = len(starts) - 1
        self._blocks = starts[::_BLOCK].copy()
        distances = starts - np.repeat(self._blocks, _BLOCK)[: len(starts)]
        small = int(distances.max()) < 2**32
        self._distances = distances.astype(np.uint32) if small else distances
        self._handle = _Handle()

    def __len__(self) -> int:
        """Return how many lines are not blank."""
        return self._count

    def __getitem__(self, line: int) -> tuple[int, bytes]:
        """Return the line's number in the file and its bytes, with the newline.

        Raises:
            DepthLMError: When the file is gone or another one than was opened.
        """
        start, end = self._start(line), self._start(line + 1)
        data = self._read(start, end)
        if len(data) < end - start:
            raise self._changed()
        runs = int(np.searchsorted(self._blank_at, line, side="right"))
        number = line + (int(self._blank_lines[runs - 1]) if runs else 0) + 1
        return number, data[: data.find(b"\n") + 1] or data  # blank lines may follow it

    def _start(self, line: int) -> int:
        return int(self._blocks[line // _BLOCK]) + int(self._distances[line])

    def _read(self, start: int, end: int) -> bytes:
        try:
            if storage.is_remote(self._path):
                return storage.read_bytes(self._path, start, end)
            if self._handle.pid != os.getpid():
                if _version(self._path) != self._version:
                    raise self._changed()
                self._handle = _Handle(self._path)
            return os.pread(self._handle.descriptor, end - start, start)
        except OSError as error:
            raise DepthLMError(
                f"{self._path} cannot be read any more ({error}); was it moved?"
            ) from error

    def _changed(self) -> DepthLMError:
        return DepthLMError(
            f"{self._path} has changed since it was opened with {self._size_bytes} bytes; leave"
            " records alone while they are read, and start again"
        )


class _Handle:
    """A file descriptor of one process; pickled and unpickled it is closed."""

    def __init__(self, path: str | None = None) -> None:
        self.pid = os.getpid() if path else -1
        self.descriptor = os.open(path, os.O_RDONLY) if path else -1

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def __reduce__(self) -> tuple[type[_Handle], tuple[()]]:
        return _Handle, ()


def find_lines(path: str) -> Lines:
    """Return the lines of a file, having looked at each of its bytes once.

    Raises:
        DepthLMError: For a file that cannot be read.
    """
    try:
        with storage.open_binary(path) as file:
            return Lines(path, *_scan(file))
    except OSError as error:
        raise DepthLMError(f"{path} cannot be read ({error})") from error


def _scan(file: BinaryIO) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what `Lines` keeps: where lines begin, then the size; and the runs of blank lines."""
    starts: list[NDArray[np.int64]] = []
    blank_runs = [np.zeros((2, 0), np.int64)]
    size = kept = begin = 0  # bytes and lines before this chunk; where its first line begins
    begins_blank = True  # as far as that line is in the chunks before
    while data := file.read(_CHUNK_BYTES):
        ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
        rest = int(ends[-1]) if len(ends) else 0
        if len(ends):
            blank = _are_blank(data, ends)
            blank[0] &= begins_blank
            lines = np.concatenate([[begin - size], ends[:-1]]) + size
            if blank.any():  # they may be as many as the bytes: only their runs are kept
                at, count = np.unique(np.cumsum(~blank)[blank] + kept, return_counts=True)
                blank_runs.append(np.stack([at, count]))
                lines = lines[~blank]
            starts.append(lines)
            kept += len(lines)
            begin, begins_blank = size + rest, True
        begins_blank = begins_blank and not data[rest:].strip()
        size += len(data)
    if not begins_blank:
        starts.append(np.array([begin]))
    return np.concatenate([*starts, [size]]).astype(np.int64), np.concatenate(blank_runs, axis=1)


def _are_blank(data: bytes, ends: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of the lines that end at `ends`, the first from the chunk's start, are blank."""
    values = np.frombuffer(data, np.uint8)
    starts = np.concatenate([[0], ends[:-1]])
    suspects = np.flatnonzero(_IS_BLANK[values[starts]])
    if len(suspects) > _FEW:  # mostly blank lines: all bytes are counted
        visible = np.add.reduceat(~_IS_BLANK[values[: ends[-1]]], starts, dtype=np.int64)
        return np.asarray(visible == 0)
    blank = np.zeros(len(ends), bool)
    for line in suspects:
        blank[line] = not data[starts[line] : ends[line]].strip()
    return blank


def _version(path: str) -> tuple[int, int] | None:
    if storage.is_remote(path):
        return None
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
