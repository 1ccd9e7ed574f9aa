"""From points to turns: marks or coordinates, the template's words, the sample."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..config.block import DepthLMConfig
from ..geometry.camera import as_pixel
from ..language.template import Template
from ..language.templates import load_template
from ..tasks import QuestionContext, Task, Truth
from ..views.markers import parse_color
from ..views.view import Mark, View, normalised
from .sample import Question, Sample


@dataclass(frozen=True)
class Phrasing:
    """Puts the questions of one dataset into words and marks.

    Attributes:
        config: The dataset's config.
        dataset: Its name.
    """

    config: DepthLMConfig
    dataset: str

    def sample(
        self,
        task: Task,
        asked: Sequence[tuple[QuestionContext, Truth]],
        views: list[View],
        rng: random.Random,
    ) -> Sample:
        """Return the sample of some questions about the same views."""
        template = load_template(task.name, self.config.prompt)
        marks: list[Mark] = []
        questions, turns = [], []
        for shown, one in asked:
            names = [self._name(template, shown, index, marks) for index in shown.indices]
            turns.append((template.ask(names, one.given, rng.random()), template.tell(one)))
            questions.append(self._question(template, shown, one))
        first = replace(views[0], marks=tuple(marks))
        where = asked[0][0].records[0].where
        return Sample(tuple(questions), tuple(turns), (first, *views[1:]), where, template.system)

    def _name(
        self, template: Template, shown: QuestionContext, index: int, marks: list[Mark]
    ) -> str:
        """Return what a point is called; add its mark, if it gets one."""
        config, view = self.config, shown.views[0]
        [place] = view.pixels_from_source(shown.records[0].pixels[index])
        if config.reference == "text":
            x, y = normalised(tuple(place), view.size_wh)
            return template.name_point("text", x=x, y=y)
        number = len(marks) + 1
        color = config.marker_color
        if config.reference == "marker" and number == 2:
            color = config.marker_color_2
        outline = config.marker_outline and parse_color(config.marker_outline)
        marks.append(
            Mark(
                config.mark_kind,
                config.marker_px,
                *as_pixel(place),
                parse_color(color),
                outline or None,
                number if config.reference == "numbered" else 1,
            )
        )
        fields = {"number": number} if config.reference == "numbered" else {
            "color": color, "marker": config.marker
        }  # fmt: skip
        return template.name_point(config.reference, **fields)

    def _question(self, template: Template, shown: QuestionContext, one: Truth) -> Question:
        record = shown.records[0]
        pixels = record.pixels[list(shown.indices)]
        kind = one.depth_kind
        edges = None if record.at_edge is None else record.at_edge[list(shown.indices)]
        return Question(
            self.dataset,
            record.row,
            tuple(int(record.points[index]) for index in shown.indices),
            tuple(record.image for record in shown.records),
            tuple((float(x), float(y)) for x, y in pixels),
            template.task,
            self.config.prompt,
            one.values,
            template.unit,
            kind,
            None if kind is None else float(record.camera.distance_over_z(pixels)[0]),
            bool(edges[0]) if edges is not None and len(edges) == 1 else None,
        )
