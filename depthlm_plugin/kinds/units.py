"""Numbers with units in free text, read in the unit that is asked for."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

_TABLE = (  # what is measured; metres, seconds, metres a second or degrees of one; its spellings
    ("length", 1, "m meter meters metre metres mtr mtrs"),
    ("length", 0.001, "mm mms millimeter millimeters millimetre millimetres"),
    ("length", 0.01, "cm cms centimeter centimeters centimetre centimetres"),
    ("length", 0.1, "dm dms decimeter decimeters decimetre decimetres"),
    ("length", 1000, "km kms kilometer kilometers kilometre kilometres"),
    ("length", 0.0254, "in ins inch inches '' \" \u201d \u2033 \u2032\u2032"),
    ("length", 0.3048, "ft foot feet ' \u2019 \u2032"),
    ("length", 0.9144, "yd yds yard yards"),
    ("length", 1609.344, "mi mile miles"),
    ("time", 0.001, "ms msec msecs millisecond milliseconds"),
    ("time", 1, "s sec secs second seconds"),
    ("time", 60, "min mins minute minutes"),
    ("time", 3600, "h hr hrs hour hours"),
    ("time", 86400, "day days"),
    ("speed", 1, "mps"),
    ("speed", 1000 / 3600, "kmh kph kmph"),
    ("speed", 1609.344 / 3600, "mph"),
    ("speed", 1852 / 3600, "kn kt kts knot knots"),
    ("angle", 1, "deg degs degree degrees \u00b0"),
    ("angle", 180 / math.pi, "rad rads radian radians"),
    ("", 1, "kg g gram grams kilogram kilograms lb lbs pound pounds px pixel pixels % percent"),
    ("", 1, "\u2030 \u20ac \u00a3 hz fps celsius fahrenheit kelvin nm um us ns micron microns"),
    ("", 1, "week weeks month months year years nautical nmi light square cubic sq"),
)
# Of those, the ones that also are ordinary words: away from a number they say nothing of its unit.
_ALSO_WORDS = {
    "in", "ins", "foot", "yard", "mile", "mi", "kn", "kt",
    "day", "h", "hour", "min", "minute", "second", "ms",
}  # fmt: skip
# Zentimeter, centimetros, microseconds: units all the same, if none of these.
_LIKE_A_UNIT = re.compile(r"met(?:er|re|ro)|second", re.IGNORECASE)

_WORD = r"[^\W\d_]++"
_MARK = r"''|\u2032\u2032|['\"\u2019\u201d\u2032\u2033\u00b0%\u2030\u20ac\u00a3]"
_PER = rf"(?:(?: ?/ ?| per\b ?| an? (?=(?:second|minute|hour)\b))({_WORD}))?"  # /s, per hour
_UNIT = re.compile(rf"({_WORD}|{_MARK}){_PER}", re.IGNORECASE)
_QUANTITY = re.compile(
    r"(\.?[0-9]++(?:[.,]++[0-9]++)*+(?:e[-+]?[0-9]++)?+)"
    rf"(?:( ?-? ?[(\[]? ?){_UNIT.pattern})?",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[0-9]*+(?:\.[0-9]++)?+(?:e[-+]?[0-9]++)?+", re.IGNORECASE)
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})++\.[0-9]++|(?:,[0-9]{3}){2,}+)")
_MINUS = set("-\u2212\u2010\u2011\u2012\u2013\u2014\ufe63\uff0d")
_RUNS_ON = re.compile(r" ?[:/*^\u00d7\u00f7] ?[-+]?[0-9]|[\w^]")  # what makes a number unclear
_WORKED = re.compile(  # numbers that are more than their digits
    r"\b(?:half|quarters?|dozen|hundred|thousand|[mb]illion|times|plus|minus)\b|[0-9] ?x ?[0-9]",
    re.IGNORECASE,
)
_QUOTES = ("'\u2018\u2019\u2032`", '"\u201c\u201d\u2033`')
_FREE = re.compile(r"[^\w.,]?")  # what may stand before a sign, or a point that begins a number
_AND = re.compile(r"\.? ?(?:and )?", re.IGNORECASE)  # within 5 ft. and 10 in


class Refused(Exception):  # noqa: N818 - no error, but the outcome of a reading
    """A text says nothing that can be relied on; the message is the reason, a fixed phrase."""


@dataclass(frozen=True)
class Unit:
    """What a unit measures (`kind`, empty where no task asks for it) and how much (`size`)."""

    kind: str
    size: float


@dataclass(frozen=True)
class Quantity:
    """A number of a text.

    Attributes:
        value: The number in the unit asked for.
        scale: What one of its (largest) unit is in the unit asked for; 1 for a bare number.
        unit: Its (smallest) unit; None for a bare number.
        number: The number as written, of that unit.
        span: Where the text has it.
    """

    value: float
    scale: float
    unit: Unit | None
    number: float
    span: tuple[int, int]


_UNITS = {name: Unit(kind, size) for kind, size, names in _TABLE for name in names.split()}
_OTHER = Unit("", 1)
# A unit that is known, for patterns: the groups are the unit, and what it is divided by.
UNIT = rf"({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![^\W_]){_PER}"


def find_unit(word: str, per: str | None = None) -> Unit | None:
    """Return the unit that a word or mark is, divided by another; None when it is no unit.

    A word that may well be a unit, but none of the known (`Zentimeter`, `m/kg`, any that is not
    written in ASCII), is one of no kind: to skip it would leave a number in the wrong unit.
    """
    unit = _UNITS.get(word.lower())
    if per:
        time = _UNITS.get(per.lower(), _OTHER)
        if unit is None or (unit.kind, time.kind) != ("length", "time"):
            return _OTHER
        return Unit("speed", unit.size / time.size)
    if unit is None and (not word.isascii() or _LIKE_A_UNIT.search(word)):
        return _OTHER
    return unit


@lru_cache
def asked_unit(name: str) -> Unit:
    """Return a template's unit; one that is not known measures what nothing else does."""
    match = _UNIT.fullmatch(name)
    unit = find_unit(*match.groups()) if match else None
    return unit if unit is not None and unit.kind else Unit(name, 1)


