"""The index of a text file, which finds a line by its number without reading those before."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError
from . import storage

_CHUNK_BYTES = 16 * 2**20
_BLOCK = 4096  # lines that share a 64-bit offset; the others are 32-bit distances from it
_BLANK = b" \t\n\r\x0b\x0c"  # what bytes.strip strips


class Lines:
    """The lines of a file that are not blank: `lines[i]` is (line number from 1, its bytes).

    Takes 4 bytes a line of memory. Lines end at a newline, as JSON Lines has it.
    """

    def __init__(self, path: str, starts: NDArray[np.int64], blank: NDArray[np.int64]) -> None:
        """Keep where the lines begin.

        Args:
            path: The file.
            starts: Where every line begins, bytes, then the size of the file.
            blank: Numbers of the blank lines, from 0, ascending.
        """
        self._path = path
        self._size_bytes = int(starts[-1])
        self._version = _version(path)
        self._blank = blank - np.arange(len(blank))  # how many lines that are kept precede each
        kept = np.delete(starts, blank) if len(blank) else starts
        self._count = len(kept) - 1
        self._blocks = kept[::_BLOCK].copy()
        distances = kept - np.repeat(self._blocks, _BLOCK)[: len(kept)]
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
        number = line + int(np.searchsorted(self._blank, line, side="right")) + 1
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
            starts, suspects = _scan(file)
            blank = [line for line in suspects if _is_blank(file, starts, int(line))]
        return Lines(path, starts, np.array(blank, np.int64))
    except OSError as error:
        raise DepthLMError(f"{path} cannot be read ({error})") from error


def _scan(file: BinaryIO) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where lines begin, then the size; and the numbers of lines that begin blank."""
    is_blank = np.zeros(256, bool)
    is_blank[list(_BLANK)] = True
    starts = [np.zeros(1, np.int64)]
    suspects: list[NDArray[np.int64]] = []
    size = count = 0  # bytes and newlines before this chunk
    at_start = True  # of a line
    while data := file.read(_CHUNK_BYTES):
        values = np.frombuffer(data, np.uint8)
        after = np.flatnonzero(values == ord("\n")) + 1
        inside = after[:-1] if len(after) and after[-1] == len(values) else after
        suspects.append(np.flatnonzero(is_blank[values[inside]]) + count + 1)
        if at_start and is_blank[values[0]]:
            suspects.append(np.array([count]))
        starts.append(after + size)
        size += len(values)
        count += len(after)
        at_start = len(after) > 0 and after[-1] == len(values)
    if not at_start:
        starts.append(np.array([size]))
    suspects.append(np.zeros(0, np.int64))
    return np.concatenate(starts), np.sort(np.concatenate(suspects))


def _is_blank(file: BinaryIO, starts: NDArray[np.int64], line: int) -> bool:
    file.seek(int(starts[line]))
    return not file.read(int(starts[line + 1] - starts[line])).strip()


def _version(path: str) -> tuple[int, int] | None:
    if storage.is_remote(path):
        return None
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
