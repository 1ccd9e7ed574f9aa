"""`depthlm map`: the names of outputs that it refuses."""

from __future__ import annotations

from depthlm_plugin.cli import main

MODEL = ["--model", "m", "--fov", "65"]


def test_a_picture_is_not_taken_for_a_recording(capsys) -> None:
    assert main(["map", *MODEL, "--rerun", "a.jpg", "b.jpg"]) == 1
    assert "--rerun a.jpg must end in .rrd" in capsys.readouterr().err
