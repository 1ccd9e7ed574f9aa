import math
import string
from time import thread_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin.language.reading import LONGEST, REASONS, Answer, read_answer
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.tasks import TASKS

OFFICIAL = (
    "<think> The point is around 2.35 meters away from the camera. </think>\n\n"
    "<answer> 2.35 </answer>"
)
POSE = "distance 1.20, direction left and up (-0.80, -0.60, 0.00), yaw -3.0, pitch 1.5, roll 0.0"
POSE_VALUES = {
    "distance": 1.2, "x": -0.8, "y": -0.6, "z": 0.0, "yaw": -3.0, "pitch": 1.5, "roll": 0.0
}  # fmt: skip

# The factors are written out here, so that no table of the package checks itself.
METRES = {
    "official": (OFFICIAL, 2.35),
    "bare": ("2.35", 2.35),
    "whole": ("3", 3),
    "m": ("2.35m", 2.35),
    "space m": ("2.35 m", 2.35),
    "metres": ("about 2.35 Metres away", 2.35),
    "meters in tag": ("<answer>2.35 meters</answer>", 2.35),
    "a word that is no unit": ("2.35 away", 2.35),
    "is, made short": ("It's 2.35", 2.35),
    "is, made short by a curly mark": ("I think that\u2019s 2.35 m.", 2.35),
    "full stop": ("2.35.", 2.35),
    "m and full stop": ("It is 12 m.", 12),
    "plus": ("+2.35", 2.35),
    "no digit before the point": (".5", 0.5),
    "no digit before the point, in brackets": ("(.5 m)", 0.5),
    "exponent": ("1e3", 1000),
    "exponent of nothing": ("2.35e0", 2.35),
    "negative exponent": ("2.5E-1 m", 0.25),
    "thousands": ("1,234.5", 1234.5),
    "millions": ("1,234,567", 1234567),
    "tag beats thinking": ("<think> 7 or 8 kg </think><answer>2</answer>", 2),
    "lines in tag": ("<answer>\n2.35\n</answer>", 2.35),
    "tags in capitals": ("<ANSWER>2.35</Answer> 3", 2.35),
    "same number twice": ("2.35 m, so 2.350", 2.35),
    "two equal tags": ("<answer>2</answer> <answer>2.0 m</answer>", 2),
    "empty tags of the question": ("in <answer> </answer> tags: <answer>2</answer>", 2),
    "thinking without tags": ("The point is around 2.35 meters away from the camera.", 2.35),
    "cut off before the tag": ("<think> The point is around 2.35 meters away. </thi", 2.35),
    "closed, never opened": ("2.35 </answer>", 2.35),
    "digits of a name": ("model v2 says 2.35", 2.35),
    "a letter beyond ASCII before it": ("\u7ea62.35 m", 2.35),
    "bold": ("**2.35 m**", 2.35),
    "LaTeX": ("$\\boxed{2.35}$", 2.35),
    "quoted": ('{"distance": "2.35"}', 2.35),
    "quoted once": ("'2.35'", 2.35),
    "quoted by LaTeX": ("``2.35''", 2.35),
    "curly quotes": ("\u201c2.35\u201d", 2.35),
    "list": ("- 2.35 m", 2.35),
    "hyphen": ("a 2.35-meter gap", 2.35),
    "dash as punctuation": ("the distance\u20142.35 m", 2.35),
    "no-break spaces": ("2.35\u00a0m", 2.35),
    "cm": ("235 cm", 235 / 100),
    "cm, no space": ("<answer>235cm</answer>", 235 / 100),
    "cm in brackets": ("2.35 (cm)", 2.35 / 100),
    "cm in square brackets": ("235 [cm]", 235 / 100),
    "cm, hyphen": ("235-cm", 235 / 100),
    "centimetre": ("1 centimetre", 1 / 100),
    "mm": ("2350 mm", 2350 / 1000),
    "millimeters": ("2350 Millimeters", 2350 / 1000),
    "dm": ("23.5 dm", 23.5 / 10),
    "decimetres": ("23.5 decimetres", 23.5 / 10),
    "km": ("0.002 km.", 0.002 * 1000),
    "kilometer": ("1 kilometer", 1000),
    "in": ("92.5 in", 92.5 * 2.54 / 100),
    "in.": ("92.5 in. away", 92.5 * 2.54 / 100),
    "inches": ("92.5 inches", 92.5 * 2.54 / 100),
    "inch mark": ('92.5"', 92.5 * 2.54 / 100),
    "two marks for inches": ("92.5''", 92.5 * 2.54 / 100),
    "ft": ("7.7 ft", 7.7 * 12 * 2.54 / 100),
    "feet": ("7.7 Feet", 7.7 * 12 * 2.54 / 100),
    "foot": ("1 foot", 12 * 2.54 / 100),
    "foot mark": ("6'", 6 * 12 * 2.54 / 100),
    "foot mark after an apostrophe": ("it's 6'", 6 * 12 * 2.54 / 100),
    "prime": ("6\u2032", 6 * 12 * 2.54 / 100),
    "right quote": ("6\u2019", 6 * 12 * 2.54 / 100),
    "yd": ("2 yd", 2 * 36 * 2.54 / 100),
    "yards": ("2 yards", 2 * 36 * 2.54 / 100),
    "mi": ("1 mi", 1760 * 36 * 2.54 / 100),
    "miles": ("2 miles", 2 * 1760 * 36 * 2.54 / 100),
    "metres and centimetres": ("2 m 35 cm", 2 + 35 / 100),
    "metres and centimetres, and": ("2 metres and 35 centimetres", 2 + 35 / 100),
    "metres and centimetres, no space": ("2m35cm", 2 + 35 / 100),
    "kilometres and metres": ("1 km 200 m", 1200),
    "feet and inches": ("5 ft 10 in", 70 * 2.54 / 100),
    "feet and inches, points": ("5 ft. 10 in.", 70 * 2.54 / 100),
    "feet and inches, no space": ("5ft10in", 70 * 2.54 / 100),
    "feet and inches, marks": ("5'10\"", 70 * 2.54 / 100),
    "feet and inches, marks and space": ("5\u2032 10.5\u2033", 70.5 * 2.54 / 100),
    "yards, feet and inches": ("1 yd 2 ft 3 in", (36 + 24 + 3) * 2.54 / 100),
    "two units that agree": ("2.35 m (7.7 ft)", 2.35),
    "two units that agree, the other first": ("7.7 ft (2.35 m)", 2.35),
    "two units that agree, both others": ("235 cm, 7.7 ft", 235 / 100),
    "the very number in two units": ("235 cm is 2.35 m", 2.35),
    "parts and the whole": ("5 ft 10 in (70 in)", 70 * 2.54 / 100),
    "one sign for cm": ("235\u339d", 235 / 100),
    "one sign for mm": ("2350 \u339c", 2350 / 1000),
    "one sign for km": ("2.35\u339e", 2.35 * 1000),
    "wide letters": ("235 \uff43\uff4d", 235 / 100),
    "what cannot be seen": ("235\u200bcm", 235 / 100),
    "hm": ("2.35 hm", 235),
    "dam": ("2.35 dam", 23.5),
    "fathoms": ("2 fathoms", 2 * 72 * 2.54 / 100),
    "furlongs": ("2 furlongs", 2 * 220 * 36 * 2.54 / 100),
    "capitals": ("2350 MM", 2.35),
    "LaTeX, a unit": ("$2.35 \\, \\mathrm{m}$", 2.35),
    "HTML": ("<b>2.35</b>", 2.35),
    "a tag of the model's own": ("<final_answer>2.35</final_answer>", 2.35),
    "arrows": ("-> 2.35 => 2.35", 2.35),
    "a place over, not a number": ("The point over the table is 2.35 m above the floor", 2.35),
    "a thing that has no unit": ("distance to the sofa: 2.35", 2.35),
    "a thing with its colour": ("The point marked by the red arrow is 2.35 away", 2.35),
    "a pixel": ("The depth at that pixel is 2.35.", 2.35),
    "an unspaced word behind the unit": ("2.35 m \u5de6\u53f3", 2.35),
    "behind a comma": ("It is 2.35, slightly behind the sofa", 2.35),
    "JSON with a unit": ('{"distance_m": 2.35, "unit": "m"}', 2.35),
    "units of other kinds, alone": ("in seconds or degrees no, 2.35", 2.35),
    "the unit asked for, alone": ("in meters: 2.35", 2.35),
    "an ordinary word": ("at the foot, in the yard: 2.35", 2.35),
}
SPEEDS = {
    "bare": ("2.5", 2.5),
    "m/s": ("2.5 m/s", 2.5),
    "m / s": ("2.5 m / s", 2.5),
    "mps": ("2.5 mps", 2.5),
    "meters per second": ("2.5 meters per second", 2.5),
    "metres a second": ("2.5 metres a second", 2.5),
    "km/h": ("9 km/h", 2.5),
    "kmh": ("9kmh", 2.5),
    "kph": ("9 kph", 2.5),
    "kilometers an hour": ("9 kilometers an hour", 2.5),
    "m/min": ("150 m/min", 2.5),
    "ft/s": ("10 ft/s", 10 * 12 * 2.54 / 100),
    "mph": ("5 mph", 5 * 1609.344 / 3600),
    "miles per hour": ("5 Miles Per Hour", 5 * 1609.344 / 3600),
    "knots": ("5 knots", 5 * 1852 / 3600),
    "agreeing": ("2.5 m/s (9.0 km/h)", 2.5),
}
TIMES = {
    "bare": ("2.5", 2.5),
    "s": ("2.5s", 2.5),
    "sec": ("2.5 sec.", 2.5),
    "seconds": ("2.5 seconds", 2.5),
    "ms": ("2500 ms", 2.5),
    "milliseconds": ("2500 milliseconds", 2.5),
    "min": ("1.5 min", 90),
    "minutes": ("1.5 minutes", 90),
    "h": ("2 h", 7200),
    "hours": ("2 hours", 7200),
    "days": ("2 days", 172800),
    "minutes and seconds": ("1 min 30 s", 90),
    "minutes and seconds in words": ("1 minute and 30 seconds", 90),
    "all three": ("1 h 1 min 1 s", 3661),
    "no space": ("1h30min", 5400),
    "min is a word too": ("min: 2.5", 2.5),
}
CHOICES = {
    "number": ("1", 1),
    "tag": ("<think>1 or 2</think><answer> 2 </answer>", 2),
    "full stop": ("2.", 2),
    "decimals": ("1.0", 1),
    "point": ("Point 1 is nearer to the camera.", 1),
    "the first": ("The first.", 1),
    "the second point": ("the second point", 2),
    "ordinal": ("the 2nd one", 2),
    "twice": ("1, the first", 1),
}
PLACES = {
    "as asked": ("<answer> 12, 300 </answer>", (12, 300)),
    "without tags": ("12, 300", (12, 300)),
    "no space": ("12,300", (12, 300)),
    "no comma": ("12 300", (12, 300)),
    "brackets": ("The point is at (12,300).", (12, 300)),
    "decimals": ("[12.5, 300.25]", (12.5, 300.25)),
    "names": ("x = 12, y = 300", (12, 300)),
    "the corners": ("0, 2000", (0, 2000)),
}
POSES = {
    "as asked": (f"<answer> {POSE} </answer>", POSE_VALUES),
    "without tags": (POSE, POSE_VALUES),
    "capitals, full stop, lines": (POSE.capitalize().replace(" ", "\n ") + ".", POSE_VALUES),
    "plus": (POSE.replace("1.20", "+1.20"), POSE_VALUES),
    "minus": (POSE.replace("-", "\u2212"), POSE_VALUES),
    "other words": (POSE.replace("left and up", "somewhere (I think)"), POSE_VALUES),
    "no words": (POSE.replace("left and up", ""), POSE_VALUES),
    "spaces": (POSE.replace("(", "( ").replace(",", " , "), POSE_VALUES),
    "units": (
        "distance 1.20 m, direction left (-0.80, -0.60, 0.00), yaw -3.0\u00b0, pitch 1.5 degrees,"
        " roll 0.0 deg",
        POSE_VALUES,
    ),
    "cm": (POSE.replace("1.20", "120 cm"), POSE_VALUES),
    "radians": (POSE.replace("-3.0", "1 rad"), POSE_VALUES | {"yaw": 180 / math.pi}),
}
READ = [
    pytest.param(task, text, values, id=f"{task}: {name}")
    for task, cases in (
        ("depth", METRES),
        ("speed", SPEEDS),
        ("time", TIMES),
        ("depth_order", CHOICES),
        ("point_correspondence", PLACES),
        ("relative_pose", POSES),
    )
    for name, (text, values) in cases.items()
]

