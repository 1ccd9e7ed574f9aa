"""Cameras: how they project, what a view does to their intrinsics, and z-depth against distance."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryError
from .arrays import Floats
from .lens import Lens

WIDEST_DEG = 175.0  # no pinhole camera sees more; normalised intrinsics look as if they did
WIDEST_FISHEYE_DEG = 720.0  # two full turns: room for the black around a wide lens's image circle


@dataclass(frozen=True)
class Camera:
    """A camera in the OpenCV convention: a pinhole, or one behind a lens that distorts.

    Frame: x right, y down, z forward, metres. Integer pixel coordinates are pixel **centres**, so
    the image covers (-0.5, -0.5) to (width - 0.5, height - 0.5).

    Attributes:
        fx: Focal length along x, pixels.
        fy: Focal length along y, pixels.
        cx: Principal point, column, pixels.
        cy: Principal point, row, pixels.
        size_wh: Image size (width, height), pixels.
        lens: The distortion of its image coordinates, or None for a pinhole.

    Raises:
        GeometryError: For a focal length that is not positive, a number that is not finite or an
            empty image.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    size_wh: tuple[int, int]
    lens: Lens | None = None

    def __post_init__(self) -> None:
        width, height = self.size_wh
        if not all(map(math.isfinite, (self.fx, self.fy, self.cx, self.cy))):
            raise GeometryError(f"intrinsics must be finite numbers, found {self.intrinsics}")
        if self.fx <= 0 or self.fy <= 0:
            raise GeometryError(
                f"focal lengths must be positive, found fx={self.fx:g} fy={self.fy:g}"
                " (a camera with square pixels has fx = fy)"
            )
        if width < 1 or height < 1:
            raise GeometryError(f"image size must be positive, found {width}x{height}")

    @classmethod
    def from_intrinsics(cls, intrinsics: ArrayLike, lens: Lens | None = None) -> Camera:
        """Return the camera of a record's `[fx, fy, cx, cy, W, H]` (pixels) and lens.

        Unlike a crop's, its principal point must lie within one image size of the image, and its
        fields of view must be below 175 degrees, which normalised intrinsics are not. A fisheye's
        picture, which may be that of 180 degrees with black around it, must be below two turns.
        """
        values = np.asarray(intrinsics, dtype=np.float64)
        if values.shape != (6,):
            raise GeometryError(
                f"intrinsics must be [fx, fy, cx, cy, W, H], found {values.size} numbers"
            )
        fx, fy, cx, cy, width, height = (float(value) for value in values)
        if not (width.is_integer() and height.is_integer()):
            raise GeometryError(f"image size must be whole pixels, found {width:g}x{height:g}")
        camera = cls(fx, fy, cx, cy, (int(width), int(height)), lens)
        if not (-width <= cx <= 2 * width and -height <= cy <= 2 * height):
            raise GeometryError(
                f"principal point ({cx:g}, {cy:g}) lies far outside the"
                f" {width:g}x{height:g} image; expected [fx, fy, cx, cy, W, H]"
            )
        for focal, length, axis in ((fx, width, "fx"), (fy, height, "fy")):
            if lens is not None and lens.is_fisheye:
                if math.degrees(length / focal) > WIDEST_FISHEYE_DEG:
                    raise GeometryError(
                        f"{axis}={focal:g} px on {length:g} px is more than"
                        f" {WIDEST_FISHEYE_DEG:g} degrees of a fisheye; are the intrinsics in"
                        " pixels?"
                    )
            elif 2 * math.degrees(math.atan(length / (2 * focal))) > WIDEST_DEG:
                raise GeometryError(
                    f"{axis}={focal:g} px on {length:g} px is a field of view beyond"
                    f" {WIDEST_DEG:g} degrees; are the intrinsics in pixels?"
                )
        return camera

    @property
    def intrinsics(self) -> list[float]:
        """The numbers `[fx, fy, cx, cy]`, in pixels."""
        return [self.fx, self.fy, self.cx, self.cy]

    @property
    def pinhole(self) -> Camera:
        """The same camera without its lens, which takes the undistorted picture."""
        return self if self.lens is None else replace(self, lens=None)

    def scaled(self, scale_x: float, scale_y: float) -> Camera:
        """Return the camera after resampling by these factors (design §4: centres stay centres).

        The size is the whole number of output pixels that lie fully inside the resampled image.
        """
        width, height = self.size_wh
        return Camera(
            self.fx * scale_x,
            self.fy * scale_y,
            (self.cx + 0.5) * scale_x - 0.5,
            (self.cy + 0.5) * scale_y - 0.5,
            (_whole(width * scale_x), _whole(height * scale_y)),
            self.lens,
        )

    def scaled_to_focal(self, focal_px: float) -> Camera:
        """Return the camera after resampling each axis so that fx = fy = `focal_px`."""
        camera = self.scaled(focal_px / self.fx, focal_px / self.fy)
        return Camera(focal_px, focal_px, camera.cx, camera.cy, camera.size_wh, self.lens)

    def cropped(self, left: int, top: int, size_wh: tuple[int, int]) -> Camera:
        """Return the camera of a window (width, height) whose top-left pixel is (`left`, `top`)."""
        return Camera(self.fx, self.fy, self.cx - left, self.cy - top, size_wh, self.lens)

    def project(self, points_m: ArrayLike) -> Floats:
        """Return pixels (N, 2) of camera-frame points (N, 3) in metres; z must be positive.

        Raises:
            GeometryError: For a point behind the camera, or outside the field of its lens model.
        """
        points = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
        if not (points[:, 2] > 0).all():
            raise GeometryError("cannot project a point with z <= 0: it is behind the camera")
        rays = points[:, :2] / points[:, 2:]
        if self.lens is not None:
            rays = self.lens.distort(rays)
        result: Floats = rays * (self.fx, self.fy) + (self.cx, self.cy)
        return result

    def try_project(self, points_m: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Return the pixels (N, 2) of camera-frame points (N, 3), and which the picture shows (N,).

        A point behind the camera, beyond the field of its lens model or outside the picture is not
        shown; its pixel means nothing.
        """
        points = np.asarray(points_m, dtype=np.float64).reshape(-1, 3)
        shown = points[:, 2] > 0
        rays = points[:, :2] / np.where(shown, points[:, 2], 1.0)[:, None]
        if self.lens is not None:
            rays, valid = self.lens.try_distort(rays)
            shown &= valid
        pixels: Floats = np.where(shown[:, None], rays, 0.0) * (self.fx, self.fy)
        pixels += (self.cx, self.cy)
        shown &= ((pixels >= -0.5) & (pixels < np.array(self.size_wh) - 0.5)).all(axis=1)
        return pixels, shown

    def unproject(self, pixels: ArrayLike, z_m: ArrayLike) -> Floats:
        """Return camera-frame points (N, 3) in metres for pixels (N, 2) at z-depth `z_m` (N,).

        Raises:
            GeometryError: For a pixel outside the field of the lens model: see `can_undistort`.
        """
        z = np.asarray(z_m, dtype=np.float64).reshape(-1, 1)
        return np.concatenate([self._rays(pixels) * z, z], axis=1)

    def distance_over_z(self, pixels: ArrayLike) -> Floats:
        """Return Euclidean distance divided by z (N,) along the rays of pixels (N, 2).

        Raises:
            GeometryError: For a pixel outside the field of the lens model: see `can_undistort`.
        """
        result: Floats = np.sqrt(1.0 + np.square(self._rays(pixels)).sum(axis=1))
        return result

    def undistort_pixels(self, pixels: ArrayLike) -> Floats:
        """Return where pixels (N, 2) lie in the picture of `pinhole` (N, 2), maybe outside it.

        Without a lens these are the numbers given, exactly.

        Raises:
            GeometryError: For a pixel outside the field of the lens model: see `can_undistort`.
        """
        if self.lens is None:
            return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        result: Floats = self._rays(pixels) * (self.fx, self.fy) + (self.cx, self.cy)
        return result

    def can_undistort(self, pixels: ArrayLike) -> NDArray[np.bool_]:
        """Return which pixels (N, 2) have a ray: all of a pinhole's, those in a lens's field."""
        if self.lens is None:
            return np.ones(np.size(pixels) // 2, dtype=np.bool_)
        return self.lens.try_undistort(self._image_coordinates(pixels))[1]

    def _rays(self, pixels: ArrayLike) -> Floats:
        rays = self._image_coordinates(pixels)
        if self.lens is None:
            return rays
        rays, valid = self.lens.try_undistort(rays)
        if not valid.all():
            x, y = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)[~valid][0]
            raise GeometryError(
                f"pixel ({x:g}, {y:g}) lies outside the field where the {self.lens.model} lens"
                f" model {list(self.lens.coefficients)} is one-to-one; leave it out or check the"
                " coefficients"
            )
        return rays

    def _image_coordinates(self, pixels: ArrayLike) -> Floats:
        """Return normalised image coordinates (N, 2), distorted where there is a lens."""
        pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        result: Floats = (pixels - (self.cx, self.cy)) / (self.fx, self.fy)
        return result


def convert_depth(
    depth_m: ArrayLike, pixels: ArrayLike, camera: Camera, *, kind: str, to: str
) -> Floats:
    """Return depths (N,) in metres converted between `z` and `distance` (design §4).

    Args:
        depth_m: Depths (N,), metres, of quantity `kind`.
        pixels: The pixels (N, 2) of `camera` where they were measured.
        camera: The camera that `pixels` refer to.
        kind: `z` (along the principal axis) or `distance` (Euclidean, from the camera centre).
        to: The wanted quantity.
    """
    for name in (kind, to):
        if name not in DEPTH_KINDS:
            raise GeometryError(f"depth kind must be one of {DEPTH_KINDS}, found {name!r}")
    depth = np.asarray(depth_m, dtype=np.float64).reshape(-1)
    if kind == to:
        return depth
    factor = camera.distance_over_z(pixels)
    result: Floats = depth * factor if to == "distance" else depth / factor
    return result


DEPTH_KINDS = ("distance", "z")


def _whole(length_px: float) -> int:
    # A size that is whole but for rounding (640 * 1.25 = 799.9999...) must not lose a pixel.
    return math.floor(length_px + 1e-6)


def as_pixel(xy: Any) -> tuple[int, int]:
    """Return the pixel whose centre is nearest to `xy`; halves round up, as areas do."""
    x, y = xy
    return math.floor(x + 0.5), math.floor(y + 0.5)
