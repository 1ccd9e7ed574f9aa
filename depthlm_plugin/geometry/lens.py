"""Lenses: how the models of OpenCV and COLMAP distort points, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryError, did_you_mean
from .arrays import Floats

LENS_MODELS = {
    "opencv": ("[k1, k2, p1, p2] or [k1, k2, p1, p2, k3]", (4, 5)),
    "fisheye": ("[k1, k2, k3, k4]", (4,)),
    "thin_prism_fisheye": ("[k1, k2, p1, p2, k3, k4, sx1, sy1]", (8,)),
}

_LARGEST = 1e50  # of a coefficient: far above any lens, and its polynomial does not overflow
_TOLERANCE = 1e-10  # of an inverse, relative to 1 + its radius: 1e-6 px at a focal length of 1e4
_FAR = 1e6  # distorted radius of no camera; beyond it nothing is tried
_BLOCK_PX = 1 << 16  # pixels at once, so that temporaries stay small and are in the cache


@dataclass(frozen=True)
class Lens:
    """A lens between ideal and distorted normalised image coordinates, as calibrations find it.

    Ideal coordinates are (x/z, y/z) of the camera frame (x right, y down, z forward); distorted
    ones times (fx, fy) plus (cx, cy) are pixels. Neither depends on the scale or crop of the image.

    The models are polynomials in a plane: that of the ideal coordinates for `opencv`; for fisheyes
    the one where a point is as far from the middle as its ray's angle to the axis, in radians. They
    turn round somewhere, often near the corner of the image they were calibrated on. Beyond that a
    distorted point has no ideal one, or a second, false one: such points are refused, or masked by
    the `try_` methods, never answered.

    Attributes:
        model: `opencv`: radial and tangential polynomials (Brown-Conrady; "Detailed Description" of
            OpenCV's calib3d). `fisheye`: a polynomial of the angle to the axis (Kannala and Brandt
            2006; OpenCV's cv::fisheye). `thin_prism_fisheye`: the same with tangential and thin
            prism terms (Weng et al. 1992; COLMAP's and ETH3D's THIN_PRISM_FISHEYE). All-zero
            coefficients of the first are no distortion, of the others an equidistant fisheye.
        coefficients: (k1, k2, p1, p2) or (k1, k2, p1, p2, k3) for `opencv`, (k1, k2, k3, k4) for
            `fisheye`, (k1, k2, p1, p2, k3, k4, sx1, sy1) for `thin_prism_fisheye`; no unit.

    Raises:
        GeometryError: For an unknown model, another number of coefficients or one that is not
            finite.
    """

    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.model not in LENS_MODELS:
            raise GeometryError(
                f"unknown lens model {self.model!r}{did_you_mean(self.model, list(LENS_MODELS))}"
            )
        # A list would make the lens, and every camera with it, unhashable.
        object.__setattr__(self, "coefficients", tuple(map(float, self.coefficients)))
        names, counts = LENS_MODELS[self.model]
        if len(self.coefficients) not in counts:
            raise GeometryError(
                f"expected the {self.model} coefficients {names}, found"
                f" {len(self.coefficients)} numbers; with another lens model, undistort the"
                " pictures and their labels first"
            )
        if not all(abs(value) < _LARGEST for value in self.coefficients):
            raise GeometryError(
                f"expected finite {self.model} coefficients {names}, found"
                f" {list(self.coefficients)}"
            )

    def distort(self, rays: ArrayLike) -> Floats:
        """Return the distorted coordinates (N, 2) of ideal ones (N, 2), in closed form.

        Raises:
            GeometryError: For a ray beyond the angle up to which the model can be inverted.
        """
        points = _pairs(rays)
        distorted, valid = self.try_distort(points)
        if not valid.all():
            raise GeometryError(
                f"ray {_first(points, ~valid)} (x/z, y/z) lies beyond the field where the"
                f" {self.model} lens model {list(self.coefficients)} is one-to-one; leave it out"
            )
        return distorted

    def undistort(self, distorted: ArrayLike) -> Floats:
        """Return the ideal coordinates (N, 2) of distorted ones (N, 2), by Newton's method.

        `distort` of the result is `distorted` to within 1e-10.

        Raises:
            GeometryError: For a point that no ray in front of the camera falls on, in the field
                where the model can be inverted.
        """
        points = _pairs(distorted)
        rays, valid = self.try_undistort(points)
        if not valid.all():
            raise GeometryError(
                f"distorted point {_first(points, ~valid)} lies outside the field where the"
                f" {self.model} lens model {list(self.coefficients)} is one-to-one; leave it out"
            )
        return rays

    def try_distort(self, rays: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Return `distort`'s coordinates (N, 2) and which are valid (N,); others are NaN."""
        with np.errstate(over="ignore", invalid="ignore"):
            distorted, valid = self._distort(_pairs(rays))
        distorted[~valid] = np.nan
        return distorted, valid

    def try_undistort(self, distorted: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
        """Return `undistort`'s coordinates (N, 2) and which are valid (N,); others are NaN."""
        points = _pairs(distorted)
        if len(points) > _BLOCK_PX:
            starts = range(0, len(points), _BLOCK_PX)
            parts = [self.try_undistort(points[start : start + _BLOCK_PX]) for start in starts]
            return np.concatenate([part[0] for part in parts]), np.concatenate(
                [part[1] for part in parts]
            )
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            radii = np.hypot(points[:, 0], points[:, 1])
            inverse_radii = _invert_radial(self._radial, radii, self._limit)
            if any(self._sideways):
                # Inside the turning point, so that Newton's steps towards it do not cross it.
                inverse_radii = np.minimum(inverse_radii, 0.9 * self._limit)
            plane = points * _ratio(inverse_radii, radii)
            if any(self._sideways):
                plane = self._newton(plane, points)
            rays = plane
            if self.is_fisheye:
                angle = _radius(plane)
                rays = plane * _ratio(np.tan(angle), angle)
            again, valid = self._distort(rays)
            valid &= np.abs(again - points).max(axis=1, initial=0) <= _TOLERANCE * (1 + radii)
        rays[~valid] = np.nan
        return rays, valid

    @property
    def is_fisheye(self) -> bool:
        """Whether the lens is a polynomial of angles, which may see 180 degrees."""
        return self.model != "opencv"

    @property
    def _radial(self) -> tuple[float, ...]:
        """The coefficients of t^3, t^5, ... in t + ..., where t is the radius in the plane."""
        k = self.coefficients
        return k if self.model == "fisheye" else (*k[:2], *k[4:6])

    @property
    def _sideways(self) -> tuple[float, float, float, float]:
        """The tangential p1 and p2 and the thin prism's sx1 and sy1."""
        k = self.coefficients
        if self.model == "fisheye":
            return 0.0, 0.0, 0.0, 0.0
        return k[2], k[3], *((k[6], k[7]) if self.is_fisheye else (0.0, 0.0))

    @property
    def _limit(self) -> float:
        """Where the radial polynomial first turns, at most 90 degrees for angles."""
        limit = _turning_point(self._radial)
        return min(limit, math.pi / 2) if self.is_fisheye else limit

    def _distort(self, rays: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        plane = rays
        t = _radius(rays)
        if self.is_fisheye:
            radius, t = t, np.arctan(t)
            plane = rays * _ratio(t, radius)
        valid = t < self._limit
        if any(self._sideways):
            # One-to-one where the symmetric part of the Jacobian is positive definite.
            xx, xy, yx, yy = self._jacobian(plane, t)
            valid &= (xx * yy - ((xy + yx) / 2) ** 2 > 0) & (xx + yy > 0)
        return self._polynomials(plane, t), valid

    def _polynomials(self, plane: Floats, t: Floats) -> Floats:
        """Return the distorted coordinates (N, 2) of points in the plane (N, 2), of radius (N,)."""
        distorted = plane * _factor(self._radial, t)[:, None]
        if any(self._sideways):
            x, y = plane[:, 0], plane[:, 1]
            squared = x * x + y * y
            p1, p2, sx1, sy1 = self._sideways
            distorted[:, 0] += 2 * p1 * x * y + p2 * (squared + 2 * x * x) + sx1 * squared
            distorted[:, 1] += 2 * p2 * x * y + p1 * (squared + 2 * y * y) + sy1 * squared
        return distorted

    def _jacobian(self, plane: Floats, t: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return d(distorted) / d(plane), [[xx, xy], [yx, yy]], (N,) each."""
        x, y = plane[:, 0], plane[:, 1]
        squared = x * x + y * y
        p1, p2, sx1, sy1 = self._sideways
        factor = _factor(self._radial, t)
        slope = np.zeros_like(squared)  # of the factor, by half the squared radius
        for power, coefficient in reversed([*enumerate(self._radial, start=1)]):
            slope = slope * squared + 2 * power * coefficient
        across = x * y * slope + 2 * p1 * x + 2 * p2 * y
        return (
            factor + x * x * slope + 2 * p1 * y + (6 * p2 + 2 * sx1) * x,
            across + 2 * sx1 * y,
            across + 2 * sy1 * x,
            factor + y * y * slope + (6 * p1 + 2 * sy1) * y + 2 * p2 * x,
        )

    def _newton(self, plane: Floats, distorted: Floats) -> Floats:
        """Return the inverse by Newton's method from `plane`, the inverse of the radial part."""
        enough = 1e-3 * _TOLERANCE * (1 + np.abs(distorted))
        for _ in range(30):
            t = _radius(plane)
            error = self._polynomials(plane, t) - distorted
            if not (np.abs(error) > enough).any():
                break
            xx, xy, yx, yy = self._jacobian(plane, t)
            across, down = error.T
            step = np.stack([yy * across - xy * down, xx * down - yx * across], axis=1)
            plane = plane - step / (xx * yy - xy * yx)[:, None]
        return plane


def _pairs(points: ArrayLike) -> Floats:
    return np.asarray(points, dtype=np.float64).reshape(-1, 2)


def _first(points: Floats, chosen: NDArray[np.bool_]) -> str:
    x, y = points[chosen][0]
    return f"({x:g}, {y:g})"


def _radius(points: Floats) -> Floats:
    x, y = points[:, 0], points[:, 1]
    result: Floats = np.sqrt(x * x + y * y)
    return result


def _ratio(numerator: Floats, radius: Floats) -> Floats:
    """Return what a point (N, 1) is to be multiplied by for another radius; at the middle 1."""
    result: Floats = np.where(radius > 0, numerator / np.where(radius > 0, radius, 1.0), 1.0)
    return result[:, None]


def _factor(radial: tuple[float, ...], t: Floats, weights: tuple[int, ...] = (1,) * 4) -> Floats:
    """Return 1 + c1 t^2 + c2 t^4 + ..., each coefficient times its weight."""
    squared = t * t
    total = np.zeros_like(t)
    for coefficient, weight in zip(reversed(radial), reversed(weights[: len(radial)]), strict=True):
        total = (total + coefficient * weight) * squared
    return total + 1.0


_SLOPE_WEIGHTS = (3, 5, 7, 9)  # d/dt of t^3, t^5, t^7, t^9


@lru_cache(maxsize=64)
def _turning_point(radial: tuple[float, ...]) -> float:
    """Return the smallest t > 0 where t + c1 t^3 + c2 t^5 + ... stops growing, or infinity."""
    # In 1 / t^2 the slope is monic, so a leading coefficient near zero does no harm.
    weights = _SLOPE_WEIGHTS[: len(radial)]
    roots = np.roots([1.0, *(c * weight for c, weight in zip(radial, weights, strict=True))])
    real = roots.real[(np.abs(roots.imag) <= 1e-9 * np.abs(roots)) & (roots.real > 0)]
    # So far out that its square overflows, it is as good as none.
    return 1.0 / math.sqrt(real.max()) if real.max(initial=0) > 1 / _LARGEST else math.inf


def _invert_radial(radial: tuple[float, ...], distorted: Floats, limit: float) -> Floats:
    """Return t (N,) in [0, limit] with t + c1 t^3 + ... = `distorted` (N,), or the nearest to it.

    Newton's method, kept inside a bracket: the polynomial grows up to `limit`, so it converges.
    """
    wanted = np.where(distorted < _FAR, distorted, 0.0)
    if math.isinf(limit):
        upper = max(1.0, float(wanted.max(initial=0)))
        while upper * _factor(radial, np.array(upper)) < wanted.max(initial=0):
            upper *= 2
    else:
        # Just inside: at the limit itself the slope, by which Newton's method divides, is zero.
        upper = limit * (1 - 1e-12)
        wanted = np.minimum(wanted, upper * _factor(radial, np.array(upper)))
    low, high = np.zeros_like(wanted), np.full_like(wanted, upper)
    t = np.minimum(wanted, high)
    enough = 1e-3 * _TOLERANCE * (1 + wanted)
    for _ in range(100):
        error = t * _factor(radial, t) - wanted
        moving = np.abs(error) > enough
        if not moving.any():
            break
        low, high = np.where(error < 0, t, low), np.where(error > 0, t, high)
        newton = t - error / _factor(radial, t, _SLOPE_WEIGHTS)
        # Whoever has arrived is not sent away by a rounded step over its bound.
        inside = (newton > low) & (newton < high) | ~moving
        t = np.where(inside, newton, (low + high) / 2)
    return t
