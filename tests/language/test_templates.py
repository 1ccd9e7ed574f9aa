import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.template import REFERENCES
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.resources import data_folder
from depthlm_plugin.tasks import TASKS, Truth
from depthlm_plugin.tasks.relative_pose import in_words
from depthlm_plugin.tasks.written import as_written

SHIPPED = sorted((path.parent.name, path.stem) for path in data_folder("templates").rglob("*.yaml"))

metres = st.floats(0.004, 500)
share = st.floats(0, 1, exclude_max=True)
degrees = st.floats(-180, 180)
coordinate = st.floats(0, 1999)
part = st.floats(-1, 1)
directions = st.tuples(part, part, part).filter(lambda vector: math.hypot(*vector) > 0.01)


def pose(distance_m, vector, yaw, pitch, roll):
    x, y, z = (axis / math.hypot(*vector) for axis in vector)
    truth = {"distance": distance_m, "x": x, "y": y, "z": z}
    truth |= {"yaw": yaw, "pitch": pitch, "roll": roll}
    return Truth(truth, words={"direction": in_words((x, y, z))})


def worked(distance_m, given, name):
    told = {"distance": distance_m, "value": as_written(distance_m) / given}
    return Truth({"value": distance_m / given}, {name: given}, told)


def one_value(metres):
    return Truth({"value": metres})


tenths = st.integers(10, 100).map(lambda tenths: tenths / 10)
ASKED = dict.fromkeys(TASKS, st.builds(one_value, metres)) | {
    "speed": st.builds(worked, metres, tenths, st.just("time")),
    "time": st.builds(worked, metres, tenths, st.just("speed")),
    "depth_order": st.builds(one_value, st.sampled_from([1.0, 2.0])),
    "point_correspondence": st.builds(lambda x, y: Truth({"x": x, "y": y}), coordinate, coordinate),
    "relative_pose": st.builds(pose, metres, directions, degrees, degrees, degrees),
}


def assert_read_back(template, asked):
    """Fail unless the answer told is read as the very numbers that it has."""
    told = {**asked.values, **asked.told}
    written = {name: float(template.written(name, told[name])) for name in asked.values}
    text = template.tell(asked)
    answer = read_answer(text, template)
    assert (answer.values, answer.reason) == (written, None), text
    return text


def test_every_task_has_both_styles_and_nothing_else_is_shipped():
    assert set(SHIPPED) == {(task, style) for task in TASKS for style in ("official", "plain")}


@pytest.mark.parametrize(("task", "style"), SHIPPED)
@settings(max_examples=50)
@given(data=st.data())
def test_every_trained_answer_is_read_back(task, style, data):
    text = assert_read_back(load_template(task, style), data.draw(ASKED[task]))
    assert ("<think> " in text) == (style == "official")


