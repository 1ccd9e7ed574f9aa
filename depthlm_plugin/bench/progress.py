"""Answered parts of a bench on disk: what is finished is never asked again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ..scoring.files import read_predictions
from ..scoring.prediction import SIDECAR, PredictionRow, write_jsonl_atomically
from .questions import original

QUESTIONS, ANSWERS, RUN = "questions", "answers", "run"


class Answers:
    """The parts of a bench's folder.

    `questions/` holds the drawn records of each part, `run/` the output of LLaMA-Factory, and
    `answers/` the rows of finished parts under their sets' own names and numbers.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._harvested: tuple[int, int] | None = None

    def parts(self) -> list[str]:
        """Return the names of all parts, `<set>.<number>`, in order."""
        return sorted(path.stem for path in (self._out / QUESTIONS).glob("*.jsonl"))

    def open_parts(self) -> list[str]:
        """Return the names of the parts that are not answered yet."""
        return [name for name in self.parts() if not self._answers(name).is_file()]

    def harvest(self) -> None:
        """Keep the answers of each part that LLaMA-Factory has finished.

        Its file holds whole parts only: it is written anew after each.
        """
        path = self._out / RUN / SIDECAR
        if not path.is_file():
            return
        stat = path.stat()
        version = stat.st_mtime_ns, stat.st_size
        if version == self._harvested:
            return
        self._harvested = version
        by_part: dict[str, list[PredictionRow]] = {}
        for row in read_predictions(path):
            by_part.setdefault(row["dataset"], []).append(row)
        for name, rows in by_part.items():
            if len(rows) == rows[0]["of"] and not self._answers(name).is_file():
                self._keep(name, rows)

    def merged(self, name: str) -> Iterator[PredictionRow]:
        """Yield the rows of one set, which say how many there are."""
        paths = [self._answers(part) for part in self.parts() if part.rpartition(".")[0] == name]
        finished = [path for path in paths if path.is_file()]
        total = sum(_lines(path) for path in finished)
        for path in finished:
            for row in read_predictions(path):
                yield {**row, "of": total}

    def _answers(self, name: str) -> Path:
        return self._out / ANSWERS / f"{name}.jsonl"

    def _keep(self, name: str, rows: list[PredictionRow]) -> None:
        with (self._out / QUESTIONS / f"{name}.jsonl").open(encoding="utf-8") as lines:
            records = [json.loads(line) for line in lines]
        for row in rows:
            point = row["point"]
            assert point is not None  # only points are drawn
            row["row"], row["point"] = original(records[row["row"]], point)
            row["dataset"] = name.rpartition(".")[0]
        self._answers(name).parent.mkdir(exist_ok=True)
        write_jsonl_atomically(self._answers(name), rows)


def _lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)
