"""`depthlm score`: finished predictions, good and bad."""

import json

import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.tasks import TASKS


def row(number, target, text, **more):
    return {
        "dataset": "room",
        "row": number,
        "point": 0,
        "image": f"{number}.png",
        "pixel": [1.0, 2.0],
        "task": "depth",
        "prompt": "plain",
        "target": target,
        "unit": "m",
        "text": text,
        "value": 99.0,  # of an older reader
        "reason": None,
    } | more


GOOD = [row(0, 2.0, "2.1"), row(1, 4.0, "8"), row(2, 1.0, "120 cm"), row(3, 5.0, "far")]


@pytest.fixture
def score(tmp_path, capsys):
    """Run the command on lines (texts, or rows) in files; return status, stdout and stderr."""

    def call(*files, options=()):
        paths = []
        for number, lines in enumerate(files):
            path = tmp_path / f"p{number}.jsonl"
            texts = [one if isinstance(one, str) else json.dumps(one) + "\n" for one in lines]
            path.write_text("".join(texts))
            paths.append(str(path))
        status = main(["score", *paths, *options])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def test_answers_are_read_again_and_scored(score):
    status, out, err = score(GOOD, options=["--json"])
    result = json.loads(out)
    assert (status, err) == (0, "")
    assert (result["rows"], result["missing"], result["left_out"]) == (4, 0, {})
    assert result["complete"] is True
    metrics = result["metrics"]
    assert metrics["delta1"] == 0.5  # 2.1 of 2 and 1.2 of 1; 8 of 4 and words are wrong
    assert metrics["parse_failure_rate"] == 0.25
    assert metrics["abs_rel"] == pytest.approx((0.05 + 1 + 0.2) / 3)


def test_the_table_says_how_many_rows_it_is_of(score):
    status, out, _ = score(GOOD)
    assert status == 0
    assert out.splitlines()[-1] == "4 of 4 rows scored"
    assert "delta1  0.500" in out


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"dataset": "room", "row"', "p0.jsonl:5: not valid JSON"),
        ("[1]\n", "p0.jsonl:5: holds list; expected a prediction: dataset, row, target, task, te"),
        ({"a": 1, "b": 2}, "p0.jsonl:5: holds a, b; expected"),
        (row(4, None, "2"), "p0.jsonl:5: its target is None, expected value as finite numbers"),
        (row(4, 0, "2"), "its target is 0, expected a number of m above 0"),
        (row(4, 3, "2", task="depth_order"), "its target is 3, expected 1 or 2"),
        (
            row(4, dict.fromkeys(TASKS["relative_pose"].values, 0), "2", task="relative_pose"),
            "expected a distance above 0 and a direction other than (0, 0, 0)",
        ),
        (row(4, {"x": 1}, "2"), "its target is {'x': 1}, expected value as finite numbers"),
        (json.dumps(row(4, float("nan"), "2")) + "\n", "its target is nan"),
        (row(4, 2.0, None), "its text is None"),
        (row(4, 2.0, "2", task="dpth"), "its task is 'dpth', of another version?"),
        (row(4, 2.0, "2", dataset=7), "its dataset is 7, expected a text"),
        (row(4, 2.0, "2", image="\ud800.png"), "its image is '\\ud800.png', expected a text"),
        (row(4, 2.0, "2", distance_over_z="1.1"), "its distance_over_z is '1.1'"),
        (row(4, 2.0, "2", distance_over_z=0.5), "its distance_over_z is 0.5"),
        (row(4, 2.0, "2", prompt="/no/", value="x"), "its value is 'x'"),
        (row(4, 2.0, "2", task=["depth"]), "its task is ['depth'], of another version?"),
        (row(4, 2.0, "2", depth_kind=["z"]), "its depth_kind is ['z'], expected a text"),
        (row(4, 2.0, "2", unit={}), "its unit is {}, expected a text"),
        (GOOD[1], "p0.jsonl:5: the same question is answered at p0.jsonl:2"),
    ],
)
def test_bad_rows_are_named_and_the_scores_say_so(score, bad, message):
    status, out, err = score([*GOOD, bad])
    assert status == 1
    assert message in err
    assert "4 of 5 rows scored; INCOMPLETE: 1 left out (1 " in out.splitlines()[-1]
    assert out.splitlines()[1].endswith("INCOMPLETE")  # in the same line as the scores


def test_a_cut_off_last_line_is_told_as_such(score):
    _, _, err = score([*GOOD, '{"dataset": "ro'])
    assert "it is cut off: did the run end?" in err


def test_another_runs_file_is_noticed(score):
    status, out, err = score(GOOD, [GOOD[0]])
    assert status == 1
    assert "p1.jsonl:1: the same question is answered at p0.jsonl:1" in err
    assert "INCOMPLETE" in out


def test_questions_about_other_points_are_others(score):
    rows = [row(0, 2.0, "2"), row(0, 3.0, "3", point=1)]
    pairs = [
        row(0, 1.0, "1", task="two_point_distance", point=0, points=[0, n], pixels=[[1, 2], [3, 4]])
        for n in (1, 2)
    ]
    status, out, _ = score(rows + pairs, options=["--json"])
    assert status == 0
    assert json.loads(out)["metrics"]["score"] == 1.0


