"""lmms-eval calls these functions for each question of a task folder, and to sum up its answers.

Nothing here imports lmms-eval: it finds them through the folder's YAML files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from PIL import Image

from ..language.templates import is_path
from ..sampling.sample import Question, Sample
from ..scoring.prediction import Prediction, PredictionRow, cell_of
from ..scoring.scores import score_rows
from ..tasks import TASKS

TEMPLATES = "templates/"  # of the user's own, in the task folder
REQUEST_FAILURES = "request_failure_rate"
# lmms-eval puts [LMMS_EVAL_REQUEST_FAILED after 5 retries] ... or [LMMS_EVAL_BUDGET_EXCEEDED] where
# an answer should be; the numbers in there are nobody's answer.
_NO_ANSWER = "[LMMS_EVAL_"


def doc_of(sample: Sample, pictures: Sequence[str]) -> dict[str, Any]:
    """Return a question as a row of the task's Parquet file.

    Args:
        sample: One question and its views.
        pictures: Where its views were written, relative to the task folder.

    Returns:
        `question`, `answer`, `system` (empty where there is none) and `pictures`; what a row of
        `depth_predictions.jsonl` has to say before the answer, to look at; `asked`: the question in
        full, as JSON.
    """
    own = sample.question
    if is_path(own.prompt):
        own = replace(own, prompt=TEMPLATES)
    said, answer = sample.turns[0]
    known = ("dataset", "row", "point", "image", "pixel", "target", "unit", "task", "prompt")
    row: Mapping[str, Any] = {**Prediction(sample.question, "").to_row(), "prompt": own.prompt}
    return {
        **{name: row[name] for name in known if row[name] is not None},
        "question": said,
        "answer": answer,
        "system": sample.system or "",
        "pictures": list(pictures),
        "asked": json.dumps(asdict(own)),
    }


def messages(doc: Mapping[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Return the turns before the answer: the system's, if there is one, and the user's."""
    content = [{"type": "image", "url": picture} for picture in pictures(doc, folder)]
    user = {"role": "user", "content": [*content, {"type": "text", "text": doc["question"]}]}
    if not doc["system"]:
        return [user]
    return [{"role": "system", "content": [{"type": "text", "text": doc["system"]}]}, user]


def pictures(doc: Mapping[str, Any], folder: Path) -> list[Image.Image]:
    """Return the pictures of a question, RGB, as they were rendered."""
    found = []
    for name in doc["pictures"]:
        with Image.open(folder / name) as image:
            found.append(image.convert("RGB"))
    return found


def measured(doc: Mapping[str, Any], text: str, folder: Path) -> dict[str, Any]:
    """Return what is measured of an answer, by metric, for `aggregate`.

    The main metric also has the answer's own `score` and its picture, of which lmms-eval makes
    standard errors. A request without an answer counts as one that cannot be read. `prediction` is
    no metric: it is the row that `depth_predictions.jsonl` would have, for lmms-eval's log.
    """
    question = Question.from_json(json.loads(doc["asked"]))
    if is_path(question.prompt):
        question = replace(question, prompt=str(folder / TEMPLATES))
    failed = text.startswith(_NO_ANSWER)
    row = Prediction(question, "" if failed else text).to_row()
    if failed:
        row["reason"] = "request failed"
    main = TASKS[question.task].kind.main
    kept = {"task": row["task"], "value": row["value"], "target": row["target"]}
    items: dict[str, Any] = {
        metric: {"metric": metric, **kept} for metric in metrics_of(question.task)
    }
    items[main] |= {"score": score_rows([row])[main], "image": row["image"]}
    return {**items, REQUEST_FAILURES: float(failed), "prediction": row}


def aggregate(items: Sequence[Mapping[str, Any]]) -> float:
    """Return a metric of all answers of a task; NaN where none could be read and it needs that."""
    rows = [cast(PredictionRow, {"dataset": "", **item}) for item in items]
    return float(score_rows(rows).get(items[0]["metric"], math.nan))


def metrics_of(task: str) -> dict[str, bool]:
    """Return the names of a task's metrics, and of each whether more is better."""
    value, unit = cell_of(TASKS[task].example), TASKS[task].unit
    right: PredictionRow = {
        "dataset": "", "task": task, "unit": unit, "image": "", "value": value, "target": value
    }  # fmt: skip
    not_compared = ("n", *TASKS[task].kind.not_averaged)
    # Of a right answer errors are about 0, and shares are about 1.
    return {
        name: number > 0.5
        for name, number in score_rows([right]).items()
        if name not in not_compared
    }
