"""The solids of which scenes are made: where rays meet them, their normals, their surfaces.

World frame: x right, y down, z forward, metres; the ground is y = 0. Vectors are (3, N).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..geometry.arrays import Floats

EPSILON_M = 1e-6  # hits nearer than this are where the ray starts


@dataclass(frozen=True, kw_only=True)
class Shape(ABC):
    """A solid, turned about the vertical.

    Attributes:
        centre_m: Its middle in the world (x, y, z).
        yaw: Its turn from z towards x, radians.
    """

    centre_m: tuple[float, float, float]
    yaw: float = 0.0

    @property
    @abstractmethod
    def half_m(self) -> tuple[float, float, float]:
        """Half the sides of the box about it, in its own frame."""

    @abstractmethod
    def _hit(self, origin: Floats, rays: Floats) -> Floats:
        """Return `hit` in the shape's own frame."""

    @abstractmethod
    def _gap(self, points: Floats) -> Floats:
        """Return `gap_m` in the shape's own frame."""

    @abstractmethod
    def _normal(self, points: Floats) -> Floats:
        """Return `normals` in the shape's own frame."""

    @abstractmethod
    def surface(self, points: Floats, rays: Floats, pixel_m: Floats) -> tuple[Floats, Floats]:
        """Return texture coordinates (2, N) and a pixel's extent along them (2, N), in metres.

        Args:
            points: Points (3, N) on its surface, in its own frame.
            rays: Unit vectors (3, N) that see them, in its own frame.
            pixel_m: A pixel's width (N,) at right angles to its ray.
        """

    def hit(self, origin: Floats, rays: Floats) -> Floats:
        """Return the distance (N,) to the first surface along unit rays (3, N); inf where none is.

        Args:
            origin: Where the rays start: (3, 1) or (3, N).
            rays: Their unit directions (3, N).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._hit(self.local(origin), self.turned(rays))

    def gap_m(self, points: Floats) -> Floats:
        """Return the implicit function (N,): zero on the surface, below it inside."""
        return self._gap(self.local(points))

    def normals(self, points: Floats) -> Floats:
        """Return outward unit normals (3, N) at points (3, N) of the surface."""
        return self.turned(self._normal(self.local(points)), back=True)

    def local(self, points: Floats) -> Floats:
        """Return world points (3, N) in the shape's own frame."""
        return self.turned(points - np.array(self.centre_m)[:, None])

    def turned(self, vectors: Floats, back: bool = False) -> Floats:
        """Return world vectors (3, N) in the shape's own axes, or the other way round."""
        if self.yaw == 0.0:
            return vectors
        cos, sin = math.cos(self.yaw), math.sin(self.yaw) * (-1.0 if back else 1.0)
        x, y, z = vectors
        return np.stack([cos * x - sin * z, y, sin * x + cos * z])

    def corners_m(self) -> Floats:
        """Return the corners (3, 8) of the box about it, in the world."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]).T
        around: Floats = self.turned(signs * np.array(self.half_m)[:, None], back=True)
        around += np.array(self.centre_m)[:, None]
        return around


@dataclass(frozen=True, kw_only=True)
class Box(Shape):
    """A box with sides `size_m` (x, y, z) in its own frame."""

    size_m: tuple[float, float, float]

    @property
    def half_m(self) -> tuple[float, float, float]:
        """Half its sides."""
        x, y, z = self.size_m
        return x / 2, y / 2, z / 2

    def _hit(self, origin: Floats, rays: Floats) -> Floats:
        enter = np.full(rays.shape[1], -np.inf)
        leave = np.full(rays.shape[1], np.inf)
        for start, along, half in zip(origin, rays, self.half_m, strict=True):
            first, second = (-half - start) / along, (half - start) / along
            np.maximum(enter, np.fmin(first, second), out=enter)
            np.minimum(leave, np.fmax(first, second), out=leave)
        found = np.where(enter > EPSILON_M, enter, leave)
        return np.where((enter <= leave) & (found > EPSILON_M), found, np.inf)

    def _gap(self, points: Floats) -> Floats:
        result: Floats = (np.abs(points) - np.array(self.half_m)[:, None]).max(axis=0)
        return result

    def _face(self, points: Floats) -> NDArray[np.intp]:
        """Return 0, 1 or 2 (N,): the axis across whose face each point lies."""
        face: NDArray[np.intp] = (np.abs(points) - np.array(self.half_m)[:, None]).argmax(axis=0)
        return face

    def _normal(self, points: Floats) -> Floats:
        across = np.arange(3)[:, None] == self._face(points)
        normal: Floats = across * np.sign(points)
        return normal

    def surface(self, points: Floats, rays: Floats, pixel_m: Floats) -> tuple[Floats, Floats]:
        """Return coordinates from a corner: (x, z) on top, else (along, height)."""
        face = self._face(points)
        x, y, z = points + np.array(self.half_m)[:, None]
        up = self.size_m[1] - y
        uv = np.stack([np.where(face == 0, z, x), np.where(face == 1, z, up)])
        rx, ry, rz = np.abs(rays)
        along_u, along_v = np.where(face == 0, rz, rx), np.where(face == 1, rz, ry)
        across = np.maximum(np.choose(face, [rx, ry, rz]), 1e-3)
        flat = np.maximum(np.hypot(along_u, along_v), 1e-9)
        steep = np.stack([along_u, along_v]) / flat
        # A pixel covers 1 / cos more along the ray's own direction in the face.
        return uv, pixel_m * np.hypot(steep / across, steep[::-1])


@dataclass(frozen=True, kw_only=True)
class Frustum(Shape):
    """An upright cylinder or blunt cone with its end caps."""

    height_m: float
    bottom_m: float
    top_m: float

    @property
    def half_m(self) -> tuple[float, float, float]:
        """Half the sides of the box about it."""
        widest = max(self.bottom_m, self.top_m)
        return widest, self.height_m / 2, widest

    @property
    def _slope(self) -> float:
        return (self.top_m - self.bottom_m) / self.height_m

    def _radius(self, y: Floats) -> Floats:
        return (self.bottom_m + self.top_m) / 2 - self._slope * y

    def _hit(self, origin: Floats, rays: Floats) -> Floats:
        ox, oy, oz = origin
        rx, ry, rz = rays
        half = self.height_m / 2
        radius, shrink = self._radius(oy), -self._slope * ry
        a = rx * rx + rz * rz - shrink * shrink
        b = ox * rx + oz * rz - radius * shrink
        c = ox * ox + oz * oz - radius * radius
        root = np.sqrt(b * b - a * c)  # NaN where the ray passes by
        found = np.full(rays.shape[1], np.inf)
        for t in ((-b - root) / a, (-b + root) / a):
            good = (t > EPSILON_M) & (np.abs(oy + t * ry) <= half) & (radius + t * shrink >= 0)
            found = np.where(good & (t < found), t, found)
        for y, limit in ((-half, self.top_m), (half, self.bottom_m)):
            t = (y - oy) / ry
            good = (t > EPSILON_M) & ((ox + t * rx) ** 2 + (oz + t * rz) ** 2 <= limit * limit)
            found = np.where(good & (t < found), t, found)
        return found

    def _gap(self, points: Floats) -> Floats:
        x, y, z = points
        side = (np.hypot(x, z) - self._radius(y)) / math.hypot(1.0, self._slope)
        gap: Floats = np.maximum(side, np.abs(y) - self.height_m / 2)
        return gap

    def _normal(self, points: Floats) -> Floats:
        x, y, z = points
        around = np.maximum(np.hypot(x, z), 1e-12)
        length = math.hypot(1.0, self._slope)
        side = np.stack([x / around, np.full_like(y, self._slope), z / around]) / length
        cap = np.stack([np.zeros_like(y), np.sign(y), np.zeros_like(y)])
        return np.where(self._on_cap(points), cap, side)

    def _on_cap(self, points: Floats) -> NDArray[np.bool_]:
        x, y, z = points
        side = (np.hypot(x, z) - self._radius(y)) / math.hypot(1.0, self._slope)
        result: NDArray[np.bool_] = np.abs(y) - self.height_m / 2 > side
        return result

    def surface(self, points: Floats, rays: Floats, pixel_m: Floats) -> tuple[Floats, Floats]:
        """Return (arc length, height)."""
        x, y, z = points
        uv = np.stack([np.arctan2(x, z) * self.half_m[0], self.height_m / 2 - y])
        return uv, _extent(self._normal(points), rays, pixel_m)


@dataclass(frozen=True, kw_only=True)
class Sphere(Shape):
    """A ball."""

    radius_m: float

    @property
    def half_m(self) -> tuple[float, float, float]:
        """Its radius, three times."""
        return self.radius_m, self.radius_m, self.radius_m

    def _hit(self, origin: Floats, rays: Floats) -> Floats:
        b = dot(origin, rays)
        root = np.sqrt(b * b - dot(origin, origin) + self.radius_m**2)
        found = np.where(-b - root > EPSILON_M, -b - root, -b + root)
        return np.where(found > EPSILON_M, found, np.inf)  # NaN, where the ray passes by, is not

    def _gap(self, points: Floats) -> Floats:
        result: Floats = np.sqrt(dot(points, points)) - self.radius_m
        return result

    def _normal(self, points: Floats) -> Floats:
        return points / self.radius_m

    def surface(self, points: Floats, rays: Floats, pixel_m: Floats) -> tuple[Floats, Floats]:
        """Return (arc length along the equator, height)."""
        x, y, z = points
        uv = np.stack([np.arctan2(x, z) * self.radius_m, self.radius_m - y])
        return uv, _extent(self._normal(points), rays, pixel_m)


def _extent(normals: Floats, rays: Floats, pixel_m: Floats) -> Floats:
    across = np.maximum(np.abs(dot(normals, rays)), 0.05)
    return np.broadcast_to(pixel_m / across, (2, rays.shape[1]))


def dot(first: Floats, second: Floats) -> Floats:
    """Return the dot products (N,) of vectors (3, N); `sum(axis=0)` takes ten times as long."""
    result: Floats = first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
    return result
