"""Depth images, masks, arrays and numbers in files of their own, and the errors of damaged ones."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...errors import DepthLMError, RecordError
from ...views.decode import FORMATS

_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")  # what 16-bit greyscale is called in Pillow


def named(root: Path, name: str, where: str) -> Path:
    """Return the file that the user named by an option: any, if absolute or with `..`.

    Raises:
        RecordError: `file outside its root` for another name, where a link leads out.
    """
    path = root / name
    return (
        path if Path(name).is_absolute() or ".." in Path(name).parts else inside(root, path, where)
    )


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


@contextmanager
def opened_image(
    source: Path | BinaryIO,
    reason: str,
    where: str,
    what: str,
    check: Callable[[tuple[int, int]], None] | None = None,
) -> Iterator[Image.Image]:
    """Open an image file of a known format, which is not decoded yet.

    Args:
        source: The file.
        reason: The reason of errors.
        where: What to name in them.
        what: What to call the file there.
        check: Called with its (width, height), pixels, to raise a RecordError before much memory is
            taken.

    Raises:
        RecordError: For whatever its decoder raises, here or in the body.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns over its limit of pixels and refuses over twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=FORMATS) as image:
                if check is not None:
                    check(image.size)
                yield image
    except RecordError:
        raise
    except Exception as error:  # as views.decode: Pillow's decoders raise what they like
        raise RecordError(
            reason,
            where,
            f"{what} cannot be decoded: it is damaged ({error or type(error).__name__}); fetch it"
            " again",
        ) from error


def read_depth_png(
    path: Path,
    where: str,
    size_wh: tuple[int, int] | None = None,
    check: Callable[[tuple[int, int]], None] | None = None,
) -> NDArray[np.uint16]:
    """Return the raw values (H, W) of a 16-bit greyscale PNG.

    Args:
        path: The file.
        where: What to name in errors.
        size_wh: The (width, height) that it must have, compared before decoding.
        check: As `opened_image` takes it, in place of that.

    Raises:
        RecordError: `missing depth`, `bad depth image` for one that is not 16-bit greyscale, which
            is never scaled, is of another size, or is damaged.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    if size_wh is not None:
        check = exactly(size_wh, "bad depth image", where, path)
    with opened_image(path, "bad depth image", where, str(path), check) as image:
        mode, bands = image.mode, len(image.getbands())
        values = np.asarray(image) if mode in _DEPTH_MODES else np.zeros(1)
    if mode not in _DEPTH_MODES:
        raise RecordError(
            "bad depth image",
            where,
            f"{path} has {bands} channels of {_bits(mode)} (Pillow mode {mode});"
            " expected one channel of 16 bits. 8-bit depth is a picture of depth, not metres",
        )
    if values.min() < 0 or values.max() > 65535:
        raise RecordError("bad depth image", where, f"{path} holds values outside 16 bits")
    return values.astype(np.uint16)


def _bits(mode: str) -> str:
    return {"1": "1 bit", "F": "floating point"}.get(mode, "8 bits")


def exactly(
    size_wh: tuple[int, int], reason: str, where: str, path: Path
) -> Callable[[tuple[int, int]], None]:
    """Return what refuses every (width, height) but one: a `check` of `opened_image`."""

    def check(found_wh: tuple[int, int]) -> None:
        if found_wh != size_wh:
            raise RecordError(
                reason,
                where,
                f"{path} is {found_wh[0]}x{found_wh[1]}, expected {size_wh[0]}x{size_wh[1]}",
            )

    return check


def read_mask(path: Path, shape_hw: tuple[int, ...], where: str) -> NDArray[np.bool_]:
    """Return where a mask image (H, W) is not zero.

    Raises:
        RecordError: `missing mask` or `bad mask`.
    """
    if not path.is_file():
        raise RecordError(
            "missing mask", where, f"{path} does not exist; is the download complete?"
        )

    def check(size_wh: tuple[int, int], *channels: int) -> None:
        if channels or size_wh[::-1] != shape_hw:
            shape = (*size_wh[::-1], *channels)
            raise RecordError(
                "bad mask", where, f"{path} has the shape {shape}, expected {shape_hw}"
            )

    with opened_image(path, "bad mask", where, str(path), check) as image:
        values = np.asarray(image)
    check(values.shape[1::-1], *values.shape[2:])
    result: NDArray[np.bool_] = values != 0
    return result


def read_npy(path: Path, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """Return the array of a `.npy` file, whose shape must be the given one.

    Raises:
        RecordError: `missing depth` or `bad depth array`.
    """
    values = map_npy(path, where)
    if values.shape != shape:
        raise RecordError(
            "bad depth array", where, f"{path} has the shape {values.shape}, expected {shape}"
        )
    return np.array(values)


def map_npy(path: Path, where: str) -> NDArray[Any]:
    """Return the array of a `.npy` file of any shape, which stays on the disk.

    Raises:
        RecordError: `missing depth` or `bad depth array`.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    try:
        return mapped_array(path)
    except ValueError as error:
        raise RecordError(
            "bad depth array", where, f"{path} cannot be read ({error}); fetch it again"
        ) from error


def mapped_array(path: Path) -> NDArray[Any]:
    """Return the array of a `.npy` file, which stays on disk until it is looked at.

    Raises:
        ValueError: For any other file, one that is shorter than its shape says, or pickled objects.
    """
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # of a hostile header: MemoryError, SyntaxError, struct.error, ...
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(values, np.ndarray):  # an archive
        values.close()
        raise ValueError("it is an archive of arrays, expected one")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"it holds {values.dtype}, expected numbers")
    return values


def array_of(data: bytes) -> NDArray[Any]:
    """Return the array of a `.npy` file's bytes.

    Raises:
        ValueError: For other bytes, fewer than its shape says, pickled objects or text.
    """
    try:
        file = io.BytesIO(data)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, columns_first, dtype = read(file)
        if dtype.kind not in "biuf":
            raise ValueError(f"it holds {dtype}, expected numbers")
        values = np.frombuffer(data, dtype, math.prod(shape), file.tell())
        return values.reshape(shape, order="F" if columns_first else "C")
    except Exception as error:  # as mapped_array
        raise ValueError(str(error) or type(error).__name__) from error


def read_text(path: Path) -> str:
    """Return a text file.

    Raises:
        DepthLMError: For one that is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DepthLMError(f"{path} is not text in UTF-8 ({error}); fetch it again") from error


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
