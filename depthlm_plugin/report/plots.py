"""Plots of a report, as bytes: curves over distance, answers against the truth, error maps.

Nothing from outside is written into a plot: runs are numbered there, and named in the text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullLocator
from PIL import Image

from ..kinds.ratio import THRESHOLD
from ..scoring.scores import BINS_M, bin_label
from .samples import Point

# Okabe and Ito's colours, told apart by people with any kind of colour blindness; with a mark each.
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_STYLE: Any = {
    "font.size": 9, "legend.fontsize": 8, "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#d8d8d8", "axes.spines.top": False, "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "depthlm",  # the same bytes for the same report
}  # fmt: skip
_TICKS = (0.5, 1 / THRESHOLD, 1.0, THRESHOLD, 2.0)
_MAP_WIDTH_PX = 640


def bins_svg(curves: Mapping[str, Mapping[str, Any]], metric: str, title: str) -> bytes:
    """Return a metric by distance with its intervals, as SVG.

    `curves` holds what `Scores.summary` says by a run's name and a bin's label.
    """
    labels = [bin_label(index) for index in range(len(BINS_M) - 1)]
    labels = [label for label in labels if any(label in slices for slices in curves.values())]
    top = 0.1
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.8, 3.0), layout="constrained")
        axes = figure.subplots()
        for index, (name, slices) in enumerate(curves.items()):
            shift = 0.5 * (index - (len(curves) - 1) / 2) / len(curves)
            points = [
                (place + shift, value, *scores["intervals"].get(metric, (value, value)))
                for place, scores in enumerate(map(slices.get, labels))
                if scores and math.isfinite(value := scores["metrics"].get(metric, math.nan))
            ]
            places, values, low, high = np.reshape(points, (-1, 4)).T
            # A percentile interval need not hold the value itself.
            errors = np.maximum([values - low, high - values], 0)
            axes.errorbar(
                places, values, yerr=errors, label=name, color=_COLORS[index % len(_COLORS)],
                marker=_MARKS[index % len(_MARKS)], markersize=4, linewidth=1.2, capsize=2.5,
            )  # fmt: skip
            top = max([top, *(1.05 * values), *(1.05 * high)])
        axes.set_xticks(range(len(labels)), labels)
        axes.set_ylim(0, 1.03 if metric == "delta1" else min(top, 4))  # whatever the errors are
        axes.set(xlim=(-0.5, len(labels) - 0.5), xlabel="true distance, m", ylabel=title)
        if len(curves) > 1:
            axes.legend()
        return _saved(figure, "svg", metadata={"Date": None})  # the same today and tomorrow


def scatter_range(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return what the axes of a scatter plot show of (truth, answer): metres, low and high."""
    truth = [point[0] for point in points]
    # Within what a logarithmic axis can be drawn over, whatever numbers a file holds.
    return min(max(min(truth) / 2, 1e-6), 1e5), max(min(max(truth) * 2, 1e6), 1e-5)


def scatter_png(points: Sequence[tuple[float, float]], range_m: tuple[float, float]) -> bytes:
    """Return answers against the truth with the band of delta1, as PNG.

    `points` are (truth, answer), both positive; `range_m` is what both axes show, metres: answers
    beyond are triangles at the edge.
    """
    truth, answers = np.array(points, dtype=np.float64).T
    low, high = ends = np.array(range_m)
    truth = truth.clip(low, high)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.set(xscale="log", yscale="log", xlim=range_m, ylim=range_m, aspect="equal")
        axes.set(xlabel="true, m", ylabel="answer, m")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(NullLocator())
        band = axes.fill_between(ends, ends / THRESHOLD, ends * THRESHOLD, color="#e69f00")
        band.set(alpha=0.3, linewidth=0, label="delta1: within a factor of 1.25")
        axes.plot(ends, ends, color="#666666", linewidth=0.8)
        dots: Any = {"s": 9 if len(points) < 1000 else 4, "alpha": 0.45, "linewidths": 0}
        edge = dots | {"s": 18, "alpha": 0.7, "color": _COLORS[1], "clip_on": False}
        over, under = answers > high, answers < low
        inside = ~(over | under)
        axes.scatter(truth[inside], answers[inside], color=_COLORS[0], **dots)
        axes.scatter(truth[over], np.full(over.sum(), high), marker="^", **edge)
        axes.scatter(truth[under], np.full(under.sum(), low), marker="v", **edge)
        axes.legend(loc="upper left")
        return _saved(figure, "png", dpi=125)


def error_map_jpeg(picture: Image.Image, points: Sequence[Point]) -> bytes:
    """Return a stored picture, grey, with its points in the colour of answer / truth, as JPEG.

    An answer that could not be read is a black cross.
    """
    x, y, truth, answers = np.array(points, dtype=np.float64).T  # None is NaN
    read = np.isfinite(answers)
    width, height = picture.size
    small = picture.convert("L")
    small.thumbnail((_MAP_WIDTH_PX, _MAP_WIDTH_PX))
    with mpl.rc_context(_STYLE | {"axes.grid": False}):
        tall = min(max(height / width, 0.2), 2.5)
        figure = Figure(figsize=(5.6, 4.8 * tall + 0.25), layout="constrained")
        axes = figure.subplots()
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        axes.imshow(small, cmap="gray", vmin=-120, vmax=255, extent=extent)
        shown = axes.scatter(
            x[read], y[read], c=np.log(answers[read]) - np.log(truth[read]), cmap="RdBu", s=34,
            edgecolors="black", linewidths=0.6, norm=Normalize(-math.log(2), math.log(2)),
        )  # fmt: skip
        axes.scatter(x[~read], y[~read], marker="x", s=34, color="black")
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.set_axis_off()
        bar = figure.colorbar(
            shown, ax=axes, extend="both", fraction=0.05, pad=0.02, label="answer / truth",
            ticks=FixedLocator(np.log(_TICKS).tolist()),
            format=FixedFormatter([f"{tick:g}" for tick in _TICKS]),
        )  # fmt: skip
        bar.ax.yaxis.set_minor_locator(NullLocator())
        return _saved(figure, "jpg", dpi=115, pil_kwargs={"quality": 80})


def _saved(figure: Figure, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    figure.savefig(file, format=kind, **options)
    return file.getvalue()
