"""Checking every row of a records file, images included, in several processes."""

from __future__ import annotations

import multiprocessing
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from ..errors import DepthLMError, RecordError
from ..records.pair import check_any
from ..records.raw import parse_row
from ..records.record import find_image
from ..records.rows import Rows
from ..records.stated import Stated
from ..views.decode import load_rgb

MOST_MESSAGES = 20
"""How many problems of a chunk are told in words; all are counted."""

_CHUNK_ROWS = 64  # checked by a worker at a time; fewer rows than this start none


@dataclass(frozen=True)
class Checks:
    """What rows are checked against.

    Attributes:
        media_dir: Folder that image paths start from.
        stated: What the dataset states of its records.
        exif_rotation: What is done about images that their EXIF tag turns.
    """

    media_dir: str
    stated: Stated
    exif_rotation: str


@dataclass
class Findings:
    """What some rows hold.

    Attributes:
        rows: How many they are.
        points: How many of their points are usable.
        problems: Problem in a word -> how many rows or points have it.
        messages: The first problems, by file and line.
    """

    rows: int = 0
    points: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)

    def add(self, other: Findings) -> None:
        """Add what further rows hold."""
        self.rows += other.rows
        self.points += other.points
        self.problems.update(other.problems)
        self.messages += other.messages[: MOST_MESSAGES - len(self.messages)]


def check_rows(rows: Rows, checks: Checks, workers: int) -> Iterator[Findings]:
    """Yield what each chunk of rows holds, in their order, however many workers look.

    Raises:
        DepthLMError: When a file cannot be read, or a worker process died.
    """
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
        waiting: deque[Future[Findings]] = deque()
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


def _start_worker(rows: Rows, checks: Checks) -> None:
    _MINE.update(rows=rows, checks=checks)


def _work(chunk: range) -> Findings:
    return _check_chunk(_MINE["rows"], _MINE["checks"], chunk)


def _check_chunk(rows: Rows, checks: Checks, chunk: range) -> Findings:
    findings = Findings(len(chunk))
    for row in chunk:
        where, raw = rows[row]
        usable, problems = _check(raw, where, row, checks)
        findings.points += usable
        findings.problems.update(problem.reason for problem in problems)
        findings.messages += map(str, problems[: MOST_MESSAGES - len(findings.messages)])
    return findings


def _check(
    raw: dict[str, Any] | str, where: str, row: int, checks: Checks
) -> tuple[int, list[RecordError]]:
    """Return how many points of a row are usable, and what is wrong with it."""
    problems: list[RecordError] = []
    try:
        record, problems = check_any(
            parse_row(raw, where) if isinstance(raw, str) else raw, where, row, checks.stated
        )
        for shot in filter(None, (record, record.partner)):
            image = find_image(shot.image, [checks.media_dir], where)
            load_rgb(image, where, checks.exif_rotation, shot.camera)
    except RecordError as error:
        return 0, [*problems, error]
    return len(record.points), problems
