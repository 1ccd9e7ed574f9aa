"""Which pixels of a frame become labels: seeded by the frame, so that nothing else moves them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, RecordError, did_you_mean
from ...geometry.arrays import Floats
from ...geometry.camera import convert_depth
from ...seeds import number_of
from ..frames import Frame

STRATEGIES = ("uniform", "log", "edges")
_STRATUM = math.log(1.25)  # its width: what delta1 calls the same distance
_EDGE = 1.05  # largest over smallest depth of a 3x3 neighbourhood that has no edge
_EDGE_REACH = 2  # pixels of the map around an edge that are called beside it
_BLOCK = 4096  # candidates whose rays are tried at a time: Newton's method is not free


def check_strategy(name: str) -> str:
    """Return the name of a sampling strategy.

    Raises:
        ConfigError: For an unknown one.
    """
    if name not in STRATEGIES:
        raise ConfigError(f"unknown sampling {name!r}{did_you_mean(name, list(STRATEGIES))}")
    return name


def frame_rng(seed: int, dataset: str, frame_id: str) -> np.random.Generator:
    """Return the generator of one frame, whatever its place, its neighbours or the worker."""
    return np.random.default_rng(number_of(json.dumps([seed, dataset, frame_id]), size_bytes=16))


def sample(
    frame: Frame,
    count: int,
    rng: np.random.Generator,
    *,
    strategy: str = "uniform",
    border_px: int = 0,
    where: str = "",
) -> tuple[NDArray[np.int64], Floats]:
    """Return up to `count` pixels (N, 2) of a frame and their depths (N,) in metres, of its kind.

    Pixels are drawn without replacement among those with a valid depth and a ray. `uniform`: all
    alike, as published. `log`: every stratum of a factor 1.25 in distance alike, as far as it has
    pixels. `edges`: as `uniform`, away from depth edges. Where there are no more than asked for,
    all are returned, in their own order.

    Args:
        frame: The frame.
        count: How many to draw.
        rng: The frame's generator, see `frame_rng`.
        strategy: One of `STRATEGIES`.
        border_px: How wide a border of the picture gets no labels, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `no valid depth`.
    """
    if strategy == "edges":
        frame = _without_edges(frame, where)
    places = frame.places()
    if border_px:
        pixels, _ = frame.at(places)
        inside = (
            (pixels >= border_px) & (pixels < np.array(frame.camera.size_wh) - border_px)
        ).all(axis=1)
        places = places[inside]
    picked = _first_seen(frame, places, _order(frame, places, count, rng, strategy), count)
    if not len(picked):
        raise RecordError(
            "no valid depth",
            where,
            "no pixel has a depth that is a positive finite number"
            + (" away from depth edges" if strategy == "edges" else "")
            + "; the frame is left out",
        )
    return frame.at(places[picked])


def drawn(
    frame: Frame, count: int, rng: np.random.Generator, *, strategy: str, where: str
) -> NDArray[np.int64]:
    """Return up to `count` pixels (N, 2) of a frame whose depths are asked for, all alike.

    The other arguments are as those of `sample`.

    Raises:
        RecordError: `no depth map`, for a strategy that draws by depths.
    """
    if strategy != "uniform":
        raise RecordError(
            "no depth map",
            where,
            f"--sampling {strategy} draws by depths; this frame's are asked for afterwards",
        )
    width, height = frame.camera.size_wh
    places = rng.choice(width * height, min(count, width * height), replace=False)
    return np.stack([places % width, places // width], axis=1).astype(np.int64)


def _order(
    frame: Frame,
    places: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    strategy: str,
) -> NDArray[np.int64]:
    """Return which of `places` are candidates, in the order in which they are taken."""
    if len(places) <= count:
        return np.arange(len(places))
    if strategy != "log":
        return rng.permutation(len(places))
    pixels, depth_m = frame.at(places)
    seen = np.flatnonzero(frame.camera.can_undistort(pixels))
    distance_m = convert_depth(
        depth_m[seen], pixels[seen], frame.camera, kind=frame.depth_kind, to="distance"
    )
    strata = np.floor(np.log(distance_m) / _STRATUM).astype(np.int64)
    _, index, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    # Smallest first, exponential variates times stratum sizes are a draw without replacement with
    # weights 1 / size (Efraimidis and Spirakis 2006).
    keys = rng.standard_exponential(len(seen)) * sizes[index]
    return seen[np.argsort(keys, kind="stable")]


def _first_seen(
    frame: Frame, places: NDArray[np.int64], order: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Return the first `count` of `order` that have a ray in the camera's lens model."""
    if frame.camera.lens is None:
        return order[:count]
    taken: list[NDArray[np.int64]] = []
    missing = count
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        pixels, _ = frame.at(places[block])
        block = block[frame.camera.can_undistort(pixels)][:missing]
        taken.append(block)
        missing -= len(block)
        if not missing:
            break
    return np.concatenate(taken) if taken else order[:0]


def _without_edges(frame: Frame, where: str) -> Frame:
    """Return the frame without the pixels of its map whose 3x3 neighbours' valid depths differ."""
    if frame.depth_m is None:
        raise RecordError(
            "no depth map",
            where,
            "--sampling edges needs a depth map to find edges in; this frame has single points",
        )
    return replace(frame, depth_m=np.where(_edges(frame.depth_m), np.nan, frame.depth_m))


def beside_edges(frame: Frame, pixels: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Return which pixels (N, 2) of the picture lie at a depth edge or up to 2 map pixels from one.

    An edge is where the valid depths of 3x3 map pixels differ by 5 % or more. None where the frame
    has no map.
    """
    if frame.depth_m is None:
        return None
    height, width = frame.depth_m.shape
    columns, rows = frame.to_map(pixels).T
    result = np.empty(len(pixels), dtype=np.bool_)
    reach = np.arange(-_EDGE_REACH - 1, _EDGE_REACH + 2)
    for start in range(0, len(pixels), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Beyond the border its own pixels are repeated, which makes no edge.
        row = np.clip(rows[block, None] + reach, 0, height - 1)
        column = np.clip(columns[block, None] + reach, 0, width - 1)
        windows_m = frame.depth_m[row[:, :, None], column[:, None, :]]
        result[block] = _edges(windows_m)[:, 1:-1, 1:-1].any(axis=(1, 2))
    return result


def _edges(depth_m: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return the pixels of depth maps (..., H, W) whose 3x3 neighbours' valid depths differ."""
    valid = np.isfinite(depth_m) & (depth_m > 0)
    low = np.where(valid, depth_m, np.inf)
    high = np.where(valid, depth_m, -np.inf)
    for axis in (-2, -1):
        low, high = _around(low, axis, np.minimum), _around(high, axis, np.maximum)
    with np.errstate(invalid="ignore"):
        result: NDArray[np.bool_] = valid & (high >= _EDGE * low)
    return result


def _around(values: NDArray[Any], axis: int, extreme: np.ufunc) -> NDArray[Any]:
    """Return the extreme of each value and its two neighbours along an axis."""
    values = np.moveaxis(values, axis, 0)
    result = values.copy()
    extreme(result[1:], values[:-1], out=result[1:])
    extreme(result[:-1], values[1:], out=result[:-1])
    return np.moveaxis(result, 0, axis)
