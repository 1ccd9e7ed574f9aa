"""`depthlm shard`: records as shards, for training sets too large to read whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from ..records import storage
from ..records.record import parse_row
from ..records.rows import read_rows
from ..records.shard_writer import ROWS_PER_SHARD, write_shards


def run(args: argparse.Namespace) -> int:
    """Write the shards and print what was written."""
    summary = write_shards(
        _records(args.records),
        args.out,
        rows_per_shard=ROWS_PER_SHARD if args.rows_per_shard is None else args.rows_per_shard,
        overwrite=args.overwrite,
    )
    if summary.removed_unfinished:
        print("removed what an interrupted run had written", file=sys.stderr)
    is_folder = storage.is_folder(args.records)
    media_dir = args.records if is_folder else storage.parent(args.records)
    print(
        f"{summary.rows} records in {summary.shards} shards, {summary.bytes / 1e6:.1f} MB; image"
        f" paths are as they were: set media_dir to {media_dir}, or move the images along",
        file=sys.stderr,
    )
    print(json.dumps({"out": args.out, **asdict(summary)}))
    return 0


def _records(path: str) -> Iterator[dict[str, Any]]:
    rows = tqdm(read_rows(path), unit="row", disable=None, delay=2, file=sys.stderr)
    return (parse_row(text, where) for where, text in rows)
