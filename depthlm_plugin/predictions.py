"""Finished predictions: question, raw text, parsed value or the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from .answers import read_answer
from .camera import Floats
from .errors import DepthLMError
from .metrics import mean_over
from .prompts import load_template
from .questions import Question
from .scoring import SCORERS, Scorer
from .tasks import TASKS

SIDECAR = "depth_predictions.jsonl"

Metrics = dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """A model's answer to a question."""

    question: Question
    text: str

    def to_row(self) -> dict[str, Any]:
        """Return the prediction as one row of the sidecar file.

        `target` and `value` are numbers, or objects by placeholder for a task whose answer has
        several; `value` is None where the answer could not be read. `points`, `images` and `pixels`
        are there when `point`, `image` and `pixel` do not say it all: there are several, or none.
        """
        question = self.question
        answer = read_answer(self.text, load_template(question.task, question.prompt))
        pixels = [list(pixel) for pixel in question.pixels]
        row = {
            "dataset": question.dataset,
            "row": question.row,
            "point": question.point,
            "image": question.image,
            "pixel": pixels[0] if pixels else None,
            "task": question.task,
            "prompt": question.prompt,
            "target": bare(question.truth),
            "unit": question.unit,
            "text": self.text,
            "value": None if answer.values is None else bare(answer.values),
            "reason": answer.reason,
        }
        lists: dict[str, list[Any]] = {
            "points": list(question.points),
            "images": list(question.images),
            "pixels": pixels,
        }
        return row | {name: every for name, every in lists.items() if len(every) != 1}


def write_sidecar(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write prediction rows as JSONL, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)


def score_rows(rows: Sequence[Mapping[str, Any]]) -> Metrics:
    """Return the metrics of prediction rows; which ones a task has is said in `scoring`.

    One dataset and one task: their metrics by name. Otherwise each dataset's and task's under
    `<dataset>_<task>_<metric>`, where a part that is the same for all rows is left out, and

    * one task: the means over datasets under the bare names, as the DepthLM paper averages;
    * several tasks: under `<task>_<metric>` the means over datasets; and under bare names `score`,
      the mean over tasks of each one's main metric (in the paper all are delta1; here `depth_order`
      enters with its accuracy, `relative_pose` with auc_30, `point_correspondence` with pck_5);
      `delta1`, the mean over the tasks whose main metric it is, if there are such;
      `parse_failure_rate`, the mean over tasks.

    Every `n` that stands beside means is a sum. Where a dataset is named so that one of its metrics
    would take the name of another (a dataset `constant` has `constant_delta1`), all of its names
    get a second underscore before the metric.

    Raises:
        DepthLMError: When there are no rows.
    """
    parts = _scored(rows)
    if len(parts) == 1:
        return next(iter(parts.values()))
    means = _over_datasets(parts)
    metrics = _overall(means)
    several = len({dataset for dataset, _ in parts}) > 1, len(means) > 1
    if all(several):
        for task, part in means.items():
            _add(metrics, task, part)
    for names, part in parts.items():
        _add(metrics, "_".join(compress(names, several)), part)
    return metrics


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the scores of prediction rows as plain text, one line for each dataset and task.

    Columns: `n` answers, the task's main metric and its value, what the best constant answer would
    have for it, the share of answers that could not be read, further metrics. Where there are
    several lines a last one has the mean over datasets and tasks, as `score_rows` takes it.

    Raises:
        DepthLMError: When there are no rows.
    """
    parts = _scored(rows)
    lines: list[tuple[str, ...]] = [
        ("dataset", "task", "n", "metric", "value", "constant", "unread", "also")
    ]
    for (dataset, task), part in parts.items():
        lines.append((dataset, task, *_cells(part, _scorer(task))))
    if len(parts) > 1:
        means = _over_datasets(parts)
        task, *others = means
        scorer = None if others else _scorer(task)
        lines.append(("mean", "mean" if others else task, *_cells(_overall(means), scorer)))
    if len({dataset for dataset, _ in parts}) == 1:
        lines = [line[1:] for line in lines]
    return _aligned(lines)


def _scored(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Metrics]:
    """Return the metrics of each dataset and task, by name, so that order says nothing."""
    if not rows:
        raise DepthLMError("there are no predictions to score; was the evaluation dataset empty?")
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault((row["dataset"], row["task"]), []).append(row)
    return {
        (dataset, task): _scorer(task).score(
            _columns(task, [row["value"] for row in grouped[dataset, task]]),
            _columns(task, [row["target"] for row in grouped[dataset, task]]),
        )
        for dataset, task in sorted(grouped)
    }


def _columns(task: str, cells: Sequence[Any]) -> dict[str, Floats]:
    """Return `value` or `target` of rows as arrays (N,) by placeholder, None as NaN."""
    names = TASKS[task].values
    unread = dict.fromkeys(names, math.nan)
    answers = [unread if cell is None else cell for cell in cells]
    return {
        name: np.array(
            [cell[name] if isinstance(cell, Mapping) else cell for cell in answers], np.float64
        )
        for name in names
    }


def _over_datasets(parts: Mapping[tuple[str, str], Metrics]) -> dict[str, Metrics]:
    """Return each task's means over its datasets."""
    tasks = sorted({task for _, task in parts})
    return {
        name: mean_over([part for (_, task), part in parts.items() if task == name])
        for name in tasks
    }


def _overall(means: Mapping[str, Metrics]) -> Metrics:
    """Return the metrics of a whole run: the only task's, or what can be said of several."""
    if len(means) == 1:
        return dict(next(iter(means.values())))
    every = list(means.values())
    mains = {task: part[_scorer(task).main] for task, part in means.items()}
    delta1 = [value for task, value in mains.items() if _scorer(task).main == "delta1"]
    return {
        "score": float(np.mean(list(mains.values()))),
        **({"delta1": float(np.mean(delta1))} if delta1 else {}),
        "parse_failure_rate": float(np.mean([part["parse_failure_rate"] for part in every])),
        "n": sum(int(part["n"]) for part in every),
    }


def _add(metrics: Metrics, prefix: str, part: Metrics) -> None:
    """Add metrics under a prefix, with underscores between until no name is taken."""
    prefix += "_"
    while any(f"{prefix}{name}" in metrics for name in part):
        prefix += "_"
    metrics |= {f"{prefix}{name}": value for name, value in part.items()}


def _scorer(task: str) -> Scorer:
    return SCORERS[TASKS[task].scoring]


def _cells(part: Metrics, scorer: Scorer | None) -> tuple[str, ...]:
    """Return the cells of a line of `table` from `n` on; without a scorer: of several tasks."""
    main = "score" if scorer is None else scorer.main
    also = ("delta1",) if scorer is None else scorer.also
    constant = None if scorer is None else scorer.constant
    return (
        str(int(part["n"])),
        main,
        f"{part[main]:.3f}",
        "" if constant is None else f"{part[constant]:.3f}",
        f"{part['parse_failure_rate']:.3f}",
        ", ".join(f"{name} {round(part[name], 4):.4g}" for name in also if name in part),
    )


def bare(values: Mapping[str, float]) -> Any:
    """Return the value of an answer that has one, else all by placeholder: as rows hold them."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as text in columns, numbers to the right."""
    numbers = {lines[0].index(name) for name in ("n", "value", "constant", "unread")}
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
