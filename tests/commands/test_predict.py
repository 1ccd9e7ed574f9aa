"""`depthlm predict`: pictures, folders and records in, lines out that go on and are scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from support.fake_server import fake_server
from support.rehearsed import Saying

from depthlm_plugin import Predictor
from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.predict.server.client import Client
from depthlm_plugin.predict.server.engine import ServerEngine

SAID = "<answer> 2.00 </answer>"
MODEL = ["--model", "m"]
FISHEYE = '{"model": "fisheye", "coefficients": [0, 0, 0, 0]}'
AT = ["--at", "100,75", "--at", "50,60"]


@pytest.fixture
def engine(monkeypatch):
    """Have the command load an engine that says one thing; return how to say what."""

    def load(say=SAID, **config):
        loaded = Saying(say)
        block = {"focal_px": 300, "resampling": "reference"} | config
        predictor = Predictor(loaded, DepthLMConfig(**block))
        monkeypatch.setattr(Predictor, "load", lambda *args, **options: predictor)
        return loaded

    return load


def predict(capsys, *arguments):
    """Run the command; return its status, the rows that it printed, and its messages."""
    status = main(["predict", *map(str, arguments), *MODEL])
    printed = capsys.readouterr()
    return status, [json.loads(line) for line in printed.out.splitlines()], printed.err


@pytest.fixture
def picture(blank_image) -> str:
    return str(blank_image((200, 150)))


def rows_of(path: Path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_point_is_a_line(capsys, engine, picture) -> None:
    engine()
    status, [row, _], err = predict(capsys, picture, *AT, "--fov", 65)
    assert status == 0
    assert (row["image"], row["pixel"], row["value"], row["unit"]) == (picture, [100, 75], 2.0, "m")
    assert (row["task"], row["reason"], row["text"]) == ("depth", None, SAID)
    assert row["camera"]["source"] == "fov_deg"
    assert row["camera"]["focal_px"] == pytest.approx(156.97, abs=0.01)
    assert row["camera"]["warnings"] == []
    assert row["if_focal_10_percent_off"] == pytest.approx([1.8, 2.2], abs=1e-3)
    assert not {"target", "dataset", "row", "point"} & row.keys()
    assert "2 answered\n" in err


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (["--intrinsics", "150,148,99,76"], "intrinsics"),
        (["--focal-px", "150"], "focal_px"),
        (["--focal-px", "150", "--distortion", "0.1,0,0,0"], "focal_px"),
        (["--focal-px", "150", "--distortion", FISHEYE], "focal_px"),
        ([], "assumed"),
    ],
)
def test_cameras_of_the_command_line(capsys, engine, picture, options, source) -> None:
    loaded = engine()
    _, [row], err = predict(capsys, picture, "--at", "100,75", *options)
    assert row["camera"]["source"] == source
    assert ("--distortion" in options) == (loaded.samples[0].view.source.lens is not None)
    assert ("ASSUMED" in err) == (source == "assumed")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give a picture, a folder of pictures or --records"),
        (["a.png", "--at", "1"], "--at takes 2 numbers with commas between, found '1'"),
        (["a.png", "--intrinsics", "1,2,3"], "--intrinsics takes 4 numbers"),
        (["a.png", "--distortion", "k1"], "--distortion takes numbers"),
        (["a.png", "--fov", "60", "--focal-px", "9"], "give one of focal_px and fov_deg"),
        (["--records", "r.jsonl"], "--records needs --out"),
        (["--records", "r.jsonl", "--out", "o", "--fov", "9"], "--fov is of pictures"),
        (["a.png", "--records", "r.jsonl", "--out", "o"], "of --records give the folder"),
        (["a.png", "--server-model", "m"], "--server-model is of a --server"),
        (["a.png", "--processor", "m"], "--processor is of a --server"),
        (["a.png", "--server", "u", "--uncalibrated"], "--uncalibrated is of weights"),
        (["a.png", "--task", "time", "--task", "speed"], "of pictures give one --task"),
    ],
)
def test_arguments_that_contradict_each_other(capsys, arguments, problem) -> None:
    """Found before a model is loaded: there is none here."""
    status, _, err = predict(capsys, *arguments)
    assert status == 1
    assert problem in err


def test_other_tasks(capsys, engine, picture) -> None:
    engine(tasks={"speed": 1, "camera_translation": 1, "two_point_distance": 1})
    _, [row], _ = predict(capsys, picture, "--at", "9,9", "--task", "speed", "--time-s", 4)
    assert (row["task"], row["unit"]) == ("speed", "m/s")
    _, [row], _ = predict(capsys, picture, picture, "--task", "camera_translation", "--fov", 65)
    assert row["images"] == [picture, picture]
    assert [camera["source"] for camera in row["camera"]] == ["fov_deg"] * 2
    _, [row], _ = predict(capsys, picture, *AT, "--task", "two_point_distance", "--fov", 65)
    assert row["pixels"] == [[100, 75], [50, 60]]
    status, rows, err = predict(capsys, picture, *AT)
    assert (status, rows) == (1, [])
    assert "did not learn depth; it learnt speed" in err


def test_what_cannot_be_read_fails_a_printed_run(capsys, engine, picture) -> None:
    engine("no idea")
    status, rows, err = predict(capsys, picture, *AT, "--fov", 65)
    assert (status, [row["value"] for row in rows]) == (1, [None, None])
    assert "2 answered; 2 of them cannot be read (2 no number)" in err


def test_a_folder_with_its_cameras_goes_on(capsys, engine, tmp_path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out.jsonl"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (200, 150)).save(folder / name)
    (folder / "c.jpg").write_text("no picture")
    camera = {"fx": 150, "fy": 148, "cx": 99, "cy": 76}
    (folder / "cameras.json").write_text(json.dumps({"*": camera}))
    loaded = engine()
    arguments = [folder, *AT, "--out", out]
    status, printed, err = predict(capsys, *arguments)
    assert (status, printed) == (1, [])
    assert "c.jpg is not an image file" in err
    assert "4 answered; 1 NOT ASKED (1 unreadable image)" in err
    assert [row["camera"]["source"] for row in rows_of(out)] == ["file"] * 4
    (folder / "c.jpg").unlink()
    Image.new("RGB", (200, 150)).save(folder / "d.png")
    status, _, err = predict(capsys, *arguments)
    assert (status, len(loaded.samples)) == (0, 6)
    assert "2 answered; 4 answered before" in err
    assert [Path(row["image"]).name for row in rows_of(out)[4:]] == ["d.png"] * 2
    status, _, err = predict(capsys, *arguments, "--fov", 65)
    assert status == 1
    assert "other weights, cameras or questions; choose another --out" in err


def test_stopped_by_hand_it_keeps_what_is_answered(capsys, engine, picture, tmp_path) -> None:
    out = tmp_path / "out.jsonl"
    answered = []

    def say(sample):
        if len(answered) == 1:
            raise KeyboardInterrupt
        answered.append(sample)
        return SAID

    engine(say)
    status, _, err = predict(capsys, picture, *AT, "--fov", 65, "--out", out)
    assert status == 130
    assert "1 answered" in err
    assert len(rows_of(out)) == 1
    answered.clear()
    engine()
    assert predict(capsys, picture, *AT, "--fov", 65, "--out", out)[0] == 0
    assert [row["pixel"] for row in rows_of(out)] == [[100, 75], [50, 60]]


def test_a_picture_replaced_under_its_name_is_not_taken_for_the_old_one(
    capsys, engine, tmp_path
) -> None:
    picture, out = tmp_path / "a.png", tmp_path / "out.jsonl"
    Image.new("L", (200, 150)).save(picture)
    engine()
    arguments = (picture, *AT, "--fov", 65, "--out", out)
    assert predict(capsys, *arguments)[0] == 0
    assert predict(capsys, *arguments)[0] == 0
    Image.new("L", (200, 150), 9).save(picture)
    status, _, err = predict(capsys, *arguments)
    assert status == 1
    assert "answered when the picture, its camera or its truth was another; choose another" in err
    assert len(rows_of(out)) == 2


def test_a_server_that_fails_in_the_middle_is_asked_for_the_rest(
    capsys, monkeypatch, picture, tmp_path
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = [picture, "--fov", 65, "--out", out]
    arguments += [word for x in range(30, 170, 20) for word in ("--at", f"{x},75")]
    with fake_server() as server:
        grid = Grid("QuickImageProcessor", 28, 0, 10**7)
        config = DepthLMConfig(focal_px=300, resampling="reference")

        def served(url, model, *, processor, name):
            client = Client(url, timeout_s=5.0, pauses_s=(0.0,))
            return Predictor(ServerEngine(client, grid, name), config)

        monkeypatch.setattr(Predictor, "served", served)
        asked = [*arguments, "--server", server.url]
        server.behave = lambda number: 503 if number >= 5 else None  # the first two are the probe
        status, _, err = predict(capsys, *asked)
        assert status == 1
        assert "4 of 4 questions were not answered" in err
        assert "3 answered; 4 UNANSWERED, ask again" in err
        assert len(rows_of(out)) == 3
    status, _, err = predict(capsys, *asked)  # gone
    assert status == 1
    assert "nobody answers" in err
    with fake_server() as server:
        status, _, err = predict(capsys, *arguments, "--server", server.url)
        assert status == 0
        assert len(server.pictures) == 4
        assert "4 answered; 3 answered before" in err
    assert [row["pixel"][0] for row in rows_of(out)] == [*range(30, 170, 20)]
    assert {row["value"] for row in rows_of(out)} == {2.0}


def test_records_are_scored(capsys, engine, record_folder, make_record, tmp_path) -> None:
    """The engine says the truth, but for a tenth; `depthlm score` sees just that."""
    records = record_folder([make_record(), make_record(depth=[2.0, 4.0, 8.0])])
    out = tmp_path / "predictions.jsonl"
    loaded = engine(lambda sample: f"<answer> {1.1 * sample.target} </answer>")
    status, _, err = predict(capsys, "--records", records, "--out", out)
    assert status == 0
    assert "6 answered" in err
    assert len(loaded.samples) == 6
    [first, *_] = rows = rows_of(out)
    assert first["camera"] == {
        "source": "record",
        "detail": "the record's intrinsics",
        "focal_px": 150.0,
        "intrinsics": [150.0, 148.0, 99.0, 76.0, 200, 150],
        "lens": None,
        "fov_deg": pytest.approx(67.38, abs=0.01),
        "warnings": [],
    }
    assert {row["of"] for row in rows} == {6}
    assert main(["score", str(out), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["rows"], scores["complete"]) == (6, True)
    assert scores["metrics"]["abs_rel"] == pytest.approx(0.1, abs=1e-6)
    out.write_text("".join(out.read_text().splitlines(keepends=True)[:4]))
    assert main(["score", str(out), "--json"]) == 1  # two are missing
    assert json.loads(capsys.readouterr().out)["missing"] == 2
    assert predict(capsys, "--records", records, "--out", out)[0] == 0
    assert rows_of(out)[:6] != rows[:4]
    assert main(["score", str(out), "--json"]) == 0


def test_records_that_cannot_be_used_are_told(capsys, engine, record_folder, make_record, tmp_path):
    records = record_folder([make_record(), make_record(image="none.png"), "not json"])
    engine()
    out = tmp_path / "predictions.jsonl"
    status, _, err = predict(capsys, "--records", records, "--out", out)
    assert status == 1
    assert "records.jsonl:2: image 'none.png' is in none of" in err
    assert "records.jsonl:3: not valid JSON" in err
    assert "3 answered; 2 NOT ASKED (1 missing image, 1 malformed record)" in err
    assert len(rows_of(out)) == 3
