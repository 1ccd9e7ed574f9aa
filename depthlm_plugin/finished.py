"""Finished predictions on disk: read, checked row by row, none taken twice."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import read_answer
from .errors import ConfigError, DepthLMError, RecordError
from .predictions import bare
from .prompts import load_template
from .tasks import TASKS

_OURS = {"dataset", "row", "task", "target", "text"}
_HOSTS = {"predict", "label"}  # LLaMA-Factory's generated_predictions.jsonl and vllm_infer.py


@dataclass
class Finished:
    """What some files hold.

    Attributes:
        rows: Good rows, as `predictions.score_rows` takes them.
        problems: Of rows that cannot be scored; the first few are kept.
        counts: Of those rows, by reason.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[RecordError] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def looked_at(self) -> int:
        """Rows, good and bad."""
        return len(self.rows) + sum(self.counts.values())


def read_finished(paths: Sequence[str], task: str, prompt: str, shown: int = 10) -> Finished:
    """Return the rows of prediction files.

    Answers are read again from their texts, where their template is there, so that files of
    different versions are scored alike. LLaMA-Factory's own files hold the true answer as text
    only: it is as precise as it is written, and its dataset is the file's name.

    Args:
        paths: JSON lines files: `depth_predictions.jsonl`, LLaMA-Factory's
            `generated_predictions.jsonl`, or what its `scripts/vllm_infer.py` writes.
        task: The task of files that do not say.
        prompt: The template of files that do not say.
        shown: Problems that are kept.

    Raises:
        DepthLMError: For a file that cannot be read or holds something else.
    """
    template = load_template(task, prompt)
    found = Finished()
    seen: dict[tuple[Any, ...], str] = {}
    for path in paths:
        for where, line, last in _lines(path):
            try:
                raw = _parsed(line, where, last)
                if raw.keys() >= _HOSTS and "target" not in raw:
                    row = _of_host(raw, where, Path(path).stem, template)
                else:
                    row = _of_ours(raw, where)
                    key = row["dataset"], row["row"], row["task"], json.dumps(_points(row))
                    if key in seen:
                        raise RecordError(
                            "scored twice",
                            where,
                            f"the same question is answered at {seen[key]}; are files of several"
                            " runs, or a run twice, among them?",
                        )
                    seen[key] = where
                found.rows.append(row)
            except RecordError as error:
                found.counts[error.reason] += 1
                if len(found.problems) < shown:
                    found.problems.append(error)
    return found


def _lines(path: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (where, line, whether it is the last and does not end)."""
    try:
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{Path(path).name}:{number}", line, not line.endswith("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DepthLMError(f"{path} cannot be read: {error}") from error


def _parsed(line: str, where: str, last: bool) -> Mapping[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        cut = "; it is cut off: did the run end?" if last else ""
        raise RecordError("malformed row", where, f"not valid JSON ({error}){cut}") from error
    if not isinstance(raw, Mapping) or not (raw.keys() >= _OURS or raw.keys() >= _HOSTS):
        keys = ", ".join(sorted(raw)) if isinstance(raw, Mapping) else type(raw).__name__
        raise RecordError(
            "malformed row",
            where,
            f"holds {keys}; expected a prediction: {', '.join(sorted(_OURS))}, or LLaMA-Factory's"
            f" {' and '.join(sorted(_HOSTS))}",
        )
    return raw


def _of_ours(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    task = raw["task"]
    if task not in TASKS:
        raise RecordError("unknown task", where, f"its task is {task!r}, of another version?")
    names = TASKS[task].values
    target = raw["target"]
    truth = target if isinstance(target, Mapping) else {names[0]: target}
    if truth.keys() != set(names) or not all(map(_is_finite, truth.values())):
        raise RecordError(
            "bad target",
            where,
            f"its target is {target!r}, expected {' and '.join(names)} as finite numbers",
        )
    if TASKS[task].scoring == "ratio" and truth["value"] <= 0:
        raise RecordError("bad target", where, f"its target is {target!r}, expected one above 0")
    if not isinstance(raw["text"], str):
        raise RecordError("malformed row", where, f"its text is {raw['text']!r}")
    row = dict(raw)
    try:
        answer = read_answer(raw["text"], load_template(task, str(raw.get("prompt"))))
    except ConfigError as error:  # a template of one's own that is elsewhere
        if "value" not in raw:
            raise RecordError("no template", where, str(error)) from error
        return row
    row["value"] = None if answer.values is None else bare(answer.values)
    row["reason"] = answer.reason
    return row


def _of_host(raw: Mapping[str, Any], where: str, dataset: str, template: Any) -> dict[str, Any]:
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
        "target": bare(truth.values),
        "value": None if answer.values is None else bare(answer.values),
        "reason": answer.reason,
        "text": raw["predict"],
    }


def _points(row: Mapping[str, Any]) -> Any:
    """Return which points and pictures of its record a row is about."""
    return row.get("points", [row.get("point")]), row.get("images", [row.get("image")])


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
