import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.answers import score

from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.kinds.ratio import RATIO
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.sampling.sample import Question
from depthlm_plugin.scoring.files import read_predictions
from depthlm_plugin.scoring.prediction import SIDECAR, Prediction, write_jsonl_atomically
from depthlm_plugin.scoring.scores import Scores, mean_over, score_rows
from depthlm_plugin.scoring.table import table_of
from depthlm_plugin.tasks import TASKS, Truth

TWO_PIXELS = ((12.5, 7.0), (30.0, 9.0))
POSE = {"distance": 0.5, "x": 0.6, "y": 0.0, "z": 0.8, "yaw": 12.5, "pitch": -3.0, "roll": 0.5}


def table(rows):
    return table_of(Scores(rows))


def question(task="depth", truth=None, dataset="kitchen", prompt="official"):
    shape = TASKS[task]
    return Question(
        dataset,
        3,
        tuple(range(shape.points)),
        ("rgb/ü.png", "rgb/b.png")[: shape.images],
        TWO_PIXELS[: shape.points],
        task,
        prompt,
        {"value": 2.0} if truth is None else truth,
        "m",
    )


def row(text, target=2.0, dataset="kitchen", prompt="official"):
    asked = question(truth={"value": target}, dataset=dataset, prompt=prompt)
    return Prediction(asked, text).to_row()


def answered(value, target=2.0, dataset="kitchen", task="depth", image=None):
    """A row as a reader of the sidecar finds it, with what scores need."""
    row = {"dataset": dataset, "task": task, "target": target, "value": value}
    return row if image is None else row | {"image": image}


# Rows


def test_a_row_holds_the_question_the_raw_text_and_the_value():
    text = "<think> hm </think>\n\n<answer> 2.35 </answer>"
    assert row(text, target=1 / 3) == {
        "dataset": "kitchen",
        "row": 3,
        "point": 0,
        "image": "rgb/ü.png",
        "pixel": [12.5, 7.0],
        "task": "depth",
        "prompt": "official",
        "target": 1 / 3,
        "unit": "m",
        "text": text,
        "value": 2.35,
        "reason": None,
    }


def test_an_unreadable_answer_has_a_reason_instead():
    found = row("<answer> 2 or 3 </answer>")
    assert (found["text"], found["value"]) == ("<answer> 2 or 3 </answer>", None)
    assert isinstance(found["reason"], str)


def test_an_answer_is_read_as_its_prompt_writes_it():
    text = "<answer> 2.35 </answer>"
    assert row(text)["value"] == 2.35
    assert row("2.35", prompt="plain")["value"] == 2.35


@pytest.mark.parametrize("prompt", ["official", "plain"])
@pytest.mark.parametrize(
    ("task", "truth"),
    [
        ("relative_pose", POSE),
        ("point_correspondence", {"x": 120.0, "y": 1999.0}),
        ("depth_order", {"value": 2.0}),
        ("camera_translation", {"value": 0.25}),
    ],
)
def test_what_the_model_is_taught_scores_as_perfect(task, truth, prompt):
    words = {name: "right and forward" for name in TASKS[task].words}
    text = load_template(task, prompt).tell(Truth(truth, words=words))
    found = Prediction(question(task, truth, prompt=prompt), text).to_row()
    assert found["reason"] is None
    assert found["value"] == found["target"]
    assert found["target"] == (truth if len(truth) > 1 else truth["value"])
    assert score_rows([found])[TASKS[task].kind.main] == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "point", "lists"),
    [
        ("depth", 0, {}),
        ("depth_order", 0, {"points": [0, 1], "pixels": [[12.5, 7.0], [30.0, 9.0]]}),
        ("point_correspondence", 0, {"images": ["rgb/ü.png", "rgb/b.png"]}),
        (
            "camera_translation",
            None,
            {"points": [], "pixels": [], "images": ["rgb/ü.png", "rgb/b.png"]},
        ),
    ],
)
def test_a_row_lists_what_is_not_one(task, point, lists):
    found = Prediction(question(task), "no idea").to_row()
    assert {key: found[key] for key in ("points", "pixels", "images") if key in found} == lists
    assert (found["point"], found["image"]) == (point, "rgb/ü.png")
    assert found["pixel"] == (None if point is None else [12.5, 7.0])


def test_sidecar_round_trip(tmp_path):
    asked = question("relative_pose", POSE)
    rows = [
        row("2.35", target=1 / 3),
        row("about 2 ft\n\u2028"),
        Prediction(asked, "no idea").to_row(),
    ]
    write_jsonl_atomically(tmp_path / SIDECAR, rows)
    lines = (tmp_path / SIDECAR).read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows
    assert list(read_predictions(tmp_path / SIDECAR)) == rows
    assert [path.name for path in tmp_path.iterdir()] == [SIDECAR]


