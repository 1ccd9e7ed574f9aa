"""A report as one file: HTML or Markdown of the same content, every text from outside escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .. import __version__
from ..scoring.intervals import LEVEL, RESAMPLES
from ..scoring.published import POINTS, SETS
from ..tasks import TASKS
from . import tables
from .examples import facts_of
from .gather import UNREAD, ScoredRun
from .maps import ScoredMaps
from .pictures import Album
from .texts import fenced, markdown_line, shortened, visible

TEMPLATES = {".html": "html.j2", ".htm": "html.j2", ".md": "markdown.j2"}


def render(
    runs: Sequence[ScoredRun],
    album: Album,
    seed: int,
    suffix: str,
    maps: Sequence[ScoredMaps] = (),
) -> str:
    """Return the text of a report.

    Args:
        runs: What it is about, in the order of their numbers.
        album: Takes the pictures, which HTML alone has.
        seed: Of what was drawn at random.
        suffix: Of the file, one of `TEMPLATES`.
        maps: Scores of whole depth maps, if there are some.
    """
    shown = markdown_line if suffix == ".md" else visible
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: shown(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shortened": shortened, "fenced": fenced}
    environment.globals |= {"TASKS": TASKS, "SETS": SETS, "POINTS": POINTS, "UNREAD": UNREAD}
    sections = [
        (f"{shortened(key[0])}, {key[1]}", key, [run for run in runs if key in run.samples])
        for key in sorted({key for run in runs for key in run.samples})
    ]
    return environment.get_template(TEMPLATES[suffix]).render(
        title=f"depthlm report: {', '.join(shortened(run.source.name) for run in runs)}",
        runs=runs,
        maps=maps,
        compared=[run for run in runs if tables.sets_of(run)],
        sections=sections,
        tables=tables,
        facts_of=facts_of,
        album=album,
        seed=seed,
        footer=f"depthlm-plugin {__version__}, seed {seed}. Intervals: {LEVEL:.0%}, bootstrap over"
        f" pictures, {RESAMPLES} resamples. Nothing in this file is loaded from elsewhere.",
    )
