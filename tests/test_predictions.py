import json

import pytest

from depthlm_plugin.predictions import SIDECAR, Prediction, score_rows, write_sidecar
from depthlm_plugin.questions import Question


def row(text, target=2.0, dataset="kitchen", point=0):
    question = Question(
        dataset, 3, point, "rgb/ü.png", (12.5, 7.0), "depth", "official", target, "m"
    )
    return Prediction(question, text).to_row()


def test_a_row_holds_the_question_the_raw_text_and_the_value():
    text = "<think> hm </think>\n\n<answer> 2.35 </answer>"
    assert row(text, target=1 / 3) == {
        "dataset": "kitchen",
        "row": 3,
        "point": 0,
        "image": "rgb/ü.png",
        "pixel": [12.5, 7.0],
        "task": "depth",
        "target": 1 / 3,
        "unit": "m",
        "text": text,
        "value": 2.35,
        "reason": None,
    }


def test_an_unreadable_answer_has_a_reason_instead():
    assert {key: row("2 or 3")[key] for key in ("text", "value", "reason")} == {
        "text": "2 or 3",
        "value": None,
        "reason": "several numbers",
    }


def test_sidecar_round_trip(tmp_path):
    rows = [row("2.35", target=1 / 3), row("about 2 ft\n\u2028")]
    write_sidecar(tmp_path / SIDECAR, rows)
    lines = (tmp_path / SIDECAR).read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows
    assert [path.name for path in tmp_path.iterdir()] == [SIDECAR]


def test_an_interrupted_sidecar_leaves_the_old_one(tmp_path):
    def rows():
        yield row("1")
        raise KeyboardInterrupt

    write_sidecar(tmp_path / SIDECAR, [row("2.35")])
    with pytest.raises(KeyboardInterrupt):
        write_sidecar(tmp_path / SIDECAR, rows())
    assert json.loads((tmp_path / SIDECAR).read_text(encoding="utf-8"))["text"] == "2.35"


def test_score_of_one_dataset():
    metrics = score_rows([row("2.1"), row("9"), row("who knows"), row("200 cm")])
    assert (metrics["n"], metrics["delta1"], metrics["parse_failure_rate"]) == (4, 0.25, 0.5)


def test_score_of_several_datasets():
    rows = [row("2"), *[row("no", dataset="yard")] * 2, row("2", dataset="yard")]
    metrics = score_rows(rows)
    assert (metrics["kitchen_delta1"], metrics["yard_delta1"]) == (1, pytest.approx(1 / 3))
    assert (metrics["delta1"], metrics["n"], metrics["yard_n"]) == (pytest.approx(2 / 3), 4, 3)
    assert metrics["yard_parse_failure_rate"] == pytest.approx(2 / 3)
