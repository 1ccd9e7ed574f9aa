"""Fixtures at the sizes of the real datasets: pictures drawn small, enlarged, with grain."""

from dataclasses import replace

import numpy as np
from PIL import Image

GRAIN = 2.0  # grey levels: 1 to 1.5 bits a pixel as JPEG, 7 as PNG, about what photographs have


def larger(camera, times):
    """Return a pinhole whose picture is `times` as large, where centres stay centres."""
    if times == 1:
        return camera
    focal = {key: getattr(camera, key) * times for key in ("fx", "fy")}
    centre = {key: (getattr(camera, key) + 0.5) * times - 0.5 for key in ("cx", "cy")}
    size = {key: round(getattr(camera, key) * times) for key in ("width", "height")}
    return replace(camera, **focal, **centre, **size)


def photographed(draw, camera, pose, times):
    """Return the picture (H, W, 3) that `draw(camera, pose)` gives, drawn `times` as small."""
    return enlarged(draw(larger(camera, 1 / times), pose), times)


def enlarged(pixels, times):
    """Return a picture (H, W, 3) `times` as large, with grain; itself for 1."""
    if times == 1:
        return pixels
    height, width, _ = pixels.shape
    large = Image.fromarray(pixels).resize(
        (width * times, height * times), Image.Resampling.BICUBIC
    )
    noise = np.random.default_rng(0).normal(0, GRAIN, (height * times, width * times, 1))
    return (np.asarray(large) + noise).clip(0, 255).astype(np.uint8)
