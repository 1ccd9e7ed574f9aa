"""Answers that are a relative pose: distance, direction and rotation of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ..geometry.angles import angle_deg, rotation_of, turn_deg
from ..geometry.arrays import Floats
from .kind import AnswerKind, Columns, failures, medians, readable
from .ratio import measure_ratio

AUC_DEG = (5, 15, 30)
_AXES = ("x", "y", "z")
_ANGLES = ("yaw", "pitch", "roll")


class Pose(AnswerKind):
    """`distance`, the direction `x`, `y`, `z`, and `yaw`, `pitch`, `roll` in degrees.

    The rotation's error is the angle of the one turn between the two rotations (their geodesic
    distance), the direction's that between the two vectors, however long the predicted one is.
    Both are in degrees, from 0 to 180.

    Metrics: `auc_5`, `auc_15`, `auc_30`, the AUC of the pose error of image matching benchmarks
    (SuperGlue, CVPR 2020). A pose's error is the larger of its two; recall is the share of poses
    below an error; its area up to 5, 15 or 30 degrees is divided by just these, so that 1 is
    perfect. An answer that could not be read, or whose direction is (0, 0, 0), has an infinite
    error. The area is that of the steps, exactly: straight lines between them, as those benchmarks
    draw, add up to 1 / (2 n). They also fold a direction onto its opposite; here it is wrong by 180
    degrees.

    `rotation_error_deg_` and `direction_error_deg_`, `mean` and `median`: over what could be read,
    absent when that is nothing. `distance_delta1`, `distance_abs_rel`: of the distance alone, as
    `ratio.Ratio` has them.
    """

    expects = "a distance above 0 and a direction other than (0, 0, 0)"
    reasons = ("not the form asked for", "not positive", "no direction")
    units: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(_AXES, ""),
        **dict.fromkeys(_ANGLES, "deg"),
    }
    kept = ("rotation_error_deg_mean", "direction_error_deg_mean")
    main = "auc_30"
    also = ("rotation_error_deg_median", "direction_error_deg_median", "distance_delta1")

    def _problem(self, values: Mapping[str, float]) -> str | None:
        if values["distance"] <= 0:
            return "not positive"
        return None if any(values[axis] for axis in _AXES) else "no direction"

    def measure(self, predicted: Columns, true: Columns) -> dict[str, Floats]:
        """Return the errors of each pose, and its steps in the areas."""
        towards, truly_towards = (
            np.stack([columns[axis] for axis in _AXES], axis=1) for columns in (predicted, true)
        )
        usable = readable(predicted) & (np.abs(towards).max(axis=1) > 0)
        rotation_deg, direction_deg = np.full((2, len(usable)), np.nan)
        rotation_deg[usable] = turn_deg(
            *(
                rotation_of(*(columns[angle][usable] for angle in _ANGLES))
                for columns in (predicted, true)
            )
        )
        direction_deg[usable] = angle_deg(towards[usable], truly_towards[usable])
        error_deg = np.where(usable, np.fmax(rotation_deg, direction_deg), np.inf)
        distance = measure_ratio(np.where(usable, predicted["distance"], np.nan), true["distance"])
        return {
            **failures(usable),
            **{f"auc_{limit}": area_above(error_deg, limit) for limit in AUC_DEG},
            "rotation_error_deg_mean": rotation_deg,
            "direction_error_deg_mean": direction_deg,
            "distance_delta1": distance["delta1"],
            "distance_abs_rel": distance["abs_rel"],
        }

    def whole(self, kept: Mapping[str, Floats]) -> dict[str, float]:
        """Return the median errors, of what could be read."""
        return medians(kept, {name: name.replace("_mean", "_median") for name in self.kept})


def area_above(errors: Floats, limit: float) -> Floats:
    """Return each error's part (N,) in the area under the recall curve, divided by the limit.

    Each error adds a step from itself to the limit; the mean of all parts is the area.
    """
    result: Floats = np.maximum(0, 1 - errors / limit)
    return result


POSE = Pose()
