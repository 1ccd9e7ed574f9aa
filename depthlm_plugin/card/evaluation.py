"""Finds the evaluation of a model among the files beside its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import DepthLMError
from ..scoring.files import Finished
from ..scoring.prediction import SIDECAR
from ..scoring.scores import Scores, finite


def evaluation_of(folder: Path, run: str, task: str, prompt: str) -> dict[str, Any] | None:
    """Return the scores (as `brief`) of the largest whole evaluation by these weights, or None.

    Looked at are the predictions in the folder, in those inside it, and in those beside it, such
    as `saves/depthlm_qwen_eval` beside `saves/depthlm_qwen_lora`.

    Args:
        folder: Of the weights.
        run: What names the weights, and what they were shown, in every row that they answered.
        task: A task of the model.
        prompt: Its template.
    """
    found = []
    for path in _files(folder):
        finished = Finished([str(path)], task, prompt)
        scores = Scores()
        try:
            for row in finished:
                if row.get("run") != run:
                    break
                scores.add(row)
            else:
                if finished.good and not finished.counts and not finished.missing:
                    found.append(brief(scores))
        except DepthLMError:
            continue
    return max(found, key=answers, default=None)


def brief(scores: Scores) -> dict[str, Any]:
    """Return scores as a card shows them, as JSON holds them: of each dataset and task."""
    kept = ("dataset", "task", "metrics", "intervals")
    parts = [{key: part[key] for key in kept} for part in scores.summary()["parts"]]
    result: dict[str, Any] = finite({"parts": parts})
    return result


def answers(scores: Mapping[str, Any]) -> int:
    """Return how many answers were scored."""
    return sum(int(part["metrics"]["n"]) for part in scores["parts"])


def _files(folder: Path) -> Iterator[Path]:
    """Yield prediction files, in order, none twice."""
    folder = folder.resolve()
    for pattern in (SIDECAR, f"*/{SIDECAR}"):
        yield from sorted(folder.glob(pattern))
    yield from sorted(path for path in folder.parent.glob(f"*/{SIDECAR}") if path.parent != folder)
