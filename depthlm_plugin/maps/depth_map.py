"""The depth of every pixel of a picture, made from answers about some of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..cameras.source import FoundCamera
from ..errors import DepthLMError
from ..geometry.arrays import Floats
from ..geometry.camera import Camera
from .densify import Densifier, Reals, rays_of

FRAME = "camera frame of OpenCV: x right, y down, z forward, metres"
_LOG_DELTA1 = math.log(1.25)


@dataclass(frozen=True)
class DepthMap:
    """A picture's depth. What is z and what is distance is in the names: they are never mixed.

    Attributes:
        found: The camera of the picture, with its lens where it has one, and where it comes from.
        picture: RGB (H, W, 3).
        z_m: Depth along the principal axis (H, W), metres; NaN where the lens has no ray.
        spread: How far the answers around each pixel disagree (H, W), as a standard deviation of
            log depth: .1 is about a tenth.
        pixels: The pixels that were answered (N, 2).
        answers_z_m: What was answered there, as z-depth (N,), metres.
        unread: How many further answers could not be read; nothing was made of them.
    """

    found: FoundCamera
    picture: NDArray[np.uint8]
    z_m: Reals
    spread: Reals
    pixels: Floats
    answers_z_m: Floats
    unread: int = 0

    @classmethod
    def of_answers(
        cls,
        found: FoundCamera,
        picture: NDArray[np.uint8],
        pixels: Floats,
        answers_z_m: Floats,
        unread: int = 0,
    ) -> DepthMap:
        """Return the map that answers at some pixels make of a picture.

        Args:
            found: The picture's camera.
            picture: RGB (H, W, 3).
            pixels: Where the answers are (N, 2), whole pixels, no two alike.
            answers_z_m: Their z-depth (N,), metres.
            unread: How many others could not be read.

        Raises:
            DepthLMError: For answers that are not positive, or none at all.
        """
        if not len(answers_z_m):
            raise DepthLMError("a depth map needs at least one answer, found none")
        if not (np.isfinite(answers_z_m) & (answers_z_m > 0)).all():
            raise DepthLMError(f"answers must be above 0 m, found {answers_z_m.min():g}")
        camera = found.camera
        filled = Densifier(pixels, rays_of(camera, pixels), answers_z_m, picture).fill(camera)
        return cls(found, picture, *filled, pixels, answers_z_m, unread)

    @property
    def camera(self) -> Camera:
        """The camera of the picture."""
        return self.found.camera

    @property
    def distance_m(self) -> Reals:
        """The distance from the camera centre (H, W), metres."""
        result: Reals = np.linalg.norm(self.points_m, axis=2)
        return result

    @property
    def confidence(self) -> Reals:
        """From 0 to 1 (H, W): .5 where the answers around differ by delta1's factor of 1.25."""
        result: Reals = 1 / (1 + np.square(self.spread / _LOG_DELTA1))
        return result

    @property
    def points_m(self) -> Reals:
        """Where each pixel's surface is (H, W, 3), metres, in the frame that `FRAME` names."""
        result: Reals = self.rays * self.z_m[:, :, None]
        return result

    @cached_property
    def rays(self) -> Reals:
        """The ray of each pixel (H, W, 3) as (x / z, y / z, 1); NaN where the lens has none."""
        height, width = self.z_m.shape
        pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
        seen = self.camera.can_undistort(pixels)
        rays = np.full((len(pixels), 3), np.nan, np.float32)
        rays[seen] = self.camera.unproject(pixels[seen], np.ones(int(seen.sum())))
        return rays.reshape(height, width, 3)
