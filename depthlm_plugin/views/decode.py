"""Image files: their sizes without decoding, and their pixels as RGB, always the same."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import RecordError
from ..geometry.arrays import Pixels
from ..geometry.camera import Camera
from ..records.storage import is_remote, open_binary, read_bytes
from .orientation import metadata_of, orientation_of

# Others of Pillow's decoders never end, or take any memory, for some files.
FORMATS = ("JPEG", "PNG", "BMP", "PPM", "GIF", "WEBP", "TIFF", "AVIF")
EXIF_RULES = ("refuse", "apply", "ignore")
_EXIF_BLOCK = 0x8769
_TURNED = (5, 6, 7, 8)  # EXIF orientations that swap width and height
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def image_size(path: str, where: str, exif_rotation: str = "refuse") -> tuple[int, int]:
    """Return the (width, height) of an image file, reading its header and metadata only.

    Args:
        path: The file.
        where: What to name in errors: the record's file and line.
        exif_rotation: What an EXIF orientation other than upright means: `refuse` it, `apply` it
            (intrinsics and pixels belong to the turned image) or `ignore` it (to the stored one).

    Raises:
        RecordError: `missing image`, `unreadable image` or `exif rotation`.
    """
    if not is_remote(path):
        with _opened(path, path, where, exif_rotation) as (image, orientation):
            return _turned_size(image.size, orientation)
    with (
        _fetching(path, where),
        open_binary(path) as file,
        _opened(file, path, where, exif_rotation) as (image, orientation),
    ):
        return _turned_size(image.size, orientation)


def photograph_tags(path: str, where: str) -> tuple[dict[int, Any], tuple[int, int]]:
    """Return what a file's EXIF block says of how it was taken, and the stored (width, height).

    Args:
        path: The file.
        where: As `image_size` takes it.

    Raises:
        RecordError: `missing image`, `unreadable image`.
    """
    with _opened(_source(path, where), path, where, "ignore") as (image, _):
        return dict(metadata_of(image)[0].get_ifd(_EXIF_BLOCK)), image.size


def load_rgb(
    path: str, where: str, exif_rotation: str = "refuse", camera: Camera | None = None
) -> Image.Image:
    """Return the decoded image as 8-bit RGB, the same on every machine.

    Greyscale is repeated; 16-bit colours and greyscale keep their high byte; palettes are looked
    up; an alpha channel is dropped, not blended; CMYK is converted by Pillow without colour
    profiles.

    Args:
        path: The file.
        where: As `image_size` takes it.
        exif_rotation: As `image_size` takes it.
        camera: The camera that it must be of the size of; it is compared before decoding.

    Raises:
        RecordError: As `image_size` and `check_size`; `unreadable image` for truncated data or
            floating-point pixels too.
    """
    return decode_rgb(_source(path, where), path, where, exif_rotation, camera)


def decode_rgb(
    source: str | BinaryIO,
    path: str,
    where: str,
    exif_rotation: str = "refuse",
    camera: Camera | None = None,
) -> Image.Image:
    """Return an opened file, or the file at a path, as 8-bit RGB; see `load_rgb`.

    The picture is its caller's alone.

    Args:
        source: The file.
        path: What to call it in errors.
        where: What else to name there: the record's file and line.
        exif_rotation: As `image_size` takes it.
        camera: As `load_rgb` takes it.

    Raises:
        RecordError: As `load_rgb`.
    """
    # The orientation is read before decoding: Pillow turns a TIFF while it decodes.
    with _opened(source, path, where, exif_rotation, camera) as (image, orientation):
        image.load()
        rgb = _as_rgb(image, path, where)
        return rgb if orientation == 1 else rgb.transpose(_TRANSPOSES[orientation])


def coarse_rgb(path: str, where: str, camera: Camera | None = None) -> Image.Image:
    """Return a file's picture, a JPEG's at an eighth of its size, in less time than `load_rgb`.

    Whatever that refuses is refused here, for the same reason.

    Raises:
        RecordError: As `load_rgb`.
    """
    with _opened(_source(path, where), path, where, "refuse", camera) as (image, _):
        load_coarse(image)
        return _as_rgb(image, path, where)


def load_coarse(image: Image.Image) -> None:
    """Read and decode all of an opened file, a JPEG to an eighth of its size: damage shows alike.

    A JPEG takes a quarter to a half of the time: the rest is to make its pixels.

    Raises:
        Exception: Whatever Pillow raises for a damaged file.
    """
    image.draft(None, (1, 1))
    image.load()


def _as_rgb(image: Image.Image, path: str, where: str) -> Image.Image:
    if image.mode == "F":
        raise RecordError(
            "unreadable image", where, f"{path} holds floating-point pixels, not a photograph"
        )
    image.info.pop("transparency", None)  # Pillow warns that RGB cannot hold a palette's
    rgb: Image.Image = _high_byte(image) if image.mode.startswith("I") else image
    if rgb.mode == "RGB":  # converting it would copy it, a sixth of the time of a JPEG
        return rgb
    return rgb.convert("RGB")


def load_pixels(
    path: str,
    where: str,
    exif_rotation: str = "refuse",
    camera: Camera | None = None,
    *,
    fast: bool,
) -> Pixels:
    """Return the pixels (H, W, 3) of `load_rgb`, an array to write to.

    With `fast`, torchvision decodes plain JPEG and PNG files: to the same pixels. What it cannot
    decode is left to Pillow, so that a file is refused with or without it.

    Raises:
        RecordError: As `load_rgb`.
    """
    source = _source(path, where)
    pixels = _fast_pixels(source, path, where, exif_rotation, camera) if fast else None
    if pixels is None:
        pixels = np.array(decode_rgb(source, path, where, exif_rotation, camera))
    return _eight_bit(pixels, path, where)


def _eight_bit(pixels: NDArray[Any], path: str, where: str) -> Pixels:
    """Return what a decoder gave, if that is 8-bit RGB (H, W, 3)."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise RecordError(
            "unreadable image",
            where,
            f"{path} became {pixels.dtype} {pixels.shape} when decoded, expected 8-bit RGB; save it"
            " as 8-bit RGB",
        )
    return pixels


