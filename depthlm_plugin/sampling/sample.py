"""Questions about pixels: what is asked, what shows it, and what the true answer is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image

from ..geometry.camera import Camera, as_pixel
from ..views.view import View, uri_fields


@dataclass(frozen=True)
class Question:
    """One question: where it comes from and its exact answer.

    Attributes:
        dataset: Name of the dataset.
        row: Number of the record in it, from 0.
        points: Numbers of its points in the record, from 0.
        images: Image paths as the records give them.
        pixels: The labelled pixels (x, y) of the first source image.
        task: Name of the task.
        prompt: Style of its template.
        truth: The true values at full precision, by placeholder of the answer.
        unit: Unit of the answer, empty where it has none.
        depth_kind: What a depth is: `distance` or `z`; None for other answers.
        distance_over_z: Of a depth's pixel: the factor between the two.
        at_edge: Whether the pixel lies beside a depth edge; None where nobody says.
    """

    dataset: str
    row: int
    points: tuple[int, ...]
    images: tuple[str, ...]
    pixels: tuple[tuple[float, float], ...]
    task: str
    prompt: str
    truth: Mapping[str, float]
    unit: str
    depth_kind: str | None = None
    distance_over_z: float | None = None
    at_edge: bool | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Question:
        """Return the question of its JSON form."""
        lists = {name: tuple(raw[name]) for name in ("points", "images")}
        pixels = tuple((x, y) for x, y in raw["pixels"])
        return cls(**{**raw, **lists, "pixels": pixels})

    @classmethod
    def all_from_uri(cls, uri: str) -> list[Question]:
        """Return the questions of a sample's text form (`Sample.to_uris`), in their order."""
        return [cls.from_json(raw) for raw in json.loads(uri_fields(uri)["questions"])]

    @classmethod
    def from_uri(cls, uri: str) -> Question:
        """Return the first of `all_from_uri`: in evaluation the only one."""
        return cls.all_from_uri(uri)[0]

    @property
    def target(self) -> float:
        """The first of the true values: for most tasks the only one."""
        return next(iter(self.truth.values()))

    @property
    def point(self) -> int | None:
        """Number of its first point, if it is about points."""
        return self.points[0] if self.points else None

    @property
    def pixel(self) -> tuple[float, float] | None:
        """The labelled pixel of its first point, if it is about points."""
        return self.pixels[0] if self.pixels else None

    @property
    def image(self) -> str:
        """Path of its first image, as the record gives it."""
        return self.images[0]


@dataclass(frozen=True)
class Sample:
    """Questions with the views that show them; images are rendered when asked for.

    Attributes:
        questions: One, or several about the same view.
        turns: Of each question: the user's text, without images, and the model's.
        views: One, or two for tasks about two pictures.
        where: File and line of the (first) record.
        system: The system's turn, or None for the host's own.
    """

    questions: tuple[Question, ...]
    turns: tuple[tuple[str, str], ...]
    views: tuple[View, ...]
    where: str
    system: str | None = None

    @property
    def question(self) -> Question:
        """The first question."""
        return self.questions[0]

    @property
    def view(self) -> View:
        """The first view."""
        return self.views[0]

    @property
    def images(self) -> list[Image.Image]:
        """The RGB images as the model sees them (rendered at each access)."""
        return [view.render(self.where) for view in self.views]

    @property
    def image(self) -> Image.Image:
        """The first of `images`."""
        return self.view.render(self.where)

    @property
    def messages(self) -> list[dict[str, str]]:
        """All turns; `<image>` stands for an image. Each question is a turn of its own."""
        turns = [] if self.system is None else [{"role": "system", "content": self.system}]
        for user, model in self._turns:
            turns += [{"role": "user", "content": user}, {"role": "assistant", "content": model}]
        return turns

    @property
    def user_turn(self) -> dict[str, str]:
        """The first question alone, for a picture whose answer nobody knows yet."""
        return {"role": "user", "content": self._turns[0][0]}

    @property
    def _turns(self) -> list[tuple[str, str]]:
        (first, answer), *others = self.turns
        return [("<image>" * len(self.views) + first, answer), *others]

    @property
    def target(self) -> float:
        """The (first) true answer at full precision, in `unit`."""
        return self.question.target

    @property
    def truth(self) -> dict[str, float]:
        """The true values of the first question, for tasks whose answer has several."""
        return dict(self.question.truth)

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
        """The pixels (x, y) of `image` that the questions are about, marked or not."""
        source = [pixel for question in self.questions for pixel in question.pixels]
        return [as_pixel(place) for place in self.view.pixels_from_source(source)]

    def to_uris(self) -> list[str]:
        """Return the text forms that LLaMA-Factory carries in place of image paths.

        The first also holds the questions.
        """
        questions = json.dumps([asdict(question) for question in self.questions])
        first, *others = self.views
        origin = {"dataset": self.question.dataset, "at": self.where}
        return [
            first.to_uri(questions=questions, **origin),
            *(view.to_uri(**origin) for view in others),
        ]
