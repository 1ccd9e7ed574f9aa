"""Depth images, masks, arrays and numbers in files of their own, and the errors of damaged ones."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...errors import RecordError

_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")  # what 16-bit greyscale is called in Pillow


def inside(root: Path, path: Path, where: str) -> Path:
    """Return a path that stays below a folder when all links and `..` in it are followed.

    Args:
        root: The folder, `--root`.
        path: The path, which may be of a list or a link in the dataset.
        where: What to name in errors.

    Raises:
        RecordError: `file outside its root`.
    """
    try:
        base, place = os.path.realpath(root), os.path.realpath(path)
        if os.path.commonpath([base, place]) == base:
            return path
    except ValueError:  # a null character
        pass
    raise RecordError(
        "file outside its root",
        where,
        f"{str(path)!r} leads out of --root; copy there what it names, or give the folder that"
        " holds both",
    )


def read_depth_png(path: Path, where: str) -> NDArray[np.uint16]:
    """Return the raw values (H, W) of a 16-bit greyscale PNG.

    Raises:
        RecordError: `missing depth`, `bad depth image` for one that is not 16-bit greyscale, which
            is never scaled, or is damaged.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    try:
        with Image.open(path) as image:
            mode = image.mode
            values = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RecordError(
            "bad depth image", where, f"{path} cannot be decoded ({error}); fetch it again"
        ) from error
    if mode not in _DEPTH_MODES:
        raise RecordError(
            "bad depth image",
            where,
            f"{path} has {len(image.getbands())} channels of {_bits(mode)} (Pillow mode {mode});"
            " expected one channel of 16 bits. 8-bit depth is a picture of depth, not metres",
        )
    if values.min() < 0 or values.max() > 65535:
        raise RecordError("bad depth image", where, f"{path} holds values outside 16 bits")
    return values.astype(np.uint16)


def _bits(mode: str) -> str:
    return {"1": "1 bit", "F": "floating point"}.get(mode, "8 bits")


def read_mask(path: Path, shape_hw: tuple[int, ...], where: str) -> NDArray[np.bool_]:
    """Return where a mask image (H, W) is not zero.

    Raises:
        RecordError: `missing mask` or `bad mask`.
    """
    if not path.is_file():
        raise RecordError(
            "missing mask", where, f"{path} does not exist; is the download complete?"
        )
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RecordError(
            "bad mask", where, f"{path} cannot be decoded ({error}); fetch it again"
        ) from error
    if values.shape != shape_hw:
        raise RecordError(
            "bad mask", where, f"{path} has the shape {values.shape}, expected {shape_hw}"
        )
    result: NDArray[np.bool_] = values != 0
    return result


def read_npy(path: Path, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """Return the array of a `.npy` file, whose shape must be the given one.

    Raises:
        RecordError: `missing depth` or `bad depth array`.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(
            "bad depth array", where, f"{path} cannot be read ({error}); fetch it again"
        ) from error
    if values.shape != shape:
        raise RecordError(
            "bad depth array", where, f"{path} has the shape {values.shape}, expected {shape}"
        )
    return values


def read_numbers(path: Path, count: int, where: str, what: str) -> list[float]:
    """Return the numbers of a text file, separated by commas or white space.

    Args:
        path: The file.
        count: How many there must be.
        where: What to name in errors.
        what: What they are, for errors.

    Raises:
        RecordError: `missing file`, or `bad file` for another count or what is no number.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = [float(word) for word in text.replace(",", " ").split()]
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} ({what}) does not exist; is the download complete?"
        ) from error
    except (OSError, ValueError) as error:
        raise RecordError("bad file", where, f"{path} ({what}) cannot be read: {error}") from error
    if len(values) != count:
        raise RecordError(
            "bad file", where, f"{path} holds {len(values)} numbers, expected the {count} of {what}"
        )
    return values


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture (H, W, 3) as PNG: without loss, and the same bytes every time."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
