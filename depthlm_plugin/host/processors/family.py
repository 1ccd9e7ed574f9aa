"""Defines what is known of one family of base VLMs: the FAMILY of each file in `families/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .grid import Grid


def pixel_values(inputs: Mapping[str, Any]) -> Any:
    """Return the model's `pixel_values`, which for most families are those of the view alone."""
    return inputs["pixel_values"]


@dataclass(frozen=True)
class Family:
    """Base VLMs whose images go through the same classes of image processor.

    Attributes:
        image_processors: Class names in transformers, without the suffix of a backend.
        grid: The size rule: (image processor, the processor around it) -> the sizes that the image
            processor leaves alone. It raises a HostError for settings that would resample.
        view_values: Model inputs of one image -> the values of the view itself, in any order and
            shape: without an overview of it and without what a batch is filled up with.
        quicken: Makes a loaded processor faster, bit for bit the same; None where nothing does.
        refused: Why the family cannot be used, or None.
    """

    image_processors: tuple[str, ...]
    grid: Callable[[Any, Any], Grid] | None = None
    view_values: Callable[[Mapping[str, Any]], Any] = pixel_values
    quicken: Callable[[Any], None] | None = None
    refused: str | None = None
