"""One pass over a run's answers: its scores, and bounded samples to show."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ..errors import DepthLMError
from ..geometry.camera import DEPTH_KINDS
from ..scoring.files import Finished, said_of
from ..scoring.scores import Scores
from ..scoring.table import INCOMPLETE
from ..seeds import seed_of
from ..tasks import TASKS
from .examples import LONGEST_TEXT, Row, number_of, pixel_of, place_of, ratio_of
from .samples import Highest, Pictures, Reservoir
from .sources import Source
from .texts import shortened

SCATTERED = 4000  # points of a scatter plot
UNREAD = 3  # unread answers of each reason that are shown as they are
REASONS = 20  # that are told apart; only files of templates that are elsewhere have so many

Key = tuple[str, str]  # dataset and task


class AnswerSamples:
    """What is shown of the answers of one dataset and task, beside their scores."""

    def __init__(self, key: Key, samples: int, seed: int) -> None:
        rng = random.Random(seed_of(seed, "report", *key))
        self.n = 0
        self.unread: list[tuple[str, str]] = []  # the first of each reason: where, text
        self.reasons: Counter[str] = Counter()  # why answers could not be read
        asked = TASKS[key[1]]  # of tasks other than metres at a point the rest stays empty
        about_metres = asked.kind.quantity is not None and asked.unit == "m"
        self.has_pictures = about_metres and (asked.points, asked.images) == (1, 1)
        self.scattered: Reservoir[tuple[float, float]] = Reservoir(SCATTERED, rng)  # truth, answer
        self.random: Reservoir[Row] = Reservoir(samples, rng)  # of all answers
        self.worst: Highest[Row] = Highest(samples)  # of those that could be read
        self.pictures = Pictures()
        self.kinds: Counter[str] = Counter()  # of depth, as labels say it

    def add(self, row: Row) -> None:
        """Add a good row of `Finished`."""
        self.n += 1
        if row["value"] is None:
            self._add_unread(row)
        if not self.has_pictures:
            return
        kind = row.get("depth_kind")
        self.kinds[kind if kind in DEPTH_KINDS else "not said"] += 1
        self.random.add(row)
        pixel, target, value = pixel_of(row), number_of(row["target"]), number_of(row["value"])
        if target is not None and pixel is not None and "image" in row:
            self.pictures.add(row["image"], (*pixel, target, value))
        if target is not None and value is not None:
            self.worst.add(ratio_of(value, target), row)
            self.scattered.add((target, value))

    @property
    def why_unread(self) -> str:
        """How many answers could not be read, by reason."""
        return ", ".join(f"{n} {reason}" for reason, n in self.reasons.most_common())

    def _add_unread(self, row: Row) -> None:
        reason = shortened(str(row.get("reason")))
        told = reason in self.reasons or len(self.reasons) < REASONS
        group = reason if told else "other reasons"
        self.reasons[group] += 1
        if self.reasons[group] <= UNREAD:
            text = shortened(row["text"], LONGEST_TEXT)
            self.unread.append((f"{place_of(row)}: {reason}", text))


@dataclass(frozen=True)
class ScoredRun:
    """A run that was read."""

    source: Source
    prompt: str  # the template that the user gave
    number: int | None  # in the report, from 1; None where it is the only one
    label: str  # its number and name, and that rows are missing: where its scores stand
    short: str  # the same without its name: in plots and captions
    scores: Scores
    summary: Mapping[str, Any]  # what `Scores.summary` says
    components: Mapping[Key, Mapping[str, Any]]  # what it says of each dataset and task
    samples: Mapping[Key, AnswerSamples]
    said: str  # how many rows were scored
    problems: Sequence[str]  # why the scores are not of a whole run
    bad_rows: Sequence[str]  # the first that could not be scored, by file and line


def gather(
    source: Source, number: int | None, *, samples: int, seed: int, task: str, prompt: str
) -> ScoredRun:
    """Read a run's answers once, in memory that does not grow with them.

    Args:
        source: The run.
        number: Its number in the report, None where it is the only one.
        samples: Worst and random answers to keep of each dataset and task.
        seed: Of what is drawn at random.
        task: The task of a file that does not say it.
        prompt: The template of a file that does not say it, and the only path that rows may name.

    Raises:
        DepthLMError: For a file that cannot be read, or without any row that can be scored.
    """
    finished = Finished([str(source.path)], task, prompt)
    scores = Scores()
    shown: dict[Key, AnswerSamples] = {}
    for row in tqdm(finished, unit="row", disable=None, delay=2, file=sys.stderr):
        scores.add(row)
        key = row["dataset"], row["task"]
        if key not in shown:
            shown[key] = AnswerSamples(key, samples, seed)
        shown[key].add(row)
    said, bad_rows = said_of(finished), list(map(str, finished.problems))
    if not finished.good:
        first = f"; the first: {bad_rows[0]}" if bad_rows else ""
        raise DepthLMError(f"{source.path} has nothing to report on: {said}{first}")
    problems = [said] if finished.counts or finished.missing else []
    problems += _missing(source, shown)
    if not problems and not source.results.get("complete", True):
        problems = ["results.json says that the run is not complete"]
    incomplete = f" {INCOMPLETE}" if problems else ""
    label, short = shortened(source.name) + incomplete, f"this run{incomplete}"
    if number is not None:
        label, short = f"{number}: {label}", f"run {number}{incomplete}"
    summary = scores.summary()
    components = {(own["dataset"], own["task"]): own for own in summary["parts"]}
    return ScoredRun(
        source,
        prompt,
        number,
        label,
        short,
        scores,
        summary,
        components,
        shown,
        said,
        problems,
        bad_rows,
    )


def _missing(source: Source, shown: Mapping[Key, AnswerSamples]) -> list[str]:
    """Return what results.json asks for that has no answers."""
    missing = source.missing_sets
    problems = [f"sets that were not run: {', '.join(missing)}"] if missing else []
    for dataset in source.results.get("sets", {}):
        asked = source.asked(dataset)
        answered = sum(samples.n for (name, _), samples in shown.items() if name == dataset)
        if asked is not None and answered != asked:
            problems.append(f"{dataset}: {answered} of {asked} answers that were asked for")
    return problems
