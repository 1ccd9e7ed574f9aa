"""A prompt template: what is asked, what is answered, and how both are filled with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..tasks import TASKS, Truth
from ..tasks.written import DECIMALS, format_number

REFERENCES = ("marker", "text", "numbered")
"""How a question may refer to a point."""


@dataclass(frozen=True)
class Template:
    """What is asked for a task, the answer that the model is trained to give, and how it is read.

    Attributes:
        task: Name of the task.
        questions: Paraphrases of the user's turn, without the image.
        answer: Text of the model's turn.
        reasoning: Text that `{reasoning}` stands for in the answer, or None.
        system: The system's turn, or None for the host's own.
        unit: Unit of the answer's value, as this language writes it; empty where it has none.
        parse: `answer_tag`: the answer stands in `<answer> </answer>`; `whole`: it is the text.
        decimals: Digits after the point, by placeholder; 2 where nothing is said.
        point: How a point is named, by reference.
    """

    task: str
    questions: tuple[str, ...]
    answer: str
    reasoning: str | None
    system: str | None
    unit: str
    parse: str
    decimals: Mapping[str, int]
    point: Mapping[str, str]

    def ask(self, points: Sequence[str], given: Mapping[str, float], paraphrase: float) -> str:
        """Return the user's turn.

        Args:
            points: What each point is called: see `name_point`.
            given: Numbers that the question states, by placeholder.
            paraphrase: Which of the questions, as a share of them in [0, 1).
        """
        names = ["point"] if len(points) == 1 else [f"point{n}" for n in range(1, len(points) + 1)]
        question = self.questions[int(paraphrase * len(self.questions))]
        return question.format(**dict(zip(names, points, strict=True)), **self._written(given))

    def tell(self, truth: Truth) -> str:
        """Return the model's turn."""
        fields = {**self._written({**truth.values, **truth.told, **truth.given}), **truth.words}
        if self.reasoning is not None:
            fields["reasoning"] = self.reasoning.format(**fields)
        return self.answer.format(**fields)

    def name_point(self, reference: str, **fields: object) -> str:
        """Return what a point is called, for a reference and what that shows."""
        return self.point[reference].format(**fields)

    def _written(self, numbers: Mapping[str, float]) -> dict[str, str]:
        return {name: self.written(name, value) for name, value in numbers.items()}

    def written(self, name: str, value: float) -> str:
        """Return the number of a placeholder as it is written."""
        signed = name in TASKS[self.task].signed
        return format_number(value, self.decimals.get(name, DECIMALS), signed=signed)
