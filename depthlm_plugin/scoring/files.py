"""Finished predictions on disk: read, checked row by row, none taken twice."""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from ..errors import ConfigError, DepthLMError, RecordError
from ..language.reading import read_answer
from ..language.template import Template
from ..language.templates import is_path, load_template
from ..tasks import TASKS
from .prediction import PredictionRow, cell_of, values_of
from .table import INCOMPLETE

_OURS = {"dataset", "row", "task", "target", "text"}
_HOSTS = {"predict", "label"}  # LLaMA-Factory's generated_predictions.jsonl and vllm_infer.py
_SHOWN = 10


class Finished:
    """The good rows of prediction files, one after the other; it takes no memory for them.

    Answers are read again from their texts, so that files of different versions are scored alike:
    with templates of the package, or with the user's own that was given here. A path in a row is
    never opened. LLaMA-Factory's own files hold the true answer as text
    only: it is as precise as it is written, their dataset is the file's name, and nothing in them
    can tell that a row is there twice or missing.

    Attributes:
        problems: Of rows that cannot be scored; the first few are kept. Known when all are read.
        counts: Of those rows, by reason.
        good: Rows that can be scored.
    """

    def __init__(self, paths: Sequence[str], task: str, prompt: str, expected: int | None = None):
        """Keep what to read.

        Args:
            paths: JSON lines files: `depth_predictions.jsonl`, LLaMA-Factory's
                `generated_predictions.jsonl`, what its `scripts/vllm_infer.py` writes, or the
                samples that lmms-eval logs of our tasks.
            task: The task of files that do not say.
            prompt: The template of files that do not say, and the only path that rows may name.
            expected: How many rows there should be, where rows do not say.
        """
        self.problems: list[RecordError] = []
        self.counts: Counter[str] = Counter()
        self.good = 0
        self._paths = paths
        self._template = load_template(task, prompt)
        self._prompt = prompt
        self._expected = expected
        self._said: dict[tuple[Any, Any], int] = {}
        self._unsaid = 0
        self._run: tuple[Any, str] | None = None

    @property
    def looked_at(self) -> int:
        """Rows, good and bad."""
        return self.good + sum(self.counts.values())

    @property
    def missing(self) -> int:
        """Rows that should be there: as many as the rows say, or as were expected."""
        expected = self._expected
        if expected is None:
            expected = sum(self._said.values()) + self._unsaid if self._said else 0
        return max(0, expected - self.looked_at)

    def __iter__(self) -> Iterator[PredictionRow]:
        """Yield good rows, as `scores.Scores` takes them; once.

        Raises:
            DepthLMError: For a file that cannot be read.
        """
        with closing(_Seen()) as seen:
            for path in self._paths:
                for where, line, last in _lines(path):
                    try:
                        row = self._row(line, where, last, path, seen)
                    except RecordError as error:
                        self.counts[error.reason] += 1
                        if len(self.problems) < _SHOWN:
                            self.problems.append(error)
                        continue
                    self.good += 1
                    yield row

    def _row(self, line: str, where: str, last: bool, path: str, seen: _Seen) -> PredictionRow:
        raw = _parsed(line, where, last)
        of_host = raw.keys() >= _HOSTS and "target" not in raw
        self._check_run(None if of_host else raw.get("run"), where)
        if of_host:
            self._unsaid += 1
            return _of_host(raw, where, Path(path).stem, self._template)
        row = _of_ours(raw, where, self._prompt)
        key = json.dumps([row["dataset"], row["row"], row["task"], *_points(row)])
        first = seen.first(key, where)
        if first is not None:
            raise RecordError(
                "scored twice",
                where,
                f"the same question is answered at {first}; are files of several runs, or a run"
                " twice, among them?",
            )
        of = row.get("of")
        if isinstance(of, int):
            self._said[row.get("run"), row["dataset"]] = of
        else:
            self._unsaid += 1
        return row

    def _check_run(self, run: Any, where: str) -> None:
        """Refuse a row of another run than the first row's."""
        if self._run is None:
            self._run = run, where
        if run != self._run[0]:
            raise RecordError(
                "another run",
                where,
                f"it is of run {run!r}, but {self._run[1]} of run {self._run[0]!r}; score runs one"
                " by one",
            )


def template_named(task: str, named: str, given: str) -> Template:
    """Return the template that a row names: of the package, or the path that the user gave.

    Args:
        task: Name of the task.
        named: What the row says.
        given: What the user gave, a style or a path.

    Raises:
        ConfigError: For any other path, which is not looked at; for an unknown style.
    """
    if is_path(named) and named != given:
        raise ConfigError(
            f"its prompt is the path {named[:120]!r}, which a file may not choose; give it as"
            " --prompt"
        )
    return load_template(task, named)


def read_predictions(path: Path) -> Iterator[PredictionRow]:
    """Yield the rows of a file that this package wrote itself; nothing is checked."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def said_of(found: Finished) -> str:
    """Return how many rows were scored, and in the same line that some were not."""
    left_out = sum(found.counts.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.counts.most_common())
    problems = [
        *([f"{left_out} left out ({reasons})"] if left_out else []),
        *([f"{found.missing} missing"] if found.missing else []),
    ]
    said = f"{found.good} of {found.looked_at + found.missing} rows scored"
    return said + (f"; {INCOMPLETE}: {', '.join(problems)}" if problems else "")


class _Seen:
    """Questions and where they are answered, on disk: memory would grow with them."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # a temporary file, gone when closed
        self._rows.execute("PRAGMA synchronous = OFF")
        self._rows.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, place TEXT) WITHOUT ROWID")

    def first(self, key: str, where: str) -> str | None:
        """Return where a question was seen first, or None when that is now."""
        digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
        new = self._rows.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (digest, where))
        if new.rowcount:
            return None
        found = self._rows.execute("SELECT place FROM seen WHERE key = ?", (digest,)).fetchone()
        return str(found[0])

    def close(self) -> None:
        self._rows.close()


