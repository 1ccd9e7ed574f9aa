"""Scores of prediction rows: by dataset and task, and of parts of them, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError
from ..geometry.arrays import Floats
from ..geometry.camera import DEPTH_KINDS
from ..language.units import asked_unit
from ..tasks import TASKS
from .intervals import interval, picture_keys, weights
from .ratio import mean_over
from .repetition import Habits
from .scorer import SCORERS, Scorer
from .tally import Tally

BINS_M = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, math.inf)
"""Edges of the distance bins, metres: each holds its lower edge."""

Metrics = dict[str, float]
Intervals = dict[str, tuple[float, float]]

_BATCH = 2048  # rows that are added up at a time
_METRE = asked_unit("m")


@dataclass
class Part:
    """The answers of one dataset and task.

    Attributes:
        tally: All of them.
        slices: Parts of them: `by_distance_m`, `by_edge` (beside a depth edge or not, where the
            records say it) and `read_as` (every answer taken as a distance, and as z), each by
            label. What rows do not say is not there.
        habits: Of answers with one number.
    """

    tally: Tally
    slices: dict[str, dict[str, Tally]] = field(default_factory=dict)
    habits: Habits | None = None


class Scores:
    """Scores of any number of prediction rows, in memory that does not grow with them.

    Rows are mappings with `dataset`, `task`, `target` and `value` (None: unread), as
    `predictions.Prediction.to_row` makes them; what else they say adds slices. `image` says which
    answers share a picture; where it is missing every answer has its own.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.parts: dict[tuple[str, str], Part] = {}
        self._waiting: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        self._unnamed = 0
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one row."""
        key = row["dataset"], row["task"]
        waiting = self._waiting.setdefault(key, [])
        waiting.append(row)
        if len(waiting) == _BATCH:
            self._flush(key)

    @property
    def n(self) -> int:
        """Rows so far."""
        return sum(part.tally.n for part in self.parts.values()) + sum(
            map(len, self._waiting.values())
        )

    def metrics(self) -> Metrics:
        """Return the metrics by name; which ones a task has is said in `scoring`.

        One dataset and one task: their metrics. Otherwise each dataset's and task's under
        `<dataset>_<task>_<metric>`, where a part that is the same for all rows is left out, and

        * one task: the means over datasets under the bare names, as the DepthLM paper averages;
        * several tasks: under `<task>_<metric>` the means over datasets; and under bare names
          `score`, the mean over tasks of each one's main metric (in the paper all are delta1; here
          `depth_order` enters with its accuracy, `relative_pose` with auc_30,
          `point_correspondence` with pck_5); `delta1`, the mean over the tasks whose main metric it
          is, if there are such; `parse_failure_rate`, the mean over tasks.

        Every `n` that stands beside means is a sum. Where a dataset is named so that one of its
        metrics would take the name of another (a dataset `constant` has `constant_delta1`), all of
        its names get a second underscore before the metric.

        Raises:
            DepthLMError: When there are no rows.
        """
        parts = self._scored()
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

    def intervals(self) -> Intervals:
        """Return 95 % intervals of the bare names of `metrics`, from a bootstrap over pictures.

        Where there are several datasets, those of the means over them. Empty for several tasks.
        """
        parts = self._all()
        if len({task for _, task in parts}) > 1:
            return {}
        every = [part.tally.replicates() for part in parts.values()]
        return _intervals({name: _mean(every, name) for name in _shared(every)})

    def summary(self) -> dict[str, Any]:
        """Return everything as plain data.

        `metrics` and `intervals` of all rows, `parts`: of each dataset and task `dataset`, `task`,
        `metrics`, `intervals`, `habits` and, by label, the `metrics` and `intervals` of its slices.
        """
        return {
            "metrics": self.metrics(),
            "intervals": self.intervals(),
            "parts": [
                {
                    "dataset": dataset,
                    "task": task,
                    **_of_tally(part.tally),
                    **({} if part.habits is None else {"habits": part.habits.summary()}),
                    **{
                        name: {label: _of_tally(tally) for label, tally in slices.items()}
                        for name, slices in part.slices.items()
                    },
                }
                for (dataset, task), part in self._all().items()
            ],
        }

    def _all(self) -> dict[tuple[str, str], Part]:
        """Return the parts by name, so that the order of rows says nothing."""
        for key in list(self._waiting):
            self._flush(key)
        if not self.parts:
            raise DepthLMError(
                "there are no predictions to score; was the evaluation dataset empty?"
            )
        return {key: self.parts[key] for key in sorted(self.parts)}

    def _scored(self) -> dict[tuple[str, str], Metrics]:
        return {key: part.tally.metrics() for key, part in self._all().items()}

    def _flush(self, key: tuple[str, str]) -> None:
        """Add the waiting rows of one dataset and task to its tallies."""
        rows = self._waiting.pop(key, [])
        if not rows:
            return
        dataset, task = key
        scorer = scorer_of(task)
        part = self.parts.setdefault(key, Part(Tally(scorer)))
        names = [f"{dataset}\n{self._picture(row)}" for row in rows]
        keys, cluster = np.unique(picture_keys(names), return_inverse=True)
        drawn = weights(keys).astype(np.float64)
        predicted = _columns(task, [row["value"] for row in rows])
        true = _columns(task, [row["target"] for row in rows])
        measured = scorer.measure(predicted, true)

        def add(tally: Tally, found: dict[str, Floats], which: NDArray[np.bool_]) -> None:
            chosen = {name: values[which] for name, values in found.items()}
            present, own = np.unique(cluster[which], return_inverse=True)
            tally.add(chosen, own, keys[present], drawn[present])

        add(part.tally, measured, np.ones(len(rows), dtype=np.bool_))
        for (name, label), which in _slices(task, rows, true).items():
            add(_slice(part, name, label, scorer), measured, which)
        for kind, (targets, which) in _readings(task, rows, true).items():
            found = scorer.measure(predicted, {"value": targets})
            add(_slice(part, "read_as", kind, scorer), found, which)
        if TASKS[task].scoring == "ratio":
            part.habits = part.habits or Habits()
            part.habits.add(predicted["value"], true["value"])

    def _picture(self, row: Mapping[str, Any]) -> str:
        image = row.get("image")
        if image is not None:
            return str(image)
        self._unnamed += 1
        return f"\n{self._unnamed}"


def score_rows(rows: Sequence[Mapping[str, Any]]) -> Metrics:
    """Return the metrics of prediction rows: see `Scores.metrics`."""
    return Scores(rows).metrics()


def scorer_of(task: str) -> Scorer:
    """Return how answers of a task are scored."""
    return SCORERS[TASKS[task].scoring]


def finite(value: Any) -> Any:
    """Return plain data with None for numbers that JSON cannot hold: an error beyond all floats."""
    if isinstance(value, Mapping):
        return {key: finite(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


def _slices(
    task: str, rows: Sequence[Mapping[str, Any]], true: Mapping[str, Floats]
) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Return which rows (N,) belong to which slice, by its name and label; none is empty."""
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    units = [asked_unit(str(row.get("unit", "m"))) for row in rows]
    if TASKS[task].scoring == "ratio" and all(unit.kind == _METRE.kind for unit in units):
        distance_m = true["value"] * np.array([unit.size for unit in units]) / _METRE.size
        bins = np.searchsorted(BINS_M, distance_m, side="right") - 1
        for index in np.unique(bins):
            found["by_distance_m", bin_label(index)] = bins == index
    edges = [row.get("at_edge") for row in rows]
    for value, label in ((True, "edge"), (False, "interior")):
        if value in edges:
            found["by_edge", label] = np.array([edge is value for edge in edges])
    return found