def test_llamafactorys_files(score):
    rows = [
        {"prompt": "...", "predict": "<answer> 2.1 </answer>", "label": "<answer> 2.00 </answer>"},
        {"prompt": "...", "predict": "no idea", "label": "<answer> 3.00 </answer>"},
    ]
    status, out, _ = score(rows, options=["--json"])
    assert status == 0
    assert json.loads(out)["metrics"]["delta1"] == 0.5
    status, _, err = score([*rows, rows[0] | {"label": "a cat"}])
    assert status == 1
    assert "its label 'a cat' is no answer of depth (no number); give --task and --prompt" in err


def test_samples_that_lmms_eval_logged(score):
    rows = [{"doc_id": n, "target": "2.00", "prediction": one} for n, one in enumerate(GOOD)]
    status, out, _ = score(rows, options=["--json"])
    assert status == 0
    assert json.loads(out)["metrics"]["delta1"] == 0.5


def test_a_template_that_is_elsewhere_leaves_the_value_of_the_run(score):
    status, out, _ = score([row(0, 99.0, "2", prompt="/no/such/folder/")], options=["--json"])
    assert status == 0
    assert json.loads(out)["metrics"]["delta1"] == 1.0


@pytest.mark.parametrize("lines", [[], ["{}\n"]])
def test_nothing_to_score(score, lines):
    status, out, err = score(lines)
    assert (status, out) == (1, "")
    assert "0 of " in err


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["score", str(tmp_path / "none.jsonl")]) == 1
    assert "none.jsonl cannot be read" in capsys.readouterr().err


# Whole runs


def of_run(run, rows, of):
    return [row | {"run": run, "of": of} for row in rows]


def test_missing_rows_are_counted(score):
    status, out, _ = score(of_run("a", GOOD[:3], 4))
    assert status == 1
    assert out.splitlines()[-1] == "3 of 4 rows scored; INCOMPLETE: 1 missing"
    assert out.splitlines()[1].endswith("INCOMPLETE")
    status, out, _ = score(of_run("a", GOOD, 4))
    assert (status, out.splitlines()[-1]) == (0, "4 of 4 rows scored")


def test_a_row_that_is_left_out_is_not_missing_too(score):
    _, out, _ = score([*of_run("a", GOOD[:3], 4), '{"dataset"'])
    assert out.splitlines()[-1] == "3 of 4 rows scored; INCOMPLETE: 1 left out (1 malformed row)"


def test_each_dataset_says_how_many_rows_it_has(score):
    yard = [row | {"dataset": "yard"} for row in GOOD]
    status, out, _ = score(of_run("a", GOOD, 4), of_run("a", yard, 6), options=["--json"])
    result = json.loads(out)
    assert (status, result["missing"], result["complete"]) == (1, 2, False)


def test_rows_that_say_no_number_are_expected_as_they_are(score):
    host = {"prompt": "", "predict": "<answer> 2 </answer>", "label": "<answer> 2 </answer>"}
    _, out, _ = score([row | {"of": 4} for row in GOOD[:3]], [host, host])
    assert out.splitlines()[-1] == "5 of 6 rows scored; INCOMPLETE: 1 missing"


def test_rows_of_another_run_are_left_out_by_name(score):
    status, out, err = score(of_run("a", GOOD[:2], 2), of_run("b", GOOD[2:], 2))
    assert status == 1
    assert "p1.jsonl:1: it is of run 'b', but p0.jsonl:1 of run 'a'; score runs one by one" in err
    assert "2 of 4 rows scored; INCOMPLETE: 2 left out (2 another run)" in out


def test_rows_that_say_no_run_do_not_mix_with_those_that_do(score):
    _, out, _ = score(of_run("a", GOOD[:2], 2), GOOD[2:])
    assert "INCOMPLETE: 2 left out (2 another run)" in out


def test_llamafactorys_rows_can_be_expected(score):
    rows = [{"prompt": "", "predict": "<answer> 2 </answer>", "label": "<answer> 2 </answer>"}]
    assert score(rows)[0] == 0
    status, out, _ = score(rows, options=["--expect", "3"])
    assert status == 1
    assert "1 of 3 rows scored; INCOMPLETE: 2 missing" in out


@pytest.mark.parametrize("text", ["", "nan", "inf metres", "NaN m", "-1", "1e999", " \u2028 "])
def test_answers_that_are_no_numbers_count_as_wrong(score, text):
    status, out, err = score([*GOOD[:1], row(1, 2.0, text)], options=["--json"])
    assert (status, err) == (0, "")
    metrics = json.loads(out)["metrics"]
    assert (metrics["delta1"], metrics["parse_failure_rate"]) == (0.5, 0.5)


def test_parts(score):
    more = {"depth_kind": "distance", "distance_over_z": 1.1, "at_edge": True}
    status, out, _ = score([row | more for row in GOOD], options=["--parts"])
    assert status == 0
    for name, label in [("by_distance_m", "2-5"), ("by_edge", "edge"), ("read_as", "z")]:
        assert any(line.split()[2:4] == [name, label] for line in out.splitlines())
    assert "different answers" in out
