"""`depthlm score`: finished predictions, good and bad."""

import json

import pytest

from depthlm_plugin.cli import main


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
    assert (result["rows"], result["left_out"]) == (4, {})
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
        (row(4, 0, "2"), "its target is 0, expected one above 0"),
        (row(4, {"x": 1}, "2"), "its target is {'x': 1}, expected value as finite numbers"),
        (json.dumps(row(4, float("nan"), "2")) + "\n", "its target is nan"),
        (row(4, 2.0, None), "its text is None"),
        (row(4, 2.0, "2", task="dpth"), "its task is 'dpth', of another version?"),
        (GOOD[1], "p0.jsonl:5: the same question is answered at p0.jsonl:2"),
    ],
)
def test_bad_rows_are_named_and_the_scores_say_so(score, bad, message):
    status, out, err = score([*GOOD, bad])
    assert status == 1
    assert message in err
    assert "4 of 5 rows scored; INCOMPLETE: 1 left out (1 " in out.splitlines()[-1]


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
