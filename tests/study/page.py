"""Results, figures and the page of the study, from the runs that are there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from depthlm_plugin.geometry.arrays import Floats
from depthlm_plugin.kinds.ratio import best_constant, measure_ratio
from depthlm_plugin.scoring.intervals import interval, picture_keys, weights

from .arms import arms, content
from .data import STYLES
from .runs import ANSWERS, Study
from .yardsticks import CONVOLUTIONAL

Rows = Sequence[Sequence[float | None]]  # truth, answer, number of the picture
Row = tuple[str, str, dict[str, Any]]  # arm, dataset and task, scores

HERE = Path(__file__).parent
_TASKS = {"principal_axis_distance": "z", "two_point_distance": "apart"}
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
_STYLE: Any = {"font.size": 9, "axes.grid": True, "axes.axisbelow": True, "grid.color": "#d8d8d8"}


def scores_of(study: Study, seeds: int) -> dict[str, Any]:
    """Return the scores of all runs that are there: by arm, dataset and task."""
    found = {name: _answers(study, name, seeds) for name in [*arms(), CONVOLUTIONAL]}
    result: dict[str, Any] = {}
    for name, runs in found.items():
        if not runs:
            continue
        minutes = [round(run["minutes"], 1) for run in runs.values()]
        result[name] = {"minutes": minutes, "sets": {}}
        for key in next(iter(runs.values()))["answers"]:
            own = {seed: run["answers"][key] for seed, run in runs.items()}
            result[name]["sets"][_shown(key)] = _scores(list(own.values()))
    for group in content()["groups"].values():
        first, *others = group["arms"]
        for name in others:
            for key, scores in result.get(name, {"sets": {}})["sets"].items():
                gap = _difference(_of_set(found[name], key), _of_set(found[first], key))
                if gap is not None:
                    scores.setdefault("more_than", {})[first] = gap
    return result


def _answers(study: Study, name: str, seeds: int) -> dict[int, Any]:
    """Return what the runs of an arm answered, by seed, in one order: a run's own has its seed."""
    found = {}
    for seed in range(seeds):
        path = study.folder(name, seed) / ANSWERS
        if path.is_file():
            found[seed] = json.loads(path.read_text(encoding="utf-8"))
            for rows in found[seed]["answers"].values():
                rows.sort(key=lambda row: (row[2], row[0]))
    return found


def _of_set(runs: dict[int, Any], shown: str) -> dict[int, Rows]:
    """Return the answers to the questions of a dataset, by seed."""
    return {
        seed: rows
        for seed, run in runs.items()
        for key, rows in run["answers"].items()
        if _shown(key) == shown
    }


def _scores(found: list[Rows]) -> dict[str, Any]:
    """Return the scores of one arm on one dataset; the answers of each seed are given."""
    good = [_good(rows) for rows in found]
    errors = np.concatenate([_measured(rows)["abs_rel"] for rows in found])
    truth = np.array([row[0] for row in found[0]], np.float64)
    scores = {
        "delta1": round(float(np.mean([each.mean() for each in good])), 4),
        "by_seed": [round(float(each.mean()), 4) for each in good],
        "interval_95": _interval(np.concatenate(good), found),
        "abs_rel": None,
        "constant": None,
        "two_decimals": None,
        "n": len(truth),
    }
    if (truth != 1).any():  # metres: of ordinary questions, 1 is right
        if not np.isnan(errors).all():
            scores["abs_rel"] = round(float(np.nanmean(errors)), 4)
        scores["constant"] = round(best_constant(truth)[1], 4)
        scores["two_decimals"] = round(
            float(measure_ratio(truth.round(2), truth)["delta1"].mean()), 4
        )
    return scores


def _interval(values: Any, found: list[Rows]) -> list[float] | None:
    """Return the 95 % interval of a mean over the answers of all seeds, over pictures."""
    drawn = weights(picture_keys([str(row[2]) for rows in found for row in rows])).astype(float)
    with np.errstate(invalid="ignore"):  # draws of few pictures may have none
        spread = interval(values @ drawn / drawn.sum(axis=0))
    return None if spread is None else [round(x, 4) for x in spread]


