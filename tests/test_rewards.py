import inspect
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.answers import score

from depthlm_plugin import DepthSamples, rewards
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.scoring.prediction import cell_of
from depthlm_plugin.tasks import TASKS, Truth

RATIO = {"delta1": rewards.delta1, "l1": rewards.negative_l1, "abs_rel": rewards.negative_abs_rel}
LOWEST = {"delta1": 0.0, "l1": -100.0, "abs_rel": -10.0}
TRUTHS = st.floats(min_value=1e-300, max_value=1e300)
OFFICIAL = "<think> The point is around {0} meters away. </think>\n\n<answer> {0} </answer>"


def each(text, target=2.0, **columns):
    """The three rewards of one answer."""
    return {
        name: function([text], target=[target], **columns)[0] for name, function in RATIO.items()
    }


# text, delta1, negative L1, negative AbsRel; the truth is 2 m
ANSWERS = {
    "right": ("2", 1, 0, 0),
    "too near": ("1.75", 1, -0.25, -0.125),
    "too far": ("2.25", 1, -0.25, -0.125),
    "exactly 1.25 times": ("2.5", 0, -0.5, -0.25),
    "exactly a 1.25th": ("1.6", 0, -0.4, -0.2),
    "three times": ("6", 0, -4, -2),
    "almost nothing": ("0.0001", 0, -1.9999, -0.99995),
    "in its tag": (OFFICIAL.format(1.75), 1, -0.25, -0.125),
    "in centimetres": ("<answer> 225 cm </answer>", 1, -0.25, -0.125),
    "an error of 100": ("102", 0, -100, -10),
    "beyond all bounds": ("1e200", 0, -100, -10),
    "ten times the truth": ("22", 0, -20, -10),
    "words": ("far away", 0, -100, -10),
    "nothing": ("", 0, -100, -10),
    "a range": ("2 to 3", 0, -100, -10),
    "zero": ("0", 0, -100, -10),
    "negative": ("-2", 0, -100, -10),
    "not a number": ("nan", 0, -100, -10),
    "infinite": ("inf", 0, -100, -10),
    "beyond all floats": ("1e999", 0, -100, -10),
    "cut off": ("<think> 2 m </think> <answer> 2", 0, -100, -10),
    "another unit": ("2 kg", 0, -100, -10),
}


@pytest.mark.parametrize(("text", "delta1", "l1", "abs_rel"), ANSWERS.values(), ids=ANSWERS)
def test_rewards_of_an_answer(text, delta1, l1, abs_rel):
    assert each(text) == pytest.approx({"delta1": delta1, "l1": l1, "abs_rel": abs_rel}, abs=1e-12)


@given(st.lists(st.tuples(st.floats(0.01, 20), st.floats(0.5, 20)), min_size=1, max_size=20))
def test_rewards_are_the_metrics_of_evaluation(pairs):
    answers, targets = zip(*pairs, strict=True)
    found = score(answers, targets)
    mean = {
        name: np.mean(function([repr(answer) for answer in answers], target=targets))
        for name, function in RATIO.items()
    }
    assert mean["delta1"] == pytest.approx(found["delta1"])
    assert mean["l1"] == pytest.approx(-found["mae"])
    relative = [abs(a - t) / t for a, t in pairs]
    assert mean["abs_rel"] == pytest.approx(-np.mean(np.minimum(relative, 10)))


@given(st.one_of(st.text(), st.floats().map(repr), TRUTHS.map(OFFICIAL.format)), TRUTHS)
@example("1e300", 1e-300)
@example("1e-300", 1e300)
def test_every_reward_is_finite_and_what_is_not_read_has_the_lowest(text, target):
    found = each(text, target)
    assert all(LOWEST[name] <= value <= 1 and math.isfinite(value) for name, value in found.items())
    if read_answer(text, load_template("depth", "official")).values is None:
        assert found == LOWEST


# --- what trainers hand over


