"""Objects of known size, in metres, each class with its own colours and form.

They say how large a scene is without any knowledge of the camera's height. Colours are muted: the
only saturated red in a picture is the marker that is drawn later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .shapes import Box, Frustum, Sphere
from .textures import Cells, Colour, Material, Noise
from .world import Solid

WOOD: Colour = (0.58, 0.46, 0.32)
DARK: Colour = (0.13, 0.13, 0.14)
_EVERYWHERE = 1e3  # a period longer than any object: the mark is there once


@dataclass(frozen=True)
class Spot:
    """Where an object stands: x and z in metres, its turn in radians, the height of its foot."""

    x: float
    z: float
    yaw: float = 0.0
    foot_m: float = 0.0

    def at(self, right_m: float, up_m: float, ahead_m: float) -> tuple[float, float, float]:
        """Return a point of the object's frame in the world."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        x = self.x + cos * right_m + sin * ahead_m
        return x, -self.foot_m - up_m, self.z - sin * right_m + cos * ahead_m


def block(
    spot: Spot,
    name: str,
    size_m: tuple[float, float, float],
    material: Material,
    at_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Solid:
    """Return a box of `size_m` (wide, high, deep) whose foot's middle is at `at_m` of an object."""
    right, up, ahead = at_m
    middle = spot.at(right, up + size_m[1] / 2, ahead)
    return Solid(Box(centre_m=middle, size_m=size_m, yaw=spot.yaw), material, name=name)


def _round(
    spot: Spot, name: str, up_m: float, height_m: float, radii_m: tuple[float, float], of: Material
) -> Solid:
    bottom, top = radii_m
    middle = spot.at(0, up_m + height_m / 2, 0)
    shape = Frustum(centre_m=middle, yaw=spot.yaw, height_m=height_m, bottom_m=bottom, top_m=top)
    return Solid(shape, of, name=name)


def _muted(rng: np.random.Generator, base: Colour, by: float = 0.06) -> Colour:
    red, green, blue = np.clip(np.array(base) + rng.uniform(-by, by), 0.03, 0.95)
    return float(red), float(green), float(blue)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def door(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a door leaf .9 x 2.04 m, .04 m thick, with two panels and a handle."""
    leaf: Colour = ((0.42, 0.34, 0.27), (0.72, 0.71, 0.68), (0.36, 0.42, 0.44))[rng.integers(3)]
    dark = tuple(0.8 * part for part in leaf)
    panels = Cells((0.9, 1.02), (0.62, 0.72), (dark[0], dark[1], dark[2]), both=True)
    grain = Noise(0.05, 0.06)
    return [
        block(spot, "door", (0.9, 2.04, 0.04), Material(leaf, (panels, grain), _seed(rng))),
        block(spot, "door", (0.12, 0.03, 0.05), Material(DARK), (0.36, 1.04, -0.04)),
    ]


def person(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a standing person 1.75 m tall."""
    trousers: Colour = ((0.18, 0.2, 0.28), (0.3, 0.29, 0.26))[rng.integers(2)]
    shirts: tuple[Colour, ...] = ((0.34, 0.45, 0.36), (0.42, 0.44, 0.55), (0.66, 0.64, 0.58))
    shirt = shirts[rng.integers(len(shirts))]
    head = Sphere(centre_m=spot.at(0, 1.64, 0), radius_m=0.11)
    return [
        _round(spot, "person", 0, 0.82, (0.13, 0.18), Material(trousers)),
        _round(spot, "person", 0.82, 0.66, (0.2, 0.23), Material(shirt, (Noise(0.06, 0.1),))),
        _round(spot, "person", 1.48, 0.07, (0.06, 0.06), Material((0.6, 0.46, 0.38))),
        Solid(head, Material((0.62, 0.48, 0.4)), name="person"),
    ]


def traffic_cone(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a traffic cone .5 m tall: orange with a white band on a dark plate."""
    band = Cells((_EVERYWHERE, 0.24), (_EVERYWHERE, 0.1), (0.82, 0.82, 0.8), both=True)
    orange = _muted(rng, (0.74, 0.47, 0.3), 0.03)
    return [
        block(spot, "cone", (0.28, 0.03, 0.28), Material(DARK)),
        _round(spot, "cone", 0.03, 0.47, (0.12, 0.02), Material(orange, (band,))),
    ]


def car(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a car 4.4 x 1.8 x 1.5 m (long, wide, high)."""
    paints: tuple[Colour, ...] = (
        *((0.62, 0.64, 0.66), (0.24, 0.3, 0.4), (0.32, 0.38, 0.34), (0.2, 0.2, 0.21)),
        (0.5, 0.46, 0.38),
    )
    paint = Material(_muted(rng, paints[rng.integers(len(paints))], 0.03))
    glass = Material((0.16, 0.2, 0.23))
    solids = [
        block(spot, "car", (1.8, 0.62, 4.4), paint, (0, 0.28, 0)),
        block(spot, "car", (1.56, 0.5, 2.3), glass, (0, 0.9, -0.25)),
        block(spot, "car", (1.58, 0.1, 2.0), paint, (0, 1.4, -0.25)),
    ]
    for right in (-0.76, 0.76):
        for ahead in (-1.35, 1.35):
            solids.append(block(spot, "car", (0.22, 0.6, 0.62), Material(DARK), (right, 0, ahead)))
    lamp = Material((0.85, 0.85, 0.78))
    for right in (-0.65, 0.65):
        solids.append(block(spot, "car", (0.34, 0.14, 0.04), lamp, (right, 0.62, 2.19)))
        solids.append(block(spot, "car", (0.34, 0.14, 0.04), lamp, (right, 0.62, -2.19)))
    return solids


def pallet(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a euro pallet 1.2 x .8 x .144 m (long, wide, high)."""
    gaps = Cells((0.145, _EVERYWHERE), (0.02, 0.0), (0.2, 0.16, 0.11))
    wood = Material(_muted(rng, WOOD), (gaps, Noise(0.09, 0.15)), _seed(rng))
    solids = [block(spot, "pallet", (0.8, 0.044, 1.2), wood, (0, 0.1, 0))]
    for right in (-0.35, 0.0, 0.35):
        solids.append(block(spot, "pallet", (0.1, 0.1, 1.2), wood, (right, 0, 0)))
    return solids


def drum(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a steel drum .88 m tall and .58 m across, ribbed every .29 m."""
    ribs = Cells((_EVERYWHERE, 0.293), (0.0, 0.03), (0.55, 0.6, 0.64))
    body: Colour = ((0.25, 0.36, 0.5), (0.28, 0.42, 0.38))[rng.integers(2)]
    return [_round(spot, "drum", 0, 0.88, (0.29, 0.29), Material(body, (ribs, Noise(0.1, 0.1))))]


def bricks(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a stack of bricks of .24 x .071 m with .012 m joints, .72 m wide and .664 m high."""
    return [block(spot, "bricks", (0.748, 0.664, 0.5), brickwork(rng))]


def paper_box(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a cardboard box .4 x .3 x .3 m with a strip of tape .05 m wide."""
    tape = Cells((0.4, _EVERYWHERE), (0.05, 0.0), (0.78, 0.74, 0.62))
    card = Material(_muted(rng, (0.6, 0.48, 0.35)), (Noise(0.04, 0.06), tape), _seed(rng))
    return [block(spot, "paper box", (0.4, 0.3, 0.3), card)]


def table(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a table .74 m tall with a top of 1.4 x .8 m."""
    top = Material(_muted(rng, (0.66, 0.55, 0.4)), (Noise(0.07, 0.12),), _seed(rng))
    leg = Material((0.3, 0.3, 0.31))
    solids = [block(spot, "table", (1.4, 0.04, 0.8), top, (0, 0.7, 0))]
    for right in (-0.65, 0.65):
        for ahead in (-0.35, 0.35):
            solids.append(block(spot, "table", (0.06, 0.7, 0.06), leg, (right, 0, ahead)))
    return solids


def tree(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    """Return a tree: its size says nothing, as in the world."""
    height, radius = rng.uniform(2.0, 3.5), rng.uniform(1.0, 1.9)
    leaves = Material(_muted(rng, (0.3, 0.42, 0.24)), (Noise(0.5, 0.4), Noise(0.15, 0.4)))
    crown = Sphere(centre_m=spot.at(0, height + radius * 0.8, 0), radius_m=radius)
    trunk = _round(spot, "tree", 0, height + 0.1, (0.2, 0.13), Material((0.33, 0.27, 0.21)))
    return [trunk, Solid(crown, leaves, name="tree")]


def brickwork(rng: np.random.Generator) -> Material:
    """Return a wall of bricks of .24 x .071 m with .012 m joints in a running bond."""
    joints = Cells((0.252, 0.083), (0.012, 0.012), (0.66, 0.64, 0.6), jitter=0.18, shift=0.5)
    return Material(_muted(rng, (0.5, 0.36, 0.3)), (joints, Noise(1.7, 0.12)), _seed(rng))
