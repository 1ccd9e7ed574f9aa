"""What was counted while frames were curated; counts add up, and survive a restart as JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import DepthLMError
from ...geometry.arrays import Floats
from ...geometry.plausible import MEDIAN_M, USUAL_UNITS

_BINS = 200  # of the histogram, a factor e: 0.5 % wide
_NUMBERS = ("frames", "records", "points", "short", "repeats")
_BY_WORDS = (
    *("left_out", "dropped", "lacking", "noted"),
    *("edges", "fields_deg", "focals_px", "sizes_wh"),
)
SHOWN = 20  # problems kept in words; all are counted


@dataclass
class Counts:
    """Counts of some frames.

    Attributes:
        frames: How many were looked at.
        records: How many gave a record.
        points: How many pixels were labelled.
        short: How many records have fewer points than were asked for.
        repeats: How many records are near-duplicates.
        left_out: Frames without a record, by reason.
        dropped: Points that the reader left out, by reason.
        lacking: Records without what those of the dataset have as a rule, by what and why.
        noted: Records of which the reader says something, by what it says.
        edges: Labelled pixels beside depth edges and away from them, where that is known.
        fields_deg: Horizontal fields of view of the records, to three digits; `-`: none.
        focals_px: Their focal lengths fx, to three digits.
        sizes_wh: The sizes of their pictures, as `640x480`.
        depths: Histogram of the labels in metres, by logarithm.
        scenes: The names of their scenes.
        messages: The first problems, in words.
    """

    frames: int = 0
    records: int = 0
    points: int = 0
    short: int = 0
    repeats: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    edges: Counter[str] = field(default_factory=Counter)
    fields_deg: Counter[str] = field(default_factory=Counter)
    focals_px: Counter[str] = field(default_factory=Counter)
    sizes_wh: Counter[str] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    scenes: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)

    def add_depths(self, depth_m: Floats) -> None:
        """Add labels (N,), metres, to the histogram."""
        bins = np.floor(np.log(depth_m) * _BINS).astype(np.int64)
        self.depths.update(bins.tolist())

    def add(self, other: Counts) -> None:
        """Add the counts of further frames."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _BY_WORDS:
            getattr(self, name).update(getattr(other, name))
        self.depths.update(other.depths)
        self.scenes |= other.scenes
        self.messages += other.messages[: SHOWN - len(self.messages)]

    def distances_m(self) -> Iterator[tuple[float, int]]:
        """Yield the labels as distances in ascending order, metres to 0.5 %, and their counts."""
        for index in sorted(self.depths):
            yield math.exp((index + 0.5) / _BINS), self.depths[index]

    def quantile_m(self, share: float) -> float:
        """Return a quantile of the labels in metres, to 0.5 %; NaN where there are none."""
        wanted = share * self.depths.total()
        seen = 0
        for metres, count in self.distances_m():
            seen += count
            if seen >= wanted:
                return metres
        return math.nan

    def summary(self) -> dict[str, Any]:
        """Return what of it is printed and kept for the user."""
        return {
            "frames": self.frames,
            "records": self.records,
            "points": self.points,
            "short": self.short,
            "scenes": len(self.scenes),
            "left_out": dict(sorted(self.left_out.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "lacking": dict(sorted(self.lacking.items())),
            **({"noted": dict(sorted(self.noted.items()))} if self.noted else {}),
        }

    def to_json(self) -> dict[str, Any]:
        """Return plain values from which `from_json` makes equal counts; nothing of what is 0."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _NUMBERS}
        values |= {name: dict(getattr(self, name)) for name in _BY_WORDS}
        values["depths"] = sorted(self.depths.items())
        values["scenes"] = sorted(self.scenes)
        values["messages"] = self.messages
        return {name: value for name, value in values.items() if value}

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Counts:
        """Return the counts that `to_json` made plain values of."""
        counts = cls()
        for name in _NUMBERS:
            setattr(counts, name, raw.get(name, 0))
        for name in _BY_WORDS:
            setattr(counts, name, Counter(raw.get(name, {})))
        counts.depths = Counter(dict(raw.get("depths", [])))
        counts.scenes = set(raw.get("scenes", []))
        counts.messages = list(raw.get("messages", []))
        return counts


def check_unit(counts: Counts, options: dict[str, Any]) -> None:
    """Refuse labels whose median is no distance that cameras see, so that the user says what is so.

    Args:
        counts: What was counted yet.
        options: The reader's options and their values, one of which may be the unit's.

    Raises:
        DepthLMError: For such a median; the message says it, and how to confirm or correct it.
    """
    median_m = counts.quantile_m(0.5)
    low_m, high_m = MEDIAN_M
    if math.isnan(median_m) or low_m <= median_m <= high_m:
        return
    advice = "if these really are its metres, say so with --unusual depth"
    scale = options.get("depth_scale")
    if scale:
        fits = [
            f"{unit:g} (median {median_m * scale / unit:.3g} m)"
            for unit in USUAL_UNITS
            if low_m <= median_m * scale / unit <= high_m
        ]
        advice += f"; otherwise correct --option depth_scale={scale:g}"
        advice += f", which is {', '.join(fits)} in other datasets" if fits else ""
    raise DepthLMError(
        f"the unit looks wrong: the median label of {counts.points} is {median_m:.3g} m, expected"
        f" {low_m:g} to {high_m:g} m; {advice}. Nothing was kept"
    )
