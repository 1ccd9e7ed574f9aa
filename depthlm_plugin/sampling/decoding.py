"""Decoding pictures before their records are used, where bad ones are to be skipped.

The header of a truncated file is fine, so planning cannot tell; and once a sample is planned it is
too late to draw another. Rendering finds the pixels that were decoded here.
"""

from __future__ import annotations

from dataclasses import replace

from ..config.block import DepthLMConfig
from ..records.record import Record
from ..views.render import source_pixels
from .planner import Planner


def decoding(planner: Planner) -> Planner:
    """Return the planner of samples that will be rendered.

    With `on_error: skip` it decodes every picture before it plans about it, so that one that cannot
    be decoded is skipped and counted; otherwise it is the planner itself.
    """
    if planner.config.on_error == "raise":
        return planner
    return replace(planner, check_picture=check_pixels)


def check_pixels(path: str, record: Record, config: DepthLMConfig) -> None:
    """Refuse a picture that cannot be decoded, or is of another size than its intrinsics.

    Raises:
        RecordError: As `source_pixels` does.
    """
    fast = config.resampling == "fast"
    source_pixels(path, record.camera, record.where, config.exif_rotation, fast=fast)
