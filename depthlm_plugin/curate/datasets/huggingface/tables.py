"""Tables of frames on disk: Parquet and Arrow shards, JSON Lines and CSV, a row at a time."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
from numpy.typing import NDArray

from ....errors import DepthLMError, RecordError
from ....records.row_groups import open_parquet
from ....records.rows import open_rows

_METADATA = ("metadata.jsonl", "metadata.csv")  # of an image folder
SPLIT_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_POINTER = b"version https://git-lfs"


def find_tables(root: Path) -> list[Path]:
    """Return all tables of a folder, in name order; those of an image folder where no others are.

    Hidden folders and what the `datasets` library caches in its own (`cache-*.arrow`) are no part.
    """
    for patterns in (("*.parquet", "*.arrow"), _METADATA):
        tables = sorted(
            path
            for pattern in patterns
            for path in root.rglob(pattern)
            if not path.name.startswith("cache-")
            and not any(part.startswith(".") for part in path.relative_to(root).parts)
        )
        if tables:
            return tables
    return []


def split_of(table: Path, root: Path) -> str | None:
    """Return the split that the name of a table, or else of a folder, or `state.json`, says."""
    state = table.with_name("state.json")
    names = [*reversed(table.relative_to(root).parts)]
    if state.is_file():
        names.append(str(json.loads(state.read_text(encoding="utf-8")).get("_split")))
    for name in names:
        words = set(re.split(r"[\W\d_]+", name.lower()))
        splits = [split for split, known in SPLIT_WORDS.items() if words & set(known)]
        if len(splits) == 1:
            return splits[0]
    return None


def refuse_incomplete(tables: list[Path]) -> None:
    """Refuse a download that lacks some of the shards that the names of others count.

    Raises:
        DepthLMError: Says which.
    """
    numbers: dict[tuple[Path, str, int], set[int]] = {}
    for table in tables:
        if match := re.fullmatch(r"(.*?)(\d+)-of-(\d+).*", table.name):
            key = table.parent, match[1], int(match[3])
            numbers.setdefault(key, set()).add(int(match[2]))
    for (folder, name, count), there in numbers.items():
        if absent := sorted(set(range(count)) - there):
            raise DepthLMError(
                f"{folder} has {len(there)} of {count} shards {name}*-of-{count:05d}, not number"
                f" {absent[0]}; is the download complete?"
            )


def columns_of(path: Path) -> dict[str, str]:
    """Return the columns of a table and their types, in words.

    Raises:
        DepthLMError: For a file that cannot be read.
    """
    if path.suffix == ".parquet":
        schema = _parquet(path).schema_arrow
    elif path.suffix == ".arrow":
        schema = _arrow(path)[0]
    elif path.suffix == ".csv":
        return dict.fromkeys(_csv(path)[0], "text")
    else:
        first = next(iter(_jsonl(path)), ("", "{}"))[1]
        return {name: type(value).__name__ for name, value in _object(first, str(path)).items()}
    return {name: str(schema.field(name).type) for name in schema.names}


def groups_of(path: Path) -> list[int]:
    """Return how many rows each group of a table has: what is read at once.

    Raises:
        DepthLMError: For a file that cannot be read.
    """
    if path.suffix == ".parquet":
        metadata = _parquet(path).metadata
        return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    if path.suffix == ".arrow":
        return [batch.num_rows for batch in _arrow(path)[1]]
    return [len(_csv(path)) - 1 if path.suffix == ".csv" else len(_jsonl(path))]


def read_row(
    path: Path, group: int, row: int, columns: Sequence[str], where: str
) -> dict[str, Any]:
    """Return some columns of a row of a group: lists as arrays, everything else as Python has it.

    Raises:
        RecordError: `damaged file`, or `malformed record` for lists of unequal lengths.
    """
    if path.suffix == ".csv":
        names, values = _csv(path)[0], _csv(path)[row + 1]
        return {name: value for name, value in zip(names, values, strict=False) if name in columns}
    if path.suffix == ".jsonl":
        record = _object(_jsonl(path)[row][1], where)
        return {name: record.get(name) for name in columns}
    try:
        if path.suffix == ".arrow":
            table = _arrow(path)[1][group]
        else:
            table = _group(path, group, tuple(columns))
        return {name: _plain(table.column(name)[row], name, where) for name in columns}
    except (pyarrow.ArrowException, OSError) as error:
        raise RecordError(
            "damaged file", where, f"{path} cannot be read there ({error}); fetch it again"
        ) from error


def _parquet(path: Path) -> Any:
    _refuse_pointer(path)
    return open_parquet(str(path))


@lru_cache(maxsize=1)  # the pictures of a group may take hundreds of megabytes
def _group(path: Path, group: int, columns: tuple[str, ...]) -> Any:
    return _parquet(path).read_row_group(group, columns=list(columns), use_threads=False)


@lru_cache(maxsize=8)
def _arrow(path: Path) -> tuple[Any, list[Any]]:
    """Return the schema and the batches of a file, which stay on disk until they are looked at."""
    _refuse_pointer(path)
    try:
        reader = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))
        return reader.schema, list(reader)
    except (pyarrow.ArrowException, OSError) as error:
        raise DepthLMError(
            f"{path} cannot be read ({error}); is the file complete, and written by save_to_disk?"
        ) from error


@lru_cache(maxsize=8)
def _jsonl(path: Path) -> Any:
    return open_rows(path)


@lru_cache(maxsize=8)
def _csv(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.reader(file)) or [[]]
    except (OSError, ValueError) as error:
        raise DepthLMError(f"{path} cannot be read ({error})") from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RecordError("malformed record", where, f"not valid JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordError("malformed record", where, "expected a JSON object")
    return value


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise DepthLMError(
                f"{path} is a pointer of Git LFS, not the file; fetch it with git lfs pull"
            )


def _plain(scalar: Any, name: str, where: str) -> Any:
    """Return a value: a list, or lists of equally long lists, as an array."""
    if isinstance(scalar, pyarrow.ExtensionScalar):  # where the datasets library is imported too
        scalar = scalar.value
    if scalar is None or not scalar.is_valid:
        return None
    if not isinstance(scalar, pyarrow.ListScalar):
        return scalar.as_py()
    values = scalar.values
    lengths = [len(values)]
    while _is_list(values.type):
        inner_lengths = pyarrow.compute.list_value_length(values).unique().to_pylist()
        if len(inner_lengths) != 1 or inner_lengths[0] is None:
            raise RecordError(
                "malformed record", where, f"the lists of column {name!r} differ in length"
            )
        lengths.append(inner_lengths[0])
        values = values.flatten()
    result: NDArray[Any] = values.to_numpy(zero_copy_only=False)
    return result.reshape(lengths)


def _is_list(kind: Any) -> bool:
    return bool(
        pyarrow.types.is_list(kind)
        or pyarrow.types.is_large_list(kind)
        or pyarrow.types.is_fixed_size_list(kind)
    )
