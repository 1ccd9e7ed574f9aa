"""Whether intervals hold the truth as often as they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.scoring.scores import Scores


def rows(count: int, share: float, seed: int = 0) -> list[dict]:
    """Answers about pictures of four points, of which about a share has the truth inside."""
    rng = np.random.default_rng(seed)
    inside = rng.random(count) < share
    return [
        {
            "dataset": "d",
            "task": "depth",
            "prompt": "official",
            "row": at // 4,
            "point": at % 4,
            "image": f"{at // 4}.png",
            "target": 2.0,
            "unit": "m",
            "value": 2.1,
            "text": "<answer> 2.1 </answer>",
            "distribution": {"interval_90": [1.5, 3.0] if good else [2.5, 5.0]},
        }
        for at, good in enumerate(inside)
    ]


def test_the_share_that_holds_the_truth() -> None:
    given = rows(400, 0.8)
    given[7]["distribution"] = None
    del given[11]["distribution"]
    [found] = Scores(given).summary()["parts"]
    held = [
        row["distribution"]["interval_90"][0] == 1.5 for row in given if row.get("distribution")
    ]
    assert found["coverage"]["n"] == 398
    assert found["coverage"]["inside"] == pytest.approx(np.mean(held))
    low, high = found["coverage"]["inside_interval"]
    assert low < np.mean(held) < high
    assert 0.04 < high - low < 0.14  # 100 pictures: 2 x 1.96 x sqrt(.16 / 400) = .08
    assert found["coverage"]["ends_ratio"] == pytest.approx(2.0)


def test_rows_without_intervals_say_nothing() -> None:
    given = [{key: row[key] for key in row if key != "distribution"} for row in rows(8, 1.0)]
    [found] = Scores(given).summary()["parts"]
    assert "coverage" not in found


def saved(path: Path, given: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return str(path)


def test_score_says_it(tmp_path, capsys) -> None:
    assert main(["score", saved(tmp_path / "p.jsonl", rows(40, 1.0))]) == 0
    said = capsys.readouterr().out
    assert "d, depth: 90% intervals hold 100.0%" in said
    assert "of 40 truths; their ends are a factor of 2.00 apart" in said


@pytest.mark.parametrize("ends", [None, [1.0], [3.0, 2.0], ["1", 2], [1.0, float("nan")], "12"])
def test_an_interval_that_is_none_is_refused(tmp_path, capsys, ends) -> None:
    given = rows(8, 1.0)
    given[3]["distribution"] = {"interval_90": ends}
    assert main(["score", saved(tmp_path / "p.jsonl", given)]) == 1
    assert "p.jsonl:4" in capsys.readouterr().err
