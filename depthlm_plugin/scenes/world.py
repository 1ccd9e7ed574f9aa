"""What a scene is made of, before anybody looks at it: solids, a light and the air."""

from __future__ import annotations

from dataclasses import dataclass, field

from .shapes import Shape
from .textures import Colour, Material


@dataclass(frozen=True)
class Solid:
    """A shape and what it is made of.

    Attributes:
        shape: Its surface.
        material: Its colours.
        casts: Whether it casts a shadow; walls, floors and ceilings do not.
        name: The class of the object it belongs to, such as `car`.
    """

    shape: Shape
    material: Material
    casts: bool = True
    name: str = ""


@dataclass(frozen=True)
class Light:
    """A lamp at a point of the world, or far away: the sun.

    Attributes:
        at_m: Where it is (x, y, z).
        strength: What it adds to a surface that faces it.
        ambient: What reaches every surface.
    """

    at_m: tuple[float, float, float]
    strength: float
    ambient: float


@dataclass
class World:
    """A scene in the world frame of `shapes`.

    Attributes:
        light: The one light that casts shadows.
        sky: Colour where no ray meets anything, and of the haze.
        clear_m: Distance at which haze hides 63 %; inf without haze.
        solids: Everything solid.
        places: Ground (x, z, radius) that objects take, so that none stands in another.
    """

    light: Light
    sky: Colour
    clear_m: float
    solids: list[Solid] = field(default_factory=list)
    places: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, *solids: Solid) -> None:
        """Add solids."""
        self.solids.extend(solids)

    def take(self, x: float, z: float, radius_m: float) -> bool:
        """Take a circle of the ground; return whether it was free."""
        for other_x, other_z, other_m in self.places:
            if (x - other_x) ** 2 + (z - other_z) ** 2 < (radius_m + other_m) ** 2:
                return False
        self.places.append((x, z, radius_m))
        return True
