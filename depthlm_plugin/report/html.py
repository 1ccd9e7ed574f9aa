"""A report as one HTML file, in which every text from outside is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .document import Document, visible

_TEMPLATE = "report.html.j2"


def to_html(document: Document) -> str:
    """Return the file's text; this draws the pictures."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(_TEMPLATE).render(document=document)


def _printable(value: Any) -> Any:
    return visible(value) if type(value) is str else value
