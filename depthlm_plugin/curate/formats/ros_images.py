"""Images, depth and cameras in messages of ROS: sensor_msgs Image, CompressedImage, CameraInfo."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RecordError
from ...geometry.camera import Camera
from ...geometry.lens import Lens
from .aligned_depth import metric
from .files import encode_png, opened_image

IMAGE, COMPRESSED, INFO = (
    f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo")
)
_CHANNELS = {  # where red, green and blue are in the pixels of an encoding
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}
_DEPTHS = {"16UC1": ("u2", 0.001), "32FC1": ("f4", 1.0)}  # its type, metres of one value: REP 118
_FREE = np.array([(1, 0, 1), (0, 1, 1), (0, 0, 0)], np.bool_)  # numbers of a camera's matrix,
_FIXED = np.array([(0, 0, 0), (0, 0, 0), (0, 0, 1)])  # and what its others are
_IT = "the compressed image"
_QUANTISED = struct.Struct("<iff")  # before the PNG of compressedDepth: a format, and A and B


@dataclass(frozen=True)
class Info:
    """A CameraInfo, as plain values.

    Attributes:
        size_wh: Size of the calibrated image, pixels.
        model: The name of its lens model.
        d: The coefficients of its lens.
        k: The 3x3 matrix of the raw image, row by row.
        p: The 3x4 matrix of the rectified image, row by row.
    """

    size_wh: tuple[int, int]
    model: str
    d: tuple[float, ...]
    k: tuple[float, ...]
    p: tuple[float, ...]


def info_of(message: Any) -> Info:
    """Return a CameraInfo; ROS 1 writes its names in capitals."""
    d, k, p = (
        tuple(map(float, getattr(message, name, getattr(message, name.upper(), ()))))
        for name in ("d", "k", "p")
    )
    size_wh = int(message.width), int(message.height)
    return Info(size_wh, str(message.distortion_model), d, k, p)


def camera_of_info(info: Info, rectified: bool, size_wh: tuple[int, int], where: str) -> Camera:
    """Return the camera of an image, where integers are pixel centres, as OpenCV calibrates.

    Args:
        info: Its CameraInfo.
        rectified: Whether it is the image that P is of, or the raw one that K and D are of.
        size_wh: Its size, pixels.
        where: What to name in errors.

    Raises:
        RecordError: `size differs from intrinsics`, `bad intrinsics`, `unknown lens`.
        GeometryError: For numbers that are no camera.
    """
    if info.size_wh != size_wh:
        raise RecordError(
            "size differs from intrinsics",
            where,
            f"camera_info is for {info.size_wh[0]}x{info.size_wh[1]}, the image is"
            f" {size_wh[0]}x{size_wh[1]}; is it of another topic, or binned?",
        )
    name, numbers, columns = ("P", info.p, 4) if rectified else ("K", info.k, 3)
    matrix = np.reshape(numbers, (3, columns))[:, :3]
    if not matrix[0, 0] or not np.array_equal(np.where(_FREE, 0, matrix), _FIXED):
        raise RecordError(
            "bad intrinsics",
            where,
            f"{name} of camera_info is {matrix.tolist()}; expected [[fx, 0, cx], [0, fy, cy],"
            " [0, 0, 1]], zeros are of an uncalibrated camera",
        )
    lens = None if rectified else _lens(info, where)
    fx, fy, cx, cy = (float(matrix[i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return Camera.from_intrinsics([fx, fy, cx, cy, *size_wh], lens)


def _lens(info: Info, where: str) -> Lens | None:
    d = info.d
    if info.model == "equidistant" and len(d) == 4:
        return Lens("fisheye", d)
    if not any(d):
        return None
    if info.model in ("plumb_bob", "rational_polynomial") and len(d) >= 4 and not any(d[5:]):
        return Lens("opencv", d[:5])
    raise RecordError(
        "unknown lens",
        where,
        f"camera_info has the distortion_model {info.model!r} with {list(d)}; expected plumb_bob"
        " (k1, k2, p1, p2, k3) or equidistant (k1, k2, k3, k4). Record the rectified image with"
        " depth aligned to it",
    )


def size_of(message: Any, where: str) -> tuple[int, int]:
    """Return the (width, height) of the image of a message, pixels.

    Raises:
        RecordError: `unreadable image`.
    """
    if message.__msgtype__ == IMAGE:
        return int(message.width), int(message.height)
    with opened_image(io.BytesIO(bytes(message.data)), "unreadable image", where, _IT) as image:
        return image.size


def picture_of(message: Any, where: str) -> bytes:
    """Return an encoded picture: the message's own, or a PNG of its pixels.

    Raises:
        RecordError: `unknown encoding`, `damaged message`.
    """
    if message.__msgtype__ == COMPRESSED:
        return bytes(message.data)
    if message.encoding not in _CHANNELS:
        raise RecordError(
            "unknown encoding",
            where,
            f"the picture is {message.encoding!r}, expected one of {', '.join(_CHANNELS)}",
        )
    channels, order = _CHANNELS[message.encoding]
    pixels = _rows(message, "u1", channels, where)
    return encode_png(pixels[:, :, list(order)].astype(np.uint8))


def depth_of(message: Any, where: str) -> NDArray[np.float64]:
    """Return z (H, W), metres, NaN where it was not measured.

    Raises:
        RecordError: `unknown encoding`, `damaged message`, `bad depth image`.
    """
    if message.__msgtype__ == COMPRESSED:
        return _decompressed(message, where)
    if message.encoding not in _DEPTHS:
        raise _unknown_depth(message.encoding, where)
    kind, unit_m = _DEPTHS[message.encoding]
    return metric(_rows(message, kind, 1, where)[:, :, 0], unit_m)


def _unknown_depth(found: str, where: str) -> RecordError:
    return RecordError(
        "unknown encoding",
        where,
        f"depth is {found!r}, expected 16UC1 (millimetres) or 32FC1 (metres), as such, as"
        " compressedDepth png, or 16UC1 as png",
    )


def _decompressed(message: Any, where: str) -> NDArray[np.float64]:
    encoding, _, how = str(message.format).partition(";")
    encoding, how = encoding.strip(), how.strip()
    quantised = how in ("", "compressedDepth", "compressedDepth png")
    if encoding not in _DEPTHS or not (quantised or how.startswith("png")):
        raise _unknown_depth(message.format, where)
    data = bytes(message.data)
    a, b = 0.0, 0.0
    if quantised:
        if len(data) < _QUANTISED.size:
            raise RecordError("damaged message", where, f"depth has {len(data)} bytes")
        _, a, b = _QUANTISED.unpack_from(data)
        data = data[_QUANTISED.size :]
    with opened_image(io.BytesIO(data), "bad depth image", where, _IT) as image:
        if not image.mode.startswith("I"):
            raise _unknown_depth(f"{message.format}, Pillow mode {image.mode}", where)
        values = np.asarray(image)
    if encoding == "16UC1":
        return metric(values, _DEPTHS[encoding][1])
    if not quantised:
        raise _unknown_depth(message.format, where)
    # z = A / (value - B), 0 where there is none: inverse depth, so that near ones are finer.
    away = np.where(values > 0, values.astype(np.float64) - b, np.nan)
    return metric(a / np.where(away > 0, away, np.nan), 1.0)


def _rows(message: Any, kind: str, channels: int, where: str) -> NDArray[Any]:
    """Return the pixels (H, W, channels) of an Image, whose rows may be longer than they are."""
    dtype = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    width, height, step = int(message.width), int(message.height), int(message.step)
    data = np.asarray(message.data, np.uint8)
    least = width * channels * dtype.itemsize
    if not (width and height) or step < least or len(data) < step * height:
        raise RecordError(
            "damaged message",
            where,
            f"an image of {width}x{height}, {message.encoding}, has {len(data)} bytes in rows of"
            f" {step}; expected {height} rows of {least} or more",
        )
    rows = data[: step * height].reshape(height, step)[:, :least]
    return np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)
