"""What a report consists of, before it is HTML or Markdown: sections of blocks.

Texts are plain and may come from anywhere; whoever writes them escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

LONGEST_NAME = 120  # characters of a dataset's name, a path, ... that are shown

# Controls but for new line and tab, what turns the direction of text around, halves of characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]"
    "|[\ud800-\udfff]"
)


@dataclass(frozen=True)
class Picture:
    """A picture inside the file, or why there is none.

    Attributes:
        uri: `data:` address, or None.
        missing: Why it is None.
    """

    uri: str | None
    missing: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; a `warning` stands out."""

    text: str
    warning: bool = False
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Items:
    """A list of short texts."""

    items: tuple[str, ...]
    kind: ClassVar[str] = "items"


@dataclass(frozen=True)
class Table:
    """Rows of cells (R, C) below the names of the columns (C,); the first column names the row.

    Rows of `strong` are the ones to look at.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    strong: frozenset[int] = frozenset()
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Figure:
    """A plot, drawn when it is asked for."""

    draw: Callable[[], Picture]
    alt: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Figures side by side, where there is room."""

    figures: tuple[Figure, ...]
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Card:
    """A question with its picture: facts are (name, text)."""

    draw: Callable[[], Picture]
    alt: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Cards:
    """Cards side by side; all have facts of the same names."""

    title: str
    cards: tuple[Card, ...]
    kind: ClassVar[str] = "cards"


@dataclass(frozen=True)
class Verbatim:
    """Texts as they were given, each below a line that says what it is."""

    title: str
    texts: tuple[tuple[str, str], ...]
    kind: ClassVar[str] = "verbatim"


Block = Text | Items | Table | Figures | Cards | Verbatim


@dataclass
class Section:
    """Blocks under a heading."""

    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A report: a title, what comes first, sections, and the last line."""

    title: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]
    footer: str


def visible(text: str) -> str:
    r"""Return a text with `\x00` or `\u202e` for what cannot be seen, or not be written."""
    return _INVISIBLE.sub(lambda found: _escaped(found[0]), text)


def shortened(text: str, most: int = LONGEST_NAME) -> str:
    """Return a text of at most `most` characters, and how many there were if it is cut."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
