"""The fast path of rendering: torch's decoders and its 8-bit antialiased bicubic filter.

The only module outside `host/` that needs torch, imported when a view asks for `resampling: fast`.
Its filter is Pillow's (a = -0.5, antialiased, 8 bits between the passes) and differs from it by at
most 2 grey levels, in a tenth of the time on one thread.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as functional
import torchvision.io
from numpy.typing import NDArray

from ..geometry.arrays import Pixels

_SUPPORT_PX = 2  # of the bicubic filter, on either side, in the coarser of the two images


def decode(data: NDArray[np.uint8], image_format: str) -> Pixels | None:
    """Return the pixels (H, W, 3) of an 8-bit RGB JPEG or PNG file; equal to Pillow's.

    Args:
        data: The file's bytes.
        image_format: `JPEG` or `PNG`.

    Returns:
        The pixels, or None for a damaged file.
    """
    decoders = {"JPEG": torchvision.io.decode_jpeg, "PNG": torchvision.io.decode_png}
    try:
        planes = decoders[image_format](
            torch.from_numpy(data), mode=torchvision.io.ImageReadMode.RGB
        )
    except RuntimeError:
        return None
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def can_resample(size_wh: tuple[int, int], scale_xy: tuple[float, float]) -> bool:
    """Return whether `resample` can be exact here.

    torch leaves an axis alone whose length does not change, whatever the scale: factors so near to
    1 that they only shift pixels by fractions are not for it.
    """
    return all(
        scale == 1 or abs(scale - 1) * length >= 2
        for length, scale in zip(size_wh, scale_xy, strict=True)
    )


def resample(
    pixels: Pixels, scale_xy: tuple[float, float], left: int, top: int, right: int, bottom: int
) -> Pixels:
    """Return a window of an image resampled by `scale_xy`.

    Args:
        pixels: Image (H, W, 3), 8-bit.
        scale_xy: Factors along x and y (`can_resample`): u' = (u + 0.5) scale - 0.5.
        left: First column of the window in the resampled image.
        top: First row of the window in the resampled image.
        right: Column after its last; at most what the image has at this scale.
        bottom: Row after its last, likewise.

    Returns:
        Pixels (bottom - top, right - left, 3), possibly strided in a larger array.
    """
    # torch keeps its grid of pixels only when it begins at the image's first. Along each axis it
    # does, but rows that the window does not need are not widened, nor columns heightened.
    height, width = pixels.shape[:2]
    columns, scale_x = _needed(width, scale_xy[0], right)
    rows, scale_y = _needed(height, scale_xy[1], bottom)
    above = max(0, math.floor(top / scale_xy[1] - _reach(scale_xy[1])))
    wide = _along(pixels[above:rows, :columns], 1.0, scale_x)[:, left:right]
    if scale_y == 1.0:
        return wide[top - above : bottom - above]
    if above or not wide.flags.c_contiguous:
        kept = np.empty((rows, right - left, 3), np.uint8)  # nobody looks at the rows above
        kept[above:] = wide
        wide = kept
    return _along(wide, scale_y, 1.0)[top:bottom]


def _along(pixels: Pixels, scale_y: float, scale_x: float) -> Pixels:
    if scale_x == scale_y == 1.0:
        return pixels
    # This order of strides makes torch take (and give) interleaved RGB without copying.
    planes = torch.from_numpy(pixels)[None].permute(0, 3, 1, 2)
    scaled = functional.interpolate(
        planes,
        scale_factor=(scale_y, scale_x),
        recompute_scale_factor=False,  # the factors as given, not ratios of rounded sizes
        mode="bicubic",
        antialias=True,
    )
    result: Pixels = scaled[0].permute(1, 2, 0).numpy()
    return result


def _needed(length: int, scale: float, wanted: int) -> tuple[int, float]:
    """Return how many source pixels `wanted` output pixels need, and the factor to pass.

    The factor is larger by 2e-6 px over the length, so that a product that is whole but for
    rounding is not cut to one pixel less.
    """
    if scale == 1:
        return wanted, 1.0
    needed = min(length, math.ceil(wanted / scale + _reach(scale)))
    while needed < length and math.floor(needed * scale) == needed:  # see can_resample
        needed += 1
    return needed, scale + 2e-6 / needed


def _reach(scale: float) -> float:
    """Return how far, in source pixels, an output pixel's filter looks, and one to be sure."""
    return _SUPPORT_PX * max(1.0, 1 / scale) + 1
