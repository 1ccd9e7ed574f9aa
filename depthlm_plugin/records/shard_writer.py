"""Writing shards: records as a folder of Arrow files whose single rows are quick to reach.

`shard_format` and `shard_index` say what is in them, `rows.open_rows` reads them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DepthLMError
from . import storage
from .atomic import recover, whole_folder
from .shard_format import COLUMNS, EXTRA, encode_record, make_batches, make_schema
from .shard_index import INDEX, Shard, write_index

_OURS = re.compile(rf"\d{{5,}}\.(arrow|parquet)|{re.escape(INDEX)}")

# Random access reads a batch for a row. tests/benchmarks/shard_formats.py, a million rows of 100
# points, busy machine: 173 us a row with batches of 64, 354 with 1024; 718 with 64 and zstd, which
# saves 19 % of the bytes. Lists in Parquet took 404 us or more, Lance 1095 us, and format 1, packed
# bytes in Parquet, 1034 us for 8 % fewer bytes. Checksums came later: 50 000 rows, busy machine,
# medians of 5: 93 us without and batches of 64, 116 with, 101 with batches of 32 and 90 with 16,
# in order 37, 37, 39 and 43 us; batches of 32 take 1 % more bytes.
ROWS_PER_BATCH = 32
ROWS_PER_SHARD = 100_000
_SHARD_BYTES = 128 * 2**20  # held in memory while it fills; longer records make shorter shards


@dataclass(frozen=True)
class ShardSummary:
    """What was written.

    Attributes:
        rows: How many records.
        shards: How many files.
        bytes: The size of all files.
        removed_unfinished: Whether the leftover of an interrupted run was removed first.
    """

    rows: int
    shards: int
    bytes: int
    removed_unfinished: bool


def write_shards(
    records: Iterable[Mapping[str, Any]],
    folder: str,
    *,
    rows_per_shard: int = ROWS_PER_SHARD,
    rows_per_batch: int = ROWS_PER_BATCH,
    overwrite: bool = False,
) -> ShardSummary:
    """Write records as a folder of shards, which `rows.open_rows` opens.

    The folder appears under its name when it is complete (`atomic`). No more than a shard is held
    in memory.

    Args:
        records: JSON objects as dicts; they come back equal.
        folder: A local folder to make.
        rows_per_shard: At most so many rows a file; long records make shorter files.
        rows_per_batch: Rows that are read together.
        overwrite: Replace a folder of shards of that name.

    Raises:
        DepthLMError: For a folder that is there already, is being written by another process or is
            remote; for no records, or a record that JSON cannot hold.
    """
    if rows_per_shard < 1 or rows_per_batch < 1:
        raise ConfigError(
            f"rows_per_shard and rows_per_batch must be 1 or more, found {rows_per_shard} and"
            f" {rows_per_batch}"
        )
    folder = _place(folder)
    shards: list[Shard] = []
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        removed = recover(Path(folder))
        _check_free(folder, overwrite)
        with whole_folder(Path(folder), replace=overwrite) as new:
            for cells in _filled(records, rows_per_shard):
                shards.append(_write(cells, str(new / f"{len(shards):05d}.arrow"), rows_per_batch))
            if not shards:
                raise DepthLMError(f"there is no record to write to {folder}")
            write_index(str(new), shards)
    except OSError as error:
        raise DepthLMError(f"cannot write {folder} ({error})") from error
    rows = sum(shard.rows for shard in shards)
    return ShardSummary(rows, len(shards), sum(shard.bytes for shard in shards), removed)


def _filled(
    records: Iterable[Mapping[str, Any]], rows_per_shard: int
) -> Iterator[dict[str, list[Any]]]:
    """Yield the cells of every shard, by column."""
    cells: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, EXTRA)}
    rows = held_bytes = 0
    for row, record in enumerate(records):
        encoded = encode_record(record, row)
        for name, column in cells.items():
            cell = encoded.get(name)
            column.append(cell)
            held_bytes += len(cell) if isinstance(cell, str) else getattr(cell, "nbytes", 8)
        rows += 1
        if rows == rows_per_shard or held_bytes > _SHARD_BYTES:
            yield cells
            cells = {name: [] for name in (*COLUMNS, EXTRA)}
            rows = held_bytes = 0
    if rows:
        yield cells


def _write(cells: dict[str, list[Any]], path: str, rows_per_batch: int) -> Shard:
    import pyarrow

    batches = make_batches(cells, rows_per_batch)
    schema, checksum = make_schema(batches, rows_per_batch)
    with pyarrow.ipc.new_file(path, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    rows = sum(batch.num_rows for batch in batches)
    return Shard(os.path.basename(path), rows, os.path.getsize(path), checksum)


def _place(folder: str) -> str:
    """Return where a folder is: its path without a slash at its end, of a link what it leads to."""
    if storage.is_remote(folder):
        raise ConfigError(f"{folder}: shards are written to a local folder; upload it afterwards")
    return os.path.realpath(folder) if os.path.isdir(folder) else os.path.abspath(folder)


def _check_free(folder: str, overwrite: bool) -> None:
    if not os.path.lexists(folder) or (os.path.isdir(folder) and not os.listdir(folder)):
        return
    if not os.path.isfile(os.path.join(folder, INDEX)):
        raise ConfigError(f"{folder} is there and is no folder of shards; choose another --out")
    if not overwrite:
        raise ConfigError(
            f"{folder} is a finished folder of shards; choose another --out, or --overwrite it"
        )
    if others := _others(folder):
        raise ConfigError(
            f"{folder} is not overwritten, as it holds {others[0]!r} beside its shards; move that,"
            " or choose another --out"
        )


def _others(folder: str) -> list[str]:
    """Return the names of what a folder holds that no run writes."""
    return [name for name in sorted(os.listdir(folder)) if not _OURS.fullmatch(name)]
