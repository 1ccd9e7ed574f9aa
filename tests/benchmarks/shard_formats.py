"""Which format for records by number? Time of random rows, of all rows, memory and bytes on disk.

    python tests/benchmarks/shard_formats.py [ROWS [FOLDER]]

Makes ROWS records (a million unless told) of 100 labelled points in each format: 50 000 of them are
written, the other shards are copies under their own names. Every measurement is a process of its
own that has the files' pages dropped first; the formats take turns, three rounds, medians are
printed. Every reader gives a row as the dict that was written. Lance is measured where `pylance` is
installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from depthlm_plugin.records.rows import open_rows
from depthlm_plugin.records.shard_index import read_index, write_index
from depthlm_plugin.records.shard_writer import write_shards

SHARD = 50_000
RANDOM, IN_ORDER = 3000, 20_000
ROUNDS = 3
Read = Callable[[int], dict[str, Any]]
SCHEMA = pa.schema(
    {
        "image": pa.string(),
        "intrinsics": pa.list_(pa.float64()),
        "pixel_coords": pa.list_(pa.uint16()),  # x, y, x, y, ...
        "depth": pa.list_(pa.float64()),
        "depth_kind": pa.string(),
        "scene": pa.string(),
    }
)


def records(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows as `depthlm curate` writes them: whole pixels, labels to a micrometre."""
    rng = np.random.default_rng(0)
    for row in range(count):
        yield {
            "image": f"scene{row // 100:05d}/rgb/{row % 100:06d}.jpg",
            "intrinsics": [577.87, 577.87, 319.5, 239.5, 640.0, 480.0],
            "pixel_coords": rng.integers(0, (640, 480), (100, 2)).tolist(),
            "depth": rng.uniform(0.5, 9, 100).round(6).tolist(),
            "depth_kind": "distance",
            "scene": f"scene{row // 100:05d}",
        }


@lru_cache
def table() -> pa.Table:
    rows = list(records(SHARD))
    for row in rows:
        row["pixel_coords"] = [number for pair in row["pixel_coords"] for number in pair]
    return pa.Table.from_pylist(rows, SCHEMA)


def record_of(batch: Any, row: int) -> dict[str, Any]:
    """Return a row of a table or batch with the columns of SCHEMA as the record it was."""
    record = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        cell = column[row]
        record[name] = np.from_dlpack(cell.values) if name in LISTS else cell.as_py()
    record["pixel_coords"] = record["pixel_coords"].reshape(-1, 2)
    return {key: v.tolist() if key in LISTS else v for key, v in record.items()}


LISTS = ("intrinsics", "pixel_coords", "depth")


