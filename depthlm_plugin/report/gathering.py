"""One pass over a run's answers: its scores, and bounded samples to show."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ..errors import DepthLMError
from ..geometry.camera import DEPTH_KINDS
from ..scoring.files import Finished, said_of
from ..scoring.prediction import PredictionRow
from ..scoring.scores import Scores
from ..scoring.table import INCOMPLETE
from ..seeds import seed_of
from ..tasks import TASKS
from .document import shortened
from .sampling import Example, Pictures, Reservoir, Worst, one_number, ratio_of
from .sources import Source

SCATTERED = 4000  # points of a scatter plot
UNREAD = 3  # unread answers of each reason that are shown as they are
REASONS = 20  # that are told apart; only files of templates that are elsewhere have so many

Key = tuple[str, str]  # dataset and task


class Shown:
    """What is shown of the answers of one dataset and task.

    Attributes:
        scattered: Truth and answer of read answers, at random.
        random: Rows at random, unread answers among them.
        worst: Read answers with the largest max(p/g, g/p).
        pictures: Pictures with their points.
        unread: The first answers that could not be read, of each reason.
        reasons: Why answers could not be read -> how many.
        kinds: What labels are said to be -> how many.
        n: Rows.
    """

    def __init__(self, key: Key, samples: int, seed: int) -> None:
        rng = random.Random(seed_of(seed, "report", *key))
        self.scattered: Reservoir[tuple[float, float]] = Reservoir(SCATTERED, rng)
        self.random: Reservoir[Example] = Reservoir(samples, rng)
        self.worst = Worst(samples)
        self.pictures = Pictures()
        self.unread: list[Example] = []
        self.reasons: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.n = 0
        self._pictured = is_depth(key[1])

    def add(self, row: PredictionRow) -> None:
        """Add a good row of `Finished`."""
        self.n += 1
        if row["value"] is None:
            self._add_unread(row)
        if not self._pictured:
            return
        kind = row.get("depth_kind")
        self.kinds[kind if kind in DEPTH_KINDS else "not said"] += 1
        self.pictures.add(row)
        place = self.random.place()
        if place is not None:
            self.random.put(place, Example.of(row))
        value, target = one_number(row["value"]), one_number(row["target"])
        if value is not None and target is not None:
            self.worst.add(ratio_of(value, target), row)
            place = self.scattered.place()
            if place is not None:
                self.scattered.put(place, (target, value))

    def _add_unread(self, row: PredictionRow) -> None:
        reason = shortened(str(row.get("reason")))
        if reason not in self.reasons and len(self.reasons) >= REASONS:
            reason = "other reasons"
        self.reasons[reason] += 1
        if self.reasons[reason] <= UNREAD:
            self.unread.append(Example.of(row))


@dataclass(frozen=True)
class Gathered:
    """A run that was read.

    Attributes:
        source: Where it is.
        number: Of the run in the report, from 1.
        alone: Whether the report is about no other.
        scores: Its scores.
        summary: `Scores.summary` of them.
        shown: What is shown of each dataset and task.
        said: How many of its rows were scored.
        problems: Why its scores are not of a whole run; empty where they are.
        bad_rows: The first rows that could not be scored, by file and line.
    """

    source: Source
    number: int
    alone: bool
    scores: Scores
    summary: Mapping[str, Any]
    shown: Mapping[Key, Shown]
    said: str
    problems: tuple[str, ...]
    bad_rows: tuple[str, ...]

    @property
    def label(self) -> str:
        """What it is called where its scores stand: with its number, and that rows are missing."""
        name = shortened(self.source.name)
        label = name if self.alone else f"{self.number}: {name}"
        return label if not self.problems else f"{label} {INCOMPLETE}"

    @property
    def short(self) -> str:
        """The same in plots and captions: without its name."""
        short = "this run" if self.alone else f"run {self.number}"
        return f"{short} {INCOMPLETE}" if self.problems else short

    def part(self, key: Key) -> Mapping[str, Any] | None:
        """Return the summary of one dataset and task, if the run has it."""
        parts: list[Mapping[str, Any]] = self.summary["parts"]
        return next((p for p in parts if (p["dataset"], p["task"]) == key), None)


def gather(
    source: Source, number: int, *, alone: bool, samples: int, seed: int, task: str, prompt: str
) -> Gathered:
    """Read a run's answers once, in memory that does not grow with them.

    Args:
        source: The run.
        number: Of the run in the report, from 1.
        alone: Whether the report is about no other run.
        samples: Worst and random rows to keep of each dataset and task.
        seed: Of what is drawn at random.
        task: The task of a file that does not say it; `prompt` likewise.
        prompt: The template of a file that does not say it.

    Raises:
        DepthLMError: For a file that cannot be read, or without any row that can be scored.
    """
    found = Finished([str(source.path)], task, prompt)
    scores = Scores()
    shown: dict[Key, Shown] = {}
    for row in tqdm(found, unit="row", disable=None, delay=2, file=sys.stderr):
        scores.add(row)
        key = row["dataset"], row["task"]
        if key not in shown:
            shown[key] = Shown(key, samples, seed)
        shown[key].add(row)
    said = said_of(found)
    bad_rows = tuple(map(str, found.problems))
    if not found.good:
        first = f"; the first: {bad_rows[0]}" if bad_rows else ""
        raise DepthLMError(f"{source.path} has nothing to report on: {said}{first}")
    problems = tuple(_problems(source, found, shown))
    return Gathered(
        source, number, alone, scores, scores.summary(), shown, said, problems, bad_rows
    )


def is_depth(task: str) -> bool:
    """Return whether a task asks for metres at one point of one picture."""
    own = TASKS[task]
    return own.kind.quantity is not None and (own.unit, own.points, own.images) == ("m", 1, 1)


def _problems(source: Source, found: Finished, shown: Mapping[Key, Shown]) -> list[str]:
    """Return why the scores are not of a whole run."""
    problems = [said_of(found)] if found.counts or found.missing else []
    if source.missing_sets:
        problems.append(f"sets that were not run: {', '.join(source.missing_sets)}")
    for dataset in source.results.get("sets", {}):
        asked = source.asked(dataset)
        answered = sum(one.n for (name, _), one in shown.items() if name == dataset)
        if asked is not None and answered != asked:
            problems.append(f"{dataset}: {answered} of {asked} answers that were asked for")
    if not problems and not source.results.get("complete", True):
        problems.append("results.json says that the run is not complete")
    return problems
