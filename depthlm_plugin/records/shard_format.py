"""Shards: records as Arrow files whose single rows are quick to reach.

The files are Arrow IPC ("Feather 2") in record batches of `rows_per_batch` rows. Known keys of a
record are columns, in the narrowest type that loses nothing of a shard; a shard leaves out the
columns that none of its rows needs. The rest, and values that a column cannot hold without loss,
are JSON text in the column `extra`, so every record comes back equal.

The schema's metadata hold the size and CRC-32 of every batch and a checksum of the head, which is
the magic and the schema. Reading needs no more: Arrow's footer is there for other programs.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError
from .checksums import UNSEALED, is_whole, seal_of
from .shard_index import FORMAT

MARK = b"depthlm.shard"  # in the metadata of every shard, with its format
_ROWS, _ROWS_PER_BATCH = b"rows", b"rows_per_batch"  # there too
_BATCHES = b"batches"  # there too: two little-endian uint32 a batch, size and CRC-32, as hex
_CHECKSUM = b"checksum"
_MAGIC = b"ARROW1\0\0"
EXTRA = "extra"
_WHOLE = 2**53  # up to here float64 holds every integer


@dataclass(frozen=True)
class Head:
    """What a shard says of itself before its rows.

    Attributes:
        schema: Its Arrow schema.
        checksum: That of the head, as eight digits.
        starts: The number of every batch's first row, then how many rows there are.
        offsets: Where every batch begins in the file, then where the last one ends.
        sums: The CRC-32 of every batch's bytes.
    """

    schema: Any
    checksum: str
    starts: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sums: list[int]


@dataclass(frozen=True)
class Column:
    """A column of a shard.

    Attributes:
        key: The key of a record whose values it holds.
        encode: Returns the cell of a value, or None for what the column would change.
        width: Length of the inner lists of a list of lists of numbers; 0 for other values.
    """

    key: str
    encode: Callable[[Any], Any]
    width: int = 0


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold
            return None
        return value
    return None


def _float(value: Any) -> float | None:
    return value if type(value) is float else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _numbers(value: Any, width: int, whole: bool) -> NDArray[Any] | None:
    """Return the numbers (N,) of a list, or of a list of lists of a width, in the narrowest type.

    `whole` ones are integers only. Integers among fractions come back as equal floats.
    """
    if not isinstance(value, list):
        return None
    if width:
        if not all(isinstance(row, list) and len(row) == width for row in value):
            return None
        value = [*chain.from_iterable(value)]
    if whole and (not value or type(value[0]) is not int):
        return None  # without looking at the rest
    kinds = set(map(type, value))
    if whole:
        within = kinds == {int} and min(value) >= -(2**63) and max(value) < 2**63
        return _narrowest(np.array(value, np.int64), np.uint16) if within else None
    if not kinds <= {int, float} or kinds == {int}:
        return None
    if int in kinds and not all(type(number) is float or abs(number) <= _WHOLE for number in value):
        return None
    return _narrowest(np.array(value, np.float64), np.float32)


def _narrowest(numbers: NDArray[Any], narrow: type[np.generic]) -> NDArray[Any]:
    """Return numbers in a narrower type, if they stay the same there."""
    with np.errstate(over="ignore"):
        narrowed = numbers.astype(narrow)
    same = np.array_equal(narrowed, numbers, equal_nan=narrow is np.float32)
    return narrowed if same else numbers


_WIDTHS = {
    "intrinsics": 0,
    "pixel_coords": 2,
    "depth": 0,
    "distortion": 0,
    "pose": 4,
    "relative_pose": 4,
}
COLUMNS = {
    "image": Column("image", _text),
    "image_path": Column("image_path", _text),
    **{
        key + suffix: Column(key, partial(_numbers, width=width, whole=bool(suffix)), width)
        for key, width in _WIDTHS.items()
        for suffix in ("_integer", "")
    },
    **{key: Column(key, _text) for key in ("depth_kind", "scene", "camera", "source")},
    "timestamp": Column("timestamp", _float),
    "timestamp_integer": Column("timestamp", _integer),
}
_COLUMNS_OF: dict[str, list[str]] = {}
for _name, _column in COLUMNS.items():
    _COLUMNS_OF.setdefault(_column.key, []).append(_name)


def encode_record(record: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return the cells of a record by column: text, a number or an array of numbers (N,).

    Args:
        record: A JSON object.
        row: Its number, for messages.

    Raises:
        DepthLMError: For what JSON cannot hold.
    """
    cells: dict[str, Any] = {}
    extra = {}
    for key, value in record.items():
        for name in _COLUMNS_OF.get(key, ()):
            cell = COLUMNS[name].encode(value)
            if cell is not None:
                cells[name] = cell
                break
        else:
            extra[key] = value
    if extra:
        cells[EXTRA] = _json(extra, row)
    return cells


