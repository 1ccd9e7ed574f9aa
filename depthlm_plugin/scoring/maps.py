"""Scores of whole depth maps against true ones: how right they are, and how right their shapes.

Every score is of one picture; of several, `mean_of` averages. All take maps of one quantity, metres
(H, W), and count only pixels where both have a depth; `coverage` says how many that are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DepthLMError
from ..geometry.arrays import Floats
from ..seeds import number_of
from .intervals import FEWEST, interval, picture_keys, weights

METRICS = {
    "delta1": "share of pixels within a factor of 1.25 of the truth",
    "abs_rel": "mean |p - g| / g",
    "rmse_m": "root of the mean squared error, metres",
    "silog": "100 times the standard deviation of ln p - ln g",
    "edge_f1": "edges of depth, precision and recall in one: see edge_f1",
    "wrong_order": "share of near pairs, 10 to 25 % apart, told the wrong way round",
    "plane_noise": "spread of log depth about flat pieces of the truth",
    "far_slope": "slope of ln p over ln g in the farther half: below 1 far things come too near",
    "coverage": "share of the true pixels that have a depth",
}
"""Every score of a map by its name, in words."""

_DELTA1 = 1.25
_EDGE_RATIOS = (1.05, 1.1, 1.15, 1.2, 1.25)
_APART = (1.1, 1.25)  # ratio of the depths of a pair
_PAIRS = 20_000
_NEAR = 0.1  # of the picture's width: how far the two of a pair may be from each other
_PATCH_PX = 16
_FLAT = 0.003  # in log depth: a piece of the truth that is a plane
_FAR_LEAST = 1.2  # ratio that the farther half must span for a slope


def score_map(predicted_m: Floats, truth_m: Floats, *, quantity: str) -> dict[str, float]:
    """Return the scores of a map by the names of `METRICS`; one that cannot be told is absent.

    Args:
        predicted_m: Depths (H, W), metres; not finite or not above 0: none.
        truth_m: The true ones (H, W), likewise.
        quantity: What both are, `z` or `distance`: only z has planes where 1 / z is linear.

    Raises:
        DepthLMError: For maps of different sizes, or a truth without any depth.
    """
    if predicted_m.shape != truth_m.shape:
        (rows, columns), (true_rows, true_columns) = predicted_m.shape, truth_m.shape
        raise DepthLMError(
            f"the map is {columns}x{rows} and the truth {true_columns}x{true_rows}; they must be"
            " of one size, pixel on pixel"
        )
    known, answered = _there(truth_m), _there(predicted_m)
    if not known.any():
        raise DepthLMError("the truth has no depth at all (numbers above 0)")
    both = known & answered
    scores = {"coverage": float(both.sum() / known.sum())}
    if not both.any():
        return scores
    p, g = predicted_m[both].astype(np.float64), truth_m[both].astype(np.float64)
    off = np.log(p / g)
    scores["delta1"] = float((np.maximum(p / g, g / p) < _DELTA1).mean())
    scores["abs_rel"] = float((np.abs(p - g) / g).mean())
    scores["rmse_m"] = float(np.sqrt(np.square(p - g).mean()))
    scores["silog"] = float(100 * off.std())
    log_p, log_g = (np.log(np.where(both, one, 1.0)) for one in (predicted_m, truth_m))
    found = {
        "edge_f1": edge_f1(log_p, log_g, both),
        "wrong_order": wrong_order(log_p, log_g, both),
        "plane_noise": plane_noise(log_p, log_g, both) if quantity == "z" else None,
        "far_slope": far_slope(np.log(p), np.log(g)),
    }
    scores.update({name: value for name, value in found.items() if value is not None})
    return {name: scores[name] for name in METRICS if name in scores}


def edge_f1(log_p: Floats, log_g: Floats, both: NDArray[np.bool_]) -> float | None:
    """Return how well edges of depth are found, from 0 to 1; None where the truth has none.

    An edge lies between two neighbouring pixels whose depths differ by more than a ratio, towards
    the farther one; it is found where the map has it between the same two. F1 of precision and
    recall, its mean over ratios of 1.05 to 1.25 (as Depth Pro scores boundaries: Bochkovskii et
    al. 2024, section 4.2).
    """
    steps_p, steps_g = _steps(log_p, both), _steps(log_g, both)
    scores = []
    for ratio in _EDGE_RATIOS:
        least = math.log(ratio)
        true = np.sign(steps_g) * (np.abs(steps_g) > least)
        told = np.sign(steps_p) * (np.abs(steps_p) > least)
        edges, claimed = np.count_nonzero(true), np.count_nonzero(told)
        if edges:
            hits = np.count_nonzero((true == told) & (true != 0))
            scores.append(2 * hits / (edges + claimed))
    return float(np.mean(scores)) if scores else None


def wrong_order(log_p: Floats, log_g: Floats, both: NDArray[np.bool_]) -> float | None:
    """Return the share of near pairs of pixels whose farther one the map has nearer, or level.

    Pairs are up to a tenth of the picture's width apart and 10 to 25 % in depth; up to 20 000,
    always the same ones. None where there are fewer than 100.
    """
    height, width = both.shape
    rng = np.random.default_rng(number_of(f"pairs {width}x{height}"))
    rows, columns = np.nonzero(both)
    first = rng.integers(len(rows), size=8 * _PAIRS)
    reach = max(1, round(_NEAR * width))
    step = rng.integers(-reach, reach + 1, size=(2, len(first)))
    row, column = rows[first] + step[0], columns[first] + step[1]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    first, row, column = first[inside], row[inside], column[inside]
    there = both[row, column]
    at = rows[first][there], columns[first][there]
    other = row[there], column[there]
    step_g = log_g[other] - log_g[at]
    apart = (np.abs(step_g) >= math.log(_APART[0])) & (np.abs(step_g) <= math.log(_APART[1]))
    chosen = np.flatnonzero(apart)[:_PAIRS]
    if len(chosen) < 100:
        return None
    step_p = (log_p[other] - log_p[at])[chosen]
    return float((step_p * np.sign(step_g[chosen]) <= 0).mean())


def plane_noise(log_p: Floats, log_g: Floats, both: NDArray[np.bool_]) -> float | None:
    """Return how far z is from flat where the truth is, as a standard deviation of log z.

    The pieces are 16 x 16 pixels; on a plane 1 / z is linear in the pixel, without knowing the
    camera. The map's piece is held against its own plane, so that wrong scale or slope does not
    count. None where the truth has no flat piece.
    """
    height, width = (size // _PATCH_PX * _PATCH_PX for size in both.shape)
    if not height or not width:
        return None
    there, told, true = (_pieces(one[:height, :width]) for one in (both, log_p, log_g))
    whole = there.all(axis=1)
    told, true = told[whole], true[whole]
    if not len(true):
        return None
    flat = _off_plane(true) < _FLAT
    return float(np.median(_off_plane(told[flat]))) if flat.any() else None


def far_slope(log_p: Floats, log_g: Floats) -> float | None:
    """Return the slope of ln p over ln g (N,) among the farther half of the truth.

    1 is right; models that shrink far depths have less. None where that half spans less than 20 %.
    """
    far = log_g >= np.median(log_g)
    x, y = log_g[far], log_p[far]
    if np.ptp(x) < math.log(_FAR_LEAST):
        return None
    x = x - x.mean()
    return float((x * y).sum() / np.square(x).sum())


def mean_of(
    scores: Mapping[str, Mapping[str, float]],
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Return the means of pictures' scores and their 95 % intervals, over those that have them.

    Args:
        scores: The scores of each picture, by its name, which the bootstrap draws by.
    """
    means, intervals = {}, {}
    drawn = weights(picture_keys([*scores])).astype(np.float64)
    for name in METRICS:
        values = np.array([one.get(name, np.nan) for one in scores.values()])
        has = ~np.isnan(values)
        if not has.any():
            continue
        means[name] = float(values[has].mean())
        if has.sum() >= FEWEST:
            with np.errstate(invalid="ignore"):
                replicates = values[has] @ drawn[has] / drawn[has].sum(axis=0)
            found = interval(replicates)
            if found is not None:
                intervals[name] = found
    return means, intervals


