"""How the answers of a task are scored: by a ratio, a choice, a pose or a place.

Columns hold, of each value of the answers, by placeholder, an array (N,), predicted and true. An
answer that could not be read is NaN in the predicted columns; it counts as wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.angles import angle_deg, rotation_of, turn_deg
from ..geometry.arrays import Floats
from ..views.view import NORMALISED
from . import ratio as metrics

Columns = Mapping[str, Floats]
AUC_DEG = (5, 15, 30)
PCK_PERCENT = 5


@dataclass(frozen=True)
class Scorer:
    """One way to score answers, in steps that can be added up (see `tally`).

    Attributes:
        measure: Returns what is measured of each answer, arrays (N,) by name: NaN where it says
            nothing, else it counts in the mean. `parse_failure_rate` is always among them.
        derive: Returns the metrics that follow from the means, of any shape; `parse_failure_rate`
            and `main` are always among them.
        kept: Names of what is measured whose every value `whole` needs; `target` is the true one.
        whole: Returns the metrics that follow from all values of `kept`, without NaN.
        main: Name of the metric that sums the answers up: from 0 to 1, and more is better.
        also: Names of the metrics to look at next; they may be absent.
        constant: Name of what the best constant answer has for `main`, or None.
    """

    measure: Callable[[Columns, Columns], dict[str, Floats]]
    derive: Callable[[Mapping[str, Floats]], dict[str, Floats]]
    kept: tuple[str, ...]
    whole: Callable[[Mapping[str, Floats]], dict[str, float]]
    main: str
    also: tuple[str, ...] = ()
    constant: str | None = None


def measure_ratio(predicted: Columns, true: Columns) -> dict[str, Floats]:
    """Return what is measured of one positive quantity: see `metrics.measure`."""
    [values], [targets] = predicted.values(), true.values()
    return metrics.measure(values, targets) | {"target": targets}


def whole_ratio(kept: Mapping[str, Floats]) -> dict[str, float]:
    """Return the best constant answer and how often it is right."""
    constant_m, constant_delta1 = metrics.best_constant(kept["target"])
    return {"constant_m": constant_m, "constant_delta1": constant_delta1}


def measure_choice(predicted: Columns, true: Columns) -> dict[str, Floats]:
    """Return what is measured of answers that choose one of a few numbers.

    `accuracy`: share of right answers. `whole_choice` adds `constant_accuracy`: that of the answer
    that is right most often on these very questions.
    """
    [values], [targets] = predicted.values(), true.values()
    right = (values == targets).astype(np.float64)
    return _failures(_readable(predicted)) | {"accuracy": right, "target": targets}


def whole_choice(kept: Mapping[str, Floats]) -> dict[str, float]:
    """Return the accuracy of the best constant answer."""
    _, counts = np.unique(kept["target"], return_counts=True)
    return {"constant_accuracy": float(counts.max() / counts.sum())}


def measure_pose(predicted: Columns, true: Columns) -> dict[str, Floats]:
    """Return what is measured of relative poses, as `tasks.relative_pose` writes them.

    The rotation's error is the angle of the one turn between the two rotations (their geodesic
    distance), the direction's that between the two vectors, however long the predicted one is.
    Both are in degrees, from 0 to 180.

    `auc_5`, `auc_15`, `auc_30`: the AUC of the pose error of image matching benchmarks (SuperGlue,
    CVPR 2020). A pose's error is the larger of its two; recall is the share of poses below an
    error; its area up to 5, 15 or 30 degrees is divided by just these, so that 1 is perfect. An
    answer that could not be read, or whose direction is (0, 0, 0), has an infinite error. The area
    is that of the steps, exactly: straight lines between them, as those benchmarks draw, add up to
    1 / (2 n). They also fold a direction onto its opposite; here it is wrong by 180 degrees.

    `rotation_error_deg_mean`, `direction_error_deg_mean` and, of `whole_pose`, `_median`: over what
    could be read, absent when that is nothing. `distance_delta1`, `distance_abs_rel`: of the
    distance alone, as `metrics.score` has them.
    """
    towards, truly_towards = _vectors(predicted), _vectors(true)
    usable = _readable(predicted) & (np.abs(towards).max(axis=1) > 0)
    rotation_deg, direction_deg = np.full((2, len(usable)), np.nan)
    rotation_deg[usable] = turn_deg(_rotations(predicted, usable), _rotations(true, usable))
    direction_deg[usable] = angle_deg(towards[usable], truly_towards[usable])
    error_deg = np.where(usable, np.fmax(rotation_deg, direction_deg), np.inf)
    distance = metrics.measure(np.where(usable, predicted["distance"], np.nan), true["distance"])
    return {
        **_failures(usable),
        **{f"auc_{limit}": area_above(error_deg, limit) for limit in AUC_DEG},
        "rotation_error_deg_mean": rotation_deg,
        "direction_error_deg_mean": direction_deg,
        "distance_delta1": distance["delta1"],
        "distance_abs_rel": distance["abs_rel"],
    }


def whole_pose(kept: Mapping[str, Floats]) -> dict[str, float]:
    """Return the median errors, of what could be read."""
    return {
        f"{name.removesuffix('_mean')}_median": float(np.median(values))
        for name, values in kept.items()
        if len(values)
    }


@np.errstate(over="ignore")
def measure_place(predicted: Columns, true: Columns) -> dict[str, Floats]:
    """Return what is measured of places in a picture, in the units of text: 2000 on each axis.

    The error is the Euclidean distance in these units. They measure shares of the picture, so that
    in one that is not square a unit of x and one of y are different numbers of pixels.

    `epe` and, of `whole_place`, `epe_median`: mean and median error (the end-point error of optical
    flow) over what could be read, absent when that is nothing. `pck_5`: share of answers within 5 %
    of the picture, which is 100 units (the percentage of correct keypoints).
    """
    readable = _readable(predicted)
    error = np.full(len(readable), np.nan)
    error[readable] = np.hypot(
        *(predicted[axis][readable] - true[axis][readable] for axis in ("x", "y"))
    )
    with np.errstate(invalid="ignore"):
        near = (error <= PCK_PERCENT / 100 * NORMALISED).astype(np.float64)
    return _failures(readable) | {f"pck_{PCK_PERCENT}": near, "epe": error}


def whole_place(kept: Mapping[str, Floats]) -> dict[str, float]:
    """Return the median error, of what could be read."""
    return {"epe_median": float(np.median(kept["epe"]))} if len(kept["epe"]) else {}


def area_above(errors: Floats, limit: float) -> Floats:
    """Return each error's part (N,) in the area under the recall curve, divided by the limit.

    Each error adds a step from itself to the limit; the mean of all parts is the area.
    """
    result: Floats = np.maximum(0, 1 - errors / limit)
    return result


def _vectors(columns: Columns) -> Floats:
    return np.stack([columns[axis] for axis in ("x", "y", "z")], axis=1)


def _rotations(columns: Columns, which: NDArray[np.bool_]) -> Floats:
    return rotation_of(*(columns[name][which] for name in ("yaw", "pitch", "roll")))


def _readable(predicted: Columns) -> NDArray[np.bool_]:
    finite = [np.isfinite(column) for column in predicted.values()]
    result: NDArray[np.bool_] = np.logical_and.reduce(finite)
    return result


def _failures(readable: NDArray[np.bool_]) -> dict[str, Floats]:
    return {"parse_failure_rate": (~readable).astype(np.float64)}


def _means(means: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: value for name, value in means.items() if name != "target"}


SCORERS: dict[str, Scorer] = {
    "ratio": Scorer(
        measure_ratio,
        metrics.derive,
        ("target",),
        whole_ratio,
        "delta1",
        ("abs_rel",),
        "constant_delta1",
    ),
    "choice": Scorer(
        measure_choice, _means, ("target",), whole_choice, "accuracy", (), "constant_accuracy"
    ),
    "pose": Scorer(
        measure_pose,
        _means,
        ("rotation_error_deg_mean", "direction_error_deg_mean"),
        whole_pose,
        "auc_30",
        ("rotation_error_deg_median", "direction_error_deg_median", "distance_delta1"),
    ),
    "place": Scorer(
        measure_place, _means, ("epe",), whole_place, f"pck_{PCK_PERCENT}", ("epe", "epe_median")
    ),
}
