"""What the data card says of a dataset as a whole: distances, edges, cameras, repeated frames."""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache

import numpy as np

from ...geometry.camera import Camera
from .counts import Counts
from .duplicates import REASON, RULE

_BAR = 20  # characters of 100 %
_SIZES = 5  # named
BESIDE, AWAY = "beside", "away"  # from depth edges: keys of `Counts.edges`


def count_camera(counts: Counts, camera: Camera) -> None:
    """Count the camera of a record."""
    width, height = camera.size_wh
    field_deg = _field_deg(camera)
    counts.sizes_wh[f"{width}x{height}"] += 1
    counts.focals_px[f"{camera.fx:.3g}"] += 1
    counts.fields_deg["-" if field_deg is None else f"{field_deg:.3g}"] += 1


def audit_lines(counts: Counts) -> list[str]:
    """Return the audit of what was counted, as lines of Markdown."""
    fields_deg = counts.fields_deg.copy()
    endless = fields_deg.pop("-", 0)
    sizes = [f"{size} ({count})" for size, count in _most(counts.sizes_wh)]
    more = len(counts.sizes_wh) - len(sizes)
    return [
        "| labels, metres | share | |",
        "|---|---|---|",
        *_histogram(counts),
        "",
        "| | |",
        "|---|---|",
        f"| Beside a depth edge | {_beside(counts)} |",
        f"| Horizontal field of view, degrees | {_spread(fields_deg)}"
        + (f"; {endless} whose lens model ends inside the picture |" if endless else " |"),
        f"| Focal length fx, pixels | {_spread(counts.focals_px)} |",
        f"| Picture sizes (records) | {', '.join(sizes)}{f' and {more} more' if more else ''} |",
        f"| Near-duplicates | {_repeats(counts)}, {RULE} |",
    ]


@lru_cache(maxsize=256)  # many records have one camera
def _field_deg(camera: Camera) -> float | None:
    """Return the horizontal field of view along the principal point's row, its lens included.

    None where the lens model has no ray at the picture's border.
    """
    border = np.array([[-0.5, camera.cy], [camera.size_wh[0] - 0.5, camera.cy]])
    if not camera.can_undistort(border).all():
        return None
    left, right = (camera.undistort_pixels(border)[:, 0] - camera.cx) / camera.fx
    return math.degrees(math.atan(right) - math.atan(left))


def _histogram(counts: Counts) -> list[str]:
    """Return a row for each factor of two in distance between the nearest and the farthest."""
    octaves: Counter[int] = Counter()
    for metres, count in counts.distances_m():
        octaves[math.floor(math.log2(metres))] += count
    total = octaves.total()
    return [
        f"| {2.0**octave:g} to {2.0 ** (octave + 1):g} | {_share(octaves[octave], total)} |"
        f" {'█' * round(_BAR * octaves[octave] / total)} |"
        for octave in range(min(octaves), max(octaves) + 1)
    ]


def _spread(values: Counter[str]) -> str:
    """Return the least, the median and the greatest of numbers that were counted as text."""
    ordered = sorted(values, key=float)
    if len(ordered) <= 1:
        return "".join(ordered) or "-"
    half, seen = values.total() / 2, 0
    for median in ordered:
        seen += values[median]
        if seen >= half:
            break
    return f"{ordered[0]} to {ordered[-1]}, median {median}"


def _beside(counts: Counts) -> str:
    points = counts.edges.total()
    if not points:
        return "not known: no depth maps, or labels as they were published"
    return (
        f"{_share(counts.edges[BESIDE], points)} of {points} points whose frames have a depth map"
    )


def _repeats(counts: Counts) -> str:
    out = counts.left_out[REASON]
    if out:
        return f"{out} frames left out ({_share(out, out + counts.records)})"
    share = _share(counts.repeats, counts.records)
    return f"{counts.repeats} of {counts.records} records ({share})"


def _most(values: Counter[str]) -> list[tuple[str, int]]:
    return sorted(values.items(), key=lambda item: (-item[1], item[0]))[:_SIZES]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
