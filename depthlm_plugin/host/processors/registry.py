"""Finds the family of a loaded model's image processor among the files of `families/`."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from ...errors import HostError
from . import families
from .family import Family
from .grid import Grid, name_of, refusal


def grid_of(processor: Any) -> Grid:
    """Return the sizes that the image processor of a loaded processor leaves alone.

    Raises:
        HostError: For a family that cannot keep one focal length, or is not known to, and for
            settings of a known one that would resample: its metres could not be trusted.
    """
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None:
        raise HostError("the model has no image processor; depth needs one that sees images")
    rule = family_of(image_processor).grid
    assert rule is not None  # family_of refuses those without
    return rule(image_processor, processor)


def quicken(processor: Any) -> None:
    """Make a loaded processor faster, where its family knows how; its values stay the same."""
    family = family_of(processor.image_processor)
    if family.quicken is not None:
        family.quicken(processor)


def family_of(image_processor: Any) -> Family:
    """Return the family of a loaded image processor.

    Raises:
        HostError: For one that is refused or not known.
    """
    # torchvision's backend bears no suffix in transformers 5.6.
    name = name_of(image_processor).removesuffix("Fast").removesuffix("Pil")
    family = _families().get(name)
    if family is not None and family.refused is not None:
        raise refusal(image_processor, family.refused)
    # Not by name alone: a model's own code may call its class as transformers calls another.
    if not type(image_processor).__module__.startswith(("transformers.", __package__)):
        raise refusal(
            image_processor,
            "its code comes with the model, not with transformers, and nobody has checked what it"
            " does to an image",
        )
    if family is None:
        supported = sorted(name for name, family in _families().items() if not family.refused)
        raise refusal(image_processor, f"it is not known; supported: {', '.join(supported)}")
    return family


@cache
def _families() -> dict[str, Family]:
    """Return the family of each class name: the FAMILY of every file in `families/`."""
    by_class: dict[str, Family] = {}
    for module in iter_modules(families.__path__):
        family: Family = import_module(f"{families.__name__}.{module.name}").FAMILY
        for name in family.image_processors:
            if name in by_class:
                raise HostError(f"families/{module.name}.py: another file has {name} already")
            by_class[name] = family
    return by_class
