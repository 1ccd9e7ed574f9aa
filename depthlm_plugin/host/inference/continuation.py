"""What an answer goes on with, whatever its number: the words of its template.

They are tokens that the model need not be asked for one by one. They are proposed, read in one
forward, and kept as far as the model would have said them: no answer changes.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from ...language.template import Template
from ...tasks import TASKS, Truth

EXAMPLES = (0.25, 1.7, 2.04, 3.51, 4.96, 5.38, 6.6, 7.12, 8.49, 9.83, 12.5, 60.75, 134.0)


class Continuation:
    """Proposes tokens, for the answers of one template.

    Args:
        template: The template.
        encode: Text of an answer -> its tokens, with those that end it.
        decode: Tokens -> text.

    Attributes:
        before: The words before the number; None for a template whose answer is not one number.
    """

    def __init__(
        self,
        template: Template,
        encode: Callable[[str], list[int]],
        decode: Callable[[Sequence[int]], str],
    ) -> None:
        self._template, self._encode, self._decode = template, encode, decode
        self._known: dict[tuple[int, ...], list[int]] = {}
        form = template.answer.replace("{reasoning}", template.reasoning or "")
        named = {name for _, name, _, _ in string.Formatter().parse(form) if name is not None}
        self.before: str | None = None
        if named == {"value"} == set(TASKS[template.task].values):
            (self.before, *_), *_ = string.Formatter().parse(form)
            self._known[()] = _common([encode(self.told(value)) for value in EXAMPLES])

    def __call__(self, said: Sequence[int]) -> list[int]:
        """Return the tokens that may follow what has been said: none where that is open."""
        key = tuple(said)
        if self.before is None:
            return []
        if key not in self._known:
            self._known[key] = self._after(key)
        return self._known[key]

    def _after(self, said: tuple[int, ...]) -> list[int]:
        assert self.before is not None
        found = re.fullmatch(re.escape(self.before) + r"(\d+(?:\.\d+)?)", self._decode(said))
        if found is None or self._template.written("value", float(found[1])) != found[1]:
            return []
        whole = self._encode(self.told(float(found[1])))
        return whole[len(said) :] if whole[: len(said)] == list(said) else []

    def told(self, value: float) -> str:
        """Return the whole answer that says a value."""
        return self._template.tell(Truth({"value": value}))


def _common(answers: Sequence[list[int]]) -> list[int]:
    """Return the tokens that all answers begin with."""
    shared = []
    for tokens in zip(*answers, strict=False):
        if len(set(tokens)) > 1:
            break
        shared.append(tokens[0])
    return shared
