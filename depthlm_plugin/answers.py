"""Reading a model's answer: text to metres, or the reason why not."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.,])([-+\u2212]?)(\d[\d.,]*+(?:[eE][-+]?\d+)?+)\s*([^\W\d_]*+)(?!\w)")
_PLAIN = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_OTHER_UNITS = {
    "mm", "cm", "dm", "km", "ft", "foot", "feet", "in", "inch", "inches", "yd", "yard", "yards",
    "mi", "mile", "miles", "cms", "kms", "millimeter", "centimeter", "decimeter", "kilometer",
    "millimeters", "centimeters", "decimeters", "kilometers", "millimetre", "centimetre",
    "decimetre", "kilometre", "millimetres", "centimetres", "decimetres", "kilometres",
}  # fmt: skip
LONGEST = 10_000  # characters that are looked at; no template asks for more


@dataclass(frozen=True)
class Answer:
    """A parsed answer: `value` in metres, or None and the `reason` why there is none."""

    value: float | None
    reason: str | None = None


def parse_metres(text: str) -> Answer:
    """Return the distance that an answer states.

    What stands between `<answer>` tags counts if there are such tags, else the whole text; it must
    hold one positive number, bare or in metres. The same number twice is one number. Everything
    else is refused with a reason rather than guessed at.
    """
    if len(text) > LONGEST:
        return Answer(None, "too long")
    tagged = _TAGGED.findall(text)
    found = [_NUMBER.findall(part) for part in (tagged or [text])]
    values: set[float] = set()
    for sign, digits, word in (match for part in found for match in part):
        if word.lower() in _OTHER_UNITS:
            return Answer(None, "other unit")
        digits = digits.rstrip(".,")
        if not _PLAIN.fullmatch(digits):
            return Answer(None, "unclear number")
        value = float(digits)
        if not math.isfinite(value):
            return Answer(None, "not finite")
        values.add(-value if sign in ("-", "\u2212") else value)
    if not values:
        return Answer(None, "no number")
    if len(values) > 1:
        return Answer(None, "several numbers")
    value = values.pop()
    return Answer(value) if value > 0 else Answer(None, "not positive")