def _difference(own: dict[int, Rows], other: dict[int, Rows]) -> dict[str, Any] | None:
    """Return how much larger delta1 is than another arm's; None where they were not asked alike."""
    shared = sorted(own.keys() & other.keys())
    pairs = [(own[seed], other[seed]) for seed in shared]
    if not pairs or any(not _same_questions(a, b) for a, b in pairs):
        return None
    more = [_good(a) - _good(b) for a, b in pairs]
    spread = _interval(np.concatenate(more), [a for a, _ in pairs])
    return {"delta1": round(float(np.mean(np.concatenate(more))), 4), "interval_95": spread}


def _same_questions(a: Rows, b: Rows) -> bool:
    """Return whether two arms were asked the same, in one order; texts round their truths."""
    return len(a) == len(b) and all(
        x[2] == y[2] and abs((x[0] or 0) - (y[0] or 0)) < 0.0051 for x, y in zip(a, b, strict=True)
    )


def _good(rows: Rows) -> Floats:
    """Return 1 for each answer that is right by delta1, else 0."""
    return _measured(rows)["delta1"]


def _measured(rows: Rows) -> dict[str, Floats]:
    truth, answers = (np.array([row[k] for row in rows], np.float64) for k in (0, 1))
    return measure_ratio(answers, truth)


def _shown(key: str) -> str:
    """Return what stands for a dataset and task in results: `known`, `known/two_point_distance`."""
    name, task = key.split("/")
    for style in (*STYLES, "native", "held"):
        name = name.removesuffix(f"_{style}")
    return name if task == "depth" else f"{name}/{task}"


def write_page(study: Study, seeds: int, folder: Path = HERE) -> None:
    """Write results.json, results.png and README.md, beside this module."""
    scores = scores_of(study, seeds)
    text = json.dumps({"steps": study.steps, "seeds": seeds, "arms": scores}, indent=1)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    with BytesIO() as drawn:
        _figure(scores, study.steps).savefig(drawn, dpi=100)
        Image.open(drawn).convert("RGB").quantize(64).save(folder / "results.png", optimize=True)
    (folder / "README.md").write_text(_page(study, seeds, scores), encoding="utf-8")


def _rows(group: dict[str, Any], scores: dict[str, Any]) -> list[Row]:
    """Return the arm, the set and its scores of each row of a group that was run."""
    wanted = group.get("sets", ["known"])
    tasks = group.get("tasks", ["depth"])
    rows = []
    for name in wanted:
        for task in tasks:
            key = name if task == "depth" else f"{name}/{task}"
            rows += [
                (arm, key, scores[arm]["sets"][key])
                for arm in group["arms"]
                if key in scores.get(arm, {}).get("sets", {})
            ]
    return rows


def _figure(scores: dict[str, Any], steps: int) -> Figure:
    groups = [group for group in content()["groups"].values() if _rows(group, scores)]
    across = 3
    lines = [groups[at : at + across] for at in range(0, len(groups), across)]
    heights = [1.6 + max(len(_rows(group, scores)) for group in line) for line in lines]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(15, 0.36 * sum(heights)), layout="constrained")
        grid = figure.add_gridspec(len(lines), across, height_ratios=heights)
        for number, group in enumerate(groups):
            axes = figure.add_subplot(grid[divmod(number, across)])
            if group.get("line"):
                _line(axes, _rows(group, scores), steps)
            else:
                _bars(axes, _rows(group, scores))
            axes.set_title(fill(group["title"], 38), loc="left", fontsize=10)
        return figure


def _bars(axes: Any, rows: list[Row]) -> None:
    sets = list(dict.fromkeys(key for _, key, _ in rows))
    for place, (_, key, score) in enumerate(reversed(rows)):
        color = _COLORS[sets.index(key) % len(_COLORS)]
        low, high = score["interval_95"] or (score["delta1"],) * 2
        axes.plot([low, high], [place, place], color=color, linewidth=2)
        axes.plot(score["delta1"], place, "o", color=color, markersize=5)
        axes.plot(score["by_seed"], [place] * len(score["by_seed"]), "|", color=color)
        if score["constant"] is not None:
            axes.plot(score["constant"], place, "x", color="#777777")
    labels = [
        arms()[arm].label + (f" · {_set(key)}" if len(sets) > 1 else "") for arm, key, _ in rows
    ]
    axes.set_yticks(range(len(rows)), labels[::-1])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0, 1)


