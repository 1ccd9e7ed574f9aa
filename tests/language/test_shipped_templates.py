import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.tasks import Truth
from depthlm_plugin.tasks.written import as_written, format_number

positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


def test_the_official_prompt_is_verbatim():
    template = load_template("depth", "official")
    point = template.name_point("marker", color="red", marker="arrow")
    assert template.ask([point], {}, 0) == (
        "Given this image, how far is the point pointed by the red arrow from the camera? Output"
        " the thinking process in <think> </think> and final answer (the meter number only, without"
        " the unit) in <answer> </answer> tags."
    )
    assert template.tell(Truth({"value": 2.349})) == (
        "<think> The point is around 2.35 meters away from the camera. </think>\n\n"
        "<answer> 2.35 </answer>"
    )
    assert template.unit == "m"
    assert template.system is None


def test_the_plain_prompt_answers_with_the_number_alone():
    assert load_template("depth", "plain").tell(Truth({"value": 2.349})) == "2.35"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.35, "2.35"),
        (12, "12.00"),
        (123.456, "123.46"),
        (0.1, "0.10"),
        (0.0996, "0.10"),
        (0.0949, "0.095"),
        (0.05, "0.050"),
        (0.004, "0.0040"),
        (0.00123, "0.0012"),
    ],
)
def test_numbers_as_the_model_writes_them(value, text):
    assert format_number(value) == text


@given(positive)
@example(0.1)
@example(0.105)
@example(0.09999999999999999)
@example(5e-324)
def test_rounding_never_changes_a_label_by_more_than_5_percent(value):
    assert abs(as_written(value) - value) <= 0.0501 * value


def test_unknown_templates_name_the_nearest():
    with pytest.raises(ConfigError, match=r"'offical'; did you mean 'official'.*official, plain"):
        load_template("depth", "offical")
