"""The scores of one dataset and task, runs side by side: tables and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ..scoring.scores import BINS_M, bin_label
from ..tasks import TASKS
from .benchmark import cell
from .document import Block, Figure, Figures, Picture, Table, Text
from .gathering import Gathered, Key
from .pictures import Album

_NAMES = {
    "parse_failure_rate": "not read, share",
    "abs_rel": "AbsRel",
    "sq_rel": "SqRel",
    "mae": "MAE",
    "rmse": "RMSE",
    "rmse_log": "RMSE-log",
    "log10": "log10",
    "silog": "SILog",
    "constant_delta1": "delta1 of the best constant",
    "constant_m": "the best constant answer",
    "constant_accuracy": "accuracy of the best constant",
}
_FIRST = ("n", "parse_failure_rate")  # every task has them
_SLICE_HEAD = ("n", "delta1", "AbsRel", "not read, share")


def metrics(runs: Sequence[Gathered], key: Key) -> Block:
    """Return every metric of some runs, with intervals."""
    parts = [(run, part) for run in runs if (part := run.part(key)) is not None]
    names = list(dict.fromkeys(name for _, part in parts for name in part["metrics"]))
    names = [*_FIRST, *(name for name in names if name not in _FIRST)]
    rows = [(_NAMES.get(name, name), *(_metric(part, name) for _, part in parts)) for name in names]
    return Table(
        ("metric", *(run.label for run, _ in parts)),
        tuple(rows),
        "95 % intervals in brackets. An answer that could not be read is wrong (delta1 to delta3,"
        " accuracy, ...); errors are means over the others." + _units(key[1]),
    )


def by_distance(runs: Sequence[Gathered], key: Key, album: Album) -> list[Block]:
    """Return delta1 and AbsRel by distance: curves, and the same as a table."""
    curves = [(run, run.part(key) or {}) for run in runs]
    curves = [(run, part["by_distance_m"]) for run, part in curves if part.get("by_distance_m")]
    if not curves:
        return []
    every = [bin_label(index) for index in range(len(BINS_M) - 1)]
    rows = [
        (f"{label} m", run.label, *_slice(slices[label]))
        for label in every
        for run, slices in curves
        if label in slices
    ]
    plotted = [(run.short, found) for run, found in curves]
    figures = tuple(
        Figure(
            partial(_bins, plotted, metric, title, album),
            f"{title} by true distance",
            f"{title} by true distance with 95 % intervals, {_of(runs)}. Bins hold their lower"
            " edge.",
        )
        for metric, title in (("delta1", "delta1"), ("abs_rel", "AbsRel"))
    )
    table = Table(("true distance", "run", *_SLICE_HEAD), tuple(rows))
    return [Figures(figures), table]


def slices(runs: Sequence[Gathered], key: Key) -> list[Block]:
    """Return the scores beside depth edges and elsewhere, and of both readings of answers."""
    blocks: list[Block] = []
    for name, what, caption in (
        (
            "by_edge",
            "points",
            "Points beside a depth edge (edge) and others (interior), as the records say.",
        ),
        (
            "read_as",
            "read as",
            "Every answer taken as a distance to the camera, and as z along its axis, whatever was"
            " asked: a model that answers the other one has the higher delta1 there.",
        ),
    ):
        rows = [
            (label, run.label, *_slice(found))
            for run in runs
            for label, found in sorted((run.part(key) or {}).get(name, {}).items())
        ]
        if rows:
            blocks.append(Table((what, "run", *_SLICE_HEAD), tuple(rows), caption))
    return blocks


def scatter(runs: Sequence[Gathered], key: Key, album: Album, seed: int) -> list[Block]:
    """Return answers against the truth, a plot for each run."""
    figures = []
    for run in runs:
        shown = run.shown[key]
        if shown.scattered.items:
            figures.append(_scatter(run, key, album, seed))
    return [Figures(tuple(figures))] if figures else [Text("No answer could be read: no plot.")]


def habits(runs: Sequence[Gathered], key: Key) -> list[Block]:
    """Return which answers are commonest, and their digits of hundredths."""
    found = [(run, (run.part(key) or {}).get("habits")) for run in runs]
    said = [(run, own) for run, own in found if own]
    if not said:
        return []
    common = [
        (
            run.label,
            str(own["distinct"]),
            ", ".join(f"{value:g} ({share:.1%})" for value, share in own["commonest"]),
            f"{own['end_digits_off']:.3f}",
        )
        for run, own in said
    ]
    digits = [
        (name, *(f"{100 * share:.1f}" for share in own[shares]))
        for run, own in said
        for name, shares in ((run.label, "end_digits"), ("its truth", "end_digits_true"))
    ]
    return [
        Table(("run", "different answers", "the commonest", "last digits off"), tuple(common)),
        Table(
            ("digit of hundredths", *map(str, range(10))),
            tuple(digits),
            "Share of read answers, in per cent, whose second digit after the point it is. Last"
            " digits off, above, is the total variation distance from the truth's: 0 is alike.",
        ),
    ]


def _scatter(run: Gathered, key: Key, album: Album, seed: int) -> Figure:
    shown = run.shown[key]
    points, read = shown.scattered.items, shown.scattered.seen
    count = f"all {read}" if read == len(points) else f"{len(points)} of {read}"
    drawn = "" if read == len(points) else f", drawn at random with seed {seed}"
    truths = [truth for truth, _ in points]
    low, high = min(truths) / 2, max(truths) * 2
    outside = sum(not low <= answer <= high for _, answer in points)
    beyond = f"; {outside} beyond the plot are triangles at its edge" if outside else ""
    return Figure(
        partial(_plot, points, (low, high), album),
        f"Answers of {run.short} against the truth, both axes logarithmic",
        f"{run.short}: {count} answers that could be read{drawn}{beyond}; {shown.reasons.total()}"
        " could not be read. The band is delta1.",
    )


def _plot(
    points: Sequence[tuple[float, float]], range_m: tuple[float, float], album: Album
) -> Picture:
    from .plots import scatter_png  # matplotlib takes a second

    return album.embed(scatter_png(points, range_m), "image/png")


def _bins(
    curves: Sequence[tuple[str, Mapping[str, Any]]], metric: str, title: str, album: Album
) -> Picture:
    from .plots import Curve, bins_svg

    svg = bins_svg([Curve(*one) for one in curves], metric, title)
    return album.embed(svg, "image/svg+xml")


def _units(task: str) -> str:
    note = TASKS[task].kind.note.format(unit=TASKS[task].unit)
    return f" {note}" if note else ""


def _metric(part: Mapping[str, Any], name: str) -> str:
    value = part["metrics"].get(name)
    return str(int(value)) if name == "n" else cell(part["metrics"], part["intervals"], name)


def _slice(found: Mapping[str, Any]) -> tuple[str, ...]:
    own, limits = found["metrics"], found["intervals"]
    return (
        str(int(own["n"])),
        *(cell(own, limits, name) for name in ("delta1", "abs_rel", "parse_failure_rate")),
    )


def _of(runs: Sequence[Gathered]) -> str:
    return ", ".join(run.short for run in runs)