MESSAGE = {"role": "assistant", "content": "2"}
CONVERSATIONS = {
    "text": "2",
    "one message": [MESSAGE],
    "several, the last one counts": [
        {"role": "assistant", "content": "9"},
        {"role": "user", "content": "8"},
        MESSAGE,
    ],
    "parts": [{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": "2"}]}],
}


@pytest.mark.parametrize("completion", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_completions_are_texts_or_conversations(completion):
    assert rewards.delta1(["far", completion], target=[2.0, 2.0]) == [0.0, 1.0]


@pytest.mark.parametrize("completion", [None, 2.0, {"role": "assistant"}, [{"role": "assistant"}]])
def test_a_completion_without_text_is_an_error_that_names_its_sample(completion):
    with pytest.raises(RecordError, match=r"^sample 1: its completion is"):
        rewards.delta1(["2", completion], target=[2.0, 2.0])


GOOD_TRUTHS = {
    "float": 2.0,
    "int": 2,
    "numpy": np.float32(2),
    "numpy int": np.int64(2),
    "text": "2.0",
    "text with an exponent": "2e0",
    "text with a unit": "2 m",
    "the answer as it is taught": OFFICIAL.format("2.00"),
}


@pytest.mark.parametrize("column", ["target", "solution", "ground_truth"])
@pytest.mark.parametrize("truth", GOOD_TRUTHS.values(), ids=GOOD_TRUTHS)
def test_truths_are_numbers_or_texts_in_one_of_three_columns(column, truth):
    assert rewards.negative_l1(["2.5", "2.5"], **{column: [2.5, truth]}) == [0.0, -0.5]


def test_of_several_columns_the_target_counts_then_the_solution():
    columns = {"target": [2.0], "solution": ["3"], "ground_truth": [4]}
    assert rewards.negative_l1(["2"], **columns) == [0.0]
    assert rewards.negative_l1(["3"], **columns | {"target": None}) == [0.0]


@given(TRUTHS)
def test_a_truth_as_text_loses_nothing(target):
    assert rewards.negative_l1([repr(target)], target=[str(target)]) == [0.0]


BAD_TRUTHS = {
    "nan": math.nan,
    "infinite": math.inf,
    "negative": -1.0,
    "zero": 0,
    "none": None,
    "bool": True,
    "words": "far",
    "text nan": "nan",
    "negative text": "-2",
    "empty": "",
    "two numbers": "2 or 3",
    "another unit": "2 kg",
    "list": [2.0],
}


@pytest.mark.parametrize("truth", BAD_TRUTHS.values(), ids=BAD_TRUTHS)
@pytest.mark.parametrize("function", RATIO.values(), ids=RATIO)
def test_a_bad_truth_is_an_error_that_names_its_sample(function, truth):
    with pytest.raises(RecordError, match=r"^sample 1: its solution is .* a number of m above 0"):
        function(["2", "2"], solution=[2.0, truth])


def test_missing_truths_are_an_error_that_names_the_columns():
    with pytest.raises(
        ConfigError, match="target, solution or ground_truth, found prompts, truth;"
    ):
        rewards.delta1(["2"], prompts=["?"], truth=[2.0])


@pytest.mark.parametrize("column", ["target", "task", "style"])
def test_columns_of_another_length_are_an_error(column):
    columns = {"target": [2.0, 2.0], "task": ["depth"] * 2, "style": ["plain"] * 2}
    with pytest.raises(ConfigError, match=f"2 completions, but 3 entries of {column}"):
        rewards.delta1(["2", "2"], **columns | {column: columns[column][:1] * 3})


# --- tasks


def test_answers_are_read_in_the_unit_of_their_task():
    texts, tasks = ["36 km/h", "1.5 min", "3 yd"], ["speed", "time", "two_point_distance"]
    found = rewards.negative_l1(texts, target=[10.0, 88.0, 2.7432], task=tasks)
    assert found == pytest.approx([0, -2, 0])
    assert rewards.negative_l1(["2 m"], target=[2.0], task=["speed"]) == [-100.0]


def test_a_reward_leaves_out_what_is_scored_another_way_and_what_is_not_ours():
    texts = ["2", "point 2", "1", "left", "2"]
    columns = {
        "task": ["depth", "depth_order", "depth_order", "relative_pose", None],
        "target": [2.0, 2.0, 2.0, 2.0, None],
        "style": ["plain", "plain", None, "plain", None],
    }
    assert rewards.delta1(texts, **columns) == [1.0, None, None, None, None]
    assert rewards.negative_l1(texts, **columns) == [0.0, None, None, None, None]
    assert rewards.accuracy(texts, **columns) == [None, 1.0, 0.0, None, None]


@pytest.mark.parametrize(
    ("text", "reward"), [("1", 1.0), ("the first", 1.0), ("2", 0.0), ("3", 0.0), ("neither", 0.0)]
)
def test_choices_are_right_or_wrong(text, reward):
    assert rewards.accuracy([text], target=["1"], task="depth_order") == [reward]


@pytest.mark.parametrize("truth", [0, 3, 1.5, "both", math.nan])
def test_a_choice_has_two_truths(truth):
    with pytest.raises(RecordError, match=r"sample 0: its target is .* expected 1 or 2"):
        rewards.accuracy(["1"], target=[truth], task=["depth_order"])


def test_a_template_of_ones_own_is_what_the_answer_is_read_by(tmp_path):
    path = tmp_path / "depth.yaml"
    path.write_text("question: How far is {point}?\nanswer: 'of 9 parts {value}'\nparse: whole\n")
    assert rewards.delta1(
        ["of 9 parts 2.00"] * 2, target=[2.0] * 2, style=[str(path), "plain"]
    ) == [
        1.0,
        0.0,
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"task": ["dept"]}, "did you mean 'depth'"), ({"style": ["plan"]}, "did you mean 'plain'")],
)
def test_typos_are_errors(columns, message):
    with pytest.raises(ConfigError, match=message):
        rewards.delta1(["2"], target=[2.0], **columns)


