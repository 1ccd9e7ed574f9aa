"""The image path of the published training script, written from its description, to measure by.

Decode the file, resample the whole frame to the focal length, cut out a centred crop, transform
every labelled point, mark one, pixel by pixel.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from PIL import Image

SHAFT_PX = 5


@dataclass(frozen=True)
class Labelled:
    """One photograph with its intrinsics and labelled points."""

    path: str
    intrinsics: tuple[float, float, float, float, int, int]
    points: list[tuple[float, float]]


def render(
    sample: Labelled, focal_px: float, crop_wh: tuple[int, int], rng: random.Random
) -> Image.Image:
    """Return the picture of one training sample."""
    fx, fy, _, _, width, height = sample.intrinsics
    scale_x, scale_y = focal_px / fx, focal_px / fy
    image = Image.open(sample.path).convert("RGB")
    image = image.resize((int(width * scale_x), int(height * scale_y)), Image.Resampling.BICUBIC)
    crop_w, crop_h = min(crop_wh[0], image.width), min(crop_wh[1], image.height)
    left, top = (image.width - crop_w) // 2, (image.height - crop_h) // 2
    image = image.crop((left, top, left + crop_w, top + crop_h))
    inside = []
    for u, v in sample.points:
        x = round((u + 0.5) * scale_x - 0.5) - left
        y = round((v + 0.5) * scale_y - 0.5) - top
        if SHAFT_PX <= x < crop_w - SHAFT_PX and SHAFT_PX <= y < crop_h - SHAFT_PX:
            inside.append((x, y))
    x, y = rng.choice(inside)
    for back in range(1, SHAFT_PX + 1):
        image.putpixel((x - back, y), (255, 0, 0))
    for back, side in ((2, 1), (2, -1), (3, 2), (3, -2)):
        image.putpixel((x - back, y + side), (255, 0, 0))
    return image
