"""A depth map as people look at it: beside its picture, in colours, with a bar in metres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..records.atomic import whole_bytes
from .depth_map import DepthMap

_INCHES = 5.0  # width of each picture
_SHOWN = (1.0, 99.0)  # percentiles of depth that have a colour of their own
_DOT = {"s": 3.0, "c": "white", "linewidths": 0.3, "edgecolors": "black"}
_DOTS_UP_TO = 2500  # answers; more would hide the map


def save_preview(depth: DepthMap, path: Path) -> None:
    """Write a PNG or JPEG: the picture with the pixels that were asked about, and the z-depth."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    height, width = depth.z_m.shape
    figure = Figure(figsize=(2 * _INCHES + 1.2, _INCHES * height / width + 0.3), dpi=120)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.imshow(depth.picture)
    if len(depth.pixels) <= _DOTS_UP_TO:
        left.scatter(*depth.pixels.T, **_DOT)
    left.set_title(f"{len(depth.pixels)} answers", fontsize=9)
    near, far = np.nanpercentile(depth.z_m, _SHOWN)
    far = max(far, 1.05 * near)
    shown = right.imshow(depth.z_m, cmap="turbo_r", norm=LogNorm(near, far))
    right.set_title("depth along the principal axis (z)", fontsize=9)
    for axes in (left, right):
        axes.set_axis_off()
    figure.subplots_adjust(left=0.01, right=0.92, bottom=0.01, top=0.93, wspace=0.03)
    box = right.get_position()
    bar = figure.add_axes((0.93, box.y0, 0.015, box.height))
    marks = [mark for mark in _marks() if near <= mark <= far]
    legend = figure.colorbar(shown, cax=bar, extend="both", ticks=marks or [near, far])
    legend.ax.set_yticklabels([f"{mark:.4g} m" for mark in legend.get_ticks()])
    legend.ax.minorticks_off()
    kind = "jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png"
    with whole_bytes(path) as stream:
        figure.savefig(stream, format=kind)


def _marks() -> list[float]:
    """Return round numbers of metres from a millimetre to a kilometre, for the bar."""
    return [step * 10.0**power for power in range(-3, 4) for step in (1, 1.5, 2, 3, 4, 5, 7)]
