"""`depthlm shard` writes records as shards, for training sets too large to read whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm shard`."""
    parser.description = (
        "Writes a folder of Arrow files with an index, whose single rows are quick to reach, and"
        " prints one JSON object: out, rows, shards, bytes, removed_unfinished. Records come back"
        " as they were."
    )
    parser.add_argument("records", help="a .jsonl, .json or .parquet file, or a folder of them")
    parser.add_argument("--out", required=True, help="folder to make")
    parser.add_argument(
        "--rows-per-shard", type=int, metavar="N", help="at most so many a file (default: 100000)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a folder of shards")


def run(args: argparse.Namespace) -> int:
    """Write the shards and print what was written."""
    from ..records import storage
    from ..records.shard_writer import ROWS_PER_SHARD, write_shards

    summary = write_shards(
        _records(args.records),
        args.out,
        rows_per_shard=ROWS_PER_SHARD if args.rows_per_shard is None else args.rows_per_shard,
        overwrite=args.overwrite,
    )
    if summary.removed_unfinished:
        print("removed what an interrupted run had written", file=sys.stderr)
    media_dir = storage.folder_of(args.records)
    print(
        f"{summary.rows} records in {summary.shards} shards, {summary.bytes / 1e6:.1f} MB; image"
        f" paths are as they were: set media_dir to {media_dir}, or move the images along",
        file=sys.stderr,
    )
    print(json.dumps({"out": args.out, **asdict(summary)}))
    return 0


def _records(path: str) -> Iterator[dict[str, Any]]:
    from tqdm import tqdm

    from ..records.raw import parse_row
    from ..records.rows import read_rows

    rows = tqdm(read_rows(path), unit="row", disable=None, delay=2, file=sys.stderr)
    return (parse_row(text, where) for where, text in rows)
