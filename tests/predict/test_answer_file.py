"""The file of answers: it grows, goes on where it was, and takes no other run's answers."""

from __future__ import annotations

import json

import pytest

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.predict.answer_file import AnswerFile, run_of


def row(image="a.png", x=1, **changes):
    return {"task": "depth", "image": image, "pixel": [x, 2], "value": 1.5} | changes


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_goes_on_where_it_was(tmp_path) -> None:
    path = tmp_path / "out.jsonl"
    with AnswerFile(path, "run") as file:
        assert not file.has(row())
        file.add([row(), row(x=2)])
        assert lines_of(path) == [row(run="run"), row(x=2, run="run")]  # at once
    with AnswerFile(path, "run") as file:
        assert file.has(row(value=None))
        assert not file.has(row(x=3))
        assert not file.has(row(image="b.png"))
        assert not file.has(row(task="speed"))
        assert not file.has(row(dataset="d", row=1, point=0))
        file.add([row(x=3)])
        assert len(file) == 3
    assert [one["pixel"][0] for one in lines_of(path)] == [1, 2, 3]


def test_a_line_that_was_cut_off_is_asked_again(tmp_path) -> None:
    path = tmp_path / "out.jsonl"
    with AnswerFile(path, "run") as file:
        file.add([row(), row(x=2)])
    path.write_bytes(path.read_bytes()[:-9])
    with AnswerFile(path, "run") as file:
        assert (file.has(row()), file.has(row(x=2))) == (True, False)
        file.add([row(x=2)])
    assert [one["pixel"][0] for one in lines_of(path)] == [1, 2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"run": "other", "task": "depth"}\n', "out.jsonl:1 is of run 'other', this is 'run'"),
        ('{"task": "depth"}\n', "out.jsonl:1 is no answer of depthlm predict"),
        ("1\n", "out.jsonl:1 is no answer of depthlm predict"),
        ("notes\n", "out.jsonl:1 is no answer of depthlm predict"),
    ],
)
def test_other_files_are_left_alone(tmp_path, content, problem) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigError, match=problem):
        AnswerFile(path, "run")
    assert path.read_text() == content


def test_places_that_cannot_be_written(tmp_path) -> None:
    for path in (tmp_path, tmp_path / "none" / "out.jsonl"):
        with pytest.raises(ConfigError, match="cannot be written: "):
            AnswerFile(path, "run")


def test_two_processes_do_not_share_it(tmp_path) -> None:
    path = tmp_path / "out.jsonl"
    with AnswerFile(path, "run"), pytest.raises(DepthLMError, match="by another process"):
        AnswerFile(path, "run")
    AnswerFile(path, "run").__exit__(None, None, None)


@pytest.mark.parametrize(
    "changed", [{"target": 2.5}, {"camera": {"focal_px": 700.0}}, {"image_sha256": "0"}]
)
def test_an_answer_by_another_camera_or_truth_is_not_taken(tmp_path, changed) -> None:
    given = row(text="x", target=2.0, camera={"focal_px": 800.0})
    with AnswerFile(tmp_path / "a.jsonl", "run") as file:
        file.add([given])
    with AnswerFile(tmp_path / "a.jsonl", "run") as file:
        assert file.text_of(given) == "x"
        assert not file.has(given | {"pixel": [3, 4]})
        with pytest.raises(ConfigError, match="the picture, its camera or its truth was another"):
            file.has(given | changed)


def test_weights_that_were_trained_again_are_another_run(tmp_path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"one")
    first = run_of([str(tmp_path)], DepthLMConfig(), ["depth"])
    assert run_of([str(tmp_path)], DepthLMConfig(), ["depth"]) == first
    weights.write_bytes(b"other")
    assert run_of([str(tmp_path)], DepthLMConfig(), ["depth"]) != first
    weights.write_bytes(b"one")
    assert run_of([str(tmp_path)], DepthLMConfig(focal_px=700), ["depth"]) != first
