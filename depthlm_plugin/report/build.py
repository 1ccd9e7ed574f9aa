"""A report's content, from runs that were read."""

from __future__ import annotations

from collections.abc import Sequence

from .. import __version__
from ..scoring.intervals import LEVEL, RESAMPLES
from ..tasks import TASKS
from .benchmark import benchmark, cell, protocol
from .document import Block, Document, Section, Table, Text, shortened
from .examples import error_maps, samples, unread
from .gathering import Gathered, Key, is_depth
from .parts import by_distance, habits, metrics, scatter, slices
from .pictures import Album


def build(runs: Sequence[Gathered], album: Album, seed: int) -> Document:
    """Return the report of some runs.

    Args:
        runs: They, in the order of their numbers.
        album: Takes the pictures, which are drawn when they are asked for.
        seed: Of what was drawn at random.
    """
    names = ", ".join(shortened(run.source.name) for run in runs)
    keys = sorted({key for run in runs for key in run.shown})
    sections = [Section("DepthLMBench", benchmark(runs))]
    differences = protocol(runs)
    if differences:
        sections.append(Section("How the published numbers differ", differences))
    sections.append(Section("All scores", _overview(runs)))
    sections += [_section(runs, key, album, seed) for key in keys]
    footer = (
        f"depthlm-plugin {__version__}, seed {seed}. Intervals: {LEVEL:.0%}, bootstrap over"
        f" pictures, {RESAMPLES} resamples. Nothing in this file is loaded from elsewhere."
    )
    return Document(f"depthlm report: {names}", tuple(_head(runs)), tuple(sections), footer)


def _head(runs: Sequence[Gathered]) -> list[Block]:
    """Return what was run, and what is missing of it."""
    head = ("run", "model", "adapter", "asked", "rows", "file")
    blocks: list[Block] = [Table(head, tuple(_described(run) for run in runs))]
    for run in runs:
        for problem in run.problems:
            blocks.append(Text(f"{run.label}: {problem}", warning=True))
        blocks += [
            Text(f"{run.short}: {shortened(row, 400)}", warning=True) for row in run.bad_rows
        ]
    return blocks


def _described(run: Gathered) -> tuple[str, ...]:
    results, config = run.source.results, run.source.config
    asked = "not said" if config is None else (
        f"{config.label}, f = {config.focal_px:g} px, {config.reference}"
        + (f" {config.marker} {config.marker_px} px" if config.reference != "text" else "")
    )  # fmt: skip
    model, adapter = (shortened(str(results.get(key) or "-")) for key in ("model", "adapter"))
    return run.label, model, adapter, asked, run.said, shortened(str(run.source.path), 200)


def _overview(runs: Sequence[Gathered]) -> list[Block]:
    """Return the main metric of every dataset and task of every run, and the means."""
    rows: list[tuple[str, ...]] = []
    strong = set()
    for run in runs:
        parts = run.summary["parts"]
        for part in parts:
            kind, own = TASKS[part["task"]].kind, part["metrics"]
            rows.append(
                (
                    run.label,
                    shortened(part["dataset"]),
                    part["task"],
                    str(int(own["n"])),
                    kind.main,
                    cell(own, part["intervals"], kind.main),
                    cell(own, {}, kind.constant or ""),
                    cell(own, {}, "parse_failure_rate"),
                )
            )
        if len(parts) > 1:
            strong.add(len(rows))
            rows.append(_mean(run))
    head = ("run", "dataset", "task", "n", "metric", "value", "best constant", "not read")
    return [Table(head, tuple(rows), strong=frozenset(strong))]


def _mean(run: Gathered) -> tuple[str, ...]:
    summary = run.summary
    tasks = sorted({part["task"] for part in summary["parts"]})
    datasets = len({part["dataset"] for part in summary["parts"]})
    kind = TASKS[tasks[0]].kind if len(tasks) == 1 else None
    main = "score" if kind is None else kind.main
    constant = None if kind is None else kind.constant
    return (
        run.label,
        f"mean of {datasets} dataset" + ("s" if datasets > 1 else ""),
        tasks[0] if len(tasks) == 1 else f"mean of {len(tasks)} tasks",
        str(int(summary["metrics"]["n"])),
        main,
        cell(summary["metrics"], summary["intervals"], main),
        cell(summary["metrics"], {}, constant or ""),
        cell(summary["metrics"], {}, "parse_failure_rate"),
    )


def _section(runs: Sequence[Gathered], key: Key, album: Album, seed: int) -> Section:
    dataset, task = key
    own = [run for run in runs if key in run.shown]
    blocks = [metrics(own, key)]
    if is_depth(task):
        blocks += by_distance(own, key, album)
        blocks += slices(own, key)
        blocks += scatter(own, key, album, seed)
        blocks += habits(own, key)
        for run in own:
            blocks += error_maps(run, key, album)
            blocks += samples(run, key, album)
    for run in own:
        blocks += unread(run, key)
    return Section(f"{shortened(dataset)}, {task}", blocks)