def _fast_pixels(
    source: str | BytesIO, path: str, where: str, exif_rotation: str, camera: Camera | None
) -> Pixels | None:
    """Return the pixels of a plain file, or None for any other, or a damaged one."""
    with _opened(source, path, where, exif_rotation, camera) as (image, orientation):
        if orientation != 1 or not _is_plain(image):
            return None
        image_format, size_wh = str(image.format), image.size
    from .torch_filter import decode

    if isinstance(source, str):
        data = np.fromfile(source, dtype=np.uint8)
    else:  # torch wants bytes that it might write to
        data = np.frombuffer(bytearray(source.getbuffer()), dtype=np.uint8)
    pixels = decode(data, image_format)
    # A file may say one size to one decoder and another one to the other.
    return None if pixels is None or pixels.shape[1::-1] != size_wh else pixels


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
    """Return whether an opened file holds 8-bit RGB and nothing else."""
    return (
        image.format in ("JPEG", "PNG")
        and image.mode == "RGB"
        and "transparency" not in image.info
        and not getattr(image, "is_animated", False)
        # 16-bit colours have the mode RGB too; what is stored is the last argument of the decoder.
        and (image.format == "JPEG" or _stored_mode(image) == "RGB")
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


@contextmanager
def _opened(
    source: str | BinaryIO,
    path: str,
    where: str,
    exif_rotation: str,
    camera: Camera | None = None,
) -> Iterator[tuple[Image.Image, int]]:
    """Yield an image file that is not decoded yet, and the EXIF orientation to give it.

    Whatever its decoder raises, here or in the body, becomes a RecordError: Pillow's decoders raise
    struct.error, IndexError, ZeroDivisionError and others for damaged files.
    """
    if isinstance(source, str) and not os.path.isfile(source):
        raise RecordError("missing image", where, f"image {path} does not exist")
    try:
        with _open(source, path, where) as image:
            if image.format == "GIF" and getattr(image, "is_animated", False):
                raise RecordError("unreadable image", where, f"{path} is an animation, no picture")
            orientation = _to_apply(image, path, where, exif_rotation)
            if camera is not None:
                check_size(_turned_size(image.size, orientation), camera, path, where)
            yield image, orientation
    except RecordError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise RecordError(
            "unreadable image", where, f"{path} cannot be decoded ({reason}); fetch it again"
        ) from error


def _open(source: str | BinaryIO, path: str, where: str) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow warns over its limit and refuses over twice that.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(source, formats=FORMATS)
    except (UnidentifiedImageError, KeyError) as error:  # KeyError: a Pillow without AVIF
        raise RecordError(
            "unreadable image",
            where,
            f"{path} is not an image file of a format that is read: {', '.join(FORMATS)}",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RecordError(
            "unreadable image",
            where,
            f"{path} has more pixels than Pillow's limit of {Image.MAX_IMAGE_PIXELS}; scale it down"
            " (and its intrinsics with it), or raise PIL.Image.MAX_IMAGE_PIXELS",
        ) from error


def _to_apply(image: Image.Image, path: str, where: str, exif_rotation: str) -> int:
    """Return the EXIF orientation that an image is to be given; 1 leaves it as it is."""
    orientation = orientation_of(image)
    if orientation != 1 and image.format == "TIFF":
        raise RecordError(
            "exif rotation",
            where,
            f"{path} is turned by its TIFF orientation {orientation}, which Pillow applies or not"
            " by its version; save the image upright",
        )
    if orientation == 1 or exif_rotation == "ignore":
        return 1
    if isinstance(orientation, str):
        raise RecordError(
            "exif rotation",
            where,
            f"{path} has the EXIF orientation {orientation[:40]!r}, expected a number from 1 to 8;"
            " save the image upright, or say that intrinsics and pixels belong to the stored one"
            " (exif_rotation: ignore)",
        )
    if exif_rotation == "apply":
        return orientation
    raise RecordError(
        "exif rotation",
        where,
        f"{path} is turned by its EXIF orientation {orientation}; say whether intrinsics and pixels"
        " belong to the turned image (exif_rotation: apply) or to the stored one (ignore)",
    )


def _turned_size(size_wh: tuple[int, int], orientation: int) -> tuple[int, int]:
    return size_wh[::-1] if orientation in _TURNED else size_wh


def _stored_mode(image: Image.Image) -> Any:
    [tile] = getattr(image, "tile", [])
    return tile[3]


def _high_byte(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    return Image.fromarray((values >> 8).clip(0, 255).astype(np.uint8))
