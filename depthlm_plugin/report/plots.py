"""Plots of a report, as bytes: curves over distance, answers against the truth, error maps.

Nothing from outside is written into a plot: runs are numbered there, and named in the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator
from PIL import Image

from ..geometry.arrays import Floats
from ..kinds.ratio import THRESHOLD
from ..scoring.scores import BINS_M, bin_label

# Okabe and Ito's colours, told apart by people with any kind of colour blindness; with a mark each.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: Any = {
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#d8d8d8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "depthlm",  # the same bytes for the same report
}
_TICKS = (0.5, 1 / THRESHOLD, 1.0, THRESHOLD, 2.0)
_MAP_WIDTH_PX = 640


@dataclass(frozen=True)
class Curve:
    """One run's scores by distance bin.

    Attributes:
        label: Its name in the legend.
        slices: By the bin's label, `metrics` and `intervals`, as `Scores.summary` has them.
    """

    label: str
    slices: Mapping[str, Mapping[str, Any]]


def bins_svg(curves: Sequence[Curve], metric: str, title: str) -> bytes:
    """Return a metric by distance with its intervals, as SVG."""
    labels = [bin_label(index) for index in range(len(BINS_M) - 1)]
    labels = [label for label in labels if any(label in curve.slices for curve in curves)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, 3.0), layout="constrained")
        axes = figure.subplots()
        for index, curve in enumerate(curves):
            _draw_curve(axes, index, len(curves), curve, labels, metric)
        axes.set_xticks(range(len(labels)), labels)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        axes.set_xlabel("true distance, m")
        axes.set_ylabel(title)
        axes.set_ylim(0, 1.03 if metric == "delta1" else _top(curves, labels, metric))
        if len(curves) > 1:
            axes.legend(fontsize=8)
        return _saved(figure, "svg")


def _draw_curve(
    axes: Any, index: int, count: int, curve: Curve, labels: Sequence[str], metric: str
) -> None:
    places, values, errors = [], [], []
    for place, label in enumerate(labels):
        part = curve.slices.get(label)
        value = None if part is None else part["metrics"].get(metric)
        if part is None or value is None or not math.isfinite(value):
            continue
        low, high = part["intervals"].get(metric, (value, value))
        # A percentile interval need not hold the value itself.
        errors.append((max(value - low, 0.0), max(high - value, 0.0)))
        places.append(place + 0.5 * (index - (count - 1) / 2) / count)
        values.append(value)
    axes.errorbar(
        places,
        values,
        yerr=np.array(errors).reshape(-1, 2).T,
        color=_COLORS[index % len(_COLORS)],
        marker=_MARKS[index % len(_MARKS)],
        markersize=4,
        linewidth=1.2,
        capsize=2.5,
        label=curve.label,
    )


def _top(curves: Sequence[Curve], labels: Sequence[str], metric: str) -> float:
    """Return where an axis ends: above all values, but not above 4, whatever they are."""
    parts = [curve.slices[label] for curve in curves for label in labels if label in curve.slices]
    found = [part["metrics"].get(metric, 0.0) for part in parts]
    found += [part["intervals"][metric][1] for part in parts if metric in part["intervals"]]
    return float(min(max([0.1, *(1.05 * value for value in found)]), 4.0))


def scatter_png(points: Sequence[tuple[float, float]], range_m: tuple[float, float]) -> bytes:
    """Return answers against the truth with the band of delta1, as PNG.

    Args:
        points: (truth, answer), both positive, metres.
        range_m: What both axes show; answers beyond are triangles at the edge.
    """
    truth, answers = np.array(points, dtype=np.float64).T
    low, high = range_m
    inside: Any = (answers >= low) & (answers <= high)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        ends = np.array([low, high])
        axes.fill_between(
            ends, ends / THRESHOLD, ends * THRESHOLD, color="#e69f00", alpha=0.3, linewidth=0,
            label="delta1: within a factor of 1.25",
        )  # fmt: skip
        axes.plot(ends, ends, color="#666666", linewidth=0.8)
        size = 9 if len(points) < 1000 else 4
        axes.scatter(
            truth[inside], answers[inside], s=size, color=_COLORS[0], alpha=0.45, linewidths=0
        )
        for outside, place, mark in ((answers > high, high, "^"), (answers < low, low, "v")):
            axes.scatter(
                truth[outside], np.full(outside.sum(), place), s=18, marker=mark,
                color=_COLORS[1], alpha=0.7, linewidths=0, clip_on=False,
            )  # fmt: skip
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_aspect("equal")
        axes.set_xlabel("true, m")
        axes.set_ylabel("answer, m")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        axes.legend(loc="upper left", fontsize=8)
        return _saved(figure, "png", dpi=125)


def error_map_jpeg(
    picture: Image.Image, points: Sequence[tuple[float, float, float, float | None]]
) -> bytes:
    """Return a picture, grey, with its points in the colour of answer / truth, as JPEG.

    Args:
        picture: The stored picture, RGB.
        points: Pixel (x, y), truth and answer; an answer that could not be read is a black cross.
    """
    read = np.array([point for point in points if point[3] is not None], np.float64).reshape(-1, 4)
    unread = np.array([point[:2] for point in points if point[3] is None]).reshape(-1, 2)
    logs: Floats = np.log(read[:, 3]) - np.log(read[:, 2])
    width, height = picture.size
    small = picture.convert("L")
    small.thumbnail((_MAP_WIDTH_PX, _MAP_WIDTH_PX))
    with mpl.rc_context(_STYLE | {"axes.grid": False}):
        tall = min(max(height / width, 0.2), 2.5)
        figure = Figure(figsize=(5.6, 4.8 * tall + 0.25), layout="constrained")
        axes = figure.subplots()
        axes.imshow(
            small, cmap="gray", vmin=-120, vmax=255, extent=(-0.5, width - 0.5, height - 0.5, -0.5)
        )
        shown = axes.scatter(
            read[:, 0], read[:, 1], c=logs, cmap="RdBu", s=34, edgecolors="black", linewidths=0.6,
            norm=Normalize(-math.log(2), math.log(2)),
        )  # fmt: skip
        axes.scatter(unread[:, 0], unread[:, 1], marker="x", s=34, color="black")
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
        axes.set_axis_off()
        bar = figure.colorbar(shown, ax=axes, extend="both", fraction=0.05, pad=0.02)
        bar.ax.yaxis.set_major_locator(FixedLocator(np.log(_TICKS).tolist()))
        bar.ax.yaxis.set_major_formatter(FixedFormatter([f"{tick:g}" for tick in _TICKS]))
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.set_label("answer / truth")
        return _saved(figure, "jpg", dpi=115, pil_kwargs={"quality": 80})


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    if kind == "svg":
        options["metadata"] = {"Date": None}  # no report is different only because it is later
    figure.savefig(file, format=kind, **options)
    return file.getvalue()
