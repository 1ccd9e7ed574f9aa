"""How far a bench is: which chunks of its questions are answered, so that none is asked twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ..records.atomic import recover
from ..scoring.files import read_predictions
from ..scoring.prediction import SIDECAR, PredictionRow, write_jsonl_atomically
from .questions import original

QUESTIONS, ANSWERS, HOST_OUTPUT = "questions", "answers", "run"
"""Folders of a bench.

The first holds the drawn records of each chunk, the second the rows of finished chunks under their
sets' own names and numbers, the third what LLaMA-Factory writes.
"""


class Progress:
    """The chunks of a bench's folder, of which LLaMA-Factory answers one after the other."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._harvested: tuple[int, int] | None = None

    def chunks(self) -> list[str]:
        """Return the names of all chunks, `<set>.<number>`, in order."""
        return sorted(path.stem for path in (self._out / QUESTIONS).glob("*.jsonl"))

    def open_chunks(self) -> list[str]:
        """Return the names of the chunks that are not answered yet."""
        return [name for name in self.chunks() if not self._answers(name).is_file()]

    def recover(self) -> None:
        """Remove what a killed bench had not finished to write."""
        for path in (self._out / HOST_OUTPUT / SIDECAR, *map(self._answers, self.chunks())):
            recover(path)

    def harvest(self) -> None:
        """Keep the answers of each chunk that LLaMA-Factory has finished.

        Its file holds whole chunks only: it is written anew after each.
        """
        path = self._out / HOST_OUTPUT / SIDECAR
        if not path.is_file():
            return
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
        if version == self._harvested:
            return
        self._harvested = version
        by_chunk: dict[str, list[PredictionRow]] = {}
        for row in read_predictions(path):
            by_chunk.setdefault(row["dataset"], []).append(row)
        for name, rows in by_chunk.items():
            if len(rows) == rows[0]["of"] and not self._answers(name).is_file():
                self._keep(name, rows)

    def answers_of(self, set_name: str) -> Iterator[PredictionRow]:
        """Yield the rows of one set, each with the number of them all as `of`."""
        chunks = [name for name in self.chunks() if set_of(name) == set_name]
        finished = [path for path in map(self._answers, chunks) if path.is_file()]
        total = sum(_count_lines(path) for path in finished)
        for path in finished:
            for row in read_predictions(path):
                yield {**row, "of": total}

    def _answers(self, chunk: str) -> Path:
        return self._out / ANSWERS / f"{chunk}.jsonl"

    def _keep(self, chunk: str, rows: list[PredictionRow]) -> None:
        """Write the answers of a chunk under its set's own name and numbers."""
        with (self._out / QUESTIONS / f"{chunk}.jsonl").open(encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        for row in rows:
            point = row["point"]
            assert point is not None  # only points are drawn
            row["row"], row["point"] = original(records[row["row"]], point)
            row["dataset"] = set_of(chunk)
        self._answers(chunk).parent.mkdir(exist_ok=True)
        write_jsonl_atomically(self._answers(chunk), rows)


def set_of(chunk: str) -> str:
    """Return the name of the set that a chunk, `<set>.<number>`, is of."""
    return chunk.rpartition(".")[0]


def _count_lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
