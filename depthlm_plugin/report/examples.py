"""Answers to look at: the worst, some at random, and those that could not be read."""

from __future__ import annotations

from functools import partial

from ..config.block import DepthLMConfig
from ..errors import ConfigError
from ..language.template import Template
from ..language.templates import load_template
from ..tasks import TASKS
from .document import (
    Block,
    Card,
    Cards,
    Figure,
    Figures,
    Picture,
    Text,
    Verbatim,
    shortened,
)
from .gathering import UNREAD, Gathered, Key
from .pictures import Album, crop_of, map_of
from .sampling import Example, Pictures, Pointed, ratio_of
from .sources import Source

MAPS = 2  # error maps of a dataset
FEWEST_POINTS = 10  # of an error map


def error_maps(run: Gathered, key: Key, album: Album) -> list[Block]:
    """Return the pictures of a run with most answered points, in the colours of their errors."""
    pictures = run.shown[key].pictures
    chosen = pictures.most_points(MAPS, FEWEST_POINTS)
    if not chosen:
        most = max((len(one.points) for one in pictures.most_points(1, 1)), default=0)
        return [
            Text(
                f"No error maps of {run.short}: they need a picture with {FEWEST_POINTS} answers or"
                f" more whose pixel is known, here it is {most} at most."
            )
        ]
    among = "" if pictures.all_seen else f" of {len(pictures)} pictures drawn at random"
    return [Figures(tuple(_error_map(run, one, among, album) for one in chosen))]


def _error_map(run: Gathered, pointed: Pointed, among: str, album: Album) -> Figure:
    n = len(pointed.points)
    count = f"{n}" if n < Pictures.MOST_POINTS else f"the first {n}"
    return Figure(
        partial(album.of_source, pointed.image, run.source, map_of(pointed)),
        f"Errors of {run.short} at {n} points of a picture",
        f"{run.short}: {shortened(pointed.image)}, {count} points, among those with most{among}."
        " Red: answered too near; blue: too far; cross: not read.",
    )


def samples(run: Gathered, key: Key, album: Album) -> list[Block]:
    """Return the worst of the read answers and some of all at random, with their pictures."""
    shown = run.shown[key]
    worst, drawn = shown.worst.examples, shown.random.items
    return [
        Cards(title, tuple(_card(run, key[1], one, album) for one in examples))
        for title, examples in (
            (f"{run.short}: the {len(worst)} worst of the answers that could be read", worst),
            (f"{run.short}: {len(drawn)} at random of all {shown.n} answers", drawn),
        )
        if examples
    ]


def unread(run: Gathered, key: Key) -> list[Block]:
    """Return how many answers could not be read, why, and the first of them as they are."""
    shown = run.shown[key]
    total = shown.reasons.total()
    if not total:
        return [Text(f"{run.short}: every answer could be read.")]
    reasons = ", ".join(f"{n} {reason}" for reason, n in shown.reasons.most_common())
    title = f"{run.short}: {total} of {shown.n} answers could not be read ({reasons})"
    texts = tuple((f"{_place(one)}: {one.reason}", one.text) for one in shown.unread)
    first = "" if total == len(texts) else f"; the first {UNREAD} of each reason"
    return [Verbatim(f"{title}{first}:", texts)]


def question_of(task: str, prompt: str | None, config: DepthLMConfig | None) -> str:
    """Return a question's words as far as they are known: its template, with its mark named.

    Args:
        task: Name of the task.
        prompt: Style of the template.
        config: The block that the model was asked with; without it the point keeps its placeholder.
    """
    if prompt is None:
        return task
    try:
        template = load_template(task, prompt)
    except ConfigError:
        return f"{task}, template {shortened(prompt)} (which is elsewhere)"
    text = template.questions[0]
    if config is not None and config.reference == "marker" and not TASKS[task].given:
        text = _filled(template, config)
    others = len(template.questions) - 1
    return text + (f" (or one of {others} other wordings)" if others else "")


def _filled(template: Template, config: DepthLMConfig) -> str:
    fields = {"color": config.marker_color, "marker": config.marker}
    return template.ask([template.name_point("marker", **fields)], {}, 0.0)


def _card(run: Gathered, task: str, example: Example, album: Album) -> Card:
    source = run.source
    config = source.config or DepthLMConfig()
    if example.value is None or example.target is None:
        ratio = f"not read: {example.reason}"
    else:
        factor = ratio_of(example.value, example.target)
        way = "too far" if example.value > example.target else "too near"
        ratio = f"{example.value:.4g} m, {factor:.3g} times {way}"
    truth = "" if example.target is None else f"{example.target:.4g} m"
    return Card(
        partial(_crop, example, source, config, album),
        f"Picture around the point, true {truth}, answer {ratio}",
        (
            ("read as", ratio),
            ("truth", truth),
            ("answer", example.text),
            ("question", question_of(task, example.prompt, source.config)),
            ("of", _place(example)),
        ),
    )


def _crop(example: Example, source: Source, config: DepthLMConfig, album: Album) -> Picture:
    if example.image is None or example.pixel is None:
        return Picture(None, "the prediction does not say its picture and pixel")
    draw = crop_of(example.image, example.pixel, config)
    return album.of_source(example.image, source, draw)


def _place(example: Example) -> str:
    image = "" if example.image is None else f"{shortened(example.image)}, "
    return f"{image}record {example.row}, point {example.point}"
