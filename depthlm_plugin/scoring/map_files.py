"""Depth maps as files, as this package and others write them: PNG, TIFF, NPZ, NPY."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import DepthLMError
from .maps import score_map

ENDINGS = (".png", ".tif", ".tiff", ".npz", ".npy")
"""What files of depth maps end in."""
_KEYS = {"z": "z_m", "distance": "distance_m"}
_DESCRIPTION = 270  # TIFF's ImageDescription


@dataclass(frozen=True)
class MapFile:
    """A depth map that was read.

    Attributes:
        depth_m: Depths (H, W), metres; 0 or NaN where there is none.
        quantity: `z` or `distance`, or None where the file does not say.
    """

    depth_m: NDArray[np.float64]
    quantity: str | None


def read_map(
    path: Path,
    scale_m: float | None = None,
    quantity: str | None = None,
    option: str = "--scale",
) -> MapFile:
    """Return the depth map of a file.

    Args:
        path: A PNG of whole numbers, a floating-point TIFF, an NPY, or an NPZ with `z_m` or
            `distance_m` (or one array).
        scale_m: Metres of one unit, for a file that does not say it; of floating point 1 where
            nobody does.
        quantity: Which of an NPZ's two is wanted.
        option: What to call `scale_m` in errors.

    Raises:
        DepthLMError: For a file that cannot be read, is no map of numbers, contradicts what is
            asked or does not say its unit while nobody else does.
    """
    try:
        raw, note = _numbers(path, quantity)
    except (OSError, ValueError, SyntaxError) as error:
        raise DepthLMError(f"{path}: cannot be read as a depth map: {error}") from error
    if raw.ndim != 2 or raw.dtype.kind not in "uif":
        shape = "x".join(map(str, raw.shape))
        raise DepthLMError(
            f"{path}: a depth map has one number a pixel, found {raw.dtype} of {shape}"
        )
    told, kind = note.get("metres_per_unit"), note.get("quantity")
    if kind not in (None, *_KEYS) or not (told is None or _is_scale(told)):
        raise DepthLMError(f"{path}: its note of units cannot be read: {note}")
    if told is not None and scale_m is not None and told != scale_m:
        raise DepthLMError(f"{path}: says {told:g} m a unit, but {option} is {scale_m:g}")
    scale = scale_m if told is None else told
    if scale is None and raw.dtype.kind != "f":
        raise DepthLMError(
            f"{path}: does not say how many metres one unit is; give {option} (0.001 for"
            " millimetres)"
        )
    return MapFile(raw.astype(np.float64) * (1.0 if scale is None else scale), kind)


def _is_scale(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


def score_files(
    predicted: str | PathLike[str],
    truth: str | PathLike[str],
    quantity: str | None = None,
    scale_m: float | None = None,
    truth_scale_m: float | None = None,
) -> dict[str, dict[str, float]]:
    """Return the scores of depth maps against true ones, by name: see `maps.score_map`.

    Args:
        predicted: A map, or a folder of maps.
        truth: The true map, or a folder that has one of the same name for each; endings may differ.
        quantity: What maps hold that do not say it, `z` or `distance`.
        scale_m: Metres of one unit of predicted maps that do not say it.
        truth_scale_m: The same of true ones.

    Raises:
        DepthLMError: For a map without its pair, z held against distance, or a map that says
            neither while `quantity` does not; for maps that cannot be read or held together.
    """
    scores = {}
    for name, (one, other) in _pairs(Path(predicted), Path(truth)).items():
        true = read_map(other, truth_scale_m, quantity, "--truth-scale")
        told = read_map(one, scale_m, quantity or true.quantity)
        kinds = [file.quantity or quantity for file in (told, true)]
        for path, kind in zip((one, other), kinds, strict=True):
            if quantity not in (None, kind):
                raise DepthLMError(f"{path}: says that it holds {kind}, --quantity {quantity}")
            if kind is None:
                raise DepthLMError(
                    f"{path}: does not say whether it holds z or distance; give --quantity"
                )
        if kinds[0] != kinds[1]:
            raise DepthLMError(
                f"{one} holds {kinds[0]} and {other} {kinds[1]}, which are not the same metres;"
                f" write the map with --quantity {kinds[1]}"
            )
        try:
            scores[name] = score_map(told.depth_m, true.depth_m, quantity=kinds[0] or "z")
        except DepthLMError as error:
            raise DepthLMError(f"{one}, {other}: {error}") from error
    return scores


def _pairs(predicted: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """Return the two files of each name."""
    if not predicted.is_dir() and not truth.is_dir():
        return {predicted.stem: (predicted, truth)}
    if not (predicted.is_dir() and truth.is_dir()):
        raise DepthLMError(f"{predicted} and {truth} must both be maps, or both be folders")
    told, true = _named(predicted), _named(truth)
    for folder, other, missing in (
        (truth, predicted, sorted(told.keys() - true.keys())),
        (predicted, truth, sorted(true.keys() - told.keys())),
    ):
        if missing:
            raise DepthLMError(
                f"{folder} has no map for {len(missing)} of {other} ({missing[0]}, ...): every map"
                " needs its pair of the same name; leave out what shall not count"
            )
    if not told:
        raise DepthLMError(f"{predicted} holds no map ({', '.join(ENDINGS)})")
    return {name: (told[name], true[name]) for name in sorted(told)}


def _named(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in ENDINGS and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise DepthLMError(f"{found[name]} and {path} are two maps of one name")
            found[name] = path
    return found


def _numbers(path: Path, quantity: str | None) -> tuple[NDArray[Any], dict[str, Any]]:
    kind = path.suffix.lower()
    if kind == ".npy":
        return np.load(path, allow_pickle=False), {}
    if kind == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            for name, key in _KEYS.items():
                if key in arrays and quantity in (None, name):
                    return arrays[key], {"quantity": name, "metres_per_unit": 1.0}
            if len(arrays.files) != 1:
                wanted = " or ".join(_KEYS.values() if quantity is None else [_KEYS[quantity]])
                raise ValueError(f"expected an array {wanted}, found {', '.join(arrays.files)}")
            return arrays[arrays.files[0]], {}
    with Image.open(path) as image:
        if image.mode in ("1", "P"):
            raise ValueError(f"its pixels (mode {image.mode}) are colours, not depths")
        text = image.info.get("depthlm") if kind == ".png" else _description(image)
        note = json.loads(text) if text else {}
        return np.asarray(image), note if isinstance(note, dict) else {}


def _description(image: Image.Image) -> str | None:
    text = getattr(image, "tag_v2", {}).get(_DESCRIPTION)
    return text if isinstance(text, str) and text.startswith("{") else None
