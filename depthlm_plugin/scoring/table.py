"""Scores as plain text in columns."""

from __future__ import annotations

from collections.abc import Sequence

from ..kinds.kind import AnswerKind
from ..tasks import TASKS
from .scores import Intervals, Metrics, Scores

_RIGHT = ("n", "value", "constant", "unread")


INCOMPLETE = "INCOMPLETE"


def table_of(scores: Scores, *, complete: bool = True, mean: str = "mean") -> str:
    """Return one line for each dataset and task; where rows are missing, each line says so.

    Columns: `n` answers, the task's main metric and its value, its 95 % interval, what the best
    constant answer would have for it, the share of answers that could not be read, further
    metrics. Where there are several lines a last one, called `mean`, has the mean over datasets
    and tasks, as `Scores.metrics` takes it.

    Raises:
        DepthLMError: When there are no rows.
    """
    summary = scores.summary()
    lines: list[tuple[str, ...]] = [
        ("dataset", "task", "n", "metric", "value", "95 %", "constant", "unread", "also")
    ]
    components = summary["parts"]
    for one in components:
        cells = _cells(one["metrics"], one["intervals"], TASKS[one["task"]].kind)
        lines.append((one["dataset"], one["task"], *cells))
    if len(components) > 1:
        tasks = sorted({one["task"] for one in components})
        kind = None if len(tasks) > 1 else TASKS[tasks[0]].kind
        cells = _cells(summary["metrics"], summary["intervals"], kind)
        lines.append((mean, "mean" if kind is None else tasks[0], *cells))
    if len({one["dataset"] for one in components}) == 1:
        lines = [line[1:] for line in lines]
    return aligned(_marked(lines, complete))


def slices_of(scores: Scores, *, complete: bool = True) -> str:
    """Return one line for each slice of each dataset and task, then how answers repeat."""
    lines: list[tuple[str, ...]] = [
        ("dataset", "task", "part", "", "n", "metric", "value", "95 %", "unread", "also")
    ]
    said = []
    for one in scores.summary()["parts"]:
        kind = TASKS[one["task"]].kind
        for name in ("by_distance_m", "by_edge", "read_as"):
            slices = one.get(name, {})
            for label in sorted(slices, key=_first_number):
                found = slices[label]
                n, *cells, _, unread, also = _cells(found["metrics"], found["intervals"], kind)
                head = one["dataset"], one["task"], name, label
                lines.append((*head, n, *cells, unread, also))
    for (dataset, task), component in sorted(scores.components.items()):
        if component.habits is not None:
            said.append(f"{dataset}, {task}: {component.habits}")
    marked = _marked(lines, complete)
    return "\n".join([*([aligned(marked)] if len(lines) > 1 else []), *said])


def coverage_of(scores: Scores) -> str:
    """Return a line for each dataset and task whose answers came with intervals."""
    return "\n".join(
        f"{dataset}, {task}: {component.coverage}"
        for (dataset, task), component in sorted(scores.components.items())
        if component.coverage is not None
    )


def _marked(lines: Sequence[tuple[str, ...]], complete: bool) -> list[tuple[str, ...]]:
    head, *others = lines
    return [(*head, ""), *((*line, "" if complete else INCOMPLETE) for line in others)]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, the first one of their names, as text; without a column of blanks."""
    columns = list(zip(*lines, strict=True))
    used = [column for column in columns if any(column[1:])]
    lines = list(zip(*used, strict=True))
    numbers = {lines[0].index(name) for name in _RIGHT if name in lines[0]}
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index in numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(metrics: Metrics, intervals: Intervals, kind: AnswerKind | None) -> tuple[str, ...]:
    """Return the cells of a line from `n` on; without a kind: of several tasks."""
    main = "score" if kind is None else kind.main
    also = ("delta1",) if kind is None else kind.also
    constant = None if kind is None else metrics.get(kind.constant or "")
    low, high = intervals.get(main, (None, None))
    return (
        str(int(metrics["n"])),
        main,
        f"{metrics[main]:.3f}",
        "" if low is None else f"{low:.3f}-{high:.3f}",
        "" if constant is None else f"{constant:.3f}",
        f"{metrics['parse_failure_rate']:.3f}",
        ", ".join(f"{name} {round(metrics[name], 4):.4g}" for name in also if name in metrics),
    )


def _first_number(label: str) -> tuple[float, str]:
    head = label.partition("-")[0]
    return (float(head) if head.isdigit() else 0.0), label