REFUSED = {
    "too long": {"depth": ["2.35 " * 2001, " " * LONGEST + "2"]},
    "unfinished answer": {
        "depth": [
            "<answer> 2.35",
            OFFICIAL.removesuffix("</answer>"),
            OFFICIAL.removesuffix("swer>"),
            "<answer>2</answer><answer>2",
            "<answer><answer>2</answer>",
        ],
        "relative_pose": [f"<answer>{POSE}"],
    },
    "several answers": {
        "depth": [
            "<answer>2</answer><answer>3</answer>",
            "<answer>2</answer><answer>none</answer>",
        ],
    },
    "no number": {
        "depth": [
            *("", " ", "I cannot tell.", "None", "nan", "inf", "two metres", "half a metre"),
            *("model v2 says x3", "No.5", "x_2", "2.35 <answer> </answer>", "<answer></answer>"),
        ],
        "depth_order": ["", "neither", "both", "point one"],
    },
    "several numbers": {
        "depth": [
            *("2-3", "2-3 m", "2 to 3 m", "2\u20133 m", "2.35 or 2.36", "2.35 \u00b1 0.1", "1 234"),
            *(
                "2 m, 3 cm",
                "2 m 7 m",
                "2 m 300 cm",
                "2.5 m 35 cm",
                "5 ft 12 in",
                "5 ft 10 cm",
                "2 m 35",
            ),
            *("2.35 m (8 ft)", "2.35 m (7.7 ft, 7.8 ft)", "2.35 m, 2.36 m", "5'-10\""),
        ],
        "depth_order": ["1 or 2", "1 and not 2", "The first, not the second", "1, 3"],
    },
    "unclear number": {
        "depth": [
            *("1,234", "2,35", "1.234,5", "1.234.567", "1.2.3", "2..35", "0,123.5", "12,34.5"),
            *("1,23,456", "..5", "1/2", "12:12", "10^10", "2 * 10", "3 x 3", "3x3", "2 m^2"),
            *("2.35x", "3rd", "2D", "1e", "1e5e5", "2_000", "2m35", "2.35 m2"),
            *("2 and a half metres", "2 million", "minus 2", "2 hundred"),
            *("\u0662", "\uff12", "2\u00bd", "2 m\u00b2", "2.35 \u2460"),
            *("about1/2 mile", "m^2: 2", "not 2.35 m", "It isn't 2.35 m", "2.35 m is wrong"),
            *("2.35 in front", "5 in away", '"it is 2.35"', "'the 6'"),
        ],
    },
    "only a bound": {
        "depth": [
            *("> 2.35", "<2.35", "\u2265 2.35 m", "2.35 m < d", "&gt; 2.35", "2.35\\leq d"),
            *("at least 2 m", "At most 2 m", "up to 5 m", "more than 2 m", "no less than 2 m"),
            *("2.35+", "2.35+ m", "2 m+", "2 m or more", "2 m and up", "2 m at least", "over 2 m"),
            *("just under about 3 m", "max. 5 m", "5 m max", "5 m maximum", "as far as 5 m"),
            *("min. 2 m", "max about 3 m", "\uff1e2.35", "\u226b 2.35 m", "\u2a86 2.35"),
        ],
        "speed": ["at least 2 m/s"],
        "time": ["up to 5 s"],
    },
    "other unit": {
        "depth": [
            *(
                "Zentimeter: 250",
                "\u0441\u0430\u043d\u0442\u0438\u043c\u0435\u0442\u0440\u044b: 250",
                "\u5398\u7c73: 250",
                "(235) \u5398\u7c73",
            ),
            *("235 c.m.", "235 c m", "c.m.: 235", "0.5 of a mile", "2.35 paces", "2.35, paces"),
            *("2.35 car lengths", "2.35 Mm", "mph 7.5", "seconds: 3", "Zoll: 92", "in Zoll, 92"),
            *("m2: 2.35", "2.35 m s", "2.35 m squared", "in: 92", "<paces>9</paces>", "min: 3"),
            *("distance in paces is 9", "paces of 9", "feet is 9", "9, paces away", "9 or so days"),
            *('{"distance": 9, "unit": "paces"}', "9 mile morskie", "9 metri quadrati"),
            *("9 metros por segundo", "9 meter pro Sekunde"),
            *(
                "2 kg",
                "3 s",
                "5 degrees",
                "5\u00b0",
                "2.35 %",
                "12 px",
                "2.35 m/s",
                "2.35 m a second",
            ),
            *("2 m/kg", "2 points per m", "3 nautical miles", "2 square metres", "2 \u7c73"),
            *("235 Zentimeter", "2 micrometers", "2 centim\u00e8tres", "2\u7c73"),
            *("in feet: 7.7", "235, cm", "235 $\\text{cm}$", "The distance (cm) is 235"),
        ],
        "speed": ["2.5 m", "2.5 s", "9 km", "in km/h: 9", "2.5 m/s\u00b2", "30 fps"],
        "time": ["2.5 m", "5'", "2.5 m/s", "2 weeks", "2 microseconds"],
        "depth_order": ["1 m"],
        "point_correspondence": ["12 px, 300 px", "12 %, 30 %"],
        "relative_pose": [POSE.replace("1.20", "1.20 kg"), POSE.replace("0.00", "0.00 m")],
    },
    "not finite": {
        "depth": ["1e999", "9" * 400, "1e308 km"],
        "relative_pose": [POSE.replace("1.20", "9" * 400)],
    },
    "not positive": {
        "depth": [
            *("0", "0.00 m", "1e-999", "-2.35", "\u22122.35", "\u20132.35", "(-2.35 m)"),
            "-5 ft 10 in",
        ],
        "relative_pose": [POSE.replace("1.20", "0.00"), POSE.replace("1.20", "-1.20")],
    },
    "not a choice": {"depth_order": ["0", "3", "1.5", "-1", "12", "not 1", "Point 2 is farther."]},
    "not the form asked for": {
        "point_correspondence": [
            *("", "12", "12, 300, 4", "1,234, 5", "y = 300, x = 12", "I cannot tell"),
        ],
        "relative_pose": [
            *("", "1.20", "I cannot tell", POSE + " 1", POSE.replace("yaw", "pitch")),
            *(POSE.replace("left", "1 left"), POSE.replace("1.20", "x"), f"so: {POSE}"),
            *(POSE.replace("-3.0", "\u0663"), POSE.replace("1.20", "1.20 away")),
        ],
    },
    "no direction": {
        "relative_pose": [POSE.replace("-0.80, -0.60, 0.00", "0.00, -0.00, 0")],
    },
    "outside the picture": {
        "point_correspondence": ["-1, 3", "12, 2001", "12, 2000.5", "<answer> 12, -3 </answer>"],
    },
}
UNREAD = [
    pytest.param(task, text, reason, id=f"{task}: {reason}: {text[:30]}")
    for reason, by_task in REFUSED.items()
    for task, texts in by_task.items()
    for text in texts
]


