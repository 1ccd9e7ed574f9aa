"""Finished predictions: question, raw text, parsed value or the reason why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..language.reading import read_answer
from ..language.templates import load_template
from ..sampling.sample import Question

SIDECAR = "depth_predictions.jsonl"

_FACTS = ("depth_kind", "distance_over_z", "at_edge")


@dataclass(frozen=True)
class Prediction:
    """A model's answer to a question."""

    question: Question
    text: str

    def to_row(self) -> dict[str, Any]:
        """Return the prediction as one row of the sidecar file.

        `target` and `value` are numbers, or objects by placeholder for a task whose answer has
        several; `value` is None where the answer could not be read. `points`, `images` and `pixels`
        are there when `point`, `image` and `pixel` do not say it all: there are several, or none;
        `depth_kind`, `distance_over_z` and `at_edge` where the question has them.
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
        known = {name: getattr(question, name) for name in _FACTS}
        row |= {name: value for name, value in known.items() if value is not None}
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


def bare(values: Mapping[str, float]) -> Any:
    """Return the value of an answer that has one, else all by placeholder: as rows hold them."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)
