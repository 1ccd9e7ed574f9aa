"""Scores of prediction rows: by dataset and task, and of slices of them, with intervals."""

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
from ..kinds.kind import AnswerKind
from ..kinds.units import asked_unit
from ..tasks import TASKS
from .coverage import Coverage
from .intervals import interval, picture_keys, weights
from .prediction import Cell, PredictionRow, values_of
from .repetition import Habits
from .tally import Tally

BINS_M = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, math.inf)
"""Edges of the distance bins, metres: each holds its lower edge."""

Metrics = dict[str, float]
Which = NDArray[np.bool_]  # of some rows (N,)
Intervals = dict[str, tuple[float, float]]

_BATCH = 2048  # rows that are added up at a time
_METRE = asked_unit("m")


@dataclass
class Component:
    """The answers of one dataset and task.

    Attributes:
        tally: All of them.
        slices: Some of them: `by_distance_m`, `by_edge` (beside a depth edge or not, where the
            records say it) and `read_as` (every answer taken as a distance, and as z), each by
            label. What rows do not say is not there.
        habits: Of answers with one number.
        coverage: Of answers that came with intervals, if any did.
    """

    tally: Tally
    slices: dict[str, dict[str, Tally]] = field(default_factory=dict)
    habits: Habits | None = None
    coverage: Coverage | None = None

    def summary(self) -> dict[str, Any]:
        """Return the metrics and intervals of all answers and of each slice, and the habits."""
        return {
            **_of_tally(self.tally),
            **({} if self.habits is None else {"habits": self.habits.summary()}),
            **({} if self.coverage is None else {"coverage": self.coverage.summary()}),
            **{
                name: {label: _of_tally(tally) for label, tally in slices.items()}
                for name, slices in self.slices.items()
            },
        }


