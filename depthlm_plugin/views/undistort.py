"""Undistortion: pictures as the same camera without its lens would have taken them, by OpenCV."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ConfigError, GeometryError
from ..geometry.arrays import Pixels
from ..geometry.camera import Camera

_BLOCK_PX = 1 << 16  # pixels at once, so that temporaries stay small and are in the cache


def undistort_image(pixels: Pixels, camera: Camera) -> Pixels:
    """Return the picture (H, W, 3) that `camera.pinhole` would have taken instead of `camera`.

    Resampled once, bicubic, with maps built from `Lens.distort`: `camera.undistort_pixels` says
    where a pixel went, to 0.07 pixels of the distorted picture (OpenCV's cubic kernel is not quite
    centred). Black where the lens did not look. Without a lens, the input itself.

    Args:
        pixels: The distorted picture (H, W, 3), RGB or any other order.
        camera: The camera that took it; its size must be the picture's.

    Raises:
        ConfigError: Without OpenCV, the optional extra `lens`.
        GeometryError: For pixels of another shape or type.
    """
    width, height = camera.size_wh
    if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
        raise GeometryError(
            f"expected uint8 pixels of shape {(height, width, 3)}, the camera's, found"
            f" {pixels.dtype} of shape {pixels.shape}"
        )
    if camera.lens is None:
        return pixels
    try:
        import cv2
    except ImportError as error:
        raise ConfigError(
            f"undistorting a picture needs OpenCV, which cannot be imported ({error}):"
            ' pip install "depthlm-plugin[lens]"'
        ) from error
    columns, rows = _maps(camera)
    result: Pixels = cv2.remap(
        pixels, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    return result


@lru_cache(maxsize=8)  # the cameras of a rig, whose pictures come in any order
def _maps(camera: Camera) -> tuple[Any, Any]:
    """Return the column and row (H, W), float32, in the distorted picture of each pinhole pixel."""
    assert camera.lens is not None
    width, height = camera.size_wh
    columns, rows = np.empty((2, height, width), dtype=np.float32)
    focal_px, centre_px = (camera.fx, camera.fy), (camera.cx, camera.cy)
    rows_at_once = max(1, _BLOCK_PX // width)
    for top in range(0, height, rows_at_once):
        block = slice(top, min(top + rows_at_once, height))
        v, u = np.mgrid[block, :width]
        pixels = np.stack([u, v], axis=-1).reshape(-1, 2)
        distorted, _ = camera.lens.try_distort((pixels - centre_px) / focal_px)
        source = distorted * focal_px + centre_px
        # Bicubic weights reach two pixels. NaN and numbers too large for OpenCV must not reach it.
        near = ((source > -4) & (source < (width + 4, height + 4))).all(axis=1)
        source[~near] = -4
        columns[block] = source[:, 0].reshape(u.shape)
        rows[block] = source[:, 1].reshape(u.shape)
    return columns, rows
