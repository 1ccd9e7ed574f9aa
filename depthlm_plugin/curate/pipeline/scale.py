"""Whether metres are metres: what frames of a dataset say of the scale of one another.

A wrong unit or depth scale shows in the camera's height above the floor, and in two frames of one
scene: points of the one, carried by the poses into the other, must be as far as its depth map says.
A few frames are looked at again, the same ones whoever labelled them; what is found is said, and
never corrected.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ...errors import GeometryError, RecordError
from ...geometry.arrays import Floats
from ...geometry.camera import convert_depth
from ...geometry.rigid import inverse, moved
from ..frames import Frame
from .duplicates import View, bits_apart, is_flat
from .floor import camera_points, height_m

HEIGHT_M = (0.3, 4.0)
"""How high people, cars and robots carry cameras, metres."""
_DEVIATION = 0.05  # median over the pairs of a pair's median
_ENOUGH = 3  # floors or pairs, from which on they are judged
_PLACES = (6, 32)  # fewest and most of the dataset that are looked at
_EVERY = 75  # frames, one place
_MAPS = 4  # kept in memory
_AHEAD = 32  # frames, in which a place's partners are looked for
_BASELINE = 0.3  # of the median distance: what a partner should have, or at least:
_LEAST_BASELINE = 0.003
_OVERLAP = 0.2  # of points are in both pictures, and at least:
_COMMON = 100
_ALIKE_BITS = 64  # of 256, of pictures that overlap for certain; other pictures differ in 128


@dataclass
class Evidence:
    """What was found.

    Attributes:
        heights_m: The height above the floor, metres, of each frame with a depth map that was
            looked at; None: no clear floor.
        pairs: Pairs of frames with common points: the median ratio of carried to measured depth,
            and the median of its deviation from 1.
        alike: How many pairs of frames with poses have pictures that must overlap.
        apart: How many of these do not overlap by their poses and depths.
    """

    heights_m: list[float | None] = field(default_factory=list)
    pairs: list[tuple[float, float]] = field(default_factory=list)
    alike: int = 0
    apart: int = 0

    def lines(self) -> list[str]:
        """Return it as the rows of a Markdown table."""
        frames, floors_m = len(self.heights_m), self._floors_m()
        floor = f"not known: no clear floor in {frames} frames with a depth map"
        if floors_m:
            median_m = statistics.median(floors_m)
            floor = f"{median_m:.3g} m, median of {len(floors_m)} of {frames} frames"
        depths = "not known: no pairs of frames with poses and common points of depth maps"
        if self.pairs:
            ratio = statistics.median([ratio for ratio, _ in self.pairs])
            depths = f"ratio {ratio:.3g}, deviation {_percent(self._deviation())}, medians of"
            depths += f" {len(self.pairs)} pairs of frames"
        lines = [
            f"| Camera above the floor | {floor} |",
            f"| Depths of one scene, carried by poses | {depths} |",
        ]
        if self.apart:
            lines.append(f"| Alike, but apart by poses | {self.apart} of {self.alike} pairs |")
        return lines

    def warnings(self) -> list[str]:
        """Return what contradicts the scale, in sentences with the evidence."""
        found = []
        low_m, high_m = HEIGHT_M
        floors_m = self._floors_m()
        if len(floors_m) >= _ENOUGH and not low_m <= statistics.median(floors_m) <= high_m:
            found.append(
                f"suspicious scale: cameras are {statistics.median(floors_m):.3g} m above the floor"
                f" (median of {len(floors_m)} of {len(self.heights_m)} frames), expected {low_m:g}"
                f" to {high_m:g} m; is the unit of depth right?"
            )
        if len(self.pairs) >= _ENOUGH and self._deviation() > _DEVIATION:
            found.append(
                f"suspicious scale: depths of one scene disagree by {_percent(self._deviation())}"
                f" (median of {len(self.pairs)} pairs of frames), expected up to"
                f" {_percent(_DEVIATION)}; are depth and poses in one unit, and poses camera to"
                " world?"
            )
        if self.apart >= _ENOUGH and 2 * self.apart > self.alike:
            found.append(
                f"suspicious scale: {self.apart} of {self.alike} pairs of pictures that look alike"
                " show nothing in common by their poses and depths; are these in one unit?"
            )
        return found

    def _floors_m(self) -> list[float]:
        return [found_m for found_m in self.heights_m if found_m is not None]

    def _deviation(self) -> float:
        return statistics.median([deviation for _, deviation in self.pairs])


def check_scale(
    count: int, view_of: Callable[[int], View | None], load: Callable[[int], Frame]
) -> Evidence:
    """Return what a few frames, spread over a dataset, say of its scale.

    Args:
        count: How many frames it has.
        view_of: Gives what is compared of a frame, by its place in the order; None: no record.
        load: Gives a frame by its place.
    """
    load = lru_cache(maxsize=_MAPS)(load)
    evidence = Evidence()
    fewest, most = _PLACES
    places = min(count, most, max(fewest, count // _EVERY))
    for place in [(2 * n + 1) * count // (2 * places) for n in range(places)]:
        view = view_of(place)
        frame = None if view is None else _loaded(load, place)
        if view is None or frame is None:
            continue
        if frame.depth_m is None:
            break  # single points: the others' are too
        points_m = camera_points(frame)
        evidence.heights_m.append(height_m(points_m, np.random.default_rng(place)))
        if view.pose is None or not len(points_m):
            continue
        nexts = {at: view_of(at) for at in range(place + 1, min(count, place + _AHEAD))}
        posed = {
            at: other
            for at, other in nexts.items()
            if other is not None and other.scene == view.scene and other.pose is not None
        }
        _look_alike(evidence, view, frame, points_m, list(posed.values()))
        partner = _at_baseline(view, posed, float(np.median(points_m[:, 2])))
        other = None if partner is None else _loaded(load, partner)
        if other is not None and other.depth_m is not None:
            _compare(evidence, frame, points_m, other)
    return evidence


def _loaded(load: Callable[[int], Frame], place: int) -> Frame | None:
    try:
        return load(place)
    except (RecordError, GeometryError):  # it had a record: its files have changed since
        return None


def _look_alike(
    evidence: Evidence, view: View, frame: Frame, points_m: Floats, others: list[View]
) -> None:
    """Find the last picture that looks alike, and whether by its pose it shows the same."""
    alike = [other for other in others if bits_apart(view, other) <= _ALIKE_BITS]
    if not alike or is_flat(view):
        return
    evidence.alike += 1
    carried_m = moved(_between(_pose(view), _pose(alike[-1])), points_m)
    evidence.apart += bool(frame.camera.try_project(carried_m)[1].mean() < _OVERLAP)


def _at_baseline(view: View, others: dict[int, View], median_m: float) -> int | None:
    """Return the place of the frame that is best seen from elsewhere, if there is one."""
    here_m = _pose(view)[:3, 3]
    steps_m = {
        at: float(np.linalg.norm(_pose(other)[:3, 3] - here_m)) for at, other in others.items()
    }
    wanted_m = _BASELINE * median_m
    enough = [at for at, step_m in steps_m.items() if step_m > _LEAST_BASELINE * median_m]
    return min(enough, key=lambda at: abs(math.log(steps_m[at] / wanted_m)), default=None)


def _compare(evidence: Evidence, frame: Frame, points_m: Floats, other: Frame) -> None:
    """Carry the points of a frame into another, and compare their depths with its map's."""
    if frame.pose is None or other.pose is None or other.depth_m is None:
        return
    carried_m = moved(_between(frame.pose, other.pose), points_m)
    pixels, shown = other.camera.try_project(carried_m)
    at = np.floor(pixels[shown] + 0.5).astype(np.int64)
    columns, rows = other.to_map(at).T
    measured_m = other.depth_m[rows, columns].astype(np.float64)
    valid = np.isfinite(measured_m) & (measured_m > 0) & other.camera.can_undistort(at)
    if shown.mean() < _OVERLAP or valid.sum() < _COMMON:
        return
    z_m = convert_depth(measured_m[valid], at[valid], other.camera, kind=other.depth_kind, to="z")
    ratio = carried_m[shown][valid][:, 2] / z_m
    evidence.pairs.append((float(np.median(ratio)), float(np.median(np.abs(ratio - 1)))))


def _between(pose: Floats, other: Floats) -> Floats:
    """Return the motion (4, 4) that takes points of one camera's frame to another's."""
    result: Floats = inverse(other) @ pose
    return result


def _pose(view: View) -> Floats:
    assert view.pose is not None
    return np.vstack([np.reshape(view.pose, (3, 4)), (0.0, 0.0, 0.0, 1.0)])


def _percent(share: float) -> str:
    return "more than 100 %" if share > 1 else f"{100 * share:.2g} %"
