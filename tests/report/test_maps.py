"""Scores of whole maps in a report are what depthlm score printed of the files."""

import json

import numpy as np
import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.report.maps import read_maps


@pytest.fixture
def scored(tmp_path, capsys):
    """Return the file of scores of three maps that are 10 % too far."""
    true_m = np.linspace(1, 9, 40 * 60).reshape(40, 60)
    for name, factor in (("truth", 1.0), ("maps", 1.1)):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(3):
            np.save(folder / f"{number}.npy", true_m * factor + number)
    arguments = [tmp_path / "maps", "--truth", tmp_path / "truth", "--quantity", "z", "--json"]
    assert main(["score", *map(str, arguments)]) == 0
    path = tmp_path / "ours.json"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_a_report_has_the_scores_of_maps(scored, tmp_path, capsys, suffix):
    row = {"dataset": "room", "task": "depth", "prompt": "plain", "target": 2.0, "text": "2.1"}
    (tmp_path / "run.jsonl").write_text(json.dumps(row | {"row": 0, "point": 0}) + "\n")
    out = tmp_path / f"report.{suffix}"
    said = ["report", tmp_path / "run.jsonl", "--maps", scored, "--out", out]
    assert main([*map(str, said)]) == 0
    capsys.readouterr()
    text = out.read_text()
    mean = json.loads(scored.read_text())["mean"]
    assert mean["abs_rel"] == pytest.approx(0.1, abs=0.02)
    for words in ("Depth maps", "ours, 3 maps", "share of near pairs, 10 to 25 % apart"):
        assert words in text
    for value in mean.values():
        assert f"{value:.3f}" in text


@pytest.mark.parametrize(
    "change",
    [
        {"maps": {}},
        {"mean": {"delta9": 1.0}},
        {"mean": {"delta1": float("nan")}},
        {"mean": 3},
        {"intervals": {"delta1": [1]}},
    ],
)
def test_what_is_no_score_of_maps_is_refused(scored, change):
    scored.write_text(json.dumps(json.loads(scored.read_text()) | change))
    with pytest.raises(ConfigError, match=r"--maps .*expected what depthlm score MAPS --truth"):
        read_maps(str(scored))


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="FileNotFoundError"):
        read_maps(str(tmp_path / "none.json"))
