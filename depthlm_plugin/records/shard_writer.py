"""Writing shards: records as a folder of Arrow files whose single rows are quick to reach.

`shard_format` and `shard_index` say what is in them, `rows.open_rows` reads them.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, DepthLMError
from . import storage
from .files import UNFINISHED
from .shard_format import COLUMNS, EXTRA, encode_record, make_batches, make_schema
from .shard_index import INDEX, Shard, write_index

PARTIAL = ".partial"  # ends the name of the folder that is written, until it is finished
_MARKER = "a folder of shards that depthlm writes\n"  # in UNFINISHED
_OURS = re.compile(rf"\d{{5,}}\.(arrow|parquet)|{re.escape(INDEX)}|{re.escape(UNFINISHED)}")

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

    The folder appears under its name when it is complete; until then that is followed by eight
    random digits and `.partial`. The next run removes what an interrupted one left. No more than a
    shard is held in memory.

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
    folder = _free(folder, overwrite)
    with _partial(folder) as (partial, removed):
        shards: list[Shard] = []
        for cells in _filled(records, rows_per_shard):
            file = f"{len(shards):05d}.arrow"
            shards.append(_write(cells, os.path.join(partial, file), rows_per_batch))
        if not shards:
            raise DepthLMError(f"there is no record to write to {folder}")
        rows = sum(shard.rows for shard in shards)
        write_index(partial, shards)
        _publish(partial, folder, overwrite)
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


def _free(folder: str, overwrite: bool) -> str:
    """Return the folder's path without a slash at its end, if it may be written."""
    if storage.is_remote(folder):
        raise ConfigError(f"{folder}: shards are written to a local folder; upload it afterwards")
    folder = os.path.realpath(folder) if os.path.isdir(folder) else os.path.abspath(folder)
    if not os.path.lexists(folder) or (os.path.isdir(folder) and not os.listdir(folder)):
        return folder
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
    return folder


def _others(folder: str) -> list[str]:
    """Return the names of what a folder holds that no run writes."""
    return [name for name in sorted(os.listdir(folder)) if not _OURS.fullmatch(name)]


@contextmanager
def _partial(folder: str) -> Iterator[tuple[str, bool]]:
    """Make a new folder beside one; give it, and whether a leftover of another run was removed."""
    # Not tempfile.mkdtemp, whose folders only their owner may read.
    partial = f"{folder}.{secrets.token_hex(4)}{PARTIAL}"
    try:
        os.makedirs(partial)
        try:
            with open(os.path.join(partial, UNFINISHED), "x", encoding="utf-8") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                lock.write(_MARKER)
                lock.flush()
                removed = [_remove_leftover(path) for path in _siblings(folder) if path != partial]
                yield partial, any(removed)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise DepthLMError(f"cannot write {partial} ({error})") from error


def _siblings(folder: str) -> list[str]:
    """Return the folders beside one that are named like its unfinished ones."""
    parent, name = os.path.split(folder)
    pattern = re.compile(re.escape(name) + r"\.[0-9a-f]{8}" + re.escape(PARTIAL))
    with os.scandir(parent) as entries:
        found = [entry for entry in entries if pattern.fullmatch(entry.name)]
        return [entry.path for entry in found if entry.is_dir(follow_symlinks=False)]


def _remove_leftover(partial: str) -> bool:
    """Remove what an interrupted run had written; return whether it was such.

    Raises:
        DepthLMError: For a folder that is being written.
    """
    path = os.path.join(partial, UNFINISHED)
    try:
        lock = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK))
    except OSError:
        return False
    with lock:
        if lock.read(len(_MARKER) + 1) != _MARKER or _others(partial):
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DepthLMError(
                f"{partial} is being written by another process; wait for it or choose another"
                " --out"
            ) from error
        for name in os.listdir(partial):
            os.remove(os.path.join(partial, name))
        os.rmdir(partial)
    return True


def _publish(partial: str, folder: str, overwrite: bool) -> None:
    """Give the complete folder its name; there is no moment when a part of it has that name."""
    if not overwrite or not os.path.isdir(folder):
        os.rename(partial, folder)  # onto nothing, or an empty folder
    else:
        old = f"{folder}.{secrets.token_hex(4)}.old"
        os.mkdir(old)
        os.rename(folder, old)
        os.rename(partial, folder)
        shutil.rmtree(old)
    # Last, so that whatever a kill leaves is known; nobody asks for it where there is an index.
    os.remove(os.path.join(folder, UNFINISHED))
