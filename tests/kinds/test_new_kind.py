"""A kind of answer that the package does not have: one class, and everything knows what to do."""

import json
import math
from typing import ClassVar

import numpy as np
import pytest

from depthlm_plugin import rewards
from depthlm_plugin.cli import main
from depthlm_plugin.harness.lmms import metrics_of
from depthlm_plugin.kinds.kind import AnswerKind, failures, medians, readable
from depthlm_plugin.kinds.units import Refused, read_quantities
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.scoring.scores import score_rows
from depthlm_plugin.tasks import TASKS, Task

FARTHEST = {"value": 180.0}


class Heading(AnswerKind):
    """A signed angle, degrees."""

    expects = "an angle from -180 to 180 {unit}"
    reasons = ("beyond half a turn",)
    kept = ("error_deg",)
    main = "within_10"
    also = ("error_deg_median",)
    note = "Errors are in {unit}."
    rewards: ClassVar = {"closeness": lambda values, truth: -_off(values or FARTHEST, truth)}

    def read(self, text, unit):
        found = {quantity.value for quantity in read_quantities(text, unit)}
        if len(found) != 1:
            raise Refused("several numbers" if found else "no number")
        return list(found)

    def _problem(self, values):
        return None if abs(values["value"]) <= 180 else "beyond half a turn"

    def measure(self, predicted, true):
        error = _off(predicted, true)
        near = (np.nan_to_num(error, nan=math.inf) <= 10).astype(float)
        return failures(readable(predicted)) | {"within_10": near, "error_deg": error}

    def whole(self, kept):
        return medians(kept, {"error_deg": "error_deg_median"})


def _off(values, truth):
    return abs((values["value"] - truth["value"] + 180) % 360 - 180)


@pytest.fixture
def style(tmp_path, monkeypatch):
    """The template of a task `bearing` whose answers are headings."""
    task = Task("bearing", None, kind=Heading(), unit="deg", example={"value": -12.5})
    monkeypatch.setitem(TASKS, "bearing", task)
    path = tmp_path / "bearing.yaml"
    path.write_text("question: Where is {point}?\nanswer: '{value} degrees'\nparse: whole\n")
    return str(path)


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("-12.5 degrees", -12.5, None),
        ("it is at -12.5", -12.5, None),
        ("0.5 rad", math.degrees(0.5), None),
        ("200 degrees", None, "beyond half a turn"),
        ("1 or 2", None, "several numbers"),
        ("3 m", None, "other unit"),
    ],
)
def test_its_answers_are_read(style, text, value, reason):
    answer = read_answer(text, load_template("bearing", style))
    assert answer.reason == reason
    assert (answer.values or {}).get("value") == (None if value is None else pytest.approx(value))


TEXTS = {"-170 degrees": 175.0, "-10": 3.0, "no idea": 5.0, "20 degrees": 20.0}  # off by 15, 13, 0


def rows_of(style):
    return [
        {"dataset": "d", "task": "bearing", "row": row, "target": target, "text": text}
        | {"prompt": style, "unit": "deg"}
        for row, (text, target) in enumerate(TEXTS.items())
    ]


def test_its_answers_are_scored_and_reported(style, tmp_path, capsys):
    path, report = tmp_path / "p.jsonl", tmp_path / "report.md"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_of(style)))
    own = ["--task", "bearing", "--prompt", style]  # rows do not name templates by path
    assert main(["score", str(path), "--parts", *own]) == 0
    [_, line, *_] = capsys.readouterr().out.splitlines()
    assert line.split() == (
        ["bearing", "4", "within_10", "0.250", "0.000-1.000", "0.250", "error_deg_median", "13"]
    )
    assert main(["report", str(path), "--out", str(report), *own]) == 0
    assert "Errors are in deg." in report.read_text()
    bad = rows_of(style)[0] | {"target": 200.0}
    path.write_text(json.dumps(bad))
    assert main(["score", str(path), *own]) == 1
    assert "its target is 200.0, expected an angle from -180 to 180 deg" in capsys.readouterr().err


def test_its_answers_are_rewarded(style):
    columns = {"task": "bearing", "style": style, "target": list(TEXTS.values())}
    closeness = rewards.reward_function("closeness")
    assert closeness(list(TEXTS), **columns) == [-15, -13, -175, 0]
    assert rewards.delta1(list(TEXTS), **columns) == [None] * 4


def test_its_metrics_have_a_direction_and_means(style):
    assert metrics_of("bearing") == {
        "parse_failure_rate": False, "within_10": True,
        "error_deg": False, "error_deg_median": False,
    }  # fmt: skip
    rows = [
        {"dataset": name, "task": "bearing", "target": 0.0, "value": value}
        for name, value in (("a", 4.0), ("b", 20.0))
    ]
    depth = {"dataset": "a", "task": "depth", "target": 1.0, "value": 1.0}
    assert score_rows(rows)["error_deg"] == 12
    assert score_rows([*rows, depth])["score"] == (0.5 + 1) / 2
