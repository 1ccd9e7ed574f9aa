"""What a model answered to one question."""

from __future__ import annotations

from dataclasses import dataclass

from ..language.reading import read_answer
from ..language.templates import load_template
from ..sampling.sample import Sample
from .distribution import Distribution


@dataclass(frozen=True)
class Answer:
    """A question, the model's text, and what was read in it.

    Attributes:
        sample: What the model was shown and asked.
        text: What it said.
        value: The number that was read, in `unit`; None where none could be.
        reason: Why no number could be read, or None.
        distribution: What else it could have said; None where nobody asked, or it had no number.
    """

    sample: Sample
    text: str
    value: float | None
    reason: str | None
    distribution: Distribution | None = None

    @classmethod
    def of(cls, sample: Sample, text: str, distribution: Distribution | None = None) -> Answer:
        """Return the answer that a text is, read as the sample's template writes answers."""
        question = sample.question
        reading = read_answer(text, load_template(question.task, question.prompt))
        value = None if reading.values is None else reading.values["value"]
        return cls(sample, text, value, reading.reason, distribution)

    @property
    def pixel(self) -> tuple[float, float]:
        """The pixel (x, y) of the picture that was asked about."""
        return self.sample.question.pixels[0]

    @property
    def unit(self) -> str:
        """The unit of the value, as answers give it: m."""
        return self.sample.unit
