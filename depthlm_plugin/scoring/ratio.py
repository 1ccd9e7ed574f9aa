"""Metrics of positive quantities; an answer that cannot be parsed counts as wrong.

In two steps, so that any number of answers can be added up: what is measured of each answer, and
what follows from the means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..geometry.arrays import Floats

THRESHOLD = 1.25


def score(predictions_m: ArrayLike, targets_m: ArrayLike) -> dict[str, float]:
    """Return the metrics of predictions (N,) against targets (N,): metres, or one other unit.

    Args:
        predictions_m: Parsed answers; NaN where an answer could not be parsed. What is not a
            positive, finite number counts like NaN: as a failure, as the parser has it.
        targets_m: True values, positive, at full precision.

    Returns:
        `delta1`, `delta2`, `delta3`: share with max(p/g, g/p) < 1.25, 1.25^2, 1.25^3 (strict),
        failures counted as wrong. Over the parsed answers, absent when there is none: `abs_rel`
        (mean |p - g| / g), `sq_rel` (mean (p - g)^2 / g), `mae`, `rmse`, `rmse_log` (natural
        logarithms), `log10` (mean difference of decimal logarithms) and `silog`: 100 times the
        standard deviation of ln p - ln g (Eigen et al. 2014, eq. 1, as KITTI reports it).
        `parse_failure_rate`; `n`; `constant_m` and `constant_delta1`: the constant answer that is
        right most often on these very targets, and how often it is.
    """
    targets = np.asarray(targets_m, dtype=np.float64)
    measured = measure(predictions_m, targets)
    means = {
        name: float(values[~np.isnan(values)].mean())
        for name, values in measured.items()
        if not np.isnan(values).all()
    }
    constant_m, constant_delta1 = best_constant(targets)
    named = {name: float(value) for name, value in derive(means).items()}
    return named | {
        "n": len(targets),
        "constant_m": constant_m,
        "constant_delta1": constant_delta1,
    }


@np.errstate(over="ignore")  # a ratio or a square beyond all floats is infinite, and wrong
def measure(predictions_m: ArrayLike, targets_m: ArrayLike) -> dict[str, Floats]:
    """Return what is measured of each answer, arrays (N,), NaN where it could not be parsed.

    `delta1` to `delta3` and `parse_failure_rate` are 0 or 1 for every answer. Their arguments are
    those of `score`; `derive` makes metrics of the means.
    """
    predictions = np.asarray(predictions_m, dtype=np.float64)
    targets = np.asarray(targets_m, dtype=np.float64)
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


def derive(means: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """Return the metrics that means of what is measured make, of any shape; absent ones stay so."""
    found = {name: np.asarray(value, dtype=np.float64) for name, value in means.items()}
    metrics = {name: found[name] for name in _MEANS if name in found}
    if "mae" in found:
        # Rounding can take the variance of equal differences below zero.
        variance = found["squared_log"] - np.square(found["log"])
        metrics |= {
            "rmse": np.sqrt(found["squared"]),
            "rmse_log": np.sqrt(found["squared_log"]),
            "log10": found["abs_log"] / np.log(10),
            "silog": 100 * np.sqrt(np.maximum(variance, 0)),
        }
    return metrics


_MEANS = ("delta1", "delta2", "delta3", "parse_failure_rate", "abs_rel", "sq_rel", "mae")


def best_constant(targets_m: ArrayLike) -> tuple[float, float]:
    """Return the constant answer with the highest delta1 on these targets, and its delta1.

    A constant c is right for the targets strictly between c / 1.25 and 1.25 c. Sliding that window
    of fixed width over the sorted logarithms finds the best one exactly.
    """
    logs: Floats = np.sort(np.log(np.asarray(targets_m, dtype=np.float64)))
    width = 2 * np.log(THRESHOLD)
    # The window is open: targets exactly one width apart cannot both be inside.
    ends = np.searchsorted(logs, logs + width * (1 - 1e-12), side="left")
    counts = ends - np.arange(len(logs))
    start = int(counts.argmax())
    last = int(ends[start]) - 1
    constant = float(np.exp((logs[start] + logs[last]) / 2))
    return constant, float(counts[start] / len(logs))


def mean_over(datasets: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over datasets, as the paper averages; `n` is the sum.

    A metric that one of them lacks is left out, and so is `constant_m`.
    """
    shared = [name for name in datasets[0] if all(name in metrics for metrics in datasets)]
    means = {
        name: float(np.mean([metrics[name] for metrics in datasets]))
        for name in shared
        if name not in ("n", "constant_m")
    }
    return means | {"n": sum(int(metrics["n"]) for metrics in datasets)}
