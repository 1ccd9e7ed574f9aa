"""A report as Markdown: its tables and texts, without plots and pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .document import (
    Block,
    Cards,
    Document,
    Figures,
    Items,
    Table,
    Text,
    Verbatim,
    visible,
)

_WITHOUT = (
    "Tables and texts only: plots, error maps and pictures are in the HTML report"
    " (--out report.html)."
)
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$^=])")


def to_markdown(document: Document) -> str:
    """Return the file's text; no picture is drawn."""
    parts = [f"# {_line(document.title)}", _WITHOUT, *_blocks(document.blocks)]
    for section in document.sections:
        parts += [f"## {_line(section.title)}", *_blocks(section.blocks)]
    return "\n\n".join([*parts, _line(document.footer)]) + "\n"


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Text):
            yield f"**{_line(block.text)}**" if block.warning else _line(block.text)
        elif isinstance(block, Items):
            yield "\n".join(f"- {_line(item)}" for item in block.items)
        elif isinstance(block, Table):
            yield _table(block.head, block.rows)
            if block.caption:
                yield _line(block.caption)
        elif isinstance(block, Cards):
            yield _line(block.title)
            names = [name for name, _ in block.cards[0].facts]
            yield _table(names, [[text for _, text in card.facts] for card in block.cards])
        elif isinstance(block, Verbatim):
            yield _line(block.title)
            for title, text in block.texts:
                yield _line(title)
                yield _fenced(text)
        else:
            assert isinstance(block, Figures)  # they are in the HTML report


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head)]
    cells = [[_line(cell) for cell in lines[0]], lines[1], *([_line(c) for c in r] for r in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def _line(text: str) -> str:
    """Return a text as one line that shows as it is, without markup."""
    return _MARKUP.sub(r"\\\1", visible(" ".join(text.split())))


def _fenced(text: str) -> str:
    """Return a text as a code block, whatever fences it holds itself."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{visible(text)}\n{fence}"