@pytest.mark.parametrize("style", ["official", "plain"])
@pytest.mark.parametrize(("task", "text", "values"), READ)
def test_answers_that_are_read(task, text, values, style):
    names = TASKS[task].values
    if not isinstance(values, dict):
        values = dict(zip(names, values if len(names) > 1 else [values], strict=True))
    answer = read_answer(text, load_template(task, style))
    assert answer.reason is None
    assert answer.values == pytest.approx(values, rel=1e-12, abs=0)


@pytest.mark.parametrize("style", ["official", "plain"])
@pytest.mark.parametrize(("task", "text", "reason"), UNREAD)
def test_answers_that_are_refused(task, text, reason, style):
    assert read_answer(text, load_template(task, style)) == Answer(None, reason)


def test_every_reason_is_shown_above():
    every = [*REASONS, *{reason for task in TASKS.values() for reason in task.kind.reasons}]
    assert set(REFUSED) == set(every)
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("metres", [2.35, 12.0, 0.095, 0.0040, 499.99])
def test_numbers_in_the_unit_asked_for_are_not_rounded(metres):
    for text in (f"{metres}", f"{metres} m", f"It is {metres} metres."):
        assert read_answer(text, load_template("depth", "plain")).values == {"value": metres}


@pytest.fixture
def own_template(tmp_path):
    """Return a template of a task from keys and values; `parse: whole` and metres unless said."""

    def load(task, **keys):
        keys = {"unit": "m", "parse": "whole"} | keys
        path = tmp_path / f"{task}.yaml"
        path.write_text("\n".join(f"{key}: '{text}'" for key, text in keys.items()), "utf-8")
        return load_template.__wrapped__(task, str(path))

    return load