THE_POINT = "The point is around 2.35 meters away from the camera"
TOLD = {
    "depth": (one_value(2.351), f"{THE_POINT}.", "2.35"),
    "principal_axis_distance": (one_value(2.351), f"{THE_POINT} along its principal axis.", "2.35"),
    "speed": (
        worked(2.351, 0.8, "time"),
        f"{THE_POINT}. To reach it in 0.8 seconds, the speed is 2.35 / 0.8 = 2.94 meters per"
        " second.",
        "2.94",
    ),
    "time": (
        worked(2.351, 0.8, "speed"),
        f"{THE_POINT}. At 0.8 meters per second, reaching it takes 2.35 / 0.8 = 2.94 seconds.",
        "2.94",
    ),
    "two_point_distance": (
        one_value(0.0123),
        "The two points are around 0.012 meters away from each other.",
        "0.012",
    ),
    "camera_translation": (one_value(12), "The camera moved by around 12.00 meters.", "12.00"),
    "depth_order": (one_value(2.0), "Point 2 is nearer to the camera.", "2"),
    "point_correspondence": (
        Truth({"x": 12.4, "y": 1999.0}),
        "The point is at (12, 1999) in the second image.",
        "12, 1999",
    ),
    "relative_pose": (
        pose(1.2, (-4, 0, 3), -3.04, 0.01, 179.99),
        "The camera moved left and forward by around 1.20 meters.",
        "distance 1.20, direction left and forward (-0.80, 0.00, 0.60), yaw -3.0, pitch 0.0,"
        " roll 180.0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_answers_to_the_letter(task):
    asked, reasoning, answer = TOLD[task]
    assert load_template(task, "plain").tell(asked) == answer
    official = load_template(task, "official").tell(asked)
    assert official == f"<think> {reasoning} </think>\n\n<answer> {answer} </answer>"


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize(("task", "style"), SHIPPED)
def test_questions_name_every_point_and_number(task, style, reference):
    template, kind = load_template(task, style), TASKS[task]
    names = [
        template.name_point(reference, color="red", marker=f"arrow {n}", x=n, y=77, number=n)
        for n in range(kind.points)
    ]
    for paraphrase in (0, 0.5, 0.999):
        question = template.ask(names, dict.fromkeys(kind.given, 3.14), paraphrase)
        assert all(name in question for name in names)
        assert ("3.1 " in question) == bool(kind.given)
        assert not set("{}\n") & set(question)
        assert ("<answer>" in question) == (style == "official")


CHINESE = """
question:
- 相机到{point}的距离是多少
- 请估计{point}有多远。
reasoning: 第1步约{value}米。
answer: "{reasoning}距离是{value}米。"
unit: m
parse: whole
point:
  marker: "{color}{marker}所指的点"
  text: "坐标({x}, {y})处的点"
"""
GERMAN = """
question: Wo steht die zweite Kamera von der ersten aus?
reasoning: Die Kamera ging {direction}.
answer: >-
  <think>{reasoning}</think> <answer>Abstand {distance} m; nach {direction}: {x} / {y} / {z};
  Gieren {yaw}°, Nicken {pitch}°, Rollen {roll}° (Stufe 2)</answer>
unit: m
parse: answer_tag
decimals: {distance: 3, yaw: 0}
"""


@pytest.fixture
def write(tmp_path):
    """Write a template file; return its path."""

    def write(content, name="own.yaml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_own_template_in_chinese(write):
    template = load_template("depth", write(CHINESE))
    point = template.name_point("marker", color="红色", marker="箭头")
    assert point == "红色箭头所指的点"
    assert template.ask([point], {}, 0.7) == f"请估计{point}有多远。"
    assert template.name_point("text", x=3, y=4) == "坐标(3, 4)处的点"
    assert template.name_point("numbered", number=1) == "the point marked 1"

    @given(metres)
    def read_back(metres):
        assert_read_back(template, one_value(metres))

    read_back()
    assert read_answer("235 厘米", template).reason == "other unit"


def test_own_template_in_german(write):
    template = load_template("relative_pose", write(GERMAN))

    @given(ASKED["relative_pose"])
    def read_back(asked):
        assert_read_back(template, asked)

    read_back()


def test_own_templates_of_a_folder(write, tmp_path):
    write(CHINESE, "depth.yaml")
    assert load_template("depth", str(tmp_path)).questions[0].startswith("相机")
    with pytest.raises(ConfigError, match=r"speed\.yaml does not exist; .* for 'speed'"):
        load_template("speed", str(tmp_path))


GOOD = """
question: How far is {point}?
answer: "{value}"
parse: whole
unit: m
"""
MALFORMED = {
    "key missing": ("parse: whole\n", "", r"key 'parse' is missing"),
    "key unknown": ("unit:", "units:", r"unknown key 'units'; did you mean 'unit'\?"),
    "question empty": ("How far is {point}?", "[]", "question must be a text or a list of texts"),
    "answer a number": ('"{value}"', "5", "answer must be a text, found 5"),
    "parse wrong": ("whole", "tag", r"unknown parse 'tag'; .*answer_tag, whole"),
    "placeholder unknown": ("{value}", "{vlaue}", r"answer: unknown .*\{vlaue\}.* mean 'value'"),
    "placeholder missing": ("{value}", "far", r"answer: placeholder \{value\} is missing"),
    "point missing": ("{point}", "it", r"question: placeholder \{point\} is missing"),
    "no name": ("{value}", "{} {value}", r"answer: unknown placeholder \{\}"),
    "attribute": ("{value}", "{value.real}", r"answer: unknown placeholder \{value\.real\}"),
    "format": ("{value}", "{value:.1f}", r"\{value\} takes no format; digits are set by decimals"),
    "conversion": ("{value}", "{value!r}", r"\{value\} takes no format"),
    "brace open": ("{value}", "{value} {", r"answer: .*brace that is text is written twice"),
    "brace closed": ("{value}", "{value} }", r"answer: .*brace that is text is written twice"),
    "no tags": ("whole", "answer_tag", r"parse is answer_tag, but answer has no <answer>"),
    "reasoning unused": (
        "unit: m",
        "reasoning: so",
        r"answer: placeholder \{reasoning\} is missing",
    ),
    "decimals": ("unit: m", "decimals: {value: 7}", r"decimals must map placeholders to 0 \.\. 6"),
    "decimals of what": (
        "unit: m",
        "decimals: {depth: 1}",
        r"decimals: unknown placeholder 'depth'",
    ),
    "reference": ("unit: m", "point: {box: it}", r"point: unknown reference 'box'"),
    "reference shows nothing": ("unit: m", "point: {numbered: it}", r"\{number\} is missing"),
    "image": ("How", "<image> How", r"<image> is put where it belongs by itself"),
    "other unit": ("unit: m", "unit: cm", r"unit must be 'm', which its values are in, found 'cm'"),
    "unit in another language": ("unit: m", "unit: Zentimeter", r"unit must be 'm'"),
    "unit in Russian": ("unit: m", "unit: \u043a\u043c", r"unit must be 'm'"),
    "unit in Chinese": ("unit: m", "unit: \u5398\u7c73", r"unit must be 'm'"),
    "unit unknown": ("unit: m", "unit: paces", r"unit must be 'm'"),
    "other unit behind": ("{value}", "{value} cm", r"\{value\} is in 'm', but 'cm' follows it"),
    "other unit behind, long": ("{value}", "{value} Zentimeter", r"but 'Zentimeter' follows it"),
    "other unit behind, Russian": ("{value}", "{value} \u043a\u043c.", r"but '\u043a\u043c' fo"),
    "other unit behind, Chinese": ("{value}", "{value}\u5398\u7c73", r"but '\u5398\u7c73' follo"),
    "unit of something else": ("unit: m", "unit: s", r"unit must be 'm'"),
    "too few decimals": ("unit: m", "decimals: {value: 1}", r"value is written with 2, found 1"),
    "two values in a row": ("{value}", "{value}{value}", r"its answer cannot be read back"),
    "list": (GOOD, "- question", r"own\.yaml is no template; expected the keys answer, decimals"),
    "empty": (GOOD, "", r"own\.yaml is no template"),
    "not YAML": ("whole", "[", r"own\.yaml is no template: while parsing"),
}


def test_the_template_that_the_malformed_ones_are_made_of_is_good(write):
    assert load_template("depth", write(GOOD)).tell(one_value(2.35)) == "2.35"


@pytest.mark.parametrize(("old", "new", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_templates_say_what_is_wrong(write, old, new, message):
    assert old in GOOD
    with pytest.raises(ConfigError, match=message) as error:
        load_template("depth", write(GOOD.replace(old, new)))
    assert "own.yaml" in str(error.value)


def test_all_that_is_wrong_is_said_at_once(write):
    with pytest.raises(ConfigError, match=r"unknown key 'units'.*; key 'answer' is missing.*'tag'"):
        load_template("depth", write("question: '{point}'\nunits: m\nparse: tag\n"))


@pytest.mark.parametrize(
    "word",
    [
        "m",
        "meters",
        "\u7c73\u5de6\u53f3",
        "\u043c\u0435\u0442\u0440\u043e\u0432",
        "metros",
        "in front",
    ],
)
def test_metres_in_any_language_may_follow_a_value(write, word):
    own = load_template("depth", write(GOOD.replace("{value}", f"{{value}} {word}")))
    assert read_answer(own.tell(one_value(2.35)), own).values == {"value": 2.35}


@pytest.mark.parametrize("unit", ["\u7c73", "\u043c", "Metri", "m\u00e8tres"])
def test_the_unit_may_be_in_another_language(write, unit):
    assert load_template("depth", write(GOOD.replace("unit: m", f"unit: {unit}"))).unit == unit


def test_files_that_are_not_utf8(write):
    with pytest.raises(ConfigError, match=r"own\.yaml is no template: 'utf-8' codec"):
        load_template("depth", write("question: Füße".encode("latin-1")))


def test_paths_that_do_not_exist(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml does not exist; expected a template for"):
        load_template("depth", str(tmp_path / "none.yaml"))


HOSTILE_YAML = {
    "lists": ("[" * 100_000, "nested over 8 deep"),
    "closed lists": ("question: " + "[" * 5000 + "]" * 5000, "nested over 8 deep"),
    "maps": ("".join(" " * depth + "a:\n" for depth in range(500)), "nested over 8 deep"),
    "aliases": (
        "a0: &a0 [lol, lol]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "it has an alias",
    ),
    "itself": ("question: &q [*q]", "it has an alias"),
    "merge": ("a: &a {answer: x}\n<<: *a", "it has an alias"),
    "long": ("question: " + "x" * 2**20, "it has over 131072 bytes"),
    "digits": ("decimals: " + "9" * 5000, "is no template"),
    "date": ("answer: 2001-99-99", "is no template"),
    "object": ("answer: !!python/object/apply:os.system [echo]", "is no template"),
    "bytes": ("answer: \udcff", "is no template"),
}


@pytest.mark.parametrize("name", HOSTILE_YAML)
def test_yaml_that_grows_or_nests_is_refused_quickly(tmp_path, name):
    text, reason = HOSTILE_YAML[name]
    path = tmp_path / "t.yaml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    begun = time.process_time()
    with pytest.raises(ConfigError, match=reason) as caught:
        load_template("depth", str(path))
    assert time.process_time() - begun < 5
    assert len(str(caught.value)) < 10_000
