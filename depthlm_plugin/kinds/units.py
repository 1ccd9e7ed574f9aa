"""Numbers with units in free text, read in the unit that is asked for."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from . import rules

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
_QUOTES = ("'\u2018\u2019\u2032`", '"\u201c\u201d\u2033`')
_FREE = re.compile(r"[^\w.,]?")  # what may stand before a sign, or a point that begins a number
_TAG = re.compile(r"</?([a-z]\w*)(?: [^<>=]{0,20}=[^<>]{0,80})?+ ?/?>|</\w*\Z", re.IGNORECASE)
_HTML = {"b", "i", "u", "em", "strong", "p", "br", "span", "div", "td", "li", "code", "think"}
_SHORT_IS = re.compile(r"\b(it|that|here|there|what)['\u2019]s\b", re.IGNORECASE)
_LATEX = re.compile(
    r"\\(?:(?:text|math)(?:rm|bf|it|sf)?|boxed|rm|bf|quad|displaystyle|left|right)\b|"
    r"\\[,;:!~ ()\[\]]"
)
_LABEL = re.compile(rf"([^\W_]++){_PER}[\W_]*+\Z", re.IGNORECASE)  # before a number
_LABEL_LENGTH = 50
_WORDS = re.compile(_WORD)
_NEXT = re.compile(  # behind a number
    rf"[^\w.,;:!?]*+([,;:]?)[^\w.!?]*+(?:or so )?({_WORD}){_PER}([\w^]*)", re.IGNORECASE
)
_LAST = re.compile(rf"(\W*+)({_WORD}){_PER}([\w^]*)\W*+\Z", re.IGNORECASE)
_NOUN = re.compile(r"[()\[\]:=,.;|]|\b(?:in|of)\b", re.IGNORECASE)  # ends before an article's
_FACTOR = re.compile(rf"[ \u00b7\u22c5*.-]{{1,2}}({_WORD})")  # behind a unit: m s, m squared
_AHEAD = re.compile(rf" ?-? ?[(\[]?{_UNIT.pattern}", re.IGNORECASE)  # behind a template's value
_NUMBERED = re.compile(" ?[/*^\u00d7\u00f7] ?[0-9]")  # about1/2
_CLAUSE = re.compile(r"[.,;:!?](?![0-9])")
_CLAIMS, _CLAUSES = (
    [
        (reason, frozenset(words.split()), re.compile(pattern) if pattern else None)
        for reason, words, pattern in claims
    ]
    for claims in (rules.CLAIMS, rules.CLAUSES)
)
_CLAIM_WORDS = frozenset().union(*(words for _, words, _ in (*_CLAIMS, *_CLAUSES)))
_PLAIN_WORDS, _LEADING, _LINKS, _ARTICLES = (
    frozenset(words.split()) for words in (rules.PLAIN, rules.LEADING, rules.LINKS, rules.ARTICLES)
)
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


_UNITS = {name: Unit(kind, size) for kind, size, names in rules.UNITS for name in names.split()}
_OTHER = Unit("", 1)
_LETTERS = {"So", "Lu", "Ll", "Lt", "Lm", "Lo"}
_DIGIT = re.compile("[0-9]")
# A unit that is known, for patterns: the groups are the unit, and what it is divided by.
_NAMES = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
UNIT = rf"(?=[^\s.,;)])({_NAMES})(?![^\W_]){_PER}"


def find_unit(word: str, per: str | None = None) -> Unit | None:
    """Return the unit that a word or mark is, divided by another; None when it is no unit.

    A word that may well be a unit, but none of the known (`Zentimeter`, `m/kg`, any that is not
    written in ASCII), is one of no kind: to skip it would leave a number in the wrong unit.
    """
    unit = _OTHER if word in rules.NOT_FOLDED else _UNITS.get(word.lower())
    if per:
        time = _UNITS.get(per.lower(), _OTHER)
        if unit is None or (unit.kind, time.kind) != ("length", "time"):
            return _OTHER
        return Unit("speed", unit.size / time.size)
    if unit is None and (not word.isascii() or rules.LIKE_A_UNIT.search(word)):
        return _OTHER
    return unit


@lru_cache
def asked_unit(name: str) -> Unit:
    """Return a template's unit; one that is not known measures what nothing else does."""
    match = _UNIT.fullmatch(name)
    unit = find_unit(*match.groups()) if match else None
    return unit if unit is not None and unit.kind else Unit(name, 1)