def make_batches(cells: Mapping[str, list[Any]], rows_per_batch: int) -> list[Any]:
    """Return the record batches of a shard's cells, by column; those without any are left out."""
    import pyarrow

    used = [name for name, column in cells.items() if any(cell is not None for cell in column)]
    arrays = [_array(cells[name], name) for name in used or [EXTRA]]  # or nothing but {}
    table = pyarrow.table(arrays, names=used or [EXTRA])
    batches: list[Any] = table.to_batches(max_chunksize=rows_per_batch)
    return batches


def make_schema(batches: Sequence[Any], rows_per_batch: int) -> tuple[Any, str]:
    """Return the schema of a shard of these record batches, and the checksum of its head."""
    messages = (batch.serialize() for batch in batches)
    sums = np.array([(message.size, zlib.crc32(message)) for message in messages], "<u4")
    metadata = {
        MARK: str(FORMAT).encode(),
        _ROWS: str(sum(batch.num_rows for batch in batches)).encode(),
        _ROWS_PER_BATCH: str(rows_per_batch).encode(),
        _BATCHES: sums.tobytes().hex().encode(),
        _CHECKSUM: UNSEALED,
    }
    schema = batches[0].schema
    seal = seal_of(_MAGIC + schema.with_metadata(metadata).serialize().to_pybytes())
    return schema.with_metadata(metadata | {_CHECKSUM: seal}), seal[-8:].decode()


def read_head(file: Any) -> Head:
    """Return the head of a shard, which is open as pyarrow's NativeFile.

    Raises:
        ValueError: For a damaged head, a file that is cut off, or no shard.
        KeyError: For a head without what it should say.
    """
    import pyarrow

    size = file.size()
    content = file.read(len(_MAGIC) + 8)  # magic, continuation, length of the schema
    content += file.read(min(int.from_bytes(content[-4:], "little"), size))
    if not is_whole(content):
        raise ValueError(f"it is no shard of format {FORMAT}, or its first bytes were changed")
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(content[len(_MAGIC) :]))
    metadata = schema.metadata
    if metadata[MARK] != str(FORMAT).encode():
        raise ValueError(f"it is no shard of format {FORMAT}")
    batches = np.frombuffer(bytes.fromhex(metadata[_BATCHES].decode()), "<u4").reshape(-1, 2)
    offsets = len(content) + np.cumsum([0, *batches[:, 0]], dtype=np.int64)
    if offsets[-1] > size:
        raise ValueError(f"it is cut off after {size} bytes")
    rows, rows_per_batch = int(metadata[_ROWS]), int(metadata[_ROWS_PER_BATCH])
    starts = np.minimum(np.arange(len(offsets)) * rows_per_batch, rows)
    return Head(schema, metadata[_CHECKSUM][-8:].decode(), starts, offsets, batches[:, 1].tolist())


def _array(cells: list[Any], name: str) -> Any:
    import pyarrow

    width = COLUMNS[name].width if name in COLUMNS else 0
    given = [cell for cell in cells if cell is not None]
    if not given or not isinstance(given[0], np.ndarray):
        return pyarrow.array(cells, None if given else pyarrow.string())
    numbers = pyarrow.array(np.concatenate(given))  # in the widest type of any
    if width:
        numbers = pyarrow.FixedSizeListArray.from_arrays(numbers, width)
    lengths = [0 if cell is None else len(cell) // (width or 1) for cell in cells]
    ends = np.cumsum([0, *lengths], dtype=np.int32)
    absent = pyarrow.array([cell is None for cell in cells])
    return pyarrow.ListArray.from_arrays(ends, numbers, mask=absent)


def decode_record(batch: Any, row: int) -> dict[str, Any]:
    """Return the record in a row of an Arrow record batch of a shard.

    Raises:
        ValueError: For cells that are damaged.
    """
    record: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        cell = column[row]
        if not cell.is_valid:
            continue
        if name == EXTRA:
            record |= json.loads(cell.as_py())
        elif COLUMNS[name].key in _WIDTHS:
            record[COLUMNS[name].key] = _list(cell.values, COLUMNS[name].width)
        else:
            record[COLUMNS[name].key] = cell.as_py()
    return record


def _list(values: Any, width: int) -> list[Any]:
    # Through NumPy: Arrow makes Python's numbers one at a time, 20 times slower.
    numbers = np.from_dlpack(values.flatten() if width else values)
    result: list[Any] = (numbers.reshape(-1, width) if width else numbers).tolist()
    return result


def _json(extra: dict[str, Any], row: int) -> str:
    try:
        return json.dumps(extra)
    except (TypeError, ValueError, RecursionError) as error:
        raise DepthLMError(
            f"record {row} (from 0) holds under one of {sorted(map(str, extra))} what JSON cannot"
            f" ({error}); give plain numbers, text, lists and dicts"
        ) from error
