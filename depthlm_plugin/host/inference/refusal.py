"""Why a model's questions cannot share a picture."""

from __future__ import annotations


class CannotShareError(Exception):
    """Questions about one picture cannot be answered together by this model; says why."""
