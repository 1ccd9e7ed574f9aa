"""What a model answered to one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cameras.source import FoundCamera, focal_effect
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
        value: The number that was read, in `unit`, or the first of several; None where none could
            be read.
        reason: Why no number could be read, or None.
        values: The numbers by the task's names: of a pose seven, see `tasks.relative_pose`.
        cameras: The camera of each picture, and where it comes from.
        distribution: What else it could have said; None where nobody asked, or it had no number.
    """

    sample: Sample
    text: str
    value: float | None
    reason: str | None
    values: Mapping[str, float] | None
    cameras: tuple[FoundCamera, ...]
    distribution: Distribution | None = None

    @classmethod
    def of(
        cls,
        sample: Sample,
        text: str,
        cameras: tuple[FoundCamera, ...],
        distribution: Distribution | None = None,
    ) -> Answer:
        """Return the answer that a text is, read as the sample's template writes answers."""
        question = sample.question
        reading = read_answer(text, load_template(question.task, question.prompt))
        values = reading.values
        value = None if values is None else next(iter(values.values()))
        return cls(sample, text, value, reading.reason, values, cameras, distribution)

    @property
    def pixel(self) -> tuple[float, float] | None:
        """The (first) pixel (x, y) of the picture that was asked about, if it was about one."""
        return self.sample.question.pixel

    @property
    def camera(self) -> FoundCamera:
        """The (first) picture's camera, and where it comes from."""
        return self.cameras[0]

    def if_focal(self, ratio: float) -> float | None:
        """Return what the value would be with a focal length of `ratio` times the stated one.

        Of lengths that are no depth the most that it may change by. None where there is no value,
        or one that is no length: see `cameras.source.focal_effect`.
        """
        question = self.sample.question
        if self.value is None or not question.unit:
            return None
        effect = focal_effect(ratio, question.depth_kind, question.distance_over_z)
        return self.value * effect

    @property
    def unit(self) -> str:
        """The unit of the value, as answers give it: m."""
        return self.sample.unit
