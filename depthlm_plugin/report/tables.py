"""Tables of a report as rows of texts, runs side by side; templates say what stands around them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..scoring.intervals import interval
from ..scoring.maps import METRICS
from ..scoring.published import PUBLISHED, SETS
from ..scoring.scores import BINS_M, bin_label
from ..tasks import TASKS
from .gather import Key, ScoredRun
from .maps import ScoredMaps
from .texts import shortened

Cells = Sequence[str]
Summary = Mapping[str, Any]  # `metrics` and `intervals`, as `Scores.summary` has them

_NAMES = {
    "parse_failure_rate": "not read, share", "abs_rel": "AbsRel", "sq_rel": "SqRel", "mae": "MAE",
    "rmse": "RMSE", "rmse_log": "RMSE-log", "silog": "SILog",
    "constant_m": "the best constant answer", "constant_delta1": "delta1 of the best constant",
    "constant_accuracy": "accuracy of the best constant",
}  # fmt: skip
_OF_SLICES = ("n", "delta1", "abs_rel", "parse_failure_rate")

# Set -> labels and points of DepthLM's published curation (for iBims-1: of the published file).
_OFFICIAL = {
    "argoverse2": ("distance", "the first two logs of the folder that it is given"),
    "ddad": ("z; of several lidar points on a pixel the last", "val"),
    "nuscenes": ("z, lidar not moved to the camera's time", "the last 5 % of mini, 126 pictures"),
    "eth3d": ("distance, part of the lens undone", "all pictures, 10 px from the border"),
    "scannetpp": ("neither distance nor z: a slip in its formula", "the last 2 % of its lines"),
    "sunrgbd": ("distance at 0.8 of its length", "all pictures but NYU's, train and test"),
    "ibims1": ("z", "100 pictures, 10 px from the border"),
    "nyuv2": ("distance at 0.8 of its length", "all 1449 pictures, not the 654 of test"),
}


class Table(NamedTuple):
    """Rows of cells (R, C) below the names of the columns (C,); the first column names the row."""

    head: Cells
    rows: Sequence[Cells]
    strong: Container[int] = ()  # the rows to look at


def whole_maps(maps: Sequence[ScoredMaps]) -> Table:
    """Return the scores of depth maps, a row for each metric that one of them has."""
    rows = []
    for metric, words in METRICS.items():
        if any(metric in one.mean for one in maps):
            cells = []
            for one in maps:
                span = one.intervals.get(metric)
                between = "" if span is None else f" [{span[0]:.3f}, {span[1]:.3f}]"
                known = metric in one.mean
                cells.append(f"{one.mean[metric]:.3f}{between}" if known else "-")
            rows.append((_NAMES.get(metric, metric), *cells, words))
    head = (f"{shortened(one.name)}, {one.maps} map{'s'[: one.maps != 1]}" for one in maps)
    return Table(("depth maps", *head, "what it is"), rows)


def about(runs: Sequence[ScoredRun]) -> Table:
    """Return what was run, how it was asked, and how many of its rows were scored."""
    rows = []
    for run in runs:
        results, config = run.source.results, run.source.config
        asked, points = "not said", "not said"
        if config is not None:
            mark = "" if config.reference == "text" else f" {config.marker} {config.marker_px} px"
            asked = f"{config.label}, f = {config.focal_px:g} px, {config.reference}{mark}"
        if (own := results.get("protocol", {})).get("points") is not None:
            points = f"{own['points']} a set at random, seed {own.get('seed')}"
            points = "all" if own["points"] == "all" else points
        names = (str(results.get(key) or "-") for key in ("model", "adapter"))
        file = shortened(str(run.source.path), 200)
        rows.append((run.label, *map(shortened, names), asked, points, run.said, file))
    return Table(("run", "model", "adapter", "asked", "points", "rows", "file"), rows)


def overview(runs: Sequence[ScoredRun]) -> Table:
    """Return the main metric of every dataset and task of every run, and the means."""
    rows: list[Cells] = []
    strong = set()
    for run in runs:
        lines = [(shortened(name), task, own) for (name, task), own in run.components.items()]
        if len(lines) > 1:
            strong.add(len(rows) + len(lines))
            names, tasks = (sorted({key[place] for key in run.components}) for place in (0, 1))
            mean = f"mean of {len(names)} dataset" + ("s" if len(names) > 1 else "")
            task = tasks[0] if len(tasks) == 1 else f"mean of {len(tasks)} tasks"
            lines.append((mean, task, run.summary))
        for name, task, scores in lines:
            kind = TASKS[task].kind if task in TASKS else None
            main, constant = (kind.main, kind.constant) if kind else ("score", None)
            plain = {"metrics": scores["metrics"], "intervals": {}}
            others = [cell(plain, other or "") for other in (constant, "parse_failure_rate")]
            n, value = cell(scores, "n"), cell(scores, main)
            rows.append((run.label, name, task, n, main, value, *others))
    head = ("run", "dataset", "task", "n", "metric", "value", "best constant", "not read")
    return Table(head, rows, strong)


def metrics(runs: Sequence[ScoredRun], key: Key) -> Table:
    """Return every metric of some runs, with intervals."""
    every = [run.components[key] for run in runs]
    first = ("n", "parse_failure_rate")  # every task has them
    names = dict.fromkeys([*first, *(name for scores in every for name in scores["metrics"])])
    rows = [(_NAMES.get(name, name), *(cell(scores, name) for scores in every)) for name in names]
    return Table(("metric", *(run.label for run in runs)), rows)


def slices(runs: Sequence[ScoredRun], key: Key, by: str, title: str, unit: str = "") -> Table:
    """Return the scores of the slices of `Scores.summary` called `by`, by their labels."""
    every = [(run, run.components[key].get(by, {})) for run in runs]
    labels = dict.fromkeys(bin_label(index) for index in range(len(BINS_M) - 1))
    labels |= dict.fromkeys(sorted(label for _, found in every for label in found))
    rows = [
        (f"{label}{unit}", run.label, *(cell(found[label], name) for name in _OF_SLICES))
        for label in labels
        for run, found in every
        if label in found
    ]
    return Table((title, "run", *(_NAMES.get(name, name) for name in _OF_SLICES)), rows)


def curves(runs: Sequence[ScoredRun], key: Key) -> dict[str, Mapping[str, Summary]]:
    """Return the scores of each run by the distance bin's label, for plots."""
    every = {run.short: run.components[key].get("by_distance_m") for run in runs}
    return {name: found for name, found in every.items() if found}


