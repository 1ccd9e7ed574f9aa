"""What a model answered to one question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cameras.source import FoundCamera, focal_effect
from ..language.reading import read_answer
from ..language.templates import load_template
from ..sampling.sample import Sample
from .calibration import Calibration
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
        calibration: What `depthlm calibrate` learnt to make of the model's values, if it did.
    """

    sample: Sample
    text: str
    value: float | None
    reason: str | None
    values: Mapping[str, float] | None
    cameras: tuple[FoundCamera, ...]
    distribution: Distribution | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(
        cls,
        sample: Sample,
        text: str,
        cameras: tuple[FoundCamera, ...],
        distribution: Distribution | None = None,
        calibration: Calibration | None = None,
    ) -> Answer:
        """Return the answer that a text is, read as the sample's template writes answers."""
        question = sample.question
        reading = read_answer(text, load_template(question.task, question.prompt))
        values = reading.values
        value = None if values is None else next(iter(values.values()))
        said = (sample, text, value, reading.reason, values, cameras)
        return cls(*said, distribution, calibration)

    @property
    def calibrated(self) -> float | None:
        """The value as it was calibrated; None where there is no value, or no calibration."""
        if self.value is None or self.calibration is None:
            return None
        return self.calibration(self.value)

    @property
    def interval_90(self) -> tuple[float, float] | None:
        """The distribution's 90 % interval about the best value; None where it has none."""
        if self.distribution is None:
            return None
        low, high = self.distribution.interval_90
        if self.calibration is None:
            return low, high
        return self.calibration(low), self.calibration(high)

    @property
    def best(self) -> float | None:
        """The calibrated value where there is one, else the value."""
        return self.value if self.calibrated is None else self.calibrated

    @property
    def pixel(self) -> tuple[float, float] | None:
        """The (first) pixel (x, y) of the picture that was asked about, if it was about one."""
        return self.sample.question.pixel

    @property
    def camera(self) -> FoundCamera:
        """The (first) picture's camera, and where it comes from."""
        return self.cameras[0]

    def if_focal(self, ratio: float) -> float | None:
        """Return what the best value would be with a focal length of `ratio` times the stated one.

        Of lengths that are no depth the most that it may change by. None where there is no value,
        or one that is no length: see `cameras.source.focal_effect`.
        """
        question = self.sample.question
        best = self.best
        if best is None or not question.unit:
            return None
        effect = focal_effect(ratio, question.depth_kind, question.distance_over_z)
        return best * effect

    @property
    def unit(self) -> str:
        """The unit of the value, as answers give it: m."""
        return self.sample.unit