def _readings(
    task: str, rows: Sequence[Mapping[str, Any]], true: Mapping[str, Floats]
) -> dict[str, tuple[Floats, NDArray[np.bool_]]]:
    """Return the truth (N,) that answers have as distance and as z, and which rows (N,) say it."""
    kinds = np.array([row.get("depth_kind") or "" for row in rows])
    factors = np.array([row.get("distance_over_z") or math.nan for row in rows], np.float64)
    known = np.isin(kinds, DEPTH_KINDS) & np.isfinite(factors)
    if TASKS[task].scoring != "ratio" or not known.any():
        return {}
    factors = np.where(known, factors, 1.0)
    z_m = np.where(kinds == "distance", true["value"] / factors, true["value"])
    return {"distance": (z_m * factors, known), "z": (z_m, known)}


def bin_label(index: int) -> str:
    """Return the name of a distance bin: `2-5`, or `80-` for the last."""
    low, high = BINS_M[index : index + 2]
    return f"{low:g}-" + ("" if high == math.inf else f"{high:g}")


def _slice(part: Part, name: str, label: str, scorer: Scorer) -> Tally:
    return part.slices.setdefault(name, {}).setdefault(label, Tally(scorer, whole=False))


def _of_tally(tally: Tally) -> dict[str, Any]:
    return {"metrics": tally.metrics(), "intervals": _intervals(tally.replicates())}


def _intervals(replicates: Mapping[str, Floats]) -> Intervals:
    found = {name: interval(values) for name, values in replicates.items()}
    return {name: limits for name, limits in found.items() if limits is not None}


def _shared(every: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in every[0] if all(name in one for one in every)]


def _mean(every: Sequence[Mapping[str, Floats]], name: str) -> Floats:
    result: Floats = np.mean([one[name] for one in every], axis=0)
    return result


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
    mains = {task: part[scorer_of(task).main] for task, part in means.items()}
    delta1 = [value for task, value in mains.items() if scorer_of(task).main == "delta1"]
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
