"""Finished predictions: question, raw text, parsed value or the reason why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .answers import parse_metres
from .metrics import mean_over, score
from .questions import Question

SIDECAR = "depth_predictions.jsonl"


@dataclass(frozen=True)
class Prediction:
    """A model's answer to a question."""

    question: Question
    text: str

    def to_row(self) -> dict[str, Any]:
        """Return the prediction as one row of the sidecar file."""
        question, answer = self.question, parse_metres(self.text)
        return {
            "dataset": question.dataset,
            "row": question.row,
            "point": question.point,
            "image": question.image,
            "pixel": list(question.pixel),
            "task": question.task,
            "target": question.target,
            "unit": question.unit,
            "text": self.text,
            "value": answer.value,
            "reason": answer.reason,
        }


def write_sidecar(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write prediction rows as JSONL, whole or not at all."""
    partial = path.with_suffix(".part")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)


def score_rows(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return the metrics of prediction rows (`metrics.score`).

    With several datasets: each one's metrics under `<dataset>_<metric>`, and under the bare names
    their mean over datasets, as the paper averages (`n` is the sum).
    """
    names = list(dict.fromkeys(row["dataset"] for row in rows))
    scores = {
        name: score(
            [_value(row) for row in rows if row["dataset"] == name],
            [row["target"] for row in rows if row["dataset"] == name],
        )
        for name in names
    }
    if len(names) == 1:
        return scores[names[0]]
    metrics = {f"{name}_{key}": v for name in names for key, v in scores[name].items()}
    return metrics | mean_over(list(scores.values()))


def _value(row: dict[str, Any]) -> float:
    return math.nan if row["value"] is None else float(row["value"])