@pytest.mark.parametrize("task", TASKS)
def test_the_truth_has_the_highest_reward_of_each_that_its_kind_states(task):
    template, truth = load_template(task, "plain"), TASKS[task].example
    words = dict.fromkeys(TASKS[task].words, "forward")
    text = template.tell(Truth(truth, dict.fromkeys(TASKS[task].given, 3.0), words=words))
    columns = {"target": [truth, cell_of(truth), text], "task": [task] * 3, "style": ["plain"] * 3}
    for name, rule in TASKS[task].kind.rewards.items():
        function = rewards.reward_function(name)
        assert function.__name__ == name
        assert function([text, text, "?"], **columns) == [
            rule(truth, truth),
            rule(truth, truth),
            rule(None, truth),
        ]


def test_unknown_rewards_are_errors():
    with pytest.raises(ConfigError, match="unknown reward 'delta2'; did you mean 'delta1'"):
        rewards.reward_function("delta2")


@pytest.mark.parametrize("truth", [{"depth": 2.0}, {}, {"value": True}, {"value": -2.0}], ids=str)
def test_a_truth_by_placeholder_is_a_number_above_0_too(truth):
    assert rewards.negative_l1(["2.5"], target=[{"value": 2.0}]) == [-0.5]
    with pytest.raises(RecordError, match=r"sample 0: its target is {.* a number of m above 0"):
        rewards.negative_l1(["2.5"], target=[truth])


# --- the calls of ms-swift, with all that it passes


def test_ms_swift_calls_what_its_registry_makes():
    """As `_prepare_rewards` and `compute_rewards_per_func` of ms-swift 4.6 do."""
    orms = {"delta1": lambda args=None: rewards.delta1}
    function = orms["delta1"](args=object())
    assert inspect.isfunction(function)
    assert function.__name__ == "delta1"  # how it is logged
    found = function(
        ["<answer> 2.1 </answer>", "?"],
        trainer_state=None,
        messages=[[{"role": "user", "content": "<image>How far?"}, MESSAGE]] * 2,
        prompt_id=["a", "b"],
        request_id=["c", "d"],
        finish_reason=[None, None],
        is_truncated=[False, False],
        rollout_infos=[{}, {}],
        response_token_ids=[[], []],
        images=[["a.png"], ["b.png"]],
        solution=["<answer> 2.00 </answer>", "2.00"],
    )
    assert found == [1.0, 0.0]


# --- the dataset for TRL


def test_rows_for_trl_hold_the_question_and_the_truth(record_folder, make_record):
    settings = {"focal_px": 150, "tasks": {"depth": 1, "depth_order": 1}, "prompt": "plain"}
    samples = DepthSamples(record_folder([make_record()]), **settings)
    rows = list(rewards.grpo_rows(samples))
    assert sorted(row["task"] for row in rows) == ["depth", "depth_order"]
    for row, sample in zip(rows, samples, strict=True):
        [message] = row.pop("prompt")
        assert message == {"role": "user", "content": sample.turns[0][0]}
        assert "<image>" not in message["content"]
        [image] = row.pop("images")
        assert image.tobytes() == sample.image.tobytes()
        assert row == {"target": sample.target, "task": sample.task, "style": "plain"}
        function = rewards.delta1 if sample.task == "depth" else rewards.accuracy
        columns = {name: [value] for name, value in row.items()}
        assert function([sample.messages[-1]["content"]], **columns) == [1.0]


def test_each_packed_question_has_its_row_with_the_systems_turn(record_folder, make_record):
    settings = {"focal_px": 150, "reference": "text", "questions_per_image": 3, "train": True}
    [sample] = DepthSamples(record_folder([make_record()]), **settings)
    rows = list(rewards.grpo_rows([replace(sample, system="Measure.")]))
    assert [row["target"] for row in rows] == [question.target for question in sample.questions]
    assert len({row["target"] for row in rows}) == 3
    for row, (user, _) in zip(rows, sample.turns, strict=True):
        assert row["prompt"] == [
            {"role": "system", "content": "Measure."},
            {"role": "user", "content": user},
        ]


def test_a_task_without_rewards_is_refused_when_the_dataset_is_made(record_folder, make_record):
    [sample] = DepthSamples(record_folder([make_record()]), focal_px=150)
    question = replace(sample.question, task="relative_pose")
    with pytest.raises(ConfigError, match="'relative_pose' has no reward"):
        list(rewards.grpo_rows([replace(sample, questions=(question,))]))


def test_rewards_need_no_framework(run_python):
    run_python(
        "import sys, depthlm_plugin.rewards;"
        "assert not {'torch', 'transformers', 'trl', 'datasets', 'llamafactory'} & set(sys.modules)"
    )
