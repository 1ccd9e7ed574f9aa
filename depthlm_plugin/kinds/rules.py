"""The rules of the reader of numbers, as tables that a person can check; `units` applies them.

A number is read in the unit asked for when one of these holds, and refused otherwise:

1. A unit of `UNITS` that measures the same stands right behind it: it is converted.
2. It is bare, and all words of its text are written in ASCII. The word before it, and that before
   one of `LINKS`, is of `PLAIN` or `LEADING`, a noun with one of `ARTICLES` or the unit asked for;
   the word behind it is of `PLAIN`, or behind a comma of `LEADING`. No other unit that measures the
   same is named in the text.

No text of which `BOUND_SIGN`, `CLAIMS` or `CLAUSES` hold is read. Units of other languages are not
converted: that a number is of metres has to be known, that it is of something else has not.
"""

from __future__ import annotations

import math
import re

UNITS = (  # what is measured; metres, seconds, metres a second or degrees of one; its spellings
    ("length", 1, "m meter meters metre metres mtr mtrs"),
    ("length", 0.001, "mm mms millimeter millimeters millimetre millimetres"),
    ("length", 0.01, "cm cms centimeter centimeters centimetre centimetres"),
    ("length", 0.1, "dm dms decimeter decimeters decimetre decimetres"),
    ("length", 10, "dam decameter decameters decametre decametres dekameter dekameters"),
    ("length", 100, "hm hectometer hectometers hectometre hectometres"),
    ("length", 1000, "km kms kilometer kilometers kilometre kilometres"),
    ("length", 0.0254, "in ins inch inches '' \" \u201d \u2033 \u2032\u2032"),
    ("length", 0.3048, "ft foot feet ' \u2019 \u2032"),
    ("length", 0.9144, "yd yds yard yards"),
    ("length", 1.8288, "fathom fathoms"),
    ("length", 201.168, "furlong furlongs"),
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
    ("", 1, "week weeks month months year years nautical nmi light square cubic sq squared cubed"),
    (
        "",
        1,
        "kare morskie quadrati cuadrados quadrados carr\u00e9s kwadratowe cubes pro por par al",
    ),
)
# Capitals do not matter (KM, Cm, M), but in these: mega is not milli.
NOT_FOLDED = {"Mm", "Ms"}
# Of those units, the ones that also are ordinary words: away from a number they say nothing of it.
ALSO_WORDS = {
    "in", "ins", "foot", "yard", "mile", "mi", "kn", "kt", "hm", "dam",
    "day", "pixel", "h", "hour", "min", "minute", "second", "ms",
}  # fmt: skip
# Zentimeter, centimetros, microseconds: units all the same, if none of these.
LIKE_A_UNIT = re.compile(r"met(?:er|re|ro)|second", re.IGNORECASE)
# Zentimeter, kilometri: another metre for certain, wherever it stands.
ANOTHER_METRE = re.compile(
    r"(?:[cz]ent|[kq]u?il|mill?|de[ckz]|he[ck]t|mi[ck]r|nan)[a-z]{0,2}met", re.IGNORECASE
)
# c.m., c m and c_m, with which a number is of no unit that is known.
SPACED_METRE = re.compile(r"(?<![^\W_])[cdhkmnu](?:\. ?| |_)m(?![^\W_])", re.IGNORECASE)
MARKS = "%\u2030\u20ac\u00a3\u00b0"  # of units, wherever they stand

# How a template may call its unit in another language.
TRANSLATIONS = {
    "m": (
        "metro metros m\u00e8tre m\u00e8tres metri metr metry metr\u00f3w metrov meteri metrit"
        " metri\u00e4 m\u00e9ter metrar metras \u043c \u043c\u0435\u0442\u0440"
        " \u043c\u0435\u0442\u0440\u0430 \u043c\u0435\u0442\u0440\u043e\u0432"
        " \u043c\u0435\u0442\u0440\u044b \u7c73 \u516c\u5c3a \u30e1\u30fc\u30c8\u30eb"
        " \ubbf8\ud130 \u03bc\u03ad\u03c4\u03c1\u03b1 \u092e\u0940\u091f\u0930 \u0645\u062a\u0631"
        " \u05de\u05d8\u05e8 \u05de\u05d8\u05e8\u05d9\u05dd \u0e40\u0e21\u0e15\u0e23 m\u00e9t"
    ),
    "s": (
        "sekunde sekunden segundo segundos seconde secondes secondi sekund sekundy"
        " \u0441 \u0441\u0435\u043a \u0441\u0435\u043a\u0443\u043d\u0434"
        " \u0441\u0435\u043a\u0443\u043d\u0434\u044b \u79d2 \ucd08"
    ),
    "m/s": "\u043c/\u0441 \u7c73/\u79d2 \u7c73\u6bcf\u79d2",
}
# What a template must not write behind a value either, besides words that end like those above.
OTHERS = (
    "\u043a\u043c \u0441\u043c \u043c\u043c \u0434\u043c \u0444\u0443\u0442"
    " \u0444\u0443\u0442\u043e\u0432 \u0434\u044e\u0439\u043c \u0434\u044e\u0439\u043c\u043e\u0432"
    " \u516c\u91cc \u516c\u5206 \u82f1\u5c3a \u82f1\u5bf8 \u82f1\u91cc"
)

