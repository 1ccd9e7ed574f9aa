"""The `depth.bin` of an iPhone scan: its two encodings, read a frame at a time."""

from __future__ import annotations

import os
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....errors import ConfigError
from ....geometry.arrays import Floats

SHAPE_HW = 192, 256
_METRES_BYTES = SHAPE_HW[0] * SHAPE_HW[1] * 4  # float32, metres
_MILLIMETRES_BYTES = SHAPE_HW[0] * SHAPE_HW[1] * 2  # uint16
_BLOCK_BYTES = 1 << 20


@lru_cache(maxsize=2)
def open_depth(path: str) -> Records | Deflated:
    """Return the frames of a file, after a pass over it that reads as little as it can.

    A file whose 32-bit record sizes lead exactly to its end is one of records; any other has to be
    one deflated stream.

    Raises:
        ValueError: For a file that is neither, as one that was cut off.
    """
    starts = _record_starts(path)
    return Deflated(path) if starts is None else Records(path, starts)


def _record_starts(path: str) -> NDArray[np.int64] | None:
    """Return where the records (N,) and the file (the last) begin and end, or None."""
    with Path(path).open("rb", buffering=0) as file:
        end = os.fstat(file.fileno()).st_size
        starts = [0]
        while starts[-1] + 4 <= end:
            size = int.from_bytes(os.pread(file.fileno(), 4, starts[-1]), "little")
            starts.append(starts[-1] + 4 + size)
    return np.array(starts) if starts[-1] == end and len(starts) > 1 else None


class Records:
    """A file of records, each a 32-bit size and a frame.

    A frame is uint16 millimetres compressed with LZ4, or float32 metres, deflated.

    Args:
        path: The file.
        starts: The bytes where the records begin (N + 1,) and, at last, where the file ends.
    """

    def __init__(self, path: str, starts: NDArray[np.int64]) -> None:
        self._path = path
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def read(self, number: int) -> Floats:
        """Return z (H, W) in metres; 0 or NaN where there is none.

        Raises:
            ValueError: For a record that is neither encoding.
            ConfigError: Where LZ4 is needed and not installed.
        """
        start, end = self._starts[number : number + 2].tolist()
        with Path(self._path).open("rb") as file:
            file.seek(start + 4)
            data = file.read(end - start - 4)
        metres = _inflated(data)
        if metres is not None:
            return _from_metres(metres)
        millimetres = np.frombuffer(_lz4(data, number), dtype="<u2").reshape(SHAPE_HW)
        return millimetres / 1000.0


class Deflated:
    """A file that is one deflated stream of float32 metres, read in order.

    Reading a frame before the last one starts the stream again.

    Args:
        path: The file.

    Raises:
        ValueError: For a stream that is damaged, cut off or no whole number of frames.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._rewind()
        while len(rest := self._next()) == _METRES_BYTES:
            pass
        if rest or not self._inflater.eof:
            raise ValueError(
                "is neither records that end where the file ends nor one complete deflated stream"
                f" of 256x192 frames (it ends in frame {self._number}); is the download complete?"
            )
        self._count = self._number
        self._rewind()

    def __len__(self) -> int:
        return self._count

    def read(self, number: int) -> Floats:
        """Return z (H, W) in metres; 0 or NaN where there is none."""
        if number < self._number:
            self._rewind()
        while self._number < number:
            self._next()
        return _from_metres(self._next())

    def _rewind(self) -> None:
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._offset = 0
        self._number = 0

    def _next(self) -> bytes:
        """Return the bytes of the next frame, fewer at the end, and go on behind it."""
        frame = b""
        with Path(self._path).open("rb") as file:
            file.seek(self._offset)
            while len(frame) < _METRES_BYTES and not self._inflater.eof:
                data = self._inflater.unconsumed_tail or file.read(_BLOCK_BYTES)
                try:
                    more = self._inflater.decompress(data, _METRES_BYTES - len(frame))
                except zlib.error as error:
                    raise ValueError(
                        "is neither records that end where the file ends nor a deflated stream"
                        f" ({error}); is the download complete?"
                    ) from error
                if not data and not more:
                    break
                frame += more
            self._offset = file.tell()
        self._number += len(frame) == _METRES_BYTES
        return frame


def _inflated(data: bytes) -> bytes | None:
    """Return the frame of a deflated record, or None for what is none."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        frame = inflater.decompress(data, _METRES_BYTES + 1)
    except zlib.error:
        return None
    whole = inflater.eof and not inflater.unused_data and len(frame) == _METRES_BYTES
    return frame if whole else None


def _lz4(data: bytes, number: int) -> bytes:
    try:
        import lz4.block
    except ImportError as error:
        raise ConfigError(
            f"depth.bin is compressed with LZ4, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[video]"'
        ) from error
    try:
        frame: bytes = lz4.block.decompress(data, uncompressed_size=_MILLIMETRES_BYTES)
    except lz4.block.LZ4BlockError as error:
        raise ValueError(
            f"has a record {number} that is neither LZ4 nor deflated ({error}); fetch it again"
        ) from error
    if len(frame) != _MILLIMETRES_BYTES:
        raise ValueError(
            f"has a record {number} of {len(frame)} bytes, expected the {_MILLIMETRES_BYTES} of"
            " 256x192 millimetres; fetch it again"
        )
    return frame


def _from_metres(frame: bytes) -> Floats:
    return np.frombuffer(frame, dtype="<f4").reshape(SHAPE_HW).astype(np.float64)
