"""Which sizes the loaded model's own image processor leaves alone."""

from __future__ import annotations

from typing import Any

from ...errors import HostError
from .families import FAMILIES, REFUSED, Grid, refusal

__all__ = ["Grid", "family_of", "grid_of"]


def grid_of(processor: Any) -> Grid:
    """Return the grid of a loaded processor.

    Raises:
        HostError: For a family that cannot keep one focal length, or is not known to, and for
            settings of a known one that would resample: its metres could not be trusted.
    """
    image_processor = getattr(processor, "image_processor", None)
    if image_processor is None:
        raise HostError("the model has no image processor; depth needs one that sees images")
    name, family = type(image_processor).__name__, family_of(image_processor)
    if family in REFUSED:
        raise refusal(name, REFUSED[family])
    # Not by name alone: a model's own code may call its class as transformers calls another.
    if not type(image_processor).__module__.startswith(("transformers.", __package__)):
        raise refusal(
            name,
            "its code comes with the model, not with transformers, and nobody has checked what it"
            " does to an image",
        )
    if family not in FAMILIES:
        raise refusal(name, f"it is not known; supported: {', '.join(FAMILIES)}")
    return FAMILIES[family](name, image_processor, processor)


def family_of(image_processor: Any) -> str:
    """Return the class name without the suffix of its backend (torchvision's bears none in 5.6)."""
    return type(image_processor).__name__.removesuffix("Fast").removesuffix("Pil")