def test_an_interrupted_sidecar_leaves_the_old_one(tmp_path):
    def rows():
        yield row("1")
        raise KeyboardInterrupt

    write_jsonl_atomically(tmp_path / SIDECAR, [row("2.35")])
    with pytest.raises(KeyboardInterrupt):
        write_jsonl_atomically(tmp_path / SIDECAR, rows())
    assert json.loads((tmp_path / SIDECAR).read_text(encoding="utf-8"))["text"] == "2.35"


# Scores


def test_score_of_one_dataset_and_one_task():
    metrics = score_rows(
        [row(f"<answer> {text} </answer>") for text in ("2.1", "9", "who", "1 or 2")]
    )
    assert (metrics["n"], metrics["delta1"], metrics["parse_failure_rate"]) == (4, 0.25, 0.5)
    values = [answered(value) for value in (2.1, 9.0, None, None)]
    assert metrics == score_rows(values) == score([2.1, 9, float("nan"), float("nan")], [2.0] * 4)


def test_one_task_of_several_datasets_has_the_means_under_bare_names():
    yard = [answered(value, dataset="yard") for value in (2.0, None, None)]
    metrics = score_rows([answered(2.0), *yard])
    kitchen, yard = score([2], [2]), score_rows(yard)
    assert metrics == {
        **{f"kitchen_{name}": value for name, value in kitchen.items()},
        **{f"yard_{name}": value for name, value in yard.items()},
        **mean_over(RATIO, [kitchen, yard]),
    }
    assert (metrics["delta1"], metrics["n"], metrics["yard_n"]) == (pytest.approx(2 / 3), 4, 3)


PERFECT_POSE = answered(POSE, POSE, task="relative_pose")
ORDERS = [answered(value, 1.0, task="depth_order") for value in (1.0, 2.0, None, 1.0)]
PLACES = [
    answered({"x": x, "y": 500.0}, {"x": 500.0, "y": 500.0}, task="point_correspondence")
    for x in (510.0, 900.0)
]
SPEEDS = [answered(value, 4.0, task="speed") for value in (4.0, 4.1, 4.2, 1.0)]


def test_several_tasks_of_one_dataset():
    depths = [answered(2.0), answered(None)]
    metrics = score_rows([*depths, *SPEEDS, PERFECT_POSE, *ORDERS, *PLACES])
    alone = {"depth": depths, "speed": SPEEDS, "relative_pose": [PERFECT_POSE]}
    alone |= {"depth_order": ORDERS, "point_correspondence": PLACES}
    expected = {
        f"{task}_{name}": value
        for task, rows in alone.items()
        for name, value in score_rows(rows).items()
    }
    assert expected.items() <= metrics.items()
    assert {name: value for name, value in metrics.items() if name not in expected} == {
        "score": pytest.approx((0.5 + 0.75 + 1 + 0.5 + 0.5) / 5),
        "delta1": (0.5 + 0.75) / 2,  # depth and speed
        "n": 13,
        "parse_failure_rate": pytest.approx((0.5 + 0 + 0 + 0.25 + 0) / 5),
    }
    assert (metrics["relative_pose_auc_30"], metrics["point_correspondence_epe"]) == (
        pytest.approx(1),
        205,
    )


def test_tasks_that_are_all_not_depth_have_no_delta1():
    metrics = score_rows([PERFECT_POSE, *ORDERS])
    assert metrics["score"] == pytest.approx(0.75)
    assert "delta1" not in metrics


def test_several_tasks_and_datasets():
    rows = [
        answered(2.0),
        *[answered(value, dataset="yard") for value in (2.0, 9.0, 9.0, 9.0)],
        *[answered(value, 4.0, "yard", "speed") for value in (4.0, 4.0, 9.0, 9.0)],
    ]
    metrics = score_rows(rows)
    assert metrics["kitchen_depth_delta1"] == 1
    assert metrics["yard_depth_delta1"] == 0.25
    assert metrics["depth_delta1"] == 1.25 / 2
    assert metrics["speed_delta1"] == metrics["yard_speed_delta1"] == 0.5
    assert metrics["score"] == metrics["delta1"] == (0.625 + 0.5) / 2
    assert (metrics["n"], metrics["depth_n"], metrics["yard_depth_n"]) == (9, 5, 4)
    assert "kitchen_speed_n" not in metrics
    assert {name for name in metrics if name.endswith("constant_m")} == {
        "kitchen_depth_constant_m",
        "yard_depth_constant_m",
        "yard_speed_constant_m",
    }