def is_known(name: str) -> bool:
    """Return whether a template's unit is one of those that are converted, or another known one."""
    match = _UNIT.fullmatch(name)
    return match is not None and find_unit(*match.groups()) not in (None, _OTHER)


def unit_for(word: str, per: str | None, asked: str) -> Unit | None:
    """Return the unit of a number that was asked for in another; None when the word is no unit.

    Raises:
        Refused: When it measures something else.
    """
    unit = asked_unit(asked) if word == asked and not per else find_unit(word, per)
    if unit and (not unit.kind or unit.kind != asked_unit(asked).kind):
        raise Refused("other unit")
    return unit


def read_quantities(text: str, unit: str) -> list[Quantity]:
    """Return the numbers of a text whose white space is single spaces, converted to `unit`.

    `5 ft 10 in` is one. Digits that are part of a name (v2) are none.

    Raises:
        Refused: When a number, or its unit, is not clear.
    """
    if any(unicodedata.category(letter)[0] == "N" for letter in text if not letter.isascii()):
        raise Refused("unclear number")
    found: list[Quantity] = []
    for quantity in _parts(text, unit):
        if found and _goes_on(text, found[-1], quantity):
            larger = found.pop()
            value = larger.value + quantity.value
            quantity = replace(quantity, value=value, scale=larger.scale)
        found.append(quantity)
    if found and _WORKED.search(text):
        raise Refused("unclear number")
    if found and _has_another_unit(_QUANTITY.sub(" ", text), asked_unit(unit)):
        raise Refused("other unit")
    return found


def _parts(text: str, unit_name: str) -> Iterator[Quantity]:
    """Yield each number with its unit."""
    asked = asked_unit(unit_name)
    quoted = [re.search(rf"(?<!\w)[{marks}]", text) for marks in _QUOTES]
    opened = {
        mark: first.start()
        for marks, first in zip(_QUOTES, quoted, strict=True)
        for mark in marks
        if first
    }
    joins = -1  # where a number may follow a unit without a space: 5ft10in
    for match in _QUANTITY.finditer(text):
        digits, gap, word, per = match.groups()
        start, end = match.span(1)
        before = text[max(start - 1, 0) : start]
        joined = start == joins
        if not joined and (before == "_" or (before.isascii() and before.isalpha())):
            continue
        if word and opened.get(word[0], start) < start:  # "2.35" has no inches
            if not any(word[0] in marks and before in marks for marks in _QUOTES):
                raise Refused("unclear number")
            word = None
        unit = unit_for(word, per, unit_name) if word else None
        if unit:
            end = match.end()
        follows = text[end : end + 2]
        in_front = f"{gap}{word}".lower() == " in" and follows.strip()[:1].isalnum()
        pointed = digits[0] == "." and not _FREE.fullmatch(before)
        if in_front or pointed or (joined and not unit):
            raise Refused("unclear number")
        if unit and follows[:1].isdigit():
            joins = end
        elif _RUNS_ON.match(text, end):
            raise Refused("unclear number")
        number = _number(digits)
        if before in _MINUS and _FREE.fullmatch(text[max(start - 2, 0) : start - 1]):
            number = -number
        scale = unit.size / asked.size if unit else 1.0
        yield Quantity(number * scale, scale, unit, number, (start, end))


def _number(digits: str) -> float:
    if _THOUSANDS.fullmatch(digits):
        digits = digits.replace(",", "")
    if not _PLAIN.fullmatch(digits):
        raise Refused("unclear number")
    number = float(digits)
    if math.isinf(number):
        raise Refused("not finite")
    return number


def _goes_on(text: str, larger: Quantity, smaller: Quantity) -> bool:
    """Return whether a number is the rest of the one before it: 10 in of 5 ft 10 in."""
    if larger.unit is None or smaller.unit is None or not larger.number.is_integer():
        return False
    ratio = larger.unit.size / smaller.unit.size
    return (
        ratio > 1.5
        and math.isclose(ratio, round(ratio))
        and 0 <= smaller.number < round(ratio)
        and _AND.fullmatch(text[larger.span[1] : smaller.span[0]]) is not None
    )


def _has_another_unit(words: str, asked: Unit) -> bool:
    """Return whether a unit that stands by itself (`in feet: 7.7`) would need a conversion."""
    for word, per in _UNIT.findall(words):
        unit = find_unit(word, per) if word.isalpha() and word.lower() not in _ALSO_WORDS else None
        if unit and unit.kind == asked.kind and unit.size != asked.size:
            return True
    return False
