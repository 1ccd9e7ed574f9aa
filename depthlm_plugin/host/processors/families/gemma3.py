"""Gemma 3: one square."""

from __future__ import annotations

from typing import Any

from ..family import Family
from ..grid import Grid, refusal, resized


def _grid(image_processor: Any, processor: Any) -> Grid:
    """Return the rule: one square; pan-and-scan would add crops that are enlarged."""
    if getattr(processor, "image_do_pan_and_scan", False):
        raise refusal(
            image_processor, "pan-and-scan resizes crops; set image_do_pan_and_scan: false"
        )
    if image_processor.do_pan_and_scan:
        raise refusal(
            image_processor,
            "pan-and-scan resizes crops; set do_pan_and_scan: false in its configuration",
        )
    return resized(image_processor, processor)


FAMILY = Family(("Gemma3ImageProcessor",), _grid)
