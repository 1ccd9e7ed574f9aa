"""The runs next to the published rows of DepthLMBench, and how the two were measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..scoring.intervals import interval
from ..scoring.published import POINTS, PUBLISHED, SETS
from .document import Block, Items, Table, Text
from .gathering import Gathered

_TASK = "depth"

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


def benchmark(runs: Sequence[Gathered]) -> list[Block]:
    """Return the table of delta1 by set, what it cannot say, and how it was measured."""
    found = [run for run in runs if sets_of(run)]
    if not found:
        return [
            Text(
                "None of the datasets is called like a set of DepthLMBench"
                f" ({', '.join(SETS)}), so that published numbers are not comparable and not"
                " shown."
            )
        ]
    subsets = _subsets(found)
    head = ("delta1", *SETS.values(), f"mean of {len(SETS)}", *subsets)
    rows = []
    for run in found:
        rows += [_own(run, subsets), _constant(run, subsets)]
    strong = frozenset(range(0, len(rows), 2))
    rows += [_published(row.name, row.delta1, row.mean, subsets) for row in PUBLISHED]
    caption = (
        "Ours: 95 % intervals in brackets; below, the best constant answer on the same points."
        " The others are published numbers, not measured here. A mean over fewer sets than"
        " all has a column of its own, with the published numbers over the same sets."
    )
    blocks: list[Block] = [Table(head, tuple(rows), caption, strong)]
    blocks += [Text(_spelled(name, sets)) for name, sets in subsets.items()]
    return blocks


def protocol(runs: Sequence[Gathered]) -> list[Block]:
    """Return how the runs and the published numbers were measured, where they differ."""
    found = [run for run in runs if sets_of(run)]
    if not found:
        return []
    general = (
        f"Points: published, {POINTS} a set, picture after picture with a random labelled point"
        f" each time, which may come twice. Here: {_each(found, _points)}; none twice.",
        f"Labels: asked for here: {_each(found, _label)}. The published curation mixes distance and"
        " z, set by set, as the table says.",
        "Whether a run's records repeat published labels (depthlm curate --compat official) or are"
        " ours is said by their data cards, not by predictions: this report cannot tell.",
        "Answers: here one reader reads them all, again for this report; one that it cannot read"
        " is wrong and stays in every denominator. How the published evaluations treat such"
        " answers is not known here.",
        "The table is about DepthLM's curation. On which labels the rows of other methods were"
        " measured is not known here; UniDepthV2 answers with depth maps.",
    )
    head = ("set", "published labels", "published points from", *(run.short for run in found))
    rows = [
        (title, *_OFFICIAL[name], *(_drawn(run, name) for run in found))
        for name, title in SETS.items()
        if any(name in sets_of(run) for run in found)
    ]
    return [Items(general), Table(head, tuple(rows))]


def sets_of(run: Gathered) -> list[str]:
    """Return the sets of DepthLMBench that a run has answers to."""
    return [name for name in SETS if run.part((name, _TASK)) is not None]


def _subsets(runs: Sequence[Gathered]) -> dict[str, list[str]]:
    """Return the sets of runs that have not all, by the names of their columns; one needs none."""
    found: dict[str, list[str]] = {}
    for run in runs:
        sets = sets_of(run)
        if 1 < len(sets) < len(SETS) and sets not in found.values():
            of = "" if run.alone else f" of run {run.number}"
            found[f"mean of {len(sets)} sets{of}"] = sets
    return found


def _own(run: Gathered, subsets: Mapping[str, list[str]]) -> tuple[str, ...]:
    cells = []
    for name in SETS:
        part = run.part((name, _TASK))
        cells.append("-" if part is None else cell(part["metrics"], part["intervals"], "delta1"))
    means = [_mean(run, sets) for sets in (list(SETS), *subsets.values())]
    return (run.label, *cells, *means)


def _mean(run: Gathered, sets: Sequence[str]) -> str:
    """Return a run's mean delta1 over exactly these sets, or that it lacks one of them."""
    if not set(sets) <= set(sets_of(run)):
        return "-"
    tallies = [run.scores.components[name, _TASK].tally for name in sets]
    mean = float(np.mean([tally.metrics()["delta1"] for tally in tallies]))
    replicates = [tally.replicates().get("delta1") for tally in tallies]
    known = [one for one in replicates if one is not None]
    limits = interval(np.mean(known, axis=0)) if len(known) == len(tallies) else None
    return cell({"delta1": mean}, {} if limits is None else {"delta1": limits}, "delta1")


def _constant(run: Gathered, subsets: Mapping[str, list[str]]) -> tuple[str, ...]:
    values = {
        name: part["metrics"]["constant_delta1"]
        for name in SETS
        if (part := run.part((name, _TASK))) is not None
    }
    whole = float(np.mean(list(values.values()))) if len(values) == len(SETS) else None
    return _published(f"{run.short}: best constant", values, whole, subsets)


def _published(
    name: str,
    delta1: Mapping[str, float],
    mean: float | None,
    subsets: Mapping[str, list[str]],
) -> tuple[str, ...]:
    means = [mean] + [
        float(np.mean([delta1[one] for one in sets])) if set(sets) <= delta1.keys() else None
        for sets in subsets.values()
    ]
    cells = [delta1.get(one) for one in SETS] + means
    return (name, *("-" if value is None else f"{value:.3f}" for value in cells))


def cell(metrics: Mapping[str, float], intervals: Mapping[str, Sequence[float]], name: str) -> str:
    """Return a metric as tables show it, with its interval where there is one."""
    if name not in metrics:
        return "-"
    limits = ",\N{NO-BREAK SPACE}".join(map(_number, intervals.get(name, ())))
    return _number(metrics[name]) + (f" [{limits}]" if limits else "")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.4g}"


def _spelled(column: str, sets: Sequence[str]) -> str:
    return f"{column[0].upper()}{column[1:]}: {', '.join(SETS[name] for name in sets)}."


def _each(runs: Sequence[Gathered], said: Callable[[Gathered], str]) -> str:
    """Return what is said of each run: once where it is the same of all."""
    every = {run.number: said(run) for run in runs}
    if len(set(every.values())) == 1:
        return next(iter(every.values()))
    return "; ".join(f"run {number}: {text}" for number, text in every.items())


def _points(run: Gathered) -> str:
    own = run.source.results.get("protocol", {})
    points, seed = own.get("points"), own.get("seed")
    if points is None:
        return "those of the prediction file, however they were chosen"
    return "all" if points == "all" else f"{points} a set at random, seed {seed}"


def _label(run: Gathered) -> str:
    config = run.source.config
    if config is not None:
        return config.label
    kinds = {kind for name in sets_of(run) for kind in run.shown[name, _TASK].kinds}
    return " and ".join(sorted(kinds))


def _drawn(run: Gathered, name: str) -> str:
    part, shown = run.part((name, _TASK)), run.shown.get((name, _TASK))
    if part is None or shown is None:
        return "not run"
    own = run.source.results.get("sets", {}).get(name)
    total = own.get("points") if isinstance(own, Mapping) else None
    of = f" of {total}" if isinstance(total, int) else ""
    kinds = " and ".join(sorted(shown.kinds))
    pictures = f"{len(shown.pictures)}" if shown.pictures.all_seen else f"> {len(shown.pictures)}"
    return f"{part['metrics']['n']}{of} points, {pictures} pictures, labels: {kinds}"
