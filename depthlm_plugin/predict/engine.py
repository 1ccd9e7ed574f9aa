"""What a predictor needs of a model: one call that answers many samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..host.processors.grid import Grid
from ..sampling.sample import Sample

Shares = Sequence[tuple[str, float, bool]]  # what `Distribution.of` takes


class Engine(Protocol):
    """A loaded model. `host.inference.loaded` has LLaMA-Factory's; others may batch or cache."""

    @property
    def grid(self) -> Grid:
        """The sizes of views that its image processor leaves alone."""

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, in their order."""

    def weigh(self, samples: Sequence[Sample]) -> Sequence[tuple[str, Shares]]:
        """Return the texts of `answer`, each with the shares of what else it could have been."""
