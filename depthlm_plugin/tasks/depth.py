"""Metric depth of one marked pixel (DepthLM §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..camera import Floats, convert_depth

if TYPE_CHECKING:
    from ..records import Record


def targets(record: Record, label: str) -> Floats:
    """Return the true answer (N,) in metres for each point of a record.

    `label` is the quantity asked for: `distance` or `z`, whatever the record stores.
    """
    return convert_depth(
        record.depth_m, record.pixels, record.camera, kind=record.depth_kind, to=label
    )