def habits(runs: Sequence[ScoredRun], key: Key) -> tuple[Table, Table]:
    """Return which answers are commonest, and their digits of hundredths."""
    common: list[Cells] = []
    digits: list[Cells] = []
    for run in runs:
        if found := run.components[key].get("habits"):
            often = ", ".join(f"{value:g} ({share:.1%})" for value, share in found["commonest"])
            off = f"{found['end_digits_off']:.3f}"
            common.append((run.label, str(found["distinct"]), often, off))
            for name, shares in ((run.label, "end_digits"), ("its truth", "end_digits_true")):
                digits.append((name, *(f"{100 * share:.1f}" for share in found[shares])))
    head = ("run", "different answers", "the commonest", "last digits off")
    return Table(head, common), Table(("digit of hundredths", *map(str, range(10))), digits)


def sets_of(run: ScoredRun) -> list[str]:
    """Return the sets of DepthLMBench that a run has answers to."""
    return [name for name in SETS if (name, "depth") in run.components]


def subsets(runs: Sequence[ScoredRun]) -> dict[str, list[str]]:
    """Return the sets of runs that have not all, by the names of their columns; one needs none."""
    found: dict[str, list[str]] = {}
    for run in runs:
        sets = sets_of(run)
        if 1 < len(sets) < len(SETS) and sets not in found.values():
            of = "" if run.number is None else f" of run {run.number}"
            found[f"mean of {len(sets)} sets{of}"] = sets
    return found


def benchmark(runs: Sequence[ScoredRun]) -> Table:
    """Return delta1 by set: of the runs, of the best constant answers, and as published."""
    partial = subsets(runs)
    columns = [*([name] for name in SETS), list(SETS), *partial.values()]
    rows: list[Cells] = []
    for run in runs:
        own = {name: run.components[name, "depth"]["metrics"] for name in sets_of(run)}
        constant = {name: found["constant_delta1"] for name, found in own.items()}
        rows.append((run.label, *(_delta1(run, sets) for sets in columns)))
        rows.append((f"{run.short}: best constant", *(_mean(constant, sets) for sets in columns)))
    strong = range(0, len(rows), 2)
    for row in PUBLISHED:
        cells = [_mean(row.delta1, sets) for sets in columns]
        cells[len(SETS)] = "-" if row.mean is None else _number(row.mean)  # as it was rounded
        rows.append((row.name, *cells))
    return Table(("delta1", *SETS.values(), f"mean of {len(SETS)}", *partial), rows, strong)


def _delta1(run: ScoredRun, sets: Sequence[str]) -> str:
    """Return a run's mean delta1 over exactly these sets, or that it lacks one of them."""
    if not set(sets) <= set(sets_of(run)):
        return "-"
    mean = np.mean([run.components[name, "depth"]["metrics"]["delta1"] for name in sets])
    every = [run.scores.components[name, "depth"].tally.replicates().get("delta1") for name in sets]
    known = [replicates for replicates in every if replicates is not None]
    limits = interval(np.mean(known, axis=0)) if len(known) == len(sets) else None
    return cell({"metrics": {"delta1": mean}, "intervals": {"delta1": limits or ()}}, "delta1")


def _mean(delta1: Mapping[str, float], sets: Sequence[str]) -> str:
    known = set(sets) <= delta1.keys()
    return _number(float(np.mean([delta1[name] for name in sets]))) if known else "-"


def protocol(runs: Sequence[ScoredRun]) -> Table:
    """Return which points and labels of each set the published numbers and the runs are about."""
    every = {name for run in runs for name in sets_of(run)}
    rows = [
        (title, *_OFFICIAL[name], *(_answered(run, name) for run in runs))
        for name, title in SETS.items()
        if name in every
    ]
    head = ("set", "published labels", "published points from", *(run.short for run in runs))
    return Table(head, rows)


def _answered(run: ScoredRun, name: str) -> str:
    if name not in sets_of(run):
        return "not run"
    samples = run.samples[name, "depth"]
    own = run.source.results.get("sets", {}).get(name)
    total = own.get("points") if isinstance(own, Mapping) else None
    of = f" of {total}" if isinstance(total, int) else ""
    more = "" if samples.pictures.all_seen else "> "
    kinds = " and ".join(sorted(samples.kinds))
    return f"{samples.n}{of} points, {more}{len(samples.pictures)} pictures, labels: {kinds}"


def cell(scores: Summary, name: str) -> str:
    """Return a metric as tables show it, with its interval where there is one."""
    value = scores["metrics"].get(name)
    if value is None or name == "n":
        return "-" if value is None else str(int(value))
    limits = ",\N{NO-BREAK SPACE}".join(map(_number, scores["intervals"].get(name, ())))
    return _number(value) + (f" [{limits}]" if limits else "")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"
