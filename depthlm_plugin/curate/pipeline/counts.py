"""What was counted while frames were curated; counts add up, and survive a restart as JSON."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...errors import DepthLMError
from ...geometry.arrays import Floats
from ...geometry.plausible import MEDIAN_M, USUAL_UNITS

_BINS = 200  # of the histogram, a factor e: 0.5 % wide
SHOWN = 20  # problems kept in words; all are counted


@dataclass
class Counts:
    """Counts of some frames.

    Attributes:
        frames: How many were looked at.
        records: How many gave a record.
        points: How many pixels were labelled.
        short: How many records have fewer points than were asked for.
        left_out: Frames without a record, by reason.
        dropped: Points that the reader left out, by reason.
        lacking: Records without what those of the dataset have as a rule, by what and why.
        noted: Records of which the reader says something, by what it says.
        depths: Histogram of the labels in metres, by logarithm.
        scenes: The names of their scenes.
        messages: The first problems, in words.
    """

    frames: int = 0
    records: int = 0
    points: int = 0
    short: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)
    depths: Counter[int] = field(default_factory=Counter)
    scenes: set[str] = field(default_factory=set)
    messages: list[str] = field(default_factory=list)

    def add_depths(self, depth_m: Floats) -> None:
        """Add labels (N,), metres, to the histogram."""
        bins = np.floor(np.log(depth_m) * _BINS).astype(np.int64)
        self.depths.update(bins.tolist())

    def add(self, other: Counts) -> None:
        """Add the counts of further frames."""
        self.frames += other.frames
        self.records += other.records
        self.points += other.points
        self.short += other.short
        self.left_out.update(other.left_out)
        self.dropped.update(other.dropped)
        self.lacking.update(other.lacking)
        self.noted.update(other.noted)
        self.depths.update(other.depths)
        self.scenes |= other.scenes
        self.messages += other.messages[: SHOWN - len(self.messages)]

    def quantile_m(self, share: float) -> float:
        """Return a quantile of the labels in metres, to 0.5 %; NaN where there are none."""
        wanted = share * self.depths.total()
        seen = 0
        for index in sorted(self.depths):
            seen += self.depths[index]
            if seen >= wanted:
                return math.exp((index + 0.5) / _BINS)
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
        """Return plain values from which `from_json` makes equal counts."""
        return {
            "frames": self.frames,
            "records": self.records,
            "points": self.points,
            "short": self.short,
            "left_out": dict(sorted(self.left_out.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "lacking": dict(sorted(self.lacking.items())),
            "noted": dict(sorted(self.noted.items())),
            "depths": sorted(self.depths.items()),
            "scenes": sorted(self.scenes),
            "messages": self.messages,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Counts:
        """Return the counts that `to_json` made plain values of."""
        return cls(
            raw["frames"],
            raw["records"],
            raw["points"],
            raw["short"],
            Counter(raw["left_out"]),
            Counter(raw["dropped"]),
            Counter(raw.get("lacking", {})),  # of an older version: none
            Counter(raw.get("noted", {})),  # older chunks have none
            Counter(dict(raw["depths"])),
            set(raw["scenes"]),
            list(raw["messages"]),
        )


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