@pytest.mark.parametrize("other", ["constant", "yard_constant"])
def test_a_dataset_whose_metrics_have_the_names_of_others(other):
    """`constant_delta1` is a metric of all, and `yard_constant_delta1` one of yard."""
    rows = [answered(2.0, dataset="yard"), answered(9.0, dataset=other)]
    metrics = score_rows(rows)
    right, wrong = score([2], [2]), score([9], [2])
    assert metrics == {
        **{f"yard_{name}": value for name, value in right.items()},
        **{f"{other}__{name}": value for name, value in wrong.items()},
        **mean_over(RATIO, [right, wrong]),
    }
    assert metrics == score_rows(rows[::-1])


@pytest.mark.parametrize("function", [score_rows, table])
def test_no_rows_are_refused(function):
    with pytest.raises(DepthLMError, match="no predictions to score"):
        function([])


def _row(task):
    shape = TASKS[task]
    numbers = st.sampled_from([1.0, 2.0])
    cell = numbers
    if len(shape.values) > 1:
        cell = st.fixed_dictionaries(dict.fromkeys(shape.values, numbers))
    return st.builds(
        answered,
        cell | st.none(),
        cell,
        st.sampled_from(["kitchen", "depth", "constant", "depth_delta1"]),
        st.just(task),
        st.sampled_from(["a.png", "b.png", "c.png"]),
    )


ROWS = st.lists(st.sampled_from(list(TASKS)).flatmap(_row), min_size=1, max_size=20)


@given(ROWS, st.randoms())
def test_order_says_nothing_and_no_metric_is_lost(rows, random):
    metrics = score_rows(rows)
    mixed = list(rows)
    random.shuffle(mixed)
    assert score_rows(mixed) == pytest.approx(metrics, rel=1e-9, abs=1e-9)
    assert table(mixed).split() == table(rows).split()
    groups = {(row["dataset"], row["task"]) for row in rows}
    tasks = {task for _, task in groups}
    assert metrics["n"] == len(rows)
    if len(tasks) > 1:
        assert 0 <= metrics["score"] <= 1
    # The sums of all answers are counted once a group, once a task, and once altogether.
    several = len({dataset for dataset, _ in groups}) > 1, len(tasks) > 1
    times = 1 + any(several) + all(several)
    assert sum(v for name, v in metrics.items() if name == "n" or name.endswith("_n")) == (
        times * len(rows)
    )


# The table


def test_table_of_one_task_and_dataset():
    assert table([answered(2.1), answered(None)]).splitlines() == [
        "task   n  metric  value  95 %         constant  unread  also",
        "depth  2  delta1  0.500  0.000-1.000     1.000   0.500  abs_rel 0.05",
    ]
    one = [answered(2.1, image="a.png"), answered(None, image="a.png")]  # nothing to resample
    assert table(one).splitlines() == [
        "task   n  metric  value  constant  unread  also",
        "depth  2  delta1  0.500     1.000   0.500  abs_rel 0.05",
    ]


def test_table_of_several_tasks_has_their_mean():
    assert table([answered(2.0), *ORDERS, PERFECT_POSE]).splitlines() == [
        "task           n  metric    value  95 %         constant  unread  also",
        "depth          1  delta1    1.000                  1.000   0.000  abs_rel 0",
        "depth_order    4  accuracy  0.500  0.000-1.000     1.000   0.250",
        "relative_pose  1  auc_30    1.000                          0.000"
        "  rotation_error_deg_median 0, direction_error_deg_median 0, distance_delta1 1",
        "mean           6  score     0.833                          0.083  delta1 1",
    ]


def test_table_rounds_away_what_is_no_error():
    nearly = answered(POSE | {"yaw": 12.5 + 1e-9}, POSE, task="relative_pose")
    assert " rotation_error_deg_median 0," in table([nearly])


def test_table_of_several_datasets_has_their_mean():
    rows = [answered(2.0), answered(3.0, dataset="yard"), answered(None, dataset="mean")]
    assert table(rows).splitlines() == [
        "dataset  task   n  metric  value  constant  unread  also",
        "kitchen  depth  1  delta1  1.000     1.000   0.000  abs_rel 0",
        "mean     depth  1  delta1  0.000     1.000   1.000",
        "yard     depth  1  delta1  0.000     1.000   0.000  abs_rel 0.5",
        "mean     depth  3  delta1  0.333     1.000   0.333",
    ]


def test_table_of_several_datasets_and_tasks_has_one_mean():
    lines = table([answered(2.0), answered(None, dataset="yard"), *ORDERS]).splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["kitchen", "depth"],
        ["kitchen", "depth_order"],
        ["yard", "depth"],
        ["mean", "mean"],
    ]
    assert lines[-1].split()[2:5] == ["6", "score", "0.500"]
