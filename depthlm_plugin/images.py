"""Opening image files: sizes without decoding, and one deterministic way to RGB."""

from __future__ import annotations

import os

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import RecordError

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
    with _open(path, where) as image:
        return _oriented_size(image, path, where, exif_rotation)


def load_rgb(path: str, where: str, exif_rotation: str = "refuse") -> Image.Image:
    """Return the decoded image as 8-bit RGB, the same on every machine.

    Greyscale is repeated; 16-bit greyscale keeps its high byte; palettes are looked up; an alpha
    channel is dropped, not blended; CMYK is converted by Pillow without colour profiles.

    Raises:
        RecordError: As `image_size`; `unreadable image` for truncated data or floating-point pixels
            too.
    """
    with _open(path, where) as image:
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
        rgb = _high_byte(image) if image.mode.startswith("I") else image
        rgb = rgb.convert("RGB")
    if exif_rotation == "apply" and orientation != 1:
        return _turned(rgb, orientation)
    return rgb


def _open(path: str, where: str) -> Image.Image:
    if not os.path.isfile(path):
        raise RecordError("missing image", where, f"image {path} does not exist")
    try:
        return Image.open(path)
    except UnidentifiedImageError as error:
        raise RecordError("unreadable image", where, f"{path} is not an image file") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, where, error) from error
    except Image.DecompressionBombError as error:
        raise RecordError(
            "unreadable image", where, f"{path}: {error}; scale the image down first"
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
    found = image.getexif().get(_EXIF_ORIENTATION, 1)
    return int(found) if found in range(1, 9) else 1  # 0 and the reserved values mean nothing


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