def copies(first: Path, rows: int) -> None:
    for number in range(1, rows // SHARD):
        shutil.copyfile(first, first.with_name(f"{number:05d}{first.suffix}"))


# Writers: (folder, number of rows)


def write_shard(folder: Path, rows: int) -> None:
    target = folder / "rows"
    write_shards(records(SHARD), str(target))
    copies(target / "00000.arrow", rows)
    [shard] = read_index(str(target)) or []
    names = [f"{number:05d}.arrow" for number in range(rows // SHARD)]
    write_index(str(target), [replace(shard, file=name) for name in names])


def write_parquet(folder: Path, rows: int, rows_per_group: int) -> None:
    pq.write_table(
        table(),
        folder / "00000.parquet",
        row_group_size=rows_per_group,
        compression="none",
        use_dictionary=["depth_kind", "scene"],
        write_statistics=False,
    )
    copies(folder / "00000.parquet", rows)


def write_arrow(folder: Path, rows: int, rows_per_batch: int, compression: Any = None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(folder / "00000.arrow", SCHEMA, options=options) as writer:
        writer.write_table(table(), max_chunksize=rows_per_batch)
    copies(folder / "00000.arrow", rows)


def write_lance(folder: Path, rows: int) -> None:
    import lance

    whole = table()
    batches = (batch for _ in range(rows // SHARD) for batch in whole.to_batches(8192))
    lance.write_dataset(pa.RecordBatchReader.from_batches(SCHEMA, batches), folder / "rows.lance")


# Readers: (folder, number of rows) -> a function from a row's number to its record


def read_shard(folder: Path, rows: int) -> Read:
    opened = open_rows(folder / "rows")
    return lambda row: opened[row][1]  # type: ignore[return-value]


def read_parquet(folder: Path, rows: int) -> Read:
    files = [pq.ParquetFile(path, pre_buffer=False) for path in sorted(folder.iterdir())]
    per_group = files[0].metadata.row_group(0).num_rows

    @lru_cache(maxsize=8)
    def group(file: int, number: int) -> Any:
        return files[file].read_row_group(number, use_threads=False)

    def read(row: int) -> dict[str, Any]:
        file, row = divmod(row, SHARD)
        number, row = divmod(row, per_group)
        return record_of(group(file, number), row)

    return read


def read_arrow(folder: Path, rows: int, mapped: bool) -> Read:
    opened = pa.memory_map if mapped else pa.OSFile
    files = [pa.ipc.open_file(opened(str(path))) for path in sorted(folder.iterdir())]
    per_batch = files[0].get_batch(0).num_rows

    @lru_cache(maxsize=8)
    def batch(file: int, number: int) -> Any:
        return files[file].get_batch(number)

    def read(row: int) -> dict[str, Any]:
        file, row = divmod(row, SHARD)
        number, row = divmod(row, per_batch)
        return record_of(batch(file, number), row)

    return read


def read_lance(folder: Path, rows: int) -> Read:
    import lance

    dataset = lance.dataset(folder / "rows.lance")
    return lambda row: record_of(dataset.take([row]), 0)


Write = Callable[[Path, int], None]
FORMATS: dict[str, tuple[str, Write, Callable[[Path, int], Read]]] = {
    "depthlm shard": ("shard", write_shard, read_shard),
    "Parquet lists, groups of 1024": (
        "p1024", lambda f, n: write_parquet(f, n, 1024), read_parquet,
    ),
    "Parquet lists, groups of 64": ("p64", lambda f, n: write_parquet(f, n, 64), read_parquet),
    "Arrow IPC, batches of 1024": (
        "a1024", lambda f, n: write_arrow(f, n, 1024), lambda f, n: read_arrow(f, n, False),
    ),
    "Arrow IPC, batches of 64": (
        "a64", lambda f, n: write_arrow(f, n, 64), lambda f, n: read_arrow(f, n, False),
    ),
    "Arrow IPC, batches of 64, zstd": (
        "a64z", lambda f, n: write_arrow(f, n, 64, "zstd"), lambda f, n: read_arrow(f, n, False),
    ),
    "Arrow IPC, batches of 64, lz4": (
        "a64l", lambda f, n: write_arrow(f, n, 64, "lz4"), lambda f, n: read_arrow(f, n, False),
    ),
    "Arrow IPC mapped, batches of 1024": (
        "a1024", lambda f, n: write_arrow(f, n, 1024), lambda f, n: read_arrow(f, n, True),
    ),
    "Arrow IPC mapped, batches of 64": (
        "a64", lambda f, n: write_arrow(f, n, 64), lambda f, n: read_arrow(f, n, True),
    ),
    "Lance": ("lance", write_lance, read_lance),
}  # fmt: skip


def resident_mib() -> float:
    """Return the memory of this process, mapped pages of files included."""
    [line] = [v for v in Path("/proc/self/status").read_text().splitlines() if v[:6] == "VmRSS:"]
    return int(line.split()[1]) / 1024


def measure(name: str, folder: Path, rows: int) -> dict[str, float]:
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path) as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    before_mib, started = resident_mib(), time.perf_counter()
    read = FORMATS[name][2](folder, rows)
    read(rows // 2)
    opened_s = time.perf_counter() - started
    seconds = []
    for row in np.random.default_rng(1).integers(0, rows, RANDOM).tolist():
        started = time.perf_counter()
        read(row)
        seconds.append(time.perf_counter() - started)
    random_mib = resident_mib() - before_mib
    started = time.process_time()
    for row in range(IN_ORDER):
        read(row)
    in_order_s = time.process_time() - started
    return {
        "open_ms": 1e3 * opened_s,
        "random_us": 1e6 * statistics.median(seconds),
        "in_order_us": 1e6 * in_order_s / IN_ORDER,
        "mib": random_mib,
    }


def main() -> int:
    if sys.argv[1:2] == ["--measure"]:
        name, folder, rows = sys.argv[2:]
        print(json.dumps(measure(name, Path(folder), int(rows))))
        return 0
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    names = [n for n in FORMATS if n != "Lance" or importlib.util.find_spec("lance")]
    scratch = Path(tempfile.mkdtemp(prefix="depthlm-formats-", dir=(sys.argv[2:] or [None])[0]))
    try:
        for name in names:
            folder_name, write, read = FORMATS[name]
            if not (folder := scratch / folder_name).exists():
                folder.mkdir()
                write(folder, rows)
            for row, record in zip(range(300), records(300), strict=True):
                assert row % 50 or read(folder, rows)(row) == record, name
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name in names:
                command = [sys.executable, __file__, "--measure", name]
                command += [str(scratch / FORMATS[name][0]), str(rows)]
                result = subprocess.run(command, capture_output=True, text=True, check=True)
                runs[name].append(json.loads(result.stdout))
        print("| format | random row | rows in order | opening | memory | bytes a row |")
        print("|---|---|---|---|---|---|")
        for name in names:
            middle = {k: statistics.median(run[k] for run in runs[name]) for k in runs[name][0]}
            files = (scratch / FORMATS[name][0]).rglob("*")
            size = sum(path.stat().st_size for path in files if path.is_file())
            print(
                f"| {name} | {middle['random_us']:.0f} us | {middle['in_order_us']:.0f} us"
                f" | {middle['open_ms']:.0f} ms | {middle['mib']:.0f} MiB | {size / rows:.0f} |"
            )
    finally:
        shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