def test_the_very_form_of_a_template_is_read_whatever_else_it_says(own_template):
    template = own_template(
        "speed",
        question="{point} in {time} s?",
        reasoning="At {distance} m, after {time} s, 1/2 of v2:",
        answer="{reasoning} {value} m/s.",
        unit="m/s",
    )
    text = "At 10.00 m, after 4.0 s, 1/2 of v2: 2.50 m/s."
    assert read_answer(text, template).values == {"value": 2.5}
    assert read_answer(text.replace("2.50", "-2.50"), template).reason == "not positive"
    assert read_answer(text.replace("after", "behind"), template).reason == "other unit"


def test_the_form_of_a_tag_is_what_stands_within(own_template):
    template = own_template(
        "depth", question="{point}?", answer="Camera 1. <Answer>\n\nv1: {value} at 2\n\n</Answer>"
    )
    assert read_answer("<answer>v1: 2.35 at 2</answer>", template).values == {"value": 2.35}


def test_a_value_that_the_form_says_twice_is_one(own_template):
    template = own_template(
        "depth", question="{point}?", answer="It is {value} m, point 2: {value}"
    )
    assert read_answer("it is 3 m, point 2: 3.0", template).values == {"value": 3}
    assert read_answer("it is 3 m, point 2: 4", template).reason == "several numbers"