def _lines(path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (where, line, whether it is the last and does not end)."""
    try:
        name = Path(path).name
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{name}:{number}", line, not line.endswith("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DepthLMError(f"{path} cannot be read: {error}") from error


def _parsed(line: str, where: str, last: bool) -> Mapping[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        cut = "; it is cut off: did the run end?" if last else ""
        raise RecordError("malformed row", where, f"not valid JSON ({error}){cut}") from error
    if isinstance(raw, Mapping) and isinstance(raw.get("prediction"), Mapping):
        raw = raw["prediction"]  # a sample that lmms-eval logged
    if not isinstance(raw, Mapping) or not (raw.keys() >= _OURS or raw.keys() >= _HOSTS):
        keys = ", ".join(sorted(raw)) if isinstance(raw, Mapping) else type(raw).__name__
        raise RecordError(
            "malformed row",
            where,
            f"holds {keys}; expected a prediction: {', '.join(sorted(_OURS))}, or LLaMA-Factory's"
            f" {' and '.join(sorted(_HOSTS))}",
        )
    return raw


def _of_ours(raw: Mapping[str, Any], where: str, prompt: str) -> PredictionRow:
    task = raw["task"]
    if not isinstance(task, str) or task not in TASKS:
        raise RecordError("unknown task", where, f"its task is {task!r}, of another version?")
    names, kind, target = TASKS[task].values, TASKS[task].kind, raw["target"]
    truth = values_of(target, task)
    if not _are_numbers(truth, names):
        raise RecordError(
            "bad target",
            where,
            f"its target is {target!r}, expected {' and '.join(names)} as finite numbers",
        )
    if kind.problem(truth) is not None:
        expected = kind.expects.format(unit=TASKS[task].unit)
        raise RecordError("bad target", where, f"its target is {target!r}, expected {expected}")
    for key in ("dataset", "image"):
        _check_name(raw.get(key, ""), key, where)
    for key in ("depth_kind", "run", "unit"):
        if raw.get(key) is not None:
            _check_name(raw[key], key, where)
    factor = raw.get("distance_over_z")
    if factor is not None and (not _is_finite(factor) or factor < 1 - 1e-9):
        raise RecordError("malformed row", where, f"its distance_over_z is {factor!r}")
    _check_interval(raw.get("distribution"), where)
    if not isinstance(raw["text"], str):
        raise RecordError("malformed row", where, f"its text is {raw['text']!r}")
    row = cast(PredictionRow, dict(raw))
    try:
        template = template_named(task, str(raw.get("prompt")), prompt)
    except ConfigError as error:  # a template of one's own
        if "value" not in raw:
            raise RecordError("no template", where, str(error)) from error
        value = raw["value"]
        if value is not None and not _are_numbers(values_of(value, task), names):
            raise RecordError("malformed row", where, f"its value is {value!r}") from error
        return row
    answer = read_answer(raw["text"], template)
    row["value"] = None if answer.values is None else cell_of(answer.values)
    row["reason"] = answer.reason
    return row


def _of_host(raw: Mapping[str, Any], where: str, dataset: str, template: Template) -> PredictionRow:
    for key in sorted(_HOSTS):
        if not isinstance(raw[key], str):
            raise RecordError("malformed row", where, f"its {key} is {raw[key]!r}, expected a text")
    truth = read_answer(raw["label"], template)
    if truth.values is None:
        raise RecordError(
            "bad target",
            where,
            f"its label {raw['label'][:80]!r} is no answer of {template.task} ({truth.reason});"
            " give --task and --prompt of the run",
        )
    answer = read_answer(raw["predict"], template)
    return {
        "dataset": dataset,
        "task": template.task,
        "unit": template.unit,
        "target": cell_of(truth.values),
        "value": None if answer.values is None else cell_of(answer.values),
        "reason": answer.reason,
        "text": raw["predict"],
    }


def _points(row: PredictionRow) -> Any:
    """Return which points and pictures of its record a row is about."""
    return row.get("points", [row.get("point")]), row.get("images", [row.get("image")])


def _check_name(value: object, key: str, where: str) -> None:
    """Refuse what is no text that can be written: half a character, a number."""
    try:
        valid = isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise RecordError("malformed row", where, f"its {key} is {value!r}, expected a text")


def _check_interval(distribution: object, where: str) -> None:
    """Refuse a distribution without an interval from a number to one that is no smaller."""
    if distribution is None:
        return
    ends = distribution.get("interval_90") if isinstance(distribution, Mapping) else None
    if not (
        isinstance(ends, list)
        and len(ends) == 2
        and all(map(_is_finite, ends))
        and ends[0] <= ends[1]
    ):
        raise RecordError(
            "malformed row", where, f"its distribution has the interval_90 {ends!r}, expected"
            " [low, high]"
        )  # fmt: skip


def _are_numbers(values: Mapping[str, object], names: Sequence[str]) -> bool:
    return values.keys() == set(names) and all(map(_is_finite, values.values()))


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