def means(name: str, unit: str) -> bool:
    """Return whether a template's unit is a unit of the package, or that in another language."""
    return name == unit or name.lower() in rules.TRANSLATIONS.get(unit, "").split()


def another_unit_ahead(text: str, unit: str) -> str | None:
    """Return the word by which a template calls a value, with which a text begins, another unit.

    None when it is `unit`, in any language, or no unit.
    """
    match = _AHEAD.match(text)
    if not unit or match is None:
        return None
    word, per = match.groups()
    lower, found = word.lower(), find_unit(word, per)
    in_front = lower == "in" and text[match.end() :].lstrip()[:1].isalnum()
    if found in (None, asked_unit(unit)) or in_front or means(match[0].strip(" ([-"), unit):
        return None
    if found is _OTHER and not word.isascii() and not per:
        same = [name for name in rules.TRANSLATIONS.get(unit, "").split() if not name.isascii()]
        unspaced = [name for name in same if name > "\u2e80"]
        another = any(len(name) > 1 and name in lower for name in same) or any(
            name in lower for name in unspaced
        )
        if lower.startswith(tuple(unspaced)):
            return None
        if not another and not lower.startswith(tuple(rules.OTHERS.split())):
            return None
    return match[0].strip()


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
    if not text.isascii():
        text = "".join(map(_plain, text))
    if "<" in text or "\\" in text:
        text = _LATEX.sub(" ", _TAG.sub(_tag_name, text))
    text = _SHORT_IS.sub(r"\1 is", text)  # no seconds
    found: list[Quantity] = []
    for quantity in _parts(text, unit):
        if found and _goes_on(text, found[-1], quantity):
            larger = found.pop()
            value = larger.value + quantity.value
            quantity = replace(quantity, value=value, scale=larger.scale)
        found.append(quantity)
    if found:
        lower = text.lower()
        words = _WORDS.findall(lower)
        if unit and rules.BOUND_SIGN.search(lower):
            raise Refused("only a bound")
        if not _CLAIM_WORDS.isdisjoint(words):
            _check_claims(lower, words, bounds=bool(unit))
        if not _other_units(unit).isdisjoint(words) and _has_another_unit(text, asked_unit(unit)):
            raise Refused("other unit")
        if unit and any(quantity.unit is None for quantity in found):
            _check_bare(text, words, unit, found)
    return found


def _plain(letter: str) -> str:
    """Return a letter or sign beyond ASCII in its plain form: cm of the one sign for it."""
    category = "" if letter.isascii() else unicodedata.category(letter)
    if category[:1] == "N":
        raise Refused("unclear number")
    if category == "Cf":
        return " "  # what cannot be seen parts words
    return unicodedata.normalize("NFKC", letter) if category in _LETTERS else letter


def _tag_name(tag: re.Match[str]) -> str:
    """Return what a tag says of what is in it: nothing if it is one of HTML's, or <answer>."""
    words = (tag[1] or "b").lower().split("_")
    return " " if _HTML.union(_LEADING).issuperset(words) else f" {tag[1]} "


def _check_claims(text: str, words: list[str], *, bounds: bool) -> None:
    """Refuse a text whose numbers are no values, by `rules.CLAIMS` and `rules.CLAUSES`."""
    for reason, names, pattern in _CLAIMS if bounds else _CLAIMS[:2]:
        if not names.isdisjoint(words) and (pattern is None or pattern.search(text)):
            raise Refused(reason)
    for clause in _CLAUSE.split(text) if bounds else ():
        if _DIGIT.search(clause):
            words = _WORDS.findall(clause)
            for reason, names, pattern in _CLAUSES:
                if not names.isdisjoint(words) and (pattern is None or pattern.search(clause)):
                    raise Refused(reason)


