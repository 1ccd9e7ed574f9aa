"""The points of a set that are asked about are drawn, and written as records of only these."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RecordError
from ..records.raw import parse_row
from ..records.record import check_record
from ..records.rows import read_rows
from ..records.stated import Stated
from ..seeds import number_of
from .sets import BenchSet

CHUNK_POINTS = 2048
"""Points of a chunk, which are lost at most when a bench is stopped."""

OF = "of"  # key of a drawn record: its row, and of each point its number there
_LISTS = ("pixel_coords", "depth", "at_edge")


def count_points(bench_set: BenchSet) -> NDArray[np.int64]:
    """Return the number of labelled points of each record (R,).

    Raises:
        RecordError: For a record without depths.
    """
    counts = []
    for where, text in read_rows(bench_set.records):
        depth = parse_row(text, where).get("depth")
        if not isinstance(depth, list):
            raise RecordError("malformed record", where, "key 'depth' must be a list of metres")
        if not depth:
            raise RecordError("no points", where, "the record labels no pixel; drop the row")
        counts.append(len(depth))
    return np.array(counts, dtype=np.int64)


def draw(counts: NDArray[np.int64], points: int | None, name: str, seed: int) -> NDArray[np.int64]:
    """Return which points are asked about, ascending: numbers among all points of the set.

    All points are alike, drawn without replacement; the same seed draws the same ones, and fewer
    are among more. `points` None, or more than there are: all of them.
    """
    total = int(counts.sum())
    if points is None or points >= total:
        return np.arange(total)
    rng = np.random.default_rng(number_of(json.dumps([seed, name]), size_bytes=16))
    order = rng.permutation(total)
    return np.sort(order[:points])


def drawn_records(
    bench_set: BenchSet, counts: NDArray[np.int64], drawn: NDArray[np.int64], data: Path
) -> Iterator[dict[str, Any]]:
    """Yield the records of the drawn points, with only these.

    Args:
        bench_set: The set.
        counts: Number of points of each of its records (R,), as `count_points` returns them.
        drawn: Numbers of the drawn points, ascending, as `draw` returns them.
        data: The folder that the image paths of the yielded records start from.

    Raises:
        RecordError: For records that cannot be used, by their own file and line.
    """
    ends = np.cumsum(counts)
    rows = np.searchsorted(ends, drawn, side="right")
    stated = Stated.of(bench_set.options, bench_set.name)
    prefix = _prefix(bench_set.records, data)
    for row, (where, text) in enumerate(read_rows(bench_set.records)):
        first, last = np.searchsorted(rows, [row, row + 1])
        if first == last:
            continue
        chosen = (drawn[first:last] - (ends[row] - counts[row])).tolist()
        raw = parse_row(text, where)
        record = dict(raw)
        for key in _LISTS:
            if isinstance(raw.get(key), list):
                if len(raw[key]) != counts[row]:
                    raise RecordError(
                        "lengths differ",
                        where,
                        f"{len(raw[key])} {key} but {counts[row]} depths; expected one each",
                    )
                record[key] = [raw[key][index] for index in chosen]
        _, problems = check_record(record, where, row, stated)
        if problems:
            raise problems[0]
        image = record.pop("image", None) or record.pop("image_path", None)
        record["image"] = _placed(str(image).lstrip("/"), prefix, data)
        yield record | {OF: {"row": row, "points": chosen}}


def chunks_of(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield whole records in chunks of `CHUNK_POINTS` points at most; a larger record is alone."""
    chunk: list[dict[str, Any]] = []
    points = 0
    for record in records:
        if chunk and points + len(record["depth"]) > CHUNK_POINTS:
            yield chunk
            chunk, points = [], 0
        chunk.append(record)
        points += len(record["depth"])
    if chunk:
        yield chunk


def original(record: Mapping[str, Any], point: int) -> tuple[int, int]:
    """Return the numbers, in the set itself, of a drawn record and of one of its points."""
    of = record[OF]
    return of["row"], of["points"][point]


def _prefix(records: Path, data: Path) -> str:
    """Return the folder of a records file below `data`, empty where it is that folder."""
    folder = records if records.is_dir() else records.parent
    try:
        inside = folder.resolve().relative_to(data.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if inside == "." else inside


def _placed(image: str, prefix: str, data: Path) -> str:
    """Return an image path from `data`; one given from the records' own folder counts first."""
    inside = f"{prefix}/{image}"
    return inside if prefix and (data / inside).is_file() else image
