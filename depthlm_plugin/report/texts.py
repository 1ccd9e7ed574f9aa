"""Texts that may come from anywhere, made fit to show: cut, visible, without markup."""

from __future__ import annotations

import re

from markupsafe import Markup

# Controls but for new line and tab, what turns the direction of text around, halves of characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffe\uffff]"
    "|[\ud800-\udfff]"
)
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|<>~&$^=])")


def shortened(text: str, most: int = 120) -> str:
    """Return a text of at most `most` characters, and how many there were if it is cut."""
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def visible(text: str) -> str:
    r"""Return a text with `\x00` or `\u202e` for what cannot be seen, or not be written."""
    return _INVISIBLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def markdown_line(text: str) -> Markup:
    """Return a text as one line of Markdown that shows as it is, in tables too."""
    return Markup(_MARKUP.sub(r"\\\1", visible(" ".join(text.split()))))


def fenced(text: str) -> Markup:
    """Return a text as a code block of Markdown, whatever fences it holds itself."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return Markup(f"{fence}text\n{visible(text)}\n{fence}")
