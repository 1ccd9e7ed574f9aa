"""Executing views: decode, one resample of the window, padding, marks.

Images decoded or resampled lately are kept, up to a bound, so that many points of one image cost
little more than one. What is rendered never depends on what is kept.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..geometry.arrays import Pixels
from ..geometry.camera import Camera
from ..records.storage import is_remote
from .decode import check_size, load_pixels
from .undistort import undistort_image

if TYPE_CHECKING:
    from .view import View

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
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

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
        """Keep nothing of what was put so far."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


CACHE = PixelCache(CACHE_BYTES)


def render(view: View, where: str) -> Pixels:
    """Return the view's pixels (H, W, 3), 8-bit RGB, a fresh array; see `View.render`."""
    width, height = view.size_wh
    full_w, full_h = view.normalised.size_wh
    left, top = max(view.left, 0), max(view.top, 0)
    right, bottom = min(view.left + width, full_w), min(view.top + height, full_h)
    window = _resampled(view, where, left, top, right, bottom)
    if (right - left, bottom - top) == (width, height):
        pixels = window
    else:
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[top - view.top : bottom - view.top, left - view.left : right - view.left] = window
    for mark in view.marks:
        mark.marker.draw(pixels, mark.x, mark.y)
    return pixels


def _resampled(view: View, where: str, left: int, top: int, right: int, bottom: int) -> Pixels:
    """Return that window of the whole image at the view's focal length, a fresh array."""
    source = view.source
    scale_xy = view.focal_px / source.fx, view.focal_px / source.fy
    if scale_xy == (1, 1):
        return _source(view, where)[top:bottom, left:right].copy()
    if view.resampling == "fast":
        from .torch_filter import can_resample

        if can_resample(source.size_wh, scale_xy):
            return _fast(view, where, scale_xy, (left, top, right, bottom)).copy()
    return resample_reference(_source(view, where), scale_xy, left, top, right, bottom)


def resample_reference(
    pixels: Pixels, scale_xy: tuple[float, float], left: int, top: int, right: int, bottom: int
) -> Pixels:
    """Return a window of pixels (H, W, 3) resampled by these factors, by Pillow, a fresh array."""
    step_x, step_y = 1 / scale_xy[0], 1 / scale_xy[1]
    box = (
        left * step_x,
        top * step_y,
        min(right * step_x, pixels.shape[1]),
        min(bottom * step_y, pixels.shape[0]),
    )
    image = Image.fromarray(pixels)
    return np.array(image.resize((right - left, bottom - top), Image.Resampling.BICUBIC, box=box))


def _fast(
    view: View, where: str, scale_xy: tuple[float, float], window: tuple[int, int, int, int]
) -> Pixels:
    """Return a window (left, top, right, bottom) of the image resampled by torch; not to write to.

    Where the window is most of the image, all of it is made and kept. That choice must not depend
    on what is kept already: torch rounds its weights by the size of what it is given.
    """
    from .torch_filter import resample

    left, top, right, bottom = window
    full_w, full_h = view.normalised.size_wh
    if full_w * full_h > 1.5 * right * bottom or full_w * full_h * 3 > CACHE.max_bytes // 4:
        return resample(_source(view, where), scale_xy, *window)
    key = _key(view.image, view.source, view.exif_rotation, scale_xy)
    pixels = CACHE.get(key)
    if pixels is None:
        pixels = resample(_source(view, where), scale_xy, 0, 0, full_w, full_h)
        CACHE.put(key, pixels)
    return pixels[top:bottom, left:right]


def _source(view: View, where: str) -> Pixels:
    rule, fast = view.exif_rotation, view.resampling == "fast"
    return source_pixels(view.image, view.source, where, rule, fast=fast)


def source_pixels(
    path: str, camera: Camera, where: str, exif_rotation: str, *, fast: bool
) -> Pixels:
    """Return a source image (H, W, 3), its lens distortion removed; nobody may write to it.

    Raises:
        RecordError: When it cannot be read, or is not of the camera's size.
    """
    key = _key(path, camera, exif_rotation)
    pixels = CACHE.get(key)
    if pixels is None:
        pixels = load_pixels(path, where, exif_rotation, fast=fast)
        check_size((pixels.shape[1], pixels.shape[0]), camera, path, where)
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
