"""Pictures and depth maps in the cells of a table: encoded, as arrays, or the names of files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import RecordError
from ....views.decode import image_size
from ....views.orientation import orientation_of
from ...formats.files import array_of, encode_png, inside, opened_image

Content = bytes | Path | NDArray[Any]

_KEPT = ("PNG", "JPEG")  # formats of pictures that are written as they are
_NUMPY = b"\x93NUMPY"  # how a .npy file begins


def content_of(cell: Any, name: str, folder: Path, root: Path, where: str) -> Content:
    """Return what a cell of a column holds: an encoded image, an array, or a file below `root`.

    Raises:
        RecordError: `empty cell`, `missing file`, `file outside its root`.
    """
    if isinstance(cell, dict):  # the Image of the datasets library
        cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, np.ndarray) and np.issubdtype(cell.dtype, np.number):
        return cell
    if not isinstance(cell, str) or not cell:
        raise RecordError(
            "empty cell",
            where,
            f"column {name!r} holds {type(cell).__name__}, expected an encoded image, an array of"
            " numbers or the name of a file",
        )
    path = inside(root, Path(os.path.normpath(folder / cell)), where)
    if not path.is_file():
        raise RecordError(
            "missing file", where, f"{path} does not exist; is the download complete?"
        )
    return root / path.relative_to(os.path.normpath(root))


def picture_of(content: Content, where: str) -> tuple[Path | bytes, tuple[int, int]]:
    """Return a picture, as its file or encoded, and its size (width, height).

    PNG and JPEG stay as they are; other encodings and arrays become PNG.

    Raises:
        RecordError: `unreadable image`, `exif rotation`.
    """
    if isinstance(content, Path):
        return content, image_size(str(content), where)
    if isinstance(content, np.ndarray):
        pixels = _rgb(content, where)
        return encode_png(pixels), (pixels.shape[1], pixels.shape[0])
    source = io.BytesIO(content)
    with opened_image(source, "unreadable image", where, "its picture") as image:
        turned = orientation_of(image)
        size_wh = image.size
        if image.format not in _KEPT:
            content = encode_png(np.asarray(image.convert("RGB")))
    if turned != 1:
        raise RecordError(
            "exif rotation",
            where,
            f"its picture is turned by the EXIF orientation {turned}, which the datasets library"
            " applies and others do not; save it upright, as its depth and intrinsics are",
        )
    return content, size_wh


def _rgb(values: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return an array of a picture as RGB (H, W, 3)."""
    if values.ndim == 3 and values.shape[0] == 3 != values.shape[2]:
        values = np.moveaxis(values, 0, 2)
    if values.ndim != 3 or values.shape[2] != 3:
        raise RecordError(
            "unreadable image",
            where,
            f"its picture is an array {values.shape}, expected (H, W, 3) or (3, H, W)",
        )
    most = 1 if np.issubdtype(values.dtype, np.floating) else 255
    if not (values.min() >= 0 and values.max() <= most):
        raise RecordError(
            "unreadable image",
            where,
            f"its picture is {values.dtype} from {values.min():g} to {values.max():g}, expected 0"
            f" to {most}; is it normalised for a network?",
        )
    return np.round(values * (255 // most)).astype(np.uint8)


def depth_of(
    content: Content, where: str, check: Callable[[tuple[int, int]], None]
) -> tuple[NDArray[Any], bool]:
    """Return the stored values of a depth map (H, W), and whether they are an array, no image.

    Args:
        content: What its cell holds.
        where: What to name in errors.
        check: Called with an image's (width, height) before it is decoded.

    Raises:
        RecordError: `bad depth image`, `bad depth array`, or what `check` raises.
    """
    if isinstance(content, Path):
        content = content.read_bytes()
    if isinstance(content, bytes):
        decoded = _decoded(content, where, check)
        if not content.startswith(_NUMPY):
            return decoded, False
        content = decoded
    if content.ndim == 3 and 1 in (content.shape[0], content.shape[2]):
        content = content[0] if content.shape[0] == 1 else content[..., 0]
    if content.ndim != 2:
        raise RecordError(
            "bad depth array", where, f"depth is an array {content.shape}, expected (H, W)"
        )
    return content, True


def _decoded(data: bytes, where: str, check: Callable[[tuple[int, int]], None]) -> NDArray[Any]:
    if data.startswith(_NUMPY):
        try:
            return array_of(data)
        except ValueError as error:
            raise RecordError(
                "bad depth image", where, f"its depth cannot be decoded ({error}); fetch it again"
            ) from error
    with opened_image(io.BytesIO(data), "bad depth image", where, "its depth", check) as image:
        mode = image.mode
        values = np.asarray(image)
    if mode not in ("F", "L", "I") and not mode.startswith("I;16"):
        raise RecordError(
            "bad depth image",
            where,
            f"its depth is a picture in colours or a palette (Pillow mode {mode}), drawn to be"
            " looked at; expected 16-bit greyscale, floating point or an array",
        )
    return values
