"""Textures in metres: repeated cells and noise, averaged over what a pixel covers.

A pattern far finer than a pixel has its mean colour, so that nothing flickers (aliases).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.arrays import Floats

Colour = tuple[float, float, float]  # albedo of red, green, blue, 0 to 1


@dataclass(frozen=True)
class Cells:
    """Marks in a repeated cell: joints of tiles, bricks and planks, lane marks, windows.

    Attributes:
        period_m: Sides of a cell (u, v).
        mark_m: What of them is marked, from the cell's corner (u, v).
        colour: Of the mark.
        both: Whether a point is marked where u and v are (a pane), else where either is (a joint).
        jitter: How far cells differ in brightness, as a share.
        shift: By which share of a cell every other row is moved.
    """

    period_m: tuple[float, float]
    mark_m: tuple[float, float]
    colour: Colour
    both: bool = False
    jitter: float = 0.0
    shift: float = 0.0

    def paint(self, albedo: Floats, uv: Floats, extent_m: Floats, seed: int) -> Floats:
        """Return the albedo (3, N) with the pattern on it; see `Material.albedo`."""
        (u, v), (wide, high) = uv, self.period_m
        row = np.floor(v / high)
        if self.shift:
            u = u + self.shift * wide * (row % 2)
        if self.jitter:
            brightness = 1 + self.jitter * (2 * _hash(np.floor(u / wide), row, seed) - 1)
            seen = np.minimum(_seen(wide, extent_m[0]), _seen(high, extent_m[1]))
            albedo = albedo * (1 + (brightness - 1) * seen)
        in_u = _coverage(u, wide, self.mark_m[0], extent_m[0])
        in_v = _coverage(v, high, self.mark_m[1], extent_m[1])
        share = in_u * in_v if self.both else 1 - (1 - in_u) * (1 - in_v)
        marked: Floats = albedo + share * (np.array(self.colour)[:, None] - albedo)
        return marked


@dataclass(frozen=True)
class Noise:
    """Smooth random brightness on a lattice `period_m` apart, by up to `strength` as a share."""

    period_m: float
    strength: float

    def paint(self, albedo: Floats, uv: Floats, extent_m: Floats, seed: int) -> Floats:
        """Return the albedo (3, N) with the noise on it; see `Material.albedo`."""
        seen = _seen(self.period_m, extent_m.max(axis=0))
        u, v = uv / self.period_m
        column, row = np.floor(u), np.floor(v)
        x, y = u - column, v - row
        x, y = x * x * (3 - 2 * x), y * y * (3 - 2 * y)
        low = _hash(column, row, seed) * (1 - x) + _hash(column + 1, row, seed) * x
        high = _hash(column, row + 1, seed) * (1 - x) + _hash(column + 1, row + 1, seed) * x
        value = 2 * (low * (1 - y) + high * y) - 1
        painted: Floats = albedo * (1 + self.strength * seen * value)
        return painted


@dataclass(frozen=True)
class Material:
    """A colour and the patterns on it, the last on top."""

    colour: Colour
    patterns: tuple[Cells | Noise, ...] = ()
    seed: int = 0

    def albedo(self, uv: Floats, extent_m: Floats) -> Floats:
        """Return the albedo (3, N) at texture coordinates (2, N).

        Args:
            uv: Texture coordinates (2, N), metres.
            extent_m: How far a pixel reaches along them (2, N), metres.
        """
        albedo: Floats = np.repeat(np.array(self.colour)[:, None], uv.shape[1], axis=1)
        for number, pattern in enumerate(self.patterns):
            albedo = pattern.paint(albedo, uv, extent_m, self.seed + number)
        return albedo


def _coverage(at_m: Floats, period_m: float, mark_m: float, extent_m: Floats) -> Floats:
    """Return the share (N,) of `extent_m` about `at_m` that is within marks: exact, any width."""
    if mark_m >= period_m:
        return np.ones_like(at_m)

    def marked_before(x: Floats) -> Floats:
        whole = np.floor(x / period_m)
        return whole * mark_m + np.minimum(x - whole * period_m, mark_m)

    half = np.maximum(extent_m, 1e-6) / 2
    result: Floats = (marked_before(at_m + half) - marked_before(at_m - half)) / (2 * half)
    return result


def _seen(period_m: float, extent_m: Floats) -> Floats:
    """Return 1 where a period is four pixels or more, 0 where it is two or fewer (N,)."""
    result: Floats = np.clip(period_m / extent_m / 2 - 1, 0, 1)
    return result


def _hash(column: Floats, row: Floats, seed: int) -> Floats:
    """Return numbers (N,) from 0 to 1 that depend on whole `column` and `row` and on `seed`."""
    mixed = column.astype(np.int64) * 374761393 + row.astype(np.int64) * 668265263 + seed * 974634
    mixed &= 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 13)) * 1274126177) & 0xFFFFFFFF
    result: Floats = (mixed ^ (mixed >> 16)) / 2.0**32
    return result
