"""What a predictor needs of a model: one call that answers many samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..sampling.sample import Sample


class Grid(Protocol):
    """The sizes of views, pixels, that a model's image processor leaves alone."""

    @property
    def multiple(self) -> int:
        """What both sides must be multiples of."""

    @property
    def fixed_wh(self) -> tuple[int, int] | None:
        """The one size (width, height) that it accepts; None where sizes vary."""

    def problem(self, size_wh: tuple[int, int]) -> str | None:
        """Return why a view of this size would be resampled, or None."""


class Engine(Protocol):
    """A loaded model. `host.inference` has LLaMA-Factory's; others may batch or cache."""

    @property
    def grid(self) -> Grid:
        """The sizes of views that it takes."""

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, in their order."""