def _check_bare(text: str, words: list[str], unit_name: str, found: list[Quantity]) -> None:
    """Refuse a text with bare numbers that may be of another unit, by its words."""
    if (
        any(mark in text for mark in rules.MARKS if mark != unit_name)
        or any("met" in word and rules.ANOTHER_METRE.search(word) for word in words)
        or ("m" in words and rules.SPACED_METRE.search(text))
        or (not text.isascii() and not all(w.isascii() or w == unit_name.lower() for w in words))
    ):
        raise Refused("other unit")
    for name, word in pairwise(words):
        if name in {"unit", "units"} and not _is_plain(word, None, unit_name):
            raise Refused("other unit")
    for quantity in found:
        if quantity.unit is None:
            start, end = quantity.span
            if not _is_plain_before(text, start, unit_name):
                raise Refused("other unit")
            behind = _NEXT.match(text, end) or _LAST.match(text, end)
            if behind and not _is_plain_behind(behind, unit_name):
                raise Refused("other unit")


def _is_plain(word: str, per: str | None, unit_name: str) -> bool:
    """Return whether a word by itself says of a number nothing but the unit asked for."""
    asked = asked_unit(unit_name)
    if per:
        return find_unit(word, per) == asked
    return word.lower() in _PLAIN_WORDS or word == unit_name or find_unit(word) == asked


def _is_plain_behind(behind: re.Match[str], unit_name: str) -> bool:
    """Return the same of what stands behind a number."""
    gap, word, per, exponent = behind.groups()
    apart = gap[:1] in {",", ";", ":"} and word.lower() in _LEADING
    return not exponent and (apart or _is_plain(word, per, unit_name))


def _is_plain_before(text: str, start: int, unit_name: str) -> bool:
    """Return the same of what stands before a number."""
    before = text[max(0, start - _LABEL_LENGTH) : start]
    last = before[before.rfind(" ", 0, -1) + 1 :].strip(" :=").lower()
    if last in _LINKS:
        before = before.rstrip(" :=")[: -len(last)]
    elif last in _PLAIN_WORDS or last in _LEADING:
        return True
    label = _LABEL.search(before)
    if label is None or label[1].isdigit():
        return True
    word, per = label.groups()
    asked, lower = asked_unit(unit_name), word.lower()
    if _is_plain(word, per, unit_name) or lower in _LEADING:
        return True
    if per or lower == "in":
        return not per and asked.kind != "length"
    if lower == "min" and asked.kind == "time":
        return True
    words = _NOUN.split(before[: label.start()])[-1].lower().split()
    if lower in rules.ALSO_WORDS:
        return not _ARTICLES.isdisjoint(words[-1:])
    after = next((i for i, w in enumerate(reversed(words)) if w in _ARTICLES), None)
    return (
        find_unit(word) is None
        and after is not None
        and _LEADING.isdisjoint(words[len(words) - after :])
    )


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
            if unit_name and _NUMBERED.match(text, match.end(1)):
                raise Refused("unclear number")
            continue
        if before == "^":
            raise Refused("unclear number")
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
        if unit and _has_factor(text, end, unit):
            raise Refused("other unit")
        number = _number(digits)
        if before in _MINUS and _FREE.fullmatch(text[max(start - 2, 0) : start - 1]):
            number = -number
        scale = unit.size / asked.size if unit else 1.0
        yield Quantity(number * scale, scale, unit, number, (start, end))


def _has_factor(text: str, end: int, unit: Unit) -> bool:
    """Return whether a unit is part of a product: 2 m s, 2 metres squared."""
    match = _FACTOR.match(text, end)
    word = match[1].lower() if match else ""
    other = None if word in rules.ALSO_WORDS else _UNITS.get(word)
    return other is not None and other.kind != unit.kind


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


def _has_another_unit(text: str, asked: Unit) -> bool:
    """Return whether a unit that stands by itself (`in feet: 7.7`) would need a conversion."""
    for word, per in _UNIT.findall(_QUANTITY.sub(" ", text)):
        known = word.isalpha() and word.lower() not in rules.ALSO_WORDS
        unit = find_unit(word, per) if known else None
        if unit and unit.kind == asked.kind and unit.size != asked.size:
            return True
    return False


@lru_cache
def _other_units(name: str) -> frozenset[str]:
    """Return the words by which a text may name units other than one, in lower case."""
    other = {word for word, unit in _UNITS.items() if unit != asked_unit(name)}
    return frozenset(other - rules.ALSO_WORDS)
