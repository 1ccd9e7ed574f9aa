"""Questions about pixels: what is asked, what shows it, and what the true answer is."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from .camera import Camera
from .prompts import load_template
from .view import View, uri_fields


@dataclass(frozen=True)
class Question:
    """One question about one pixel: where it comes from and its exact answer.

    Attributes:
        dataset: Name of the dataset.
        row: Number of the record in it, from 0.
        point: Number of the point in the record, from 0.
        image: Image path as the record gives it.
        pixel: The labelled pixel (x, y) of the source image.
        task: Name of the task.
        prompt: Style of its template.
        target: The true answer at full precision.
        unit: Its unit.
    """

    dataset: str
    row: int
    point: int
    image: str
    pixel: tuple[float, float]
    task: str
    prompt: str
    target: float
    unit: str

    @classmethod
    def from_uri(cls, uri: str) -> Question:
        """Return the question of a sample's text form (`Sample.to_uri`)."""
        fields = uri_fields(uri)
        x, y = fields["pixel"].split(",")
        return cls(
            fields["dataset"],
            int(fields["row"]),
            int(fields["point"]),
            fields["file"],
            (float(x), float(y)),
            fields["task"],
            fields["prompt"],
            float(fields["target"]),
            fields["unit"],
        )


@dataclass(frozen=True)
class Sample:
    """A question with the view that shows it; the image is rendered when asked for."""

    question: Question
    view: View
    where: str

    @property
    def image(self) -> Image.Image:
        """The RGB image as the model sees it (rendered at each access)."""
        return self.view.render(self.where)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The user's turn (`<image>` stands for the image) and the model's."""
        answer = load_template(self.task, self.question.prompt).fill(self.target)
        return [self.user_turn, {"role": "assistant", "content": answer}]

    @property
    def user_turn(self) -> dict[str, str]:
        """The question alone, for a picture whose answer nobody knows yet."""
        template = load_template(self.task, self.question.prompt)
        return {"role": "user", "content": f"<image>{template.question}"}

    @property
    def target(self) -> float:
        """The true answer at full precision, in `unit`."""
        return self.question.target

    @property
    def unit(self) -> str:
        """Unit of the answer."""
        return self.question.unit

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.question.task

    @property
    def camera(self) -> Camera:
        """Camera of `image`."""
        return self.view.camera

    @property
    def pixels(self) -> list[tuple[int, int]]:
        """The marked pixels (x, y) of `image`."""
        return [(mark.x, mark.y) for mark in self.view.marks]

    def to_uri(self) -> str:
        """Return the text form that LLaMA-Factory carries in place of an image path."""
        question = self.question
        x, y = question.pixel
        return self.view.to_uri(
            dataset=question.dataset,
            row=str(question.row),
            point=str(question.point),
            file=question.image,
            pixel=f"{x!r},{y!r}",
            task=question.task,
            prompt=question.prompt,
            target=repr(question.target),
            unit=question.unit,
            at=self.where,
        )