class Scores:
    """Scores of any number of prediction rows, in memory that does not grow with them.

    What rows need not say adds slices. `image` says which answers share a picture; where it is
    missing every answer has its own.

    Attributes:
        components: By dataset and task.
    """

    def __init__(self, rows: Iterable[PredictionRow] = ()) -> None:
        self.components: dict[tuple[str, str], Component] = {}
        self._waiting: dict[tuple[str, str], list[PredictionRow]] = {}
        self._unnamed = 0
        for row in rows:
            self.add(row)

    def add(self, row: PredictionRow) -> None:
        """Add one row."""
        key = row["dataset"], row["task"]
        waiting = self._waiting.setdefault(key, [])
        waiting.append(row)
        if len(waiting) == _BATCH:
            self._flush(key)

    @property
    def n(self) -> int:
        """Rows so far."""
        added = sum(component.tally.n for component in self.components.values())
        return added + sum(map(len, self._waiting.values()))

    def metrics(self) -> Metrics:
        """Return the metrics by name; which ones a task has is said by its kind.

        One dataset and one task: their metrics. Otherwise each dataset's and task's under
        `<dataset>_<task>_<metric>`, where what is the same for all rows is left out, and

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
        scored = {key: component.tally.metrics() for key, component in self._all().items()}
        if len(scored) == 1:
            return next(iter(scored.values()))
        means = _over_datasets(scored)
        metrics = _overall(means)
        several = len({dataset for dataset, _ in scored}) > 1, len(means) > 1
        if all(several):
            for task, added in means.items():
                _add(metrics, task, added)
        for names, added in scored.items():
            _add(metrics, "_".join(compress(names, several)), added)
        return metrics

    def intervals(self) -> Intervals:
        """Return 95 % intervals of the bare names of `metrics`, from a bootstrap over pictures.

        Where there are several datasets, those of the means over them. Empty for several tasks.
        """
        components = self._all()
        if len({task for _, task in components}) > 1:
            return {}
        every = [component.tally.replicates() for component in components.values()]
        return _intervals({name: _mean(every, name) for name in _shared(every)})

    def summary(self) -> dict[str, Any]:
        """Return everything as plain data.

        `metrics` and `intervals` of all rows, `parts`: of each dataset and task `dataset`, `task`,
        `metrics`, `intervals`, `habits`, `coverage` and, by label, the `metrics` and `intervals` of
        its slices.
        """
        return {
            "metrics": self.metrics(),
            "intervals": self.intervals(),
            "parts": [
                {
                    "dataset": dataset,
                    "task": task,
                    **component.summary(),
                }
                for (dataset, task), component in self._all().items()
            ],
        }

    def _all(self) -> dict[tuple[str, str], Component]:
        """Return the components by name, so that the order of rows says nothing."""
        for key in list(self._waiting):
            self._flush(key)
        if not self.components:
            raise DepthLMError(
                "there are no predictions to score; was the evaluation dataset empty?"
            )
        return {key: self.components[key] for key in sorted(self.components)}

    def _flush(self, key: tuple[str, str]) -> None:
        """Add the waiting rows of one dataset and task to its tallies."""
        rows = self._waiting.pop(key, [])
        if not rows:
            return
        dataset, task = key
        kind = TASKS[task].kind
        component = self.components.setdefault(key, Component(Tally(kind)))
        names = [f"{dataset}\n{self._picture(row)}" for row in rows]
        keys, cluster = np.unique(picture_keys(names), return_inverse=True)
        drawn = weights(keys).astype(np.float64)
        predicted = _columns(task, [row["value"] for row in rows])
        true = _columns(task, [row["target"] for row in rows])
        measured = kind.measure(predicted, true)

        def add(tally: Tally, found: Mapping[str, Floats], which: Which) -> None:
            chosen = {name: values[which] for name, values in found.items()}
            present, own = np.unique(cluster[which], return_inverse=True)
            tally.add(chosen, own, keys[present], drawn[present])

        def add_slice(name: str, label: str, found: Mapping[str, Floats], which: Which) -> None:
            slices = component.slices.setdefault(name, {})
            add(slices.setdefault(label, Tally(kind, whole=False)), found, which)

        add(component.tally, measured, np.ones(len(rows), dtype=np.bool_))
        distances = {} if kind.quantity is None else _distances(rows, true[kind.quantity])
        for label, which in distances.items():
            add_slice("by_distance_m", label, measured, which)
        for label, which in _edges(rows).items():
            add_slice("by_edge", label, measured, which)
        if kind.quantity is None:
            return
        for label, (targets, which) in _readings(rows, true[kind.quantity]).items():
            read_so = kind.measure(predicted, {**true, kind.quantity: targets})
            add_slice("read_as", label, read_so, which)
        component.habits = component.habits or Habits()
        component.habits.add(predicted[kind.quantity], true[kind.quantity])
        if any(row.get("distribution") for row in rows):
            low, high = _ends(rows)
            component.coverage = component.coverage or Coverage()
            component.coverage.add(low, high, true[kind.quantity], drawn[cluster], len(keys))

    def _picture(self, row: PredictionRow) -> str:
        image = row.get("image")
        if image is not None:
            return str(image)
        self._unnamed += 1
        return f"\n{self._unnamed}"


def score_rows(rows: Iterable[PredictionRow]) -> Metrics:
    """Return the metrics of prediction rows: see `Scores.metrics`."""
    return Scores(rows).metrics()


def finite(value: Any) -> Any:
    """Return plain data with None for numbers that JSON cannot hold: an error beyond all floats."""
    if isinstance(value, Mapping):
        return {key: finite(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _columns(task: str, cells: Sequence[Cell | None]) -> dict[str, Floats]:
    """Return `value` or `target` of rows as arrays (N,) by placeholder, None as NaN."""
    names = TASKS[task].values
    unread = dict.fromkeys(names, math.nan)
    answers = [unread if cell is None else values_of(cell, task) for cell in cells]
    return {name: np.array([values[name] for values in answers], np.float64) for name in names}


def _edges(rows: Sequence[PredictionRow]) -> dict[str, Which]:
    """Return which rows (N,) say that they are beside a depth edge, and not; none is empty."""
    edges = [row.get("at_edge") for row in rows]
    return {
        label: np.array([edge is value for edge in edges])
        for value, label in ((True, "edge"), (False, "interior"))
        if value in edges
    }


def _distances(rows: Sequence[PredictionRow], targets: Floats) -> dict[str, Which]:
    """Return which rows (N,) are in which distance bin; none is empty, or there are no lengths."""
    units = [asked_unit(str(row.get("unit", "m"))) for row in rows]
    if any(unit.kind != _METRE.kind for unit in units):
        return {}
    distance_m = targets * np.array([unit.size for unit in units]) / _METRE.size
    bins = np.searchsorted(BINS_M, distance_m, side="right") - 1
    return {bin_label(index): bins == index for index in np.unique(bins)}


def _ends(rows: Sequence[PredictionRow]) -> tuple[Floats, Floats]:
    """Return the lower and upper ends (N,) of the 90 % intervals of rows, NaN where none is."""
    nothing = math.nan, math.nan
    found = [(row.get("distribution") or {}).get("interval_90", nothing) for row in rows]
    low, high = np.array(found, dtype=np.float64).T
    return low, high


def _readings(rows: Sequence[PredictionRow], targets: Floats) -> dict[str, tuple[Floats, Which]]:
    """Return the truth (N,) that answers have as distance and as z, and which rows (N,) say it."""
    kinds = np.array([row.get("depth_kind") or "" for row in rows])
    factors = np.array([row.get("distance_over_z") or math.nan for row in rows], np.float64)
    known = np.isin(kinds, DEPTH_KINDS) & np.isfinite(factors)
    if not known.any():
        return {}
    factors = np.where(known, factors, 1.0)
    z_m = np.where(kinds == "distance", targets / factors, targets)
    return {"distance": (z_m * factors, known), "z": (z_m, known)}


def bin_label(index: int) -> str:
    """Return the name of a distance bin: `2-5`, or `80-` for the last."""
    low, high = BINS_M[index : index + 2]
    return f"{low:g}-" + ("" if high == math.inf else f"{high:g}")


def _of_tally(tally: Tally) -> dict[str, Any]:
    return {"metrics": tally.metrics(), "intervals": _intervals(tally.replicates())}


def _intervals(replicates: Mapping[str, Floats]) -> Intervals:
    found = {name: interval(values) for name, values in replicates.items()}
    return {name: limits for name, limits in found.items() if limits is not None}


def _shared(every: Sequence[Mapping[str, Any]]) -> list[str]:
    return [name for name in every[0] if all(name in one for one in every)]


@np.errstate(over="ignore")  # a mean of errors near the largest floats is infinite
def _mean(every: Sequence[Mapping[str, Any]], name: str) -> Floats:
    result: Floats = np.mean([one[name] for one in every], axis=0)
    return result


def mean_over(kind: AnswerKind, datasets: Sequence[Metrics]) -> Metrics:
    """Return the mean of each metric over datasets, as the paper averages; `n` is the sum.

    A metric that one of them lacks is left out, and so are those that the kind does not average.
    """
    names = [name for name in _shared(datasets) if name not in ("n", *kind.not_averaged)]
    means = {name: float(_mean(datasets, name)) for name in names}
    return means | {"n": sum(int(metrics["n"]) for metrics in datasets)}


def _over_datasets(scored: Mapping[tuple[str, str], Metrics]) -> dict[str, Metrics]:
    """Return each task's means over its datasets."""
    by_task: dict[str, list[Metrics]] = {}
    for (_, task), metrics in scored.items():
        by_task.setdefault(task, []).append(metrics)
    return {task: mean_over(TASKS[task].kind, by_task[task]) for task in sorted(by_task)}


def _overall(means: Mapping[str, Metrics]) -> Metrics:
    """Return the metrics of a whole run: the only task's, or what can be said of several."""
    if len(means) == 1:
        return dict(next(iter(means.values())))
    every = list(means.values())
    names = [TASKS[task].kind.main for task in means]
    mains = [metrics[name] for name, metrics in zip(names, every, strict=True)]
    delta1 = [value for name, value in zip(names, mains, strict=True) if name == "delta1"]
    return {
        "score": float(np.mean(mains)),
        **({"delta1": float(np.mean(delta1))} if delta1 else {}),
        "parse_failure_rate": float(_mean(every, "parse_failure_rate")),
        "n": sum(int(metrics["n"]) for metrics in every),
    }


def _add(metrics: Metrics, prefix: str, added: Metrics) -> None:
    """Add metrics under a prefix, with underscores between until no name is taken."""
    prefix += "_"
    while any(f"{prefix}{name}" in metrics for name in added):
        prefix += "_"
    metrics |= {f"{prefix}{name}": value for name, value in added.items()}
