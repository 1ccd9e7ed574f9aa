"""Answers that are one positive quantity, judged by their ratio to the truth: metres, seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ..geometry.arrays import Floats
from .kind import AnswerKind, Columns, Reward
from .units import Refused, read_quantities

THRESHOLD = 1.25
LOWEST_L1 = -100.0  # in the answer's unit: m, s, m/s
LOWEST_ABS_REL = -10.0

_AGREE = 0.02  # of a length: 2.35 m (7.7 ft) is one answer
_MEANS = ("delta1", "delta2", "delta3", "parse_failure_rate", "abs_rel", "sq_rel", "mae")

Values = Mapping[str, float]


def _delta1(values: Values | None, truth: Values) -> float:
    """Return 1 for answers within a factor of 1.25 of the truth (strictly), else 0."""
    if values is None:
        return 0.0
    value, target = values["value"], truth["value"]
    return float(max(value / target, target / value) < THRESHOLD)


def _negative_l1(values: Values | None, truth: Values) -> float:
    """Return minus the absolute error in the answer's unit, at least `LOWEST_L1`."""
    if values is None:
        return LOWEST_L1
    return max(-abs(values["value"] - truth["value"]), LOWEST_L1)


def _negative_abs_rel(values: Values | None, truth: Values) -> float:
    """Return minus the error divided by the truth, at least `LOWEST_ABS_REL`."""
    if values is None:
        return LOWEST_ABS_REL
    return max(-abs(values["value"] - truth["value"]) / truth["value"], LOWEST_ABS_REL)


class Ratio(AnswerKind):
    """One positive number, `value`.

    Metrics: `delta1`, `delta2`, `delta3`, the share with max(p/g, g/p) < 1.25, 1.25^2, 1.25^3
    (strict), failures counted as wrong. Over the answers that could be read, absent when there is
    none: `abs_rel` (mean |p - g| / g), `sq_rel` (mean (p - g)^2 / g), `mae`, `rmse`, `rmse_log`
    (natural logarithms), `log10` (mean difference of decimal logarithms) and `silog`: 100 times the
    standard deviation of ln p - ln g (Eigen et al. 2014, eq. 1, as KITTI reports it).
    `constant_m` and `constant_delta1`: the constant answer that is right most often on these very
    targets, and how often it is.
    """

    expects = "a number of {unit} above 0"
    reasons = ("not positive",)
    least_decimals = 2
    quantity = "value"
    kept = ("target",)
    main = "delta1"
    also = ("abs_rel",)
    constant = "constant_delta1"
    not_averaged = ("constant_m",)
    note = "MAE, RMSE, SqRel and the constant are in {unit}; SILog is in per cent."
    rewards: ClassVar[Mapping[str, Reward]] = {
        "delta1": _delta1,
        "negative_l1": _negative_l1,
        "negative_abs_rel": _negative_abs_rel,
    }

    def read(self, text: str, unit: str) -> Sequence[float]:
        """Return the one number of a text, in the unit asked for.

        Parts are one number (5 ft 10 in), the same number twice is one number, and numbers of
        different units are one where they agree within 2 %: 2.35 m (7.7 ft) is 2.35 m.
        """
        by_scale: dict[float, float] = {}
        for quantity in read_quantities(text, unit):
            if by_scale.setdefault(quantity.scale, quantity.value) != quantity.value:
                raise Refused("several numbers")
        if not by_scale:
            raise Refused("no number")
        value = by_scale.get(1.0, next(iter(by_scale.values())))
        if any(abs(other - value) > _AGREE * abs(value) for other in by_scale.values()):
            raise Refused("several numbers")
        return [value]

    def _problem(self, values: Mapping[str, float]) -> str | None:
        return None if values["value"] > 0 else "not positive"

    def measure(self, predicted: Columns, true: Columns) -> dict[str, Floats]:
        """Return what `measure_ratio` does, and the target."""
        targets = true["value"]
        return measure_ratio(predicted["value"], targets) | {"target": targets}

    def derive(self, means: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the metrics; those without a mean are absent."""
        metrics = {name: means[name] for name in _MEANS if name in means}
        if "mae" in means:
            # Rounding can take the variance of equal differences below zero.
            variance = means["squared_log"] - np.square(means["log"])
            metrics |= {
                "rmse": np.sqrt(means["squared"]),
                "rmse_log": np.sqrt(means["squared_log"]),
                "log10": means["abs_log"] / np.log(10),
                "silog": 100 * np.sqrt(np.maximum(variance, 0)),
            }
        return metrics

    def whole(self, kept: Mapping[str, Floats]) -> dict[str, float]:
        """Return the best constant answer and how often it is right."""
        constant_m, constant_delta1 = best_constant(kept["target"])
        return {"constant_m": constant_m, "constant_delta1": constant_delta1}


@np.errstate(over="ignore")  # a ratio or a square beyond all floats is infinite, and wrong
def measure_ratio(predictions: Floats, targets: Floats) -> dict[str, Floats]:
    """Return what is measured of positive quantities (N,) against the truth (N,), in one unit.

    What is not a positive, finite number counts as unread: NaN but for `delta1` to `delta3` and
    `parse_failure_rate`, which are 0 or 1 for every answer.

    Raises:
        ValueError: When the arrays do not match, or targets are not positive and finite.
    """
    if predictions.shape != targets.shape or predictions.ndim != 1 or not len(targets):
        raise ValueError(f"expected two equal lists, found {predictions.shape}, {targets.shape}")
    if not (np.isfinite(targets) & (targets > 0)).all():
        raise ValueError(f"targets must be positive and finite, found {targets.min()}")
    parsed = np.isfinite(predictions) & (predictions > 0)
    values = np.where(parsed, predictions, np.nan)
    with np.errstate(invalid="ignore"):
        ratio = np.fmax(values / targets, targets / values)
        right = {f"delta{k}": (ratio < THRESHOLD**k).astype(np.float64) for k in (1, 2, 3)}
    error, logs = values - targets, np.log(values) - np.log(targets)
    return {
        **right,
        "parse_failure_rate": (~parsed).astype(np.float64),
        "abs_rel": np.abs(error) / targets,
        "sq_rel": np.square(error) / targets,
        "mae": np.abs(error),
        "squared": np.square(error),
        "log": logs,
        "abs_log": np.abs(logs),
        "squared_log": np.square(logs),
    }


def best_constant(targets: Floats) -> tuple[float, float]:
    """Return the constant answer with the highest delta1 on targets (N,), and its delta1.

    A constant c is right for the targets strictly between c / 1.25 and 1.25 c. Sliding that window
    of fixed width over the sorted logarithms finds the best one exactly.
    """
    logs: Floats = np.sort(np.log(targets))
    width = 2 * np.log(THRESHOLD)
    # The window is open: targets exactly one width apart cannot both be inside.
    ends = np.searchsorted(logs, logs + width * (1 - 1e-12), side="left")
    counts = ends - np.arange(len(logs))
    start = int(counts.argmax())
    last = int(ends[start]) - 1
    constant = float(np.exp((logs[start] + logs[last]) / 2))
    return constant, float(counts[start] / len(logs))


RATIO = Ratio()
