"""What a predictor needs of a model: one call that answers many samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ..errors import DepthLMError
from ..host.processors.grid import Grid
from ..sampling.sample import Sample


class UnansweredError(DepthLMError):
    """Some questions got no answer, though they can be asked again.

    Attributes:
        texts: The answers in the order of the questions, None for those that have none.
        stopped: Whether it is no use to go on: the model does not answer at all.
    """

    def __init__(self, message: str, texts: list[str | None], *, stopped: bool) -> None:
        super().__init__(message)
        self.texts = texts
        self.stopped = stopped


Shares = Sequence[tuple[str, float, bool]]  # what `Distribution.of` takes


class Engine(Protocol):
    """A loaded model. `host.inference.loaded` has LLaMA-Factory's; others may batch or cache."""

    @property
    def grid(self) -> Grid:
        """The sizes of views that its image processor leaves alone."""

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, in their order.

        Raises:
            RecordError: For a picture that cannot be decoded.
            UnansweredError: When some got no answer.
        """


@runtime_checkable
class Weighing(Protocol):
    """An engine that knows probabilities."""

    def weigh(self, samples: Sequence[Sample]) -> Sequence[tuple[str, Shares]]:
        """Return the texts of `answer`, each with the shares of what else it could have been."""
