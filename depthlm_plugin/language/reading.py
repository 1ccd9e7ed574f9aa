"""Reading a model's answer: text to the values that a task asks for, or the reason why not."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..kinds.units import UNIT, Refused, asked_unit, unit_for
from ..tasks import TASKS
from .template import Template

LONGEST = 10_000  # characters that are looked at; no template asks for more
REASONS = (  # of answers of any kind; each kind has its own further ones
    "too long",  # more than LONGEST characters
    "unfinished answer",  # an <answer> that is not closed: generation was cut off
    "several answers",  # <answer> tags that do not say the same
    "no number",
    "several numbers",  # a range, a choice of two, both points
    "unclear number",  # 1,234  1.2.3  1/2  2.35x  2 and a half  5 in front; digits beyond ASCII
    "only a bound",  # > 2.35  at least 2 m  up to 5 m  2.35+
    "other unit",  # one that does not measure what was asked for, or that is not known
    "not finite",
)

_TAG = re.compile("<(/?)answer>", re.IGNORECASE)
_NUMBER = r"[-+\u2212]?+[0-9]++(?:\.[0-9]++)?+"


@dataclass(frozen=True)
class Answer:
    """What was read: `values` by placeholder, in the template's unit; or None and the `reason`."""

    values: Mapping[str, float] | None
    reason: str | None = None


def read_answer(text: str, template: Template) -> Answer:
    """Return the values that an answer states, or why there are none; for any text at all.

    What stands between `<answer>` tags counts if there are such tags, else the whole text: it is
    read as the template writes it, or else as the task's kind of answer reads free text. Whatever
    is not clear is refused rather than guessed at, with one of `REASONS` or of the kind's.
    """
    if len(text) > LONGEST:
        return Answer(None, "too long")
    fields = _fields(text)
    if not fields:
        return Answer(None, "unfinished answer")
    first, *others = (_read(" ".join(field.split()), template) for field in fields)
    return first if all(other == first for other in others) else Answer(None, "several answers")


def _fields(text: str) -> list[str]:
    """Return what stands between tags, or the text without any; nothing when a tag stays open."""
    parts = _TAG.split(text)
    tags, contents = parts[1::2], parts[2::2]
    if "" not in tags:
        return [" ".join(parts[::2])]
    if any(tag == following == "" for tag, following in zip(tags, [*tags[1:], ""], strict=True)):
        return []
    opened = [content for tag, content in zip(tags, contents, strict=True) if not tag]
    # Empty tags are those that the question asks for, repeated.
    return [content for content in opened if content.strip()] or opened[:1]


def _read(field: str, template: Template) -> Answer:
    task = TASKS[template.task]
    try:
        values = _as_written(field, template)
        if values is None:
            values = dict(zip(task.values, task.kind.read(field, template.unit), strict=True))
    except Refused as refused:
        return Answer(None, str(refused))
    problem = task.kind.problem(values)
    return Answer(values) if problem is None else Answer(None, problem)


def _as_written(field: str, template: Template) -> dict[str, float] | None:
    """Return the values of an answer in the very form of the template's, else None."""
    pattern, names = _form(template.task, template.answer, template.reasoning)
    match = pattern.fullmatch(field)
    if match is None:
        return None
    values: dict[str, float] = {}
    groups = iter(match.groups())
    for name, number, word, per in zip(names, groups, groups, groups, strict=True):
        value = float(number.replace("\u2212", "-"))
        asked = TASKS[template.task].kind.units.get(name, template.unit)
        if word is not None and (unit := unit_for(word, per, asked)):
            value *= unit.size / asked_unit(asked).size
        if values.setdefault(name, value) != value:
            raise Refused("several numbers")
    return values


@lru_cache
def _form(task_name: str, answer: str, reasoning: str | None) -> tuple[re.Pattern[str], list[str]]:
    """Return a pattern of a template's answer, and the names of its values in their order.

    A value has three groups: number, unit, what that is divided by. White space is free. What
    stands for words ends where the text that follows it first stands, for good: no backtracking.
    """
    task = TASKS[task_name]
    if reasoning is not None:
        answer = re.sub(r"(?<!\{)\{reasoning\}(?!\})", lambda _: reasoning, answer)
    tagged = re.search("<answer>(.*?)</answer>", answer, re.DOTALL | re.IGNORECASE)
    parts, names, after_words = [], [], False
    for literal, name, _, _ in string.Formatter().parse(tagged[1] if tagged else answer):
        text = " ?".join(["", *map(re.escape, re.findall(r"\w+|[^\w\s]", literal)), ""])
        if name is None:
            slot, start = "", r"(?=\.?\Z)"
        elif name in task.values:
            names.append(name)
            slot, start = rf"({_NUMBER})(?: ?{UNIT})?", f"(?={_NUMBER})"
        elif name in (*task.given, *task.worked):
            slot, start = _NUMBER, f"(?={_NUMBER})"
        else:
            slot, start = "", ""
        parts += [rf"(?>\D*?{text}{start})" if after_words else text, slot]
        after_words = name is not None and not slot
    parts.append(r"\D*+" if after_words else r" ?\.?")
    return re.compile("".join(parts), re.IGNORECASE), names
