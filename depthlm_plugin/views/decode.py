"""Image files: their sizes without decoding, and their pixels as RGB, always the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import RecordError
from ..geometry.arrays import Pixels
from ..geometry.camera import Camera
from ..records.storage import is_remote, open_binary, read_bytes

_EXIF_ORIENTATION = 274
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
EXIF_RULES = ("refuse", "apply", "ignore")


def image_size(path: str, where: str, exif_rotation: str = "refuse") -> tuple[int, int]:
    """Return the (width, height) of an image file, reading its header only.

    Args:
        path: The file.
        where: What to name in errors: the record's file and line.
        exif_rotation: What an EXIF orientation other than upright means: `refuse` it, `apply` it
            (intrinsics and pixels belong to the turned image) or `ignore` it (to the stored one).

    Raises:
        RecordError: `missing image`, `unreadable image` or `exif rotation`.
    """
    if not is_remote(path):
        return _size(path, path, where, exif_rotation)
    with _fetching(path, where), open_binary(path) as file:
        return _size(file, path, where, exif_rotation)


def _size(source: str | BinaryIO, path: str, where: str, exif_rotation: str) -> tuple[int, int]:
    with _open(source, path, where) as image:
        return _oriented_size(image, path, where, exif_rotation)


def load_rgb(path: str, where: str, exif_rotation: str = "refuse") -> Image.Image:
    """Return the decoded image as 8-bit RGB, the same on every machine.

    Greyscale is repeated; 16-bit greyscale keeps its high byte; palettes are looked up; an alpha
    channel is dropped, not blended; CMYK is converted by Pillow without colour profiles.

    Raises:
        RecordError: As `image_size`; `unreadable image` for truncated data or floating-point pixels
            too.
    """
    return decode_rgb(_source(path, where), path, where, exif_rotation)


def decode_rgb(
    source: str | BinaryIO, path: str, where: str, exif_rotation: str = "refuse"
) -> Image.Image:
    """Return an opened file, or the file at a path, as 8-bit RGB; see `load_rgb`.

    The picture is its caller's alone.

    Args:
        source: The file.
        path: What to call it in errors.
        where: What else to name there: the record's file and line.
        exif_rotation: As `image_size` takes it.

    Raises:
        RecordError: As `load_rgb`.
    """
    with _open(source, path, where) as image:
        try:
            # Before decoding, as image_size sees it: Pillow turns a TIFF while it decodes.
            _oriented_size(image, path, where, exif_rotation)
            orientation = _orientation(image)
            image.load()
        except (OSError, SyntaxError, ValueError) as error:
            raise _unreadable(path, where, error) from error
        if image.mode == "F":
            raise RecordError(
                "unreadable image", where, f"{path} holds floating-point pixels, not a photograph"
            )
        image.info.pop("transparency", None)  # Pillow warns that RGB cannot hold a palette's
        rgb: Image.Image = _high_byte(image) if image.mode.startswith("I") else image
        if rgb.mode != "RGB":  # converting RGB would copy it, a sixth of the time of a JPEG
            rgb = rgb.convert("RGB")
    if exif_rotation == "apply" and orientation != 1:
        return _turned(rgb, orientation)
    return rgb


def load_pixels(path: str, where: str, exif_rotation: str = "refuse", *, fast: bool) -> Pixels:
    """Return the pixels (H, W, 3) of `load_rgb`, an array to write to.

    With `fast`, torchvision decodes plain JPEG and PNG files: to the same pixels.

    Raises:
        RecordError: As `load_rgb`.
    """
    source = _source(path, where)
    if fast:
        with _open(source, path, where) as image:
            _oriented_size(image, path, where, exif_rotation)
            image_format = image.format if _is_plain(image) else None
        if image_format is not None:
            from .torch_filter import decode

            if isinstance(source, str):
                data = np.fromfile(source, dtype=np.uint8)
            else:  # torch wants bytes that it might write to
                data = np.frombuffer(bytearray(source.getbuffer()), dtype=np.uint8)
            return decode(data, image_format, path, where)
    return np.array(decode_rgb(source, path, where, exif_rotation))


def _source(path: str, where: str) -> str | BytesIO:
    """Return what Pillow opens: a local path as it is, or a remote file's bytes."""
    if not is_remote(path):
        return path
    with _fetching(path, where):
        return BytesIO(read_bytes(path))


@contextmanager
def _fetching(path: str, where: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise RecordError("missing image", where, f"image {path} does not exist") from error
    except OSError as error:
        raise RecordError(
            "unreadable image", where, f"{path} cannot be fetched ({error}); check the access to it"
        ) from error


def _is_plain(image: Image.Image) -> bool:
    """Return whether an opened file holds 8-bit RGB as it is to be shown."""
    return (
        image.format in ("JPEG", "PNG")
        and image.mode == "RGB"
        and "transparency" not in image.info
        and _orientation(image) == 1
    )


def check_size(size_wh: tuple[int, int], camera: Camera, path: str, where: str) -> None:
    """Refuse an image whose size is not the one that its intrinsics were given for.

    Args:
        size_wh: Its (width, height), pixels.
        camera: The camera of its record.
        path: What to call it in errors.
        where: The record's file and line.

    Raises:
        RecordError: `size differs from intrinsics`.
    """
    if size_wh != camera.size_wh:
        raise RecordError(
            "size differs from intrinsics",
            where,
            f"{path} is {size_wh[0]}x{size_wh[1]} but its intrinsics are for"
            f" {camera.size_wh[0]}x{camera.size_wh[1]}; give the intrinsics of the stored image",
        )


def _open(source: str | BinaryIO, path: str, where: str) -> Image.Image:
    if isinstance(source, str) and not os.path.isfile(source):
        raise RecordError("missing image", where, f"image {path} does not exist")
    try:
        with warnings.catch_warnings():
            # Pillow warns over its limit and refuses over twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(source)
    except UnidentifiedImageError as error:
        raise RecordError("unreadable image", where, f"{path} is not an image file") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, where, error) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RecordError(
            "unreadable image",
            where,
            f"{path} has more pixels than Pillow's limit of {Image.MAX_IMAGE_PIXELS}; scale it down"
            " (and its intrinsics with it), or raise PIL.Image.MAX_IMAGE_PIXELS",
        ) from error


def _unreadable(path: str, where: str, error: Exception) -> RecordError:
    return RecordError(
        "unreadable image", where, f"{path} cannot be decoded ({error}); fetch it again"
    )


def _oriented_size(
    image: Image.Image, path: str, where: str, exif_rotation: str
) -> tuple[int, int]:
    orientation = _orientation(image)
    if orientation != 1 and image.format == "TIFF":
        raise RecordError(
            "exif rotation",
            where,
            f"{path} is turned by its TIFF orientation {orientation}, which Pillow applies or not"
            " by its version; save the image upright",
        )
    if orientation == 1 or exif_rotation == "ignore":
        return image.size
    if exif_rotation == "apply":
        width, height = image.size
        return (height, width) if orientation in _TURNED else (width, height)
    raise RecordError(
        "exif rotation",
        where,
        f"{path} is turned by its EXIF orientation {orientation}; say whether intrinsics and pixels"
        " belong to the turned image (exif_rotation: apply) or to the stored one (ignore)",
    )


def _orientation(image: Image.Image) -> int:
    # PngImageFile.getexif decodes the whole picture when it has not met an eXIf chunk yet.
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    return (
        int(orientation) if orientation in range(1, 9) else 1
    )  # 0 and the reserved values mean nothing


def _high_byte(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    transpose = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }[orientation]
    return image.transpose(transpose)