def test_words_of_a_form_end_before_what_follows_them(own_template):
    template = own_template(
        "relative_pose",
        question="?",
        answer="{distance} {direction} {x} {y} {z} {yaw} {pitch} {roll} {direction}",
    )
    assert read_answer("1.2 up. -0.8 -0.6 0 -3 1.5 0 so, up", template).values == POSE_VALUES


def test_a_unit_that_is_only_the_templates_is_known(own_template):
    template = own_template("depth", question="{point}?", answer="{value}", unit="\u7c73")
    assert read_answer("\u7ea6 2.35 \u7c73", template).values == {"value": 2.35}
    assert read_answer("235 cm", template).reason == "other unit"
    assert read_answer("235 \u5398\u7c73", template).reason == "other unit"


LIKELY = (
    *(string.digits + ".,-+eE'\"/^:()% \n\u2212\u0662\u00bd\u00b0\u7c73\ud800mshx"),
    *("cm", "km", "ft", "in", "nan", "and", "per", "an hour", "/s", "5 ft ", "10 in", " second"),
    *("<answer>", "</answer>", "<think>", "first", "distance ", "direction (", "1e999", "1e-999"),
)
likely = st.lists(st.sampled_from(LIKELY), max_size=40).map("".join)


@given(
    st.one_of(st.text(), likely, likely.map("<answer>{}</answer>".format)),
    st.sampled_from(sorted(TASKS)),
    st.sampled_from(["official", "plain"]),
)
@example("<answer>1e308 km</answer>", "depth", "official")
@example("0 ft 0 in", "depth", "plain")
def test_any_text_gives_finite_values_or_a_reason(text, task, style):
    template = load_template(task, style)
    answer = read_answer(text, template)
    assert answer == read_answer(text, template)
    if answer.values is None:
        assert answer.reason in (*REASONS, *TASKS[task].kind.reasons)
    else:
        assert answer.reason is None
        assert tuple(answer.values) == TASKS[task].values
        assert all(map(math.isfinite, answer.values.values()))
        assert TASKS[task].kind.problem(answer.values) is None


