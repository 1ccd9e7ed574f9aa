"""`depthlm map`: the recording that it writes, and the names that it refuses."""

from __future__ import annotations

import json

import pytest
from support.rehearsed import Saying

from depthlm_plugin import Predictor
from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig

MODEL = ["--model", "m", "--fov", "65"]


def test_a_recording_is_an_output(capsys, monkeypatch, tmp_path, blank_image) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed")
    config = DepthLMConfig(focal_px=300, resampling="reference")
    predictor = Predictor(Saying("<answer> 2.00 </answer>"), config)
    monkeypatch.setattr(Predictor, "load", lambda *args, **options: predictor)
    picture, file = str(blank_image((200, 150))), tmp_path / "room.rrd"
    assert main(["map", picture, *MODEL, "--grid", "4x3", "--rerun", str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == {"rerun": str(file)}
    assert file.read_bytes()[:3] == b"RRF"


def test_a_picture_is_not_taken_for_a_recording(capsys) -> None:
    assert main(["map", *MODEL, "--rerun", "a.jpg", "b.jpg"]) == 1
    assert "--rerun a.jpg must end in .rrd" in capsys.readouterr().err
