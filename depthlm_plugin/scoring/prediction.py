"""A finished prediction: question, raw text, read values or the reason why there are none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ..language.reading import read_answer
from ..language.templates import load_template
from ..records.atomic import whole_file
from ..sampling.sample import Question
from ..tasks import TASKS

SIDECAR = "depth_predictions.jsonl"

Cell = float | Mapping[str, float]
"""The values of an answer that has one, or of several by placeholder."""


class PredictionRow(TypedDict):
    """One answered question as files hold it, a JSON object; it may have further keys."""

    dataset: str
    task: str
    target: Cell  # the truth, at full precision
    value: Cell | None  # what was read, if that could be done
    reason: NotRequired[str | None]  # why it could not
    text: NotRequired[str]  # the answer as the model gave it
    unit: NotRequired[str]  # of target and value
    prompt: NotRequired[str]  # style of the question's template
    row: NotRequired[int]  # number of the record in the dataset
    point: NotRequired[int | None]  # number of the (first) point in the record
    image: NotRequired[str]  # path of the (first) picture, as the record gives it
    pixel: NotRequired[list[float] | None]  # the (first) point in the stored picture: x, y
    points: NotRequired[list[int]]  # these three only where there is not just one
    images: NotRequired[list[str]]
    pixels: NotRequired[list[list[float]]]
    depth_kind: NotRequired[str]  # what a depth is: distance or z
    distance_over_z: NotRequired[float]  # of a depth's pixel
    at_edge: NotRequired[bool]  # whether the pixel lies beside a depth edge
    distribution: NotRequired[Mapping[str, Any]]  # predict.distribution's, where it was asked for
    run: NotRequired[str]  # whose weights answered; runs are not scored together
    of: NotRequired[int]  # rows that its dataset has


@dataclass(frozen=True)
class Prediction:
    """A model's answer to a question."""

    question: Question
    text: str

    def to_row(self) -> PredictionRow:
        """Return the prediction as one row; keys of which the question says nothing are absent."""
        question = self.question
        answer = read_answer(self.text, load_template(question.task, question.prompt))
        pixels = [list(pixel) for pixel in question.pixels]
        row: PredictionRow = {
            "dataset": question.dataset,
            "row": question.row,
            "point": question.point,
            "image": question.image,
            "pixel": pixels[0] if pixels else None,
            "task": question.task,
            "prompt": question.prompt,
            "target": cell_of(question.truth),
            "unit": question.unit,
            "text": self.text,
            "value": None if answer.values is None else cell_of(answer.values),
            "reason": answer.reason,
        }
        if question.depth_kind is not None:
            row["depth_kind"] = question.depth_kind
        if question.distance_over_z is not None:
            row["distance_over_z"] = question.distance_over_z
        if question.at_edge is not None:
            row["at_edge"] = question.at_edge
        if len(question.points) != 1:
            row["points"] = list(question.points)
        if len(question.images) != 1:
            row["images"] = list(question.images)
        if len(pixels) != 1:
            row["pixels"] = pixels
        return row


def cell_of(values: Mapping[str, float]) -> Cell:
    """Return the values of an answer, by placeholder, as rows hold them."""
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def values_of(cell: Cell, task: str) -> Mapping[str, float]:
    """Return the values of a task's answer, by placeholder, from what rows hold."""
    return cell if isinstance(cell, Mapping) else {TASKS[task].values[0]: cell}


def write_jsonl_atomically(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, whole or not at all."""
    with whole_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
