"""Shards: records as a folder of Parquet files whose single rows are quick to reach.

A folder holds `00000.parquet`, ... and the index `shards.json`, which alone is read to open it:
`{"format": 1, "rows": total, "shards": [{"file", "rows", "bytes", "schema"}, ...]}`.

Known keys of a record are columns, lists of numbers as `packing` has them; a shard leaves out the
columns that none of its rows needs. The rest, and values that a column cannot hold without loss,
are JSON text in the column `extra`, so every record comes back equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import DepthLMError
from . import storage
from .shard_packing import pack_numbers, unpack_numbers

INDEX = "shards.json"
FORMAT = 1
MARK = {b"depthlm.shard": str(FORMAT).encode()}  # in the metadata of every shard


@dataclass(frozen=True)
class Shard:
    """What the index says of a file: its name, rows, size and columns (`fingerprint`)."""

    file: str
    rows: int
    bytes: int
    schema: str


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


# column: (key of the record, Arrow type, encoder that returns None for what it would change)
_COLUMNS: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    "image": ("image", "string", _text),
    "image_path": ("image_path", "string", _text),
    "intrinsics": ("intrinsics", "binary", pack_numbers),
    "pixel_coords": ("pixel_coords", "binary", pack_numbers),
    "depth": ("depth", "binary", pack_numbers),
    "distortion": ("distortion", "binary", pack_numbers),
    "pose": ("pose", "binary", pack_numbers),
    "relative_pose": ("relative_pose", "binary", pack_numbers),
    "depth_kind": ("depth_kind", "string", _text),
    "scene": ("scene", "string", _text),
    "camera": ("camera", "string", _text),
    "source": ("source", "string", _text),
    "timestamp": ("timestamp", "double", _float),
    "timestamp_integer": ("timestamp", "int64", _integer),
}
EXTRA = "extra"
TYPES = {name: kind for name, (_, kind, _) in _COLUMNS.items()} | {EXTRA: "string"}
_COLUMNS_OF: dict[str, list[str]] = {}
for _name, (_key, _type, _encode) in _COLUMNS.items():
    _COLUMNS_OF.setdefault(_key, []).append(_name)
REPEATED = ["depth_kind", "scene", "camera", "source"]  # worth a dictionary
UNCOMPRESSED = ("pixel_coords", "depth")  # zstd saves 17 % of a shard and takes 3 times as long


def encode_record(record: Mapping[str, Any], row: int) -> dict[str, Any]:
    """Return the cells of a record, by column; `row` is its number, for messages.

    Raises:
        DepthLMError: For what JSON cannot hold.
    """
    cells: dict[str, Any] = {}
    extra = {}
    for key, value in record.items():
        for name in _COLUMNS_OF.get(key, ()):
            cell = _COLUMNS[name][2](value)
            if cell is not None:
                cells[name] = cell
                break
        else:
            extra[key] = value
    if extra:
        cells[EXTRA] = _json(extra, row)
    return cells


def read_index(folder: str) -> list[Shard] | None:
    """Return the shards of a folder, or None where it has no index.

    Raises:
        DepthLMError: For an index of another format, or a damaged one.
    """
    path = storage.join(folder, INDEX)
    try:
        index = json.loads(storage.read_bytes(path))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error}); copy the folder again, or write it again with"
            " depthlm shard"
        ) from error
    found = index.get("format") if isinstance(index, dict) else None
    if found != FORMAT:
        raise DepthLMError(
            f"{path} has the format {found!r}, expected {FORMAT}; write the folder again with this"
            " version's depthlm shard (another file of that name must be called something else)"
        )
    try:
        shards = [Shard(**shard) for shard in index["shards"]]
        if any(storage.name(shard.file) != shard.file for shard in shards):
            raise ValueError("a shard lies outside the folder")
        if sum(shard.rows for shard in shards) != index["rows"]:
            raise ValueError(f"its shards do not add up to {index['rows']} rows")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DepthLMError(
            f"{path} is damaged ({error!r}); copy it again, or write the folder again with depthlm"
            " shard"
        ) from error
    return shards


def fingerprint(schema: Any) -> str:
    """Return the columns of an Arrow schema as text: `image:string;depth:binary`."""
    return ";".join(f"{field.name}:{field.type}" for field in schema)


def decode_records(table: Any) -> list[dict[str, Any]]:
    """Return the rows of an Arrow table or batch, of a shard or of any other Parquet file.

    Raises:
        ValueError: For a shard's cells that are damaged.
    """
    metadata = table.schema.metadata or {}
    if not MARK.items() <= metadata.items():
        plain: list[dict[str, Any]] = table.to_pylist()
        return plain
    records: list[dict[str, Any]] = [{} for _ in range(table.num_rows)]
    for name, column in zip(table.schema.names, table.columns, strict=True):
        key, kind, _ = _COLUMNS.get(name, (None, "", None))
        for record, cell in zip(records, column.to_pylist(), strict=True):
            if cell is None:
                continue
            if key is None:
                record.update(json.loads(cell))
            else:
                record[key] = unpack_numbers(cell) if kind == "binary" else cell
    return records


def _json(extra: dict[str, Any], row: int) -> str:
    try:
        return json.dumps(extra)
    except (TypeError, ValueError, RecursionError) as error:
        raise DepthLMError(
            f"record {row} (from 0) holds under one of {sorted(map(str, extra))} what JSON cannot"
            f" ({error}); give plain numbers, text, lists and dicts"
        ) from error
