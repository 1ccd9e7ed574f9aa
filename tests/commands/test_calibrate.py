"""`depthlm calibrate`: from files of answers to what lies beside the weights, or why not."""

import json

import numpy as np
import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.predict.calibration import SAVED_AS, load_calibrations


def answered(path, scale=0.8, change=lambda number, row: {}):
    """Write answers about 40 pictures that are `scale` of the truth, give or take 10 %."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        for number in range(400):
            target = float(np.exp(rng.uniform(0, 3)))
            said = f"<answer> {target * scale * np.exp(rng.normal(0, 0.1)):.2f} </answer>"
            row = {
                "dataset": "val",
                "row": number // 10,
                "point": number % 10,
                "image": f"{number // 10}.png",
                "pixel": [number, 1],
                "task": "depth",
                "prompt": "official",
                "depth_kind": "z",
                "target": target,
                "text": said,
                "run": "model-1",
            }
            file.write(json.dumps(row | change(number, row)) + "\n")
    return str(path)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    save_config(DepthLMConfig(), folder)
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def calibrate(capsys, *arguments):
    status = main(["calibrate", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_what_helps_is_saved(tmp_path, model, capsys):
    status, out, _ = calibrate(capsys, answered(tmp_path / "val.jsonl"), "--model", model)
    assert status == 0
    assert "400 answers about 40 pictures; 0 that hold no number were not used" in out
    assert str(model / SAVED_AS) in out
    assert load_calibrations(model)["depth"](8.0) == pytest.approx(10, rel=0.05)
    saved = json.loads((model / SAVED_AS).read_text())["tasks"]["depth"]
    assert saved["source"].startswith("val.jsonl sha256 ")


def test_what_does_not_help_is_not(tmp_path, model, capsys):
    status, out, _ = calibrate(capsys, answered(tmp_path / "a.jsonl", 1.0), "--model", model)
    assert status == 1
    assert "nothing saved: held-out delta1 does not get better by more than chance" in out
    assert not (model / SAVED_AS).exists()


def kind(number, row):
    return {"depth_kind": "distance"} if number == 7 else {}


def other_run(number, row):
    return {"run": "model-2"} if number == 7 else {}


def no_truth(number, row):
    return {"target": None} if number == 7 else {}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (kind, "answers of different kinds of depth: distance, z"),
        (other_run, "different runs|are not of one run|other run"),
        (no_truth, "a calibration is learnt from whole files only"),
    ],
)
def test_what_is_not_one_models_answers_is_refused(change, said, tmp_path, model, capsys):
    path = answered(tmp_path / "val.jsonl", change=change)
    status, _, err = calibrate(capsys, path, "--model", model)
    assert status == 1
    assert any(one in err for one in said.split("|")), err
    assert not (model / SAVED_AS).exists()


def test_only_depths_of_a_trained_model_are_calibrated(tmp_path, model, capsys):
    path = answered(tmp_path / "val.jsonl")
    status, _, err = calibrate(capsys, path, "--model", tmp_path)
    assert (status, "has no depthlm_config.json" in err) == (1, True)
    for task, said in (
        ("speed", "only depth and principal_axis_distance are calibrated"),
        ("principal_axis_distance", "the model did not learn principal_axis_distance"),
    ):
        status, _, err = calibrate(capsys, path, "--model", model, "--task", task)
        assert (status, said in err) == (1, True), err
