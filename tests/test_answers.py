import math
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin.answers import parse_metres

OFFICIAL = (
    "<think> The point is around 2.35 meters away from the camera. </think>\n\n"
    "<answer> 2.35 </answer>"
)

NUMBERS = {
    "official": (OFFICIAL, 2.35),
    "bare": ("2.35", 2.35),
    "whole": ("3", 3),
    "m": ("2.35m", 2.35),
    "space m": ("2.35 m", 2.35),
    "metres": ("about 2.35 Metres away", 2.35),
    "meters in tag": ("<answer>2.35 meters</answer>", 2.35),
    "full stop": ("2.35.", 2.35),
    "m and full stop": ("It is 12 m.", 12),
    "plus": ("+2.35", 2.35),
    "exponent": ("1e3", 1000),
    "negative exponent": ("2.5e-1 m", 0.25),
    "tag beats thinking": ("<think> 7 or 8 cm </think><answer>2</answer>", 2),
    "lines in tag": ("<answer>\n2.35\n</answer>", 2.35),
    "same number twice": ("2.35 m, so 2.350", 2.35),
    "two equal tags": ("<answer>2</answer> <answer>2.0</answer>", 2),
    "unclosed tag": ("<answer> 2.35", 2.35),
    "unclosed after thinking": (OFFICIAL.removesuffix("</answer>"), 2.35),
    "thousand": ("1234.5", 1234.5),
}
REFUSED = {
    "empty": ("", "no number"),
    "words": ("I cannot tell.", "no number"),
    "none": ("None", "no number"),
    "nan": ("nan", "no number"),
    "inf": ("inf", "no number"),
    "empty tag": ("2.35 <answer> </answer>", "no number"),
    "inside a word": ("model v2 says x3", "no number"),
    "no digit before the point": (".5", "no number"),
    "overflow": ("1e999", "not finite"),
    "many digits": ("9" * 400, "not finite"),
    "zero": ("0.00 m", "not positive"),
    "underflow": ("1e-999", "not positive"),
    "negative": ("-2.35", "not positive"),
    "unicode minus": ("\u22122.35", "not positive"),
    "range": ("2-3", "several numbers"),
    "range in words": ("2 to 3 m", "several numbers"),
    "en dash range": ("2\u20133 m", "several numbers"),
    "two numbers": ("2.35 or 2.36", "several numbers"),
    "two tags": ("<answer>2</answer><answer>3</answer>", "several numbers"),
    "space as thousands separator": ("1 234", "several numbers"),
    "unclosed tag, other thought": ("<think>maybe 3</think><answer>2", "several numbers"),
    "thousands separator": ("1,234", "unclear number"),
    "decimal comma": ("2,35", "unclear number"),
    "two points": ("1.2.3", "unclear number"),
    "cm": ("235 cm", "other unit"),
    "cm, no space": ("<answer>235cm</answer>", "other unit"),
    "ft": ("7.7 ft", "other unit"),
    "feet": ("7.7 Feet", "other unit"),
    "inches": ("92.5 inches", "other unit"),
    "km": ("0.002 km.", "other unit"),
    "one kilometre": ("1 kilometer", "other unit"),
    "one centimetre": ("1 centimetre", "other unit"),
    "mile": ("1 mi", "other unit"),
    "metres and cm": ("2 m 35 cm", "other unit"),
    "digits behind the unit": ("2m35", "no number"),
    "10 kB": ("2.35 " * 2049, "too long"),
}


@pytest.mark.parametrize(("text", "metres"), NUMBERS.values(), ids=NUMBERS)
def test_answers_that_are_read(text, metres):
    answer = parse_metres(text)
    assert (answer.value, answer.reason) == (metres, None)


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_answers_that_are_refused(text, reason):
    answer = parse_metres(text)
    assert (answer.value, answer.reason) == (None, reason)


likely = st.text(string.digits + ".,-+eE mcft\u2212\u0662<>/answer\n")


@given(st.one_of(st.text(), likely, likely.map("<answer>{}</answer>".format)))
@example("<answer>" * 1200)
@example("1" * 9999)
@example("1." * 4999)
def test_any_text_gives_a_positive_finite_number_or_a_reason(text):
    answer = parse_metres(text)
    if answer.value is None:
        assert answer.reason
    else:
        assert answer.reason is None
        assert 0 < answer.value < math.inf
