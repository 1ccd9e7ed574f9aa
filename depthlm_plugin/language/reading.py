"""Reading a model's answer: text to the values that a task asks for, or the reason why not."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ..tasks import TASKS
from .template import Template
from .units import UNIT, Refused, asked_unit, read_quantities, unit_for

LONGEST = 10_000  # characters that are looked at; no template asks for more
REASONS = (
    "too long",  # more than LONGEST characters
    "unfinished answer",  # an <answer> that is not closed: generation was cut off
    "several answers",  # <answer> tags that do not say the same
    "no number",
    "several numbers",  # a range, a choice of two, both points
    "unclear number",  # 1,234  1.2.3  1/2  2.35x  2 and a half  5 in front; digits beyond ASCII
    "other unit",  # one that does not measure what was asked for
    "not finite",
    "not positive",
    "not a choice",  # neither 1 nor 2, or said of the farther point
    "not the form asked for",  # several values that are not written as the template writes them
    "no direction",  # a vector of length 0
    "outside the picture",  # coordinates beyond 0 .. 2000
)
_AGREE = 0.02  # of a length: 2.35 m (7.7 ft) is one answer
_LAST_COORDINATE = 2000

_TAG = re.compile("<(/?)answer>", re.IGNORECASE)
_NUMBER = r"[-+\u2212]?+[0-9]++(?:\.[0-9]++)?+"
_OTHER_ONE = re.compile(r"\b(?:not|far|farther|farthest|further|furthest|behind)\b", re.IGNORECASE)
_ANGLES = ("yaw", "pitch", "roll")


@dataclass(frozen=True)
class Answer:
    """What was read: `values` by placeholder, in the template's unit; or None and the `reason`."""

    values: Mapping[str, float] | None
    reason: str | None = None


def read_answer(text: str, template: Template) -> Answer:
    """Return the values that an answer states, or one of `REASONS`; for any text at all.

    What stands between `<answer>` tags counts if there are such tags, else the whole text: it is
    read as the template writes it, or else as follows.

    * One value: one positive number, bare or in a unit that is converted to the template's. Parts
      are one number (5 ft 10 in), the same number twice is one number, and numbers of different
      units are one where they agree within 2 %: 2.35 m (7.7 ft) is 2.35 m.
    * A choice: 1 or 2, point 1, the first, 2nd.
    * A place: two bare numbers.

    Whatever is not clear is refused rather than guessed at.
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
        if values is None and task.scoring == "choice":
            values = dict(zip(task.values, [_choice(field)], strict=True))
        elif values is None and task.scoring == "place":
            values = dict(zip(task.values, _place(field), strict=True))
        elif values is None and len(task.values) == 1:
            values = {task.values[0]: _single(field, template.unit)}
        elif values is None:
            raise Refused("not the form asked for")
        _check(values, task.scoring)
    except Refused as refused:
        return Answer(None, str(refused))
    return Answer(values)


def _check(values: Mapping[str, float], scoring: str) -> None:
    numbers = values.values()
    if not all(map(math.isfinite, numbers)):
        raise Refused("not finite")
    if scoring == "choice":
        if not {1, 2}.issuperset(numbers):
            raise Refused("not a choice")
    elif scoring == "place":
        if not all(0 <= number <= _LAST_COORDINATE for number in numbers):
            raise Refused("outside the picture")
    elif any(values[name] <= 0 for name in ("value", "distance") if name in values):
        raise Refused("not positive")
    elif "z" in values and not any(values[axis] for axis in "xyz"):
        raise Refused("no direction")


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
        asked = _unit_of(name, template)
        if word is not None and (unit := unit_for(word, per, asked)):
            value *= unit.size / asked_unit(asked).size
        if values.setdefault(name, value) != value:
            raise Refused("several numbers")
    return values


def _unit_of(name: str, template: Template) -> str:
    if name in ("value", "distance"):
        return template.unit
    return "deg" if name in _ANGLES else ""


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


def _single(field: str, unit_name: str) -> float:
    """Return the one number of a text, in the unit asked for."""
    by_scale: dict[float, float] = {}
    for quantity in read_quantities(field, unit_name):
        if by_scale.setdefault(quantity.scale, quantity.value) != quantity.value:
            raise Refused("several numbers")
    if not by_scale:
        raise Refused("no number")
    value = by_scale.get(1.0, next(iter(by_scale.values())))
    if any(abs(other - value) > _AGREE * abs(value) for other in by_scale.values()):
        raise Refused("several numbers")
    return value


def _choice(field: str) -> float:
    """Return the one point that a text names, if it is not for being the other one."""
    for number, ordinal in (("1", "1st|first"), ("2", "2nd|second")):
        field = re.sub(rf"\b(?:{ordinal})\b", number, field, flags=re.IGNORECASE)
    named = {quantity.value for quantity in read_quantities(field, "")}
    if not named:
        raise Refused("no number")
    if len(named) > 1:
        raise Refused("several numbers")
    if _OTHER_ONE.search(field):
        raise Refused("not a choice")
    return named.pop()


def _place(field: str) -> list[float]:
    """Return x and y of a text with two numbers, in this order."""
    found = [quantity.value for quantity in read_quantities(field.replace(",", ", "), "")]
    axes = re.findall(r"\b[xy]\b", field.lower())
    if len(found) != 2 or axes[:1] == ["y"]:
        raise Refused("not the form asked for")
    return found
