"""Answers that can only be numbers in their template's form: which tokens may come next.

The form is a tree over the tokenizer's own tokens: the template's words, then digits and a point
until the number is as long as the template writes it, then the words after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import ConfigError
from ...language.template import Template
from ...tasks.written import DECIMALS
from .continuation import EXAMPLES, Continuation

_DIGITS = 4  # before the point: 9999.99 m
_ZEROS = 4  # after it, before the first other digit


class Numbers:
    """The tree of a template's answers.

    Args:
        template: The template.
        words: What its answers go on with.
        encode: Text of an answer -> its tokens, with those that end it.
        tokenizer: The model's tokenizer.

    Attributes:
        start: The tokens before the number.

    Raises:
        ConfigError: For a template whose answer is not one number.
    """

    def __init__(
        self,
        template: Template,
        words: Continuation,
        encode: Callable[[str], list[int]],
        tokenizer: Any,
    ) -> None:
        if words.before is None:
            raise ConfigError(
                f"task {template.task!r}: an answer that is not one number has no tree of numbers;"
                " leave constrained answers and intervals out"
            )
        self._template, self._words, self._encode = template, words, encode
        self.start = tuple(words(()))
        self._decimals = template.decimals.get("value", DECIMALS)
        # What stands before the number and shares a token with it.
        self._lead = words.before[len(tokenizer.decode(list(self.start))) :]
        self._text_of = _pieces(tokenizer, set("0123456789.") | set(self._lead))
        self._forced: dict[tuple[int, ...], list[int]] = {}
        self._allowed: dict[str, list[int]] = {}
        for value in EXAMPLES:
            self._check(encode(words.told(value)))

    def forced(self, said: Sequence[int]) -> list[int]:
        """Return the tokens that must follow what has been said; none within a number."""
        key = tuple(said)
        if key not in self._forced:
            tokens = self._after(key)
            for at in range(max(1, len(tokens))):
                self._forced[key + tuple(tokens[:at])] = tokens[at:]
        return self._forced[key]

    def allowed(self, said: Sequence[int]) -> list[int]:
        """Return the tokens of which one must follow what has been said, within a number."""
        text = self._written(said)
        if text not in self._allowed:
            self._allowed[text] = [
                token for token, piece in self._text_of.items() if self._begins(text + piece)
            ]
        return self._allowed[text]

    def is_within(self, said: Sequence[int]) -> bool:
        """Return whether what has been said ends in the (first) number, or just before it."""
        begun = tuple(said[: len(self.start)]) == self.start
        own = said[len(self.start) :]
        return (
            begun
            and all(token in self._text_of for token in own)
            and (not own or self._begins(self._written(said)))
        )

    def number(self, said: Sequence[int]) -> str:
        """Return what has been said of the number: `2.3`."""
        return self._written(said)[len(self._lead) :]

    def is_whole(self, number: str) -> bool:
        """Return whether a number is written to its end."""
        if not re.fullmatch(r"\d+\.\d+", number) or not float(number):
            return False
        return self._template.written("value", float(number)) == number

    def _check(self, taught: Sequence[int]) -> None:
        """Raise a ConfigError unless an answer as it is taught is in the tree."""
        for at, token in enumerate(taught):
            said = taught[:at]
            if (self.forced(said)[:1] or [token]) != [token] or not (
                self.forced(said) or token in self.allowed(said)
            ):
                raise ConfigError(
                    "the tokenizer writes numbers in a way that is not known, so answers cannot be"
                    " constrained and have no intervals"
                )

    def _after(self, said: tuple[int, ...]) -> list[int]:
        if len(said) < len(self.start):
            return list(self.start[len(said) :])
        number = self.number(said)
        if not self.is_whole(number):
            return []
        tokens = self._words(said)
        if tokens:
            return tokens
        # The model has put the number together from other tokens than the tokenizer would.
        return self._encode(self._words.told(float(number)))[self._tail(number) :]

    def _tail(self, number: str) -> int:
        """Return where the words after a number begin, in the tokens of a whole answer."""
        tokens = self._encode(self._words.told(float(number)))
        text = ""
        for at, token in enumerate(tokens[len(self.start) :], len(self.start) + 1):
            text += self._text_of.get(token, "")
            if text == self._lead + number:
                return at
        raise ConfigError(
            f"the tokenizer joins the number {number} with the words after it, so answers cannot be"
            " constrained"
        )

    def _written(self, said: Sequence[int]) -> str:
        return "".join(self._text_of[token] for token in said[len(self.start) :])

    def _begins(self, text: str) -> bool:
        """Return whether a text begins a number of the form, with what stands before it."""
        if len(text) <= len(self._lead):
            return self._lead.startswith(text)
        if not text.startswith(self._lead):
            return False
        number = text[len(self._lead) :]
        small = re.fullmatch(rf"0\.(0{{1,{_ZEROS}}})([1-9]\d*)?", number)
        if small:
            most = max(self._decimals, len(small[1]) + 2)
            return len(number) - 2 <= most
        return bool(
            re.fullmatch(
                rf"(?:0|[1-9]\d{{0,{_DIGITS - 1}}})(?:\.(?:\d{{0,{self._decimals}}}))?", number
            )
        )


def _pieces(tokenizer: Any, letters: set[str]) -> dict[int, str]:
    """Return the text of each ordinary token that is made of these letters."""
    added = set(tokenizer.get_added_vocab())
    pieces = {}
    for piece, token in tokenizer.get_vocab().items():
        text = piece.replace("\u0120", " ").replace("\u2581", " ")  # as BPE and SentencePiece do
        if piece not in added and text and letters.issuperset(text):
            pieces[token] = text
    return dict(sorted(pieces.items()))