def _there(depth_m: Floats) -> NDArray[np.bool_]:
    return np.isfinite(depth_m) & (np.nan_to_num(depth_m) > 0)


def _steps(log_m: Floats, both: NDArray[np.bool_]) -> Floats:
    """Return the steps of log depth between neighbours that are both there (N,)."""
    down = np.diff(log_m, axis=0)[both[1:] & both[:-1]]
    right = np.diff(log_m, axis=1)[both[:, 1:] & both[:, :-1]]
    return np.concatenate([down, right])


def _pieces(values: NDArray[Any]) -> NDArray[Any]:
    """Return the square pieces of an array as rows (pieces, pixels)."""
    rows, columns = (size // _PATCH_PX for size in values.shape)
    cut = values.reshape(rows, _PATCH_PX, columns, _PATCH_PX).swapaxes(1, 2)
    return cut.reshape(rows * columns, -1)


def _off_plane(log_z: Floats) -> Floats:
    """Return the spread of each piece's log z (N, pixels) about its own plane (N,)."""
    inverse = np.exp(-log_z.astype(np.float64))
    x, y = np.meshgrid(np.linspace(-1, 1, _PATCH_PX), np.linspace(-1, 1, _PATCH_PX))
    basis, _ = np.linalg.qr(np.stack([np.ones(x.size), x.ravel(), y.ravel()], axis=1))
    fitted = inverse @ basis @ basis.T
    result: Floats = ((inverse - fitted) / inverse.mean(axis=1, keepdims=True)).std(axis=1)
    return result


def names_of(scores: Sequence[Mapping[str, float]]) -> list[str]:
    """Return the metrics that any picture has, in the order of `METRICS`."""
    return [name for name in METRICS if any(name in one for one in scores)]
