"""Windows: which part of a picture a sample shows, at the unified focal length."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.block import DepthLMConfig
from ..errors import GeometryError, RecordError
from ..geometry.camera import as_pixel
from ..records.record import Record
from ..views.view import MOST_PIXELS, View, is_too_large


@dataclass(frozen=True)
class Windows:
    """Chooses the windows of records of one dataset.

    Attributes:
        config: The dataset's config.
        train: Whether to crop for training; evaluation shows the whole picture.
        multiple: Model's patch size x merge size, pixels: views are multiples of it, so that the
            model's processor does not resample again.
        fixed_wh: The one size that the model accepts, for models that have one: views are cropped
            or padded with black to it, in training too; `multiple` and crops do not matter then.
    """

    config: DepthLMConfig
    train: bool
    multiple: int
    fixed_wh: tuple[int, int] | None

    @property
    def cropping(self) -> bool:
        """Whether windows are drawn: training crops."""
        crops = self.config.crop_height or self.config.crop_width
        return self.train and bool(crops) and self.fixed_wh is None

    def draw(self, record: Record, path: str, rng: random.Random) -> View:
        """Return a window: a training crop where there are such, else the whole picture."""
        if not self.cropping:
            return self.whole(record, path, None)
        width, height = self._normalised_size(record)
        crop_h = _uniform(self.config.crop_height, rng, height)
        crop_w = _uniform(self.config.crop_width, rng, width)
        size_wh = self._aligned(record, min(crop_w, width), min(crop_h, height))
        return self._window(record, path, size_wh, None)

    def whole(self, record: Record, path: str, pixel: Any) -> View:
        """Return the whole picture, trimmed on the side away from `pixel` (2,), if one is given."""
        full_wh = self._normalised_size(record)
        size_wh = self.fixed_wh or self._aligned(record, *full_wh)
        return self._window(record, path, size_wh, pixel)

    def fitting(self, view: View, record: Record, indices: list[int]) -> list[int]:
        """Return those of the points `indices` whose mark fits into the view."""
        margin = self.config.margin_px
        pixels = np.floor(view.pixels_from_source(record.pixels[indices]) + 0.5)  # as_pixel
        inside = (pixels >= margin) & (pixels < np.array(view.size_wh) - margin)
        # A lens can move a point out of the picture, and a padded view reaches beyond it.
        corner = np.array([view.left, view.top])
        inside &= (pixels + corner >= 0) & (pixels + corner < view.normalised.size_wh)
        return [indices[at] for at in np.flatnonzero(inside.all(axis=1))]

    def _normalised_size(self, record: Record) -> tuple[int, int]:
        focal_px, limit = self.config.focal_px, self.config.max_upscale
        upscale = max(focal_px / record.camera.fx, focal_px / record.camera.fy)
        if upscale > limit:
            raise RecordError(
                "enlarged too much",
                record.where,
                f"focal_px {focal_px:g} enlarges the image {upscale:.3g} times, more than"
                f" max_upscale {limit:g}; check its intrinsics {record.camera.intrinsics} (pixels),"
                " or choose a shorter focal_px or a higher max_upscale",
            )
        try:
            full_wh = record.camera.scaled_to_focal(focal_px).size_wh
        except GeometryError as error:
            raise RecordError(
                "view too small",
                record.where,
                f"focal_px {self.config.focal_px:g} leaves less than one pixel of the image;"
                f" check its intrinsics {record.camera.intrinsics} (pixels)",
            ) from error
        if is_too_large(record.camera, full_wh):
            raise RecordError(
                "view too large",
                record.where,
                f"focal_px {focal_px:g} makes the image {full_wh[0]}x{full_wh[1]}, over the limit"
                f" of {MOST_PIXELS} pixels; check its intrinsics {record.camera.intrinsics}"
                " (pixels), or choose a shorter focal_px",
            )
        return full_wh

    def _aligned(self, record: Record, width: int, height: int) -> tuple[int, int]:
        aligned = width // self.multiple * self.multiple, height // self.multiple * self.multiple
        if 0 in aligned:
            raise RecordError(
                "view too small",
                record.where,
                f"at focal_px {self.config.focal_px:g} the view is {width}x{height}, less than one"
                f" {self.multiple} px patch of the model; use a longer focal_px or a larger crop",
            )
        return aligned

    def _window(self, record: Record, path: str, size_wh: tuple[int, int], point: Any) -> View:
        """Return the centred window, moved just enough for the mark of `point` to fit."""
        camera, config = record.camera, self.config
        full_wh = camera.scaled_to_focal(config.focal_px).size_wh
        spare = [full - part for full, part in zip(full_wh, size_wh, strict=True)]
        corner = [room // 2 for room in spare]  # negative where the view is padded
        if point is not None:
            margin = config.margin_px
            whole = View(path, camera, config.focal_px, 0, 0, full_wh)
            nearest = as_pixel(whole.pixels_from_source(point)[0])
            for axis in (0, 1):
                if spare[axis] < 0:
                    continue
                least = nearest[axis] - (size_wh[axis] - 1 - margin)
                most = nearest[axis] - margin
                corner[axis] = min(max(corner[axis], least, 0), most, spare[axis])
                corner[axis] = max(corner[axis], 0)
        return View(
            path, camera, config.focal_px, corner[0], corner[1], size_wh,
            exif_rotation=config.exif_rotation, resampling=config.resampling,
        )  # fmt: skip


def _uniform(limits: tuple[int, int] | None, rng: random.Random, whole: int) -> int:
    if limits is None:
        return whole
    low, high = limits
    return low + int(rng.random() * (high - low + 1))
