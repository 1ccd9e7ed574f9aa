"""Answers that are a place in a picture: x and y of text coordinates, 2000 on each axis."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..geometry.arrays import Floats
from ..views.view import NORMALISED
from .kind import AnswerKind, Columns, failures, medians, readable
from .units import Refused, read_quantities

PCK_PERCENT = 5


class Place(AnswerKind):
    """Two values, `x` and `y`.

    The error is the Euclidean distance in the units of text. They measure shares of the picture, so
    that in one that is not square a unit of x and one of y are different numbers of pixels.

    Metrics: `epe` and `epe_median`, mean and median error (the end-point error of optical flow)
    over what could be read, absent when that is nothing; `pck_5`, the share of answers within 5 %
    of the picture, which is 100 units (the percentage of correct keypoints).
    """

    expects = f"coordinates from 0 to {NORMALISED}"
    reasons = ("not the form asked for", "outside the picture")
    kept = ("epe",)
    main = f"pck_{PCK_PERCENT}"
    also = ("epe", "epe_median")

    def read(self, text: str, unit: str) -> Sequence[float]:
        """Return x and y of a text with two bare numbers, in this order."""
        found = [quantity.value for quantity in read_quantities(text.replace(",", ", "), "")]
        axes = re.findall(r"\b[xy]\b", text.lower())
        if len(found) != 2 or axes[:1] == ["y"]:
            raise Refused("not the form asked for")
        return found

    def _problem(self, values: Mapping[str, float]) -> str | None:
        inside = all(0 <= number <= NORMALISED for number in values.values())
        return None if inside else "outside the picture"

    @np.errstate(over="ignore")  # an error beyond all floats is infinite, and wrong
    def measure(self, predicted: Columns, true: Columns) -> dict[str, Floats]:
        """Return the error of each answer, and whether it is near."""
        read = readable(predicted)
        error = np.full(len(read), np.nan)
        error[read] = np.hypot(*(predicted[axis][read] - true[axis][read] for axis in ("x", "y")))
        with np.errstate(invalid="ignore"):
            near = (error <= PCK_PERCENT / 100 * NORMALISED).astype(np.float64)
        return failures(read) | {f"pck_{PCK_PERCENT}": near, "epe": error}

    def whole(self, kept: Mapping[str, Floats]) -> dict[str, float]:
        """Return the median error, of what could be read."""
        return medians(kept, {"epe": "epe_median"})


PLACE = Place()
