"""Fills a picture with depth between the pixels that were asked about.

On a plane, 1 / z is linear in the ray (x / z, y / z). So a pixel's 1 / z is a local linear fit to
the answers nearest to it, weighted by how near they are and how alike their colours: a joint
bilateral filter (Petschnigg et al. 2004) of first order. Flat surfaces stay flat, and edges of the
picture are where depth may jump.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from ..geometry.arrays import Floats
from ..geometry.camera import Camera

Reals = NDArray[np.float32]

_NEIGHBOURS = 16
_REACH = 5  # the neighbour at whose distance a weight has fallen to exp(-1/2)
_COLOR_SIGMA = 0.1  # of RGB from 0 to 1
_BLUR_PX = 0.3  # of the picture: what is finer is noise
_RIDGE = 1e-3  # of slopes, for neighbours in a line
_OTHER_SURFACE = 0.3  # in log z: answers that far from a pixel's own surface weigh less
_SHARPER = 3  # power of the weights that find that surface
_BEYOND = 1.25  # how far a fit may leave the range of its neighbours' answers
_BLOCK = 1 << 14  # pixels at once, so that temporaries stay in the cache
_ROWS = 256  # of a picture at once, likewise
_FITTED_PX = 400_000  # pixels that are fitted; the rest of a larger picture lies between them


class Densifier:
    """The answers about one picture, ready to be filled in between.

    Args:
        pixels: Where the answers are, pixels of the picture (N, 2), no two alike.
        rays: The rays of these pixels, (x / z, y / z) (N, 2).
        z_m: The answers as z-depth, metres (N,), positive.
        picture: RGB (H, W, 3).
    """

    def __init__(
        self, pixels: Floats, rays: Floats, z_m: Floats, picture: NDArray[np.uint8]
    ) -> None:
        self._tree = cKDTree(pixels)
        self._rays = rays.astype(np.float32)
        self._inverse = (1.0 / z_m).astype(np.float32)
        blurred = gaussian_filter(picture.astype(np.float32), (_BLUR_PX, _BLUR_PX, 0))
        self._colors: Reals = blurred / np.float32(255 * _COLOR_SIGMA)
        self._own_colors = self._colors_at(pixels)

    def at(self, pixels: Floats, rays: Floats) -> tuple[Reals, Reals]:
        """Return z-depths in metres and the spread of the answers around them, both (M,).

        The spread is the weighted standard deviation of the answers' log z about the fit: .1 where
        they differ by about a tenth from a common plane.

        Args:
            pixels: Where, pixels of the picture (M, 2).
            rays: Their rays, (x / z, y / z) (M, 2).
        """
        z_m, spread = np.empty((2, len(pixels)), np.float32)
        for start in range(0, len(pixels), _BLOCK):
            block = slice(start, start + _BLOCK)
            z_m[block], spread[block] = self._fit(pixels[block], rays[block].astype(np.float32))
        return z_m, spread

    def fill(self, camera: Camera) -> tuple[Reals, Reals]:
        """Return z-depth in metres and spread (see `at`) of every pixel of the picture, (H, W).

        Of a picture with many pixels a lattice is fitted; a pixel between takes its depth from the
        four around it, from those of its own colour above all. NaN where the lens has no ray.
        """
        height, width = self._colors.shape[:2]
        step = math.ceil(math.sqrt(width * height / _FITTED_PX))
        x, y = (np.append(np.arange(0, size - 1, step), size - 1) for size in (width, height))
        pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float64)
        seen = camera.can_undistort(pixels)
        fitted = np.full((2, len(pixels)), np.nan, np.float32)
        fitted[:, seen] = self.at(pixels[seen], rays_of(camera, pixels[seen]))
        z_m, spread = fitted.reshape(2, len(y), len(x))
        return (z_m, spread) if step == 1 else self._between(z_m, spread, x, y)

    def _between(
        self, z_m: Reals, spread: Reals, x: NDArray[np.intp], y: NDArray[np.intp]
    ) -> tuple[Reals, Reals]:
        """Return what a lattice (rows `y`, columns `x`) becomes at every pixel."""
        height, width = self._colors.shape[:2]
        full: Reals = np.empty((2, height, width), np.float32)
        values = np.stack([np.log(z_m), spread])
        left, across = _cells(x, width)
        top, down = _cells(y, height)
        for start in range(0, height, _ROWS):
            rows = slice(start, start + _ROWS)
            total = np.zeros((2, *full[0, rows].shape), np.float32)
            weights = np.full(full[0, rows].shape, 1e-12, np.float32)
            for below, right in itertools.product((0, 1), (0, 1)):
                i, j = top[rows] + below, left + right
                weight = np.outer(
                    down[rows] if below else 1 - down[rows], across if right else 1 - across
                )
                color = self._colors[np.ix_(y[i], x[j])] - self._colors[rows]
                weight *= np.exp(np.square(color).sum(axis=2) / -2) + np.float32(1e-4)
                value = values[:, i[:, None], j[None]]
                weight[np.isnan(value[0])] = 0
                total += np.where(weight > 0, weight * value, 0)
                weights += weight
            full[:, rows] = np.where(weights > 1e-9, total / weights, np.nan)
        depth: Reals = np.exp(full[0])
        between: Reals = full[1]
        return depth, between

    def _fit(self, pixels: Floats, rays: Reals) -> tuple[Reals, Reals]:
        found = self._tree.query(pixels, min(_NEIGHBOURS, self._tree.n))
        far, near = (part.reshape(len(pixels), -1) for part in found)
        reach = np.maximum(far[:, min(_REACH, far.shape[1]) - 1], 1.0)
        apart: Reals = np.square(far / reach[:, None]).astype(np.float32)
        colors = self._colors_at(pixels)
        for channel in range(3):
            apart += np.square(self._own_colors[near, channel] - colors[:, channel, None])
        weight = np.exp(apart / -2) + np.float32(1e-6)
        x = self._rays[near, 0] - rays[:, 0, None]
        y = self._rays[near, 1] - rays[:, 1, None]
        inverse = self._inverse[near]
        _, around = _linear(x, y, inverse, weight)
        off = np.log(inverse / around)
        spread = np.sqrt(_total(weight, off, off) / weight.sum(axis=1))
        # Which surface is this pixel's? That of the answers nearest to it and most alike.
        nearest = weight**_SHARPER
        own = np.einsum("mk,mk->m", nearest, np.log(inverse)) / nearest.sum(axis=1)
        other = (np.log(inverse) - own[:, None]) / _OTHER_SURFACE
        weight *= np.exp(np.square(other) / -2) + np.float32(1e-6)
        fitted, _ = _linear(x, y, inverse, weight)
        z_m: Reals = np.reciprocal(fitted)
        return z_m, spread.astype(np.float32)

    def _colors_at(self, pixels: Floats) -> Reals:
        height, width = self._colors.shape[:2]
        x, y = np.floor(pixels + 0.5).astype(np.intp).T
        result: Reals = self._colors[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        return result


def rays_of(camera: Camera, pixels: Floats) -> Floats:
    """Return the rays (x / z, y / z) (N, 2) of pixels (N, 2) that the lens has."""
    return camera.unproject(pixels, np.ones(len(pixels)))[:, :2]


def _cells(at: NDArray[np.intp], size: int) -> tuple[NDArray[np.intp], Reals]:
    """Return for each of `size` pixels the lattice place before it and how far it is beyond."""
    pixels = np.arange(size)
    before = np.clip(np.searchsorted(at, pixels, side="right") - 1, 0, len(at) - 2)
    beyond = (pixels - at[before]) / (at[before + 1] - at[before])
    return before, beyond.astype(np.float32)


def _linear(x: Reals, y: Reals, value: Reals, weight: Reals) -> tuple[Reals, Reals]:
    """Return weighted linear fits at x = y = 0 (M,) and at the values (M, K), near their range.

    Args:
        x: Where the values are (M, K).
        y: Likewise.
        value: The values (M, K), positive.
        weight: What each counts (M, K), positive.
    """
    share = weight / weight.sum(axis=1, keepdims=True)
    mean_x, mean_y, mean = (np.einsum("mk,mk->m", share, part) for part in (x, y, value))
    x, y, off = x - mean_x[:, None], y - mean_y[:, None], value - mean[:, None]
    xx, xy, yy = _total(share, x, x), _total(share, x, y), _total(share, y, y)
    ridge = _RIDGE * (xx + yy) + np.float32(1e-12)
    xx, yy = xx + ridge, yy + ridge
    x_off, y_off = _total(share, x, off), _total(share, y, off)
    across = xx * yy - xy * xy
    slope_x, slope_y = (yy * x_off - xy * y_off) / across, (xx * y_off - xy * x_off) / across
    low, high = value.min(axis=1) / _BEYOND, value.max(axis=1) * _BEYOND
    here = np.clip(mean - slope_x * mean_x - slope_y * mean_y, low, high)
    there = mean[:, None] + slope_x[:, None] * x + slope_y[:, None] * y
    return here, np.clip(there, low[:, None], high[:, None])


def _total(share: Reals, first: Reals, second: Reals) -> Reals:
    result: Reals = np.einsum("mk,mk,mk->m", share, first, second)
    return result