def _set(key: str) -> str:
    """Return a dataset and task in short."""
    for task, short in _TASKS.items():
        key = key.replace(f"known/{task}", short)
    return key


def _line(axes: Any, rows: list[Row], steps: int) -> None:
    batch = content()["recipe"]["per_device_train_batch_size"]
    at = [arms()[arm].steps * steps * batch for arm, _, _ in rows]
    for _, _, score in rows:
        axes.axhline(score["constant"], color="#777777", linewidth=1, linestyle=":")
    spans = [score["interval_95"] or (score["delta1"],) * 2 for _, _, score in rows]
    axes.fill_between(at, *zip(*spans, strict=True), color=_COLORS[0], alpha=0.2, linewidth=0)
    axes.plot(at, [score["delta1"] for _, _, score in rows], "o-", color=_COLORS[0])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(at, [f"{count / 1000:.0f} k" for count in at])
    axes.set_yticks(ticks := [0.3, 0.4, 0.5, 0.6, 0.8, 1.0], [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("samples")


def _page(study: Study, seeds: int, scores: dict[str, Any]) -> str:
    minutes = [value for arm in scores.values() for value in arm["minutes"]]
    lines = [
        "# Does it learn, and what makes it learn?",
        "",
        f"*Written by `PYTHONPATH=tests python -m study OUT` (with `--ibims` and `--pairs` for the"
        f" photographs): {len(minutes)} runs, {seeds} seeds,"
        f" {study.steps} steps for the base, {sum(minutes) / 60:.1f} hours of runs."
        " What a person found in them: [FINDINGS.md](FINDINGS.md).*",
        "",
        "![delta1 of all arms](results.png)",
        "",
        "*delta1 on held-out pictures. Dots: mean over seeds; bars: 95 % over pictures; ticks:"
        " seeds; crosses and dotted lines: the best constant answer.*",
        "",
    ]
    for group in content()["groups"].values():
        rows = _rows(group, scores)
        if rows:
            lines += [f"## {group['title']}", "", *_table(rows), ""]
    lines += ["## Yardsticks", "", "| what | delta1 |", "|---|---|"]
    for what, score in _yardsticks(scores).items():
        lines.append(f"| {what} | {score} |")
    return "\n".join(lines) + "\n"


def _table(rows: list[Row]) -> list[str]:
    head = "arm", "asked on", "delta1", "more than the first", "AbsRel", "seeds", "n", "constant"
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for arm, key, score in rows:
        more = score.get("more_than", {}).get(rows[0][0])
        gap = "" if more is None else _with_interval(more["delta1"], more["interval_95"], "+")
        error = "-" if score["abs_rel"] is None else f"{score['abs_rel']:.3f}"
        own = _with_interval(score["delta1"], score["interval_95"])
        constant = "-" if score["constant"] is None else f"{score['constant']:.3f}"
        lines.append(
            f"| {arms()[arm].label} | {key} | {own} | {gap} | {error} |"
            f" {len(score['by_seed'])} | {score['n']} | {constant} |"
        )
    return lines


def _with_interval(value: float, spread: Sequence[float] | None, sign: str = "") -> str:
    if spread is None:
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.3f} ({spread[0]:{sign}.3f} .. {spread[1]:{sign}.3f})"


def _yardsticks(scores: dict[str, Any]) -> dict[str, str]:
    """Return what arms are measured against, on the held-out rooms."""
    if "marker" not in scores:
        return {}
    known = scores["marker"]["sets"]["known"]
    found = {
        "exact distances, rounded to two decimals": f"{known['two_decimals']:.3f}",
        "the best constant": f"{known['constant']:.3f}",
    }
    if CONVOLUTIONAL in scores:
        score = scores[CONVOLUTIONAL]["sets"]["known"]
        what = "a convolutional regressor of as many samples"
        found[what] = _with_interval(score["delta1"], score["interval_95"])
    return found