# Words that say nothing of a unit: in front of a number and behind it.
PLAIN = (
    "about above according across ahead along also am and approx approximate approximately are"
    " around as assuming at away back based be because been before behind being but by ca can"
    " circa could definitely distant done down due estimate estimated estimation exactly far for"
    " forward from given hence here however i if is it just likely may maybe might my nearly no"
    " now off ok on only or out overall perhaps possibly precisely probably roughly rounded says"
    " should since slightly so sure thanks that then there therefore they this thus to total"
    " towards up using via was we were when where which while will with would yes you"
)
LEADING = (  # further words in front of a number
    "a almost an answer boxed calculated camera computed d depth dist distance equal equaling"
    " equals final gives giving guess has have its length measure measured measures measuring"
    " must number obtain of output point predict predicted prediction r range reads response"
    " result results said say sim some speed take takes taking the think time unit units value"
    " velocity yield yields z"
)
# Between a unit and a number: distance in feet is 7.7, a foot of 7.7.
LINKS = "is are was of equals about"
ARTICLES = "a an the this that my your its"

_BOUNDS = "<>\uff1c\uff1e\u2264-\u2269\u226a\u226b\u226e-\u2273\u2a7d\u2a7e\u2a85\u2a86"
# Signs of a bound: one of those, but no arrow; 2.35+; &gt; \geq.
BOUND_SIGN = re.compile(
    rf"[{_BOUNDS}+&\\](?:(?<=[{_BOUNDS}])(?<![-=].)|(?<=\+)(?! ?\.?[0-9])|(?<=&)(?:[lg]t|[lg]e);"
    r"|(?<=\\)(?:leq?|geq?|[lg]t|lesssim|gtrsim)\b)"
)
_ABOUT = r"(?: (?:about|around|approximately|roughly|a|the|some))?\W{1,3}[0-9]"
# What the words around numbers say of them: why the text is refused; its words, one of which it
# has; what makes the word mean that, in lower case (none: wherever it stands). A row of CLAUSES
# counts within clauses that have a number.
CLAIMS = (
    (
        "unclear number",  # more than its digits
        "half quarter quarters dozen hundred thousand million billion times plus minus",
        None,
    ),
    ("unclear number", "x", "[0-9] ?x ?[0-9]"),
    (
        "only a bound",
        "over under above below beyond within past until till",
        rf"\b(?:over|under|above|below|beyond|within|past|until|till){_ABOUT}",
    ),
    (
        "only a bound",
        "max min tops",
        r"\bmax\W{1,3}(?:about )?[0-9]|(?<![0-9] )\bmin[. ]{1,2}(?:about )?[0-9]"
        r"|[0-9] ?[a-z]{0,10},? (?:max|tops)\b",
    ),
)
CLAUSES = (
    (
        "only a bound",
        "than minimum maximum exceed exceeds exceeding upward upwards onward onwards",
        None,
    ),
    (
        "only a bound",
        "least most up upto short less more above below over under beyond closer nearer farther"
        " further as",
        r"\bat (?:the )?(?:very )?(?:least|most)\b|\bup ?to\b|\bshort of\b|"
        r"\b(?:(?<!more )or|and) (?:less|more|above|below|over|under|beyond|up|closer|nearer|"
        r"farther|further)\b|\bas (?:far|much|little|close|near|high|low|many|few) as\b",
    ),
    (
        "unclear number",  # denied
        "not never cannot neither nor wrong incorrect instead unlike except",
        None,
    ),
    ("unclear number", "t", "n['\u2019]t"),
)