@pytest.mark.parametrize(
    "hostile",
    [
        *(
            "1",
            "1,",
            "1.",
            "1,234",
            "1e",
            "-",
            "-1",
            "- ",
            " ",
            "(",
            ".",
            "'",
            '1"',
            "1'",
            '"',
            "_",
        ),
        *("1 m ", "1m", "1 ft 1 in ", "1 h ", "m/", "m per ", "a an ", "1 and ", "1 x ", "in "),
        *("<", "<answer>", "</answer>", "<answer>1</answer>", "<answer></answer>", "y x "),
        *("distance 1, direction ", "(1, ", "\u7c73", "\u0662", "second ", "1st ", "half"),
    ],
)
@pytest.mark.parametrize(
    ("task", "head"),
    [
        *(("depth", ""), ("depth_order", ""), ("point_correspondence", "")),
        ("relative_pose", "distance 1.2, direction "),
    ],
)
def test_four_times_the_text_takes_about_four_times_the_time(task, head, hostile):
    assert_linear(load_template(task, "plain"), head, hostile)


def test_so_does_a_form_of_many_words(own_template):
    words = "{direction}, " * 4
    values = "{distance} {x} {y} {z} {yaw} {pitch} {roll}"
    template = own_template("relative_pose", question="?", answer=words + values)
    assert_linear(template, "", ", ")


def assert_linear(template, head, hostile):
    times = (LONGEST // 4 - len(head) - 1) // len(hostile)

    def seconds(times):
        text = head + hostile * times + "1"
        fastest = math.inf
        for _ in range(5):
            start = thread_time()
            read_answer(text, template)
            fastest = min(fastest, thread_time() - start)
        return fastest

    assert seconds(4 * times) < 9 * seconds(times)  # 16 times, were it quadratic
