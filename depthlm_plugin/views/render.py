"""Rendering: decode a picture, and resample one window of it.

Pictures decoded or resampled lately are kept, up to a bound, so that many points of one picture
cost little more than one. What is rendered never depends on what is kept.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..geometry.arrays import Pixels
from ..geometry.camera import Camera
from ..records.storage import is_remote
from .decode import load_pixels
from .undistort import undistort_image

RESAMPLINGS = ("fast", "reference")
CACHE_BYTES = 32 * 2**20  # of each process


class PixelCache:
    """Least recently used arrays of pixels, bounded by their bytes; safe to share by threads.

    Attributes:
        max_bytes: The bound; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[object, Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: object) -> Pixels | None:
        """Return the array kept under `key`, which nobody may write to, or None."""
        if key is None:
            return None
        with self._lock:
            pixels = self._kept.get(key)
            if pixels is not None:
                self._kept.move_to_end(key)
            return pixels

    def put(self, key: object, pixels: Pixels) -> None:
        """Keep an array, dropping the least recently used ones; one over the bound is not kept."""
        if pixels.nbytes > self.max_bytes:
            return
        with self._lock:
            replaced = self._kept.pop(key, None)
            self._bytes += pixels.nbytes - (0 if replaced is None else replaced.nbytes)
            self._kept[key] = pixels
            while self._bytes > self.max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.nbytes

    def clear(self) -> None:
        """Forget all arrays."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


CACHE = PixelCache(CACHE_BYTES)


@dataclass(frozen=True)
class Source:
    """A picture file and how it is to be read.

    Attributes:
        path: The file, local or remote.
        camera: Its camera.
        exif_rotation: How its EXIF orientation is read (`decode.image_size`).
        resampling: `fast` (torch) or `reference` (Pillow only).
    """

    path: str
    camera: Camera
    exif_rotation: str
    resampling: str

    def pixels(self, where: str) -> Pixels:
        """Return its pixels (H, W, 3) without distortion; nobody may write to them."""
        fast = self.resampling == "fast"
        return source_pixels(self.path, self.camera, where, self.exif_rotation, fast=fast)


def render_window(
    source: Source, resampled: Camera, left: int, top: int, size_wh: tuple[int, int], where: str
) -> Pixels:
    """Return a window (H, W, 3) of a resampled picture, black outside it, as a fresh array.

    The window is resampled straight from the source, with the neighbouring source pixels that the
    filter needs, which equals resampling everything and then cropping.

    Args:
        source: The picture.
        resampled: The camera, without a lens, of all of the picture as it is resampled.
        left: Column of the window's first pixel in the resampled picture; negative: black before.
        top: Row of the window's first pixel in the resampled picture, likewise.
        size_wh: Size (width, height) of the window, pixels; it must meet the picture.
        where: What to name in errors: the record's file and line.

    Raises:
        RecordError: When the picture cannot be read, or is not of its camera's size.
    """
    width, height = size_wh
    full_w, full_h = resampled.size_wh
    inner_left, inner_top = max(left, 0), max(top, 0)
    inner = inner_left, inner_top, min(left + width, full_w), min(top + height, full_h)
    window = _resample(source, resampled, inner, where)
    if window.shape[:2] == (height, width):
        return window
    pixels = np.zeros((height, width, 3), np.uint8)
    rows = slice(inner_top - top, inner_top - top + window.shape[0])
    columns = slice(inner_left - left, inner_left - left + window.shape[1])
    pixels[rows, columns] = window
    return pixels


def _resample(
    source: Source, resampled: Camera, window: tuple[int, int, int, int], where: str
) -> Pixels:
    """Return a window (left, top, right, bottom) inside the resampled picture, a fresh array."""
    left, top, right, bottom = window
    scale_xy = resampled.fx / source.camera.fx, resampled.fy / source.camera.fy
    if scale_xy == (1, 1):
        return source.pixels(where)[top:bottom, left:right].copy()
    if source.resampling == "fast":
        from .torch_filter import can_resample

        if can_resample(source.camera.size_wh, scale_xy):
            return _resample_fast(source, resampled.size_wh, scale_xy, window, where).copy()
    return resample_reference(source.pixels(where), scale_xy, *window)


def resample_reference(
    pixels: Pixels, scale_xy: tuple[float, float], left: int, top: int, right: int, bottom: int
) -> Pixels:
    """Return a window of a picture (H, W, 3) resampled by Pillow, a fresh array.

    Args:
        pixels: The picture.
        scale_xy: Factors along x and y: u' = (u + 0.5) scale - 0.5.
        left: First column of the window in the resampled picture.
        top: First row of the window in the resampled picture.
        right: Column after its last.
        bottom: Row after its last.
    """
    step_x, step_y = 1 / scale_xy[0], 1 / scale_xy[1]
    box = (
        left * step_x,
        top * step_y,
        min(right * step_x, pixels.shape[1]),
        min(bottom * step_y, pixels.shape[0]),
    )
    image = Image.fromarray(pixels)
    return np.array(image.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=box))


def _resample_fast(
    source: Source,
    full_wh: tuple[int, int],
    scale_xy: tuple[float, float],
    window: tuple[int, int, int, int],
    where: str,
) -> Pixels:
    """Return a window (left, top, right, bottom) resampled by torch; nobody may write to it.

    Where the window is most of the picture, all of it is made and kept. That choice must not depend
    on what is kept already: torch rounds its weights by the size of what it is given.
    """
    from .torch_filter import resample

    left, top, right, bottom = window
    full_w, full_h = full_wh
    if full_w * full_h > 1.5 * right * bottom or full_w * full_h * 3 > CACHE.max_bytes // 4:
        return resample(source.pixels(where), scale_xy, *window)
    key = _key(source.path, source.camera, source.exif_rotation, scale_xy)
    pixels = CACHE.get(key)
    if pixels is None:
        pixels = resample(source.pixels(where), scale_xy, 0, 0, full_w, full_h)
        CACHE.put(key, pixels)
    return pixels[top:bottom, left:right]


def source_pixels(
    path: str, camera: Camera, where: str, exif_rotation: str, *, fast: bool
) -> Pixels:
    """Return a picture (H, W, 3) as it is stored, its lens distortion removed.

    It is kept for the next caller: nobody may write to it.

    Args:
        path: The file, local or remote.
        camera: Its camera.
        where: What to name in errors: the record's file and line.
        exif_rotation: How its EXIF orientation is read (`decode.image_size`).
        fast: Whether torchvision decodes plain JPEG and PNG files.

    Raises:
        RecordError: When it cannot be read, or is not of the camera's size.
    """
    key = _key(path, camera, exif_rotation)
    pixels = CACHE.get(key)
    if pixels is None:
        pixels = load_pixels(path, where, exif_rotation, camera, fast=fast)
        if camera.lens is not None:
            pixels = undistort_image(pixels, camera)
        CACHE.put(key, pixels)
    return pixels


def _key(path: str, *more: object) -> object:
    if is_remote(path):
        return path, *more  # asking a server for a date costs a request
    try:
        status = os.stat(path)
    except OSError:  # loading it will say what is wrong
        return None
    return path, status.st_mtime_ns, status.st_size, *more
