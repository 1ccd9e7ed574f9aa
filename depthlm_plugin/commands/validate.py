"""`depthlm validate`: every row of a records file, with counts by reason."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from ..errors import ConfigError, DepthLMError, RecordError
from ..records import storage
from ..records.pair import check_any
from ..records.record import find_image, parse_row
from ..records.rows import Rows, open_rows
from ..views.decode import check_size, load_rgb

_SHOWN = 20  # problems printed in full; all are counted
_CHUNK_ROWS = 64  # checked by a worker at a time; fewer rows than this start none
_MOST_WORKERS = 32


@dataclass(frozen=True)
class _Checks:
    """What a row is checked against."""

    root: str
    depth_kind: str | None
    exif_rotation: str


@dataclass
class _Found:
    """What some rows hold: usable points, problems by reason, and the first of them in words."""

    rows: int
    points: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)


def run(args: argparse.Namespace) -> int:
    """Check schema, ranges and images of all rows; return 1 when anything is wrong."""
    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"--workers must be 1 or more, found {args.workers}")
    path = args.records
    rows = open_rows(path)
    if not len(rows):
        raise DepthLMError(f"{path} holds no record")
    root = args.media_dir or (path if storage.is_folder(path) else storage.parent(path))
    total = _Found(0)
    shown = 0
    # disable=None: quiet when stderr is not a terminal
    with tqdm(total=len(rows), unit="row", disable=None, delay=2, file=sys.stderr) as progress:
        checks = _Checks(root, args.depth_kind, args.exif_rotation)
        for found in _found(rows, checks, args.workers or _default_workers()):
            total.rows += found.rows
            total.points += found.points
            total.counts.update(found.counts)
            for message in found.messages[: _SHOWN - shown]:
                print(message, file=sys.stderr)
                shown += 1
            progress.update(found.rows)
    bad = total.counts.total()
    if bad > _SHOWN:
        print(f"... and {bad - _SHOWN} more", file=sys.stderr)
    print(f"{total.rows} records, {total.points} usable points, {bad} problems", file=sys.stderr)
    for reason, count in total.counts.most_common():
        print(f"  {count:7d}  {reason}", file=sys.stderr)
    if args.json:
        problems = dict(total.counts)
        print(json.dumps({"records": total.rows, "points": total.points, "problems": problems}))
    return 1 if bad else 0


def _default_workers() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _found(rows: Rows, checks: _Checks, workers: int) -> Iterator[_Found]:
    """Yield what the chunks of rows hold, in their order, however many workers look."""
    chunks = [range(i, min(i + _CHUNK_ROWS, len(rows))) for i in range(0, len(rows), _CHUNK_ROWS)]
    workers = min(workers, len(chunks))
    if workers == 1:
        for chunk in chunks:
            yield _check_chunk(rows, checks, chunk)
        return
    # spawn: a copy of a process with threads (fsspec's, pyarrow's) may hang
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _start_worker, (rows, checks))
    try:
        waiting: deque[Future[_Found]] = deque()
        for chunk in chunks:
            waiting.append(pool.submit(_work, chunk))
            if len(waiting) == 4 * workers:  # the answers of 16 million rows stay few
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DepthLMError(
            "a worker process died, of too little memory as a rule; use fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_MINE: dict[str, Any] = {}  # of a worker process


def _start_worker(rows: Rows, checks: _Checks) -> None:
    _MINE.update(rows=rows, checks=checks)


def _work(chunk: range) -> _Found:
    return _check_chunk(_MINE["rows"], _MINE["checks"], chunk)


def _check_chunk(rows: Rows, checks: _Checks, chunk: range) -> _Found:
    found = _Found(len(chunk))
    for row in chunk:
        where, raw = rows[row]
        usable, problems = _check(raw, where, row, checks)
        found.points += usable
        found.counts.update(problem.reason for problem in problems)
        found.messages += map(str, problems[: _SHOWN - len(found.messages)])
    return found


def _check(
    raw: dict[str, Any] | str, where: str, row: int, checks: _Checks
) -> tuple[int, list[RecordError]]:
    """Return how many points of a row are usable, and what is wrong with it."""
    problems: list[RecordError] = []
    try:
        record, problems = check_any(
            parse_row(raw, where) if isinstance(raw, str) else raw, where, row, checks.depth_kind
        )
        for one in filter(None, (record, record.partner)):
            image = find_image(one.image, [checks.root], where)
            size_wh = load_rgb(image, where, checks.exif_rotation).size
            check_size(size_wh, one.camera, image, where)
    except RecordError as error:
        return 0, [*problems, error]
    return len(record.points), problems
