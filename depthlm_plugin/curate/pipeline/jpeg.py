"""Pictures at the focal length of training, so that training decodes and resamples less."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...geometry.camera import Camera
from ...views.render import resample_reference
from ...views.undistort import undistort_image

QUALITY = 95
SUBSAMPLING = 0  # 4:4:4: colours as sharp as the rest


def prepare(picture: Image.Image, camera: Camera, focal_px: float) -> tuple[bytes, Camera]:
    """Return a picture as JPEG, undistorted and with fx = fy, and its new camera.

    Args:
        picture: The picture, RGB.
        camera: Its camera, with its lens.
        focal_px: The new focal length, pixels; less where the picture has less: it is never
            enlarged.
    """
    pixels = undistort_image(np.asarray(picture), camera)
    focal_px = min(focal_px, camera.fx, camera.fy)
    target = camera.pinhole.scaled_to_focal(focal_px)
    scale_xy = focal_px / camera.fx, focal_px / camera.fy
    if scale_xy != (1, 1):
        pixels = resample_reference(pixels, scale_xy, 0, 0, *target.size_wh)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling=SUBSAMPLING)
    return buffer.getvalue(), target


def carried(
    pixels: NDArray[np.int64], camera: Camera, target: Camera
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where labelled pixels (N, 2) are in the prepared picture (M, 2), and which (M,) are.

    Those that leave the picture, as undistorting does at its border, and all but the first of
    those that fall on one pixel are left out.

    Args:
        pixels: The pixels, as (x, y), of the stored picture.
        camera: The camera of the stored picture.
        target: The camera of the prepared one.
    """
    scale_xy = target.fx / camera.fx, target.fy / camera.fy
    # Design §4: u' = (u + 0.5) s - 0.5, rounded with halves up.
    places = np.floor((camera.undistort_pixels(pixels) + 0.5) * scale_xy).astype(np.int64)
    inside = np.flatnonzero(((places >= 0) & (places < target.size_wh)).all(axis=1))
    _, first = np.unique(places[inside], axis=0, return_index=True)
    kept = inside[np.sort(first)]
    return places[kept], kept
