"""What comes of planning: samples, and what was left out."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .sample import Sample


class LeftOut(NamedTuple):
    """Something that makes no sample, or not the one drawn first.

    Attributes:
        reason: A short, fixed phrase.
        times: How often.
    """

    reason: str
    times: int = 1


class Planned(NamedTuple):
    """What a record gives.

    Attributes:
        samples: Its samples, in the order of the tasks and of the draws.
        left_out: How often something was left out, by reason; no zeros.
    """

    samples: list[Sample]
    left_out: Counter[str]
