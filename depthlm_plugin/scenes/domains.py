"""The three kinds of scene: a furnished room, a street, a warehouse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from . import objects
from .objects import Spot
from .shapes import Box
from .textures import Cells, Colour, Material, Noise
from .world import Light, Solid, World

Maker = Callable[[Spot, np.random.Generator], list[Solid]]

_CLEAR_M = 0.5  # free ground about the camera
_SUN_M = 1e5


@dataclass(frozen=True)
class Domain:
    """A kind of scene.

    Attributes:
        build: Makes a world about the camera, which stands at x = z = 0 and looks along z.
        height_m: Least and most height of the camera.
        range_m: Least and most labelled distance.
        step_m: Least and most metres between two views.
    """

    build: Callable[[np.random.Generator], World]
    height_m: tuple[float, float]
    range_m: tuple[float, float]
    step_m: tuple[float, float]


def indoor(rng: np.random.Generator) -> World:
    """Return a room with doors, tables, people and boxes under one lamp."""
    left, right = -rng.uniform(1.2, 3.5), rng.uniform(1.2, 3.5)
    back, front = -rng.uniform(0.8, 3.0), rng.uniform(2.5, 9.0)
    high = rng.uniform(2.4, 3.1)
    lamp = (rng.uniform(left, right) * 0.6, 0.3 - high, rng.uniform(0.2, 0.7) * front)
    strength = rng.uniform(0.5, 0.8)
    world = World(Light(lamp, strength, rng.uniform(0.3, 0.5)), (0.5, 0.5, 0.5), math.inf)
    world.take(0, 0, _CLEAR_M)
    floor = _planks(rng) if rng.random() < 0.5 else _tiles(rng)
    paint = _pick(rng, [(0.74, 0.72, 0.66), (0.62, 0.67, 0.66), (0.7, 0.66, 0.68)])
    world.add(_slab(left, right, back, front, 0.0, floor))
    world.add(_slab(left, right, back, front, -high - 0.2, Material((0.84, 0.84, 0.82))))
    world.add(*_walls(left, right, back, front, high, _wall(paint, rng)))
    for _ in range(rng.integers(1, 4)):  # in the walls to the left, the right and ahead
        side = rng.integers(3)
        along = rng.uniform(1.0, front - 1.0)
        across = rng.uniform(left + 0.6, right - 0.6)
        spots = [
            Spot(left + 0.02, along, -math.pi / 2),
            Spot(right - 0.02, along, math.pi / 2),
            Spot(across, front - 0.02),
        ]
        spot = spots[side]
        if world.take(spot.x, spot.z, 0.5):
            world.add(*objects.door(spot, rng))
    things: list[tuple[Maker, float]] = [
        *((objects.table, 0.82), (objects.person, 0.3), (objects.paper_box, 0.28)),
        *((objects.paper_box, 0.28), (objects.bricks, 0.48)),
    ]
    _scatter(world, rng, things, int(rng.integers(4, 10)), (left, right, 0.7, front), 0.4)
    return world


def street(rng: np.random.Generator) -> World:
    """Return a street in the sun with houses, cars, trees, people and traffic cones."""
    height, turn = rng.uniform(0.6, 1.25), rng.uniform(-math.pi, math.pi)
    level = _SUN_M * math.cos(height)
    sun = (level * math.sin(turn), -_SUN_M * math.sin(height), level * math.cos(turn))
    light = Light(sun, rng.uniform(0.55, 0.8), rng.uniform(0.42, 0.58))
    sky = _pick(rng, [(0.66, 0.74, 0.82), (0.76, 0.77, 0.78), (0.58, 0.68, 0.8)])
    world = World(light, sky, rng.uniform(80, 400))
    world.take(0, 0, 1.2)
    far = 120.0
    road_left, road_right = -rng.uniform(2.0, 6.0), rng.uniform(2.0, 6.0)
    wide = road_right - road_left
    marks = Cells((wide / 2, 9.0), (0.12, 3.0), (0.72, 0.72, 0.7), both=True)
    grey = rng.uniform(0.32, 0.44)
    asphalt = Material((grey, grey, grey), (Noise(0.06, 0.25), Noise(2.5, 0.12), marks), _seed(rng))
    paving = Cells((0.3, 0.3), (0.012, 0.012), (0.36, 0.35, 0.34), jitter=0.1)
    pavement = Material((0.56, 0.55, 0.53), (paving, Noise(1.2, 0.1)), _seed(rng))
    walk = rng.uniform(1.8, 3.5)
    world.add(_slab(road_left, road_right, -20, far, 0.0, asphalt))
    for left, right in ((-30.0, road_left), (road_right, 30.0)):
        world.add(_slab(left, right, -20, far, -0.12, pavement))
    for side, edge in ((-1, road_left - walk), (1, road_right + walk)):
        z = rng.uniform(-14, 2)
        while z < 80:
            long, high = rng.uniform(7, 16), 3.0 * rng.integers(1, 5) + 0.6
            if rng.random() < 0.85:
                house = Spot(edge + side * 4.0, z + long / 2, 0.0, 0.12)
                world.add(objects.block(house, "house", (8.0, high, long), _facade(rng)))
            z += long + (rng.uniform(0, 6) if rng.random() < 0.4 else 0.0)
    for _ in range(rng.integers(2, 7)):
        lane = rng.choice([road_left + 1.1, road_right - 1.1, (road_left + road_right) / 2])
        spot = Spot(float(lane), float(_log(rng, 4, 45)), math.pi * rng.integers(2))
        if world.take(spot.x, spot.z, 2.3):
            world.add(*objects.car(spot, rng))
    cones: list[tuple[Maker, float]] = [(objects.traffic_cone, 0.3), (objects.person, 0.3)]
    area = (road_left + 0.3, road_right - 0.3, 1.5, 30.0)
    _scatter(world, rng, cones, int(rng.integers(1, 6)), area, 0.0)
    beside: list[tuple[Maker, float]] = [(objects.person, 0.3), (objects.tree, 0.5)]
    for left, right in ((road_left - walk, road_left), (road_right, road_right + walk)):
        area = (left + 0.3, right - 0.3, 2.0, 45.0)
        _scatter(world, rng, beside, int(rng.integers(2, 6)), area, 0.0, 0.12)
    return world


def warehouse(rng: np.random.Generator) -> World:
    """Return a hall with racks, pallets, drums, boxes and people."""
    left, right = -rng.uniform(2.5, 9.0), rng.uniform(2.5, 9.0)
    back, front, high = -rng.uniform(2.0, 8.0), rng.uniform(9.0, 29.0), rng.uniform(5.5, 8.5)
    lamp = (rng.uniform(left, right) * 0.5, 0.4 - high, rng.uniform(0.1, 0.8) * front)
    light = Light(lamp, rng.uniform(0.5, 0.75), rng.uniform(0.28, 0.42))
    world = World(light, (0.4, 0.4, 0.4), math.inf)
    world.take(0, 0, 0.9)
    joints = Cells((5.0, 5.0), (0.02, 0.02), (0.3, 0.3, 0.3), jitter=0.05)
    grey = rng.uniform(0.46, 0.6)
    lines = Cells((2.4, 1e3), (0.1, 0.0), (0.72, 0.66, 0.34))
    stains = (Noise(0.08, 0.12), Noise(0.9, 0.14), joints, lines)
    concrete = Material((grey, grey, 0.98 * grey), stains, _seed(rng))
    sheet = Cells((0.25, 1e3), (0.08, 0.0), (0.42, 0.46, 0.5))
    steel = Material((0.54, 0.58, 0.62), (sheet, Noise(1.5, 0.08)), _seed(rng))
    trusses = Material((0.34, 0.35, 0.37), (Cells((2.0, 6.0), (0.15, 0.3), (0.6, 0.6, 0.6)),))
    world.add(_slab(left, right, back, front, 0.0, concrete))
    world.add(_slab(left, right, back, front, -high - 0.2, trusses))
    world.add(*_walls(left, right, back, front, high, steel))
    for x in (left + 0.65, right - 0.65):
        if rng.random() < 0.75:
            first = rng.uniform(1.5, 4.0)
            bays = min(int((front - 1 - first) / 2.7), 4)
            _rack(world, rng, x, first, bays)
    things: list[tuple[Maker, float]] = [
        *((_loaded_pallet, 0.75), (objects.drum, 0.32), (objects.drum, 0.32)),
        *((objects.person, 0.3), (objects.paper_box, 0.28), (objects.bricks, 0.48)),
        (objects.traffic_cone, 0.25),
    ]
    _scatter(
        world, rng, things, int(rng.integers(5, 12)), (left + 1.2, right - 1.2, 1.1, front), 0.4
    )
    return world


DOMAINS = {
    "indoor": Domain(indoor, (0.5, 1.8), (0.5, 12.0), (0.08, 0.35)),
    "street": Domain(street, (1.2, 2.2), (2.0, 60.0), (0.2, 1.0)),
    "warehouse": Domain(warehouse, (0.3, 4.0), (1.0, 30.0), (0.15, 0.7)),
}


def _loaded_pallet(spot: Spot, rng: np.random.Generator) -> list[Solid]:
    solids = objects.pallet(spot, rng)
    for level in range(rng.integers(0, 4)):
        for ahead in (-0.42, 0.0, 0.42):
            x, y, z = spot.at(0.0, 0.144 + 0.3 * level, ahead)
            solids += objects.paper_box(Spot(x, z, spot.yaw, -y), rng)
    return solids


def _rack(world: World, rng: np.random.Generator, x: float, first_m: float, bays: int) -> None:
    """Add a rack of bays 2.7 m long with a level every 1.5 m, 1 m deep."""
    post, beam = Material((0.24, 0.34, 0.48)), Material((0.66, 0.5, 0.32))
    for bay in range(bays + 1):
        at = Spot(x, first_m + 2.7 * bay)
        for right in (-0.45, 0.45):
            world.add(objects.block(at, "rack", (0.09, 4.6, 0.09), post, (right, 0, 0)))
    for bay in range(bays):
        middle = Spot(x, first_m + 2.7 * bay + 1.35)
        world.take(middle.x, middle.z, 1.3)
        for level in range(3):
            if level:
                board = (0.9, 0.12, 2.61)
                up = 1.5 * level - 0.12
                world.add(objects.block(middle, "rack", board, beam, (0, up, 0)))
            for ahead in (-0.65, 0.65):
                if rng.random() < 0.6:
                    spot = Spot(x, middle.z + ahead, 0.0, 1.5 * level)
                    size = (0.8, float(rng.choice([0.3, 0.6, 0.9])), 1.2)
                    world.add(*objects.pallet(spot, rng))
                    card = Cells((0.4, 0.3), (0.012, 0.012), (0.4, 0.33, 0.25), jitter=0.12)
                    boxes = Material((0.6, 0.49, 0.36), (card,), _seed(rng))
                    world.add(objects.block(spot, "boxes", size, boxes, (0, 0.144, 0)))


def _scatter(
    world: World,
    rng: np.random.Generator,
    things: Sequence[tuple[Maker, float]],
    count: int,
    area: tuple[float, float, float, float],
    margin_m: float,
    foot_m: float = 0.0,
) -> None:
    """Add up to `count` things (and the radius each takes) within left, right, near and far."""
    left, right, near, far = area
    for _ in range(count):
        make, radius = things[int(rng.integers(len(things)))]
        edge = radius + margin_m if margin_m else 0.0
        x = rng.uniform(min(left + edge, 0), max(right - edge, 0))
        z = float(_log(rng, near + radius, max(far - edge, near + radius + 0.1)))
        if world.take(x, z, radius):
            world.add(*make(Spot(x, z, rng.uniform(-math.pi, math.pi), foot_m), rng))


def _slab(left: float, right: float, back: float, front: float, y: float, of: Material) -> Solid:
    """Return ground or a ceiling .2 m thick whose upper face is at `y`."""
    middle = ((left + right) / 2, y + 0.1, (back + front) / 2)
    shape = Box(centre_m=middle, size_m=(right - left, 0.2, front - back))
    return Solid(shape, of, casts=False, name="slab")


def _walls(
    left: float, right: float, back: float, front: float, high: float, of: Material
) -> list[Solid]:
    """Return four walls .2 m thick about a rectangle."""
    x, z, y = (left + right) / 2, (back + front) / 2, -high / 2
    shapes = [
        Box(centre_m=(left - 0.1, y, z), size_m=(0.2, high, front - back)),
        Box(centre_m=(right + 0.1, y, z), size_m=(0.2, high, front - back)),
        Box(centre_m=(x, y, back - 0.1), size_m=(right - left + 0.4, high, 0.2)),
        Box(centre_m=(x, y, front + 0.1), size_m=(right - left + 0.4, high, 0.2)),
    ]
    return [Solid(shape, of, casts=False, name="wall") for shape in shapes]


def _planks(rng: np.random.Generator) -> Material:
    joints = Cells((0.14, 1.2), (0.004, 0.004), (0.25, 0.19, 0.13), jitter=0.16, shift=0.5)
    return Material(_pick(rng, [(0.56, 0.43, 0.3), (0.46, 0.37, 0.29)]), (joints, Noise(0.05, 0.1)))


def _tiles(rng: np.random.Generator) -> Material:
    joints = Cells((0.3, 0.3), (0.008, 0.008), (0.34, 0.33, 0.31), jitter=0.12)
    colour = _pick(rng, [(0.66, 0.63, 0.57), (0.52, 0.55, 0.57)])
    return Material(colour, (joints, Noise(0.03, 0.06), Noise(1.1, 0.08)), _seed(rng))


def _wall(paint: Colour, rng: np.random.Generator) -> Material:
    if rng.random() < 0.3:
        return objects.brickwork(rng)
    rough = (Noise(0.02, 0.05), Noise(0.8, 0.05))
    if rng.random() < 0.5:
        stripe = Cells((0.2, 1e3), (0.1, 0.0), (0.58, 0.6, 0.56))
        return Material(paint, (stripe, *rough), _seed(rng))
    return Material(paint, rough, _seed(rng))


def _facade(rng: np.random.Generator) -> Material:
    """Return a front with windows 1.2 x 1.4 m, one every 2.4 m on floors of 3 m."""
    panes = Cells((2.4, 3.0), (1.2, 1.4), (0.22, 0.26, 0.3), both=True)
    if rng.random() < 0.5:
        brick = objects.brickwork(rng)
        return Material(brick.colour, (*brick.patterns, panes), brick.seed)
    plaster = _pick(rng, [(0.7, 0.64, 0.52), (0.62, 0.62, 0.6), (0.56, 0.6, 0.62)])
    return Material(plaster, (Noise(0.4, 0.08), Noise(3.0, 0.1), panes), _seed(rng))


def _pick(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    return colours[int(rng.integers(len(colours)))]


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))
