"""`depthlm harness`: what is written, and what lmms-eval calls; itself it runs in tests/host."""

import importlib.util
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.answers import score

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import full_parser
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.harness import lmms
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.scoring.scores import score_rows
from depthlm_plugin.tasks import TASKS

FOCAL_PX = 200
GRID = {
    "pixel_coords": [[x, y] for x in range(20, 190, 10) for y in (40, 75, 110)],
    "depth": [1 + index / 7 for index in range(51)],
}


def write(*records, out, **options):
    """Run the command on records files with options, of which a list is given again and again."""
    arguments = ["harness", *map(str, records), "--out", str(out)]
    for name, values in ({"points": "2", "focal": FOCAL_PX} | options).items():
        for value in values if isinstance(values, list) else [values]:
            arguments += [f"--{name}", str(value)]
    args = full_parser(["harness"]).parse_args(arguments)
    return args.run(args)


def docs_of(out, name="depthlm_records"):
    return pq.read_table(out / "questions" / f"{name}.parquet").to_pylist()


def functions_of(out):
    """Load the folder's Python file as lmms-eval does: from where it is, under no name."""
    spec = importlib.util.spec_from_file_location("functions", out / "depthlm_functions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def records(record_folder, make_record):
    return record_folder([make_record(), make_record(depth=[4.5, 5.5, 6.5])])


@pytest.fixture
def folder(records, tmp_path):
    write(records, out=tmp_path / "tasks")
    return tmp_path / "tasks"


def test_questions_and_pictures_are_those_of_the_core(records, folder):
    samples = list(DepthSamples(records, focal_px=FOCAL_PX, points_per_record=2))
    docs = docs_of(folder)
    assert len(docs) == len(samples) == 4
    for doc, sample in zip(docs, samples, strict=True):
        own = sample.question
        assert doc["target"] == own.target  # at full precision
        assert (doc["dataset"], doc["row"], doc["point"]) == ("records", own.row, own.point)
        assert (doc["image"], doc["pixel"]) == ("a.png", list(own.pixel))
        assert (doc["unit"], doc["task"], doc["prompt"]) == ("m", "depth", "official")
        assert (doc["question"], doc["answer"]) == sample.turns[0]
        [picture] = doc["pictures"]
        with Image.open(folder / picture) as written:
            assert written.mode == "RGB"
            assert np.array_equal(written, sample.image)
        [picture] = functions_of(folder).doc_to_visual(doc)
        assert np.array_equal(picture, sample.image)


def test_the_command_says_what_it_wrote(records, tmp_path, capsys):
    assert write(records, out=tmp_path / "t", points="all") == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    [task] = summary["tasks"]
    assert task == {
        "name": "depthlm_records", "dataset": "records", "task": "depth", "questions": 6
    }  # fmt: skip
    assert (summary["pictures"], summary["group"]) == (6, "depthlm")
    assert f"--tasks depthlm --include_path {tmp_path / 't'}" in printed.err


def test_what_is_left_out_is_counted(record_folder, make_record, tmp_path, capsys):
    edge = make_record(pixel_coords=[[1, 1], [100, 75]], depth=[1.0, 2.0])
    write(record_folder([edge]), out=tmp_path / "t", points="all")
    [reasons] = json.loads(capsys.readouterr().out)["left_out"].values()
    assert list(reasons.values()) == [1]


def test_what_two_questions_show_is_written_once(record_folder, make_record, tmp_path, capsys):
    record = make_record(**GRID)
    write(record_folder([record, record]), out=tmp_path / "t", points="5", reference="text")
    assert json.loads(capsys.readouterr().out)["pictures"] == 2
    docs = docs_of(tmp_path / "t")
    assert len(docs) == 10
    assert len({doc["question"] for doc in docs}) > 5
    assert {tuple(doc["pictures"]) for doc in docs} == {
        ("pictures/records/000000_0.png",), ("pictures/records/000001_0.png",)
    }  # fmt: skip


def test_seeds_and_datasets_choose_points(record_folder, make_record, tmp_path):
    first = record_folder([make_record(**GRID)])
    second = Path(shutil.copy(first, first.with_name("other.jsonl")))
    write(first, second, out=tmp_path / "a", points="5")
    write(first, out=tmp_path / "b", points="5", seed=1)
    names = [("a", "depthlm_records"), ("a", "depthlm_other"), ("b", "depthlm_records")]
    points = [[doc["point"] for doc in docs_of(tmp_path / out, name)] for out, name in names]
    assert points[0] != points[1]
    assert points[0] != points[2]


def test_every_kind_of_question_is_a_task(record_folder, make_record, tmp_path, capsys):
    write(record_folder([make_record(**GRID)]), out=tmp_path / "t", task=["depth", "depth_order"])
    names = [task["name"] for task in json.loads(capsys.readouterr().out)["tasks"]]
    assert names == ["depthlm_records_depth", "depthlm_records_depth_order"]
    [doc, _] = docs_of(tmp_path / "t", names[1])
    functions = functions_of(tmp_path / "t")
    measured = functions.process_results(doc, [f"<answer> {doc['target']:.0f} </answer>"])
    assert measured["accuracy"]["score"] == 1
    assert len(measured["prediction"]["points"]) == 2


def test_two_pictures(record_folder, make_record, tmp_path):
    one = make_record()
    pose = np.eye(4)
    pose[0, 3] = 0.3
    pair = {"images": ["a.png", "b.png"], "intrinsics": [one["intrinsics"]] * 2}
    pair["relative_pose"] = pose.tolist()
    images = [("a.png", (200, 150)), ("b.png", (200, 150))]
    records = record_folder([pair], images=images)
    write(records, out=tmp_path / "t", task=["camera_translation"])
    [doc] = docs_of(tmp_path / "t")
    assert doc["target"] == pytest.approx(0.3)
    assert "pixel" not in doc
    functions = functions_of(tmp_path / "t")
    [turn] = functions.doc_to_messages(doc)
    assert [part["type"] for part in turn["content"]] == ["image", "image", "text"]
    measured = functions.process_results(doc, [doc["answer"]])
    assert measured["delta1"]["score"] == 1
    assert measured["prediction"]["images"] == ["a.png", "b.png"]


def test_own_templates_travel_with_the_folder(records, tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text(
        "question: Wie weit ist {point}?\nsystem: Du misst.\nanswer: '{value} m'\nparse: whole\n"
    )
    write(records, out=tmp_path / "t", prompt=str(own))
    own.unlink()
    load_template.cache_clear()
    moved = Path(shutil.move(tmp_path / "t", tmp_path / "moved"))
    doc = docs_of(moved)[0]
    functions = functions_of(moved)
    system, user = functions.doc_to_messages(doc)
    assert system == {"role": "system", "content": [{"type": "text", "text": "Du misst."}]}
    assert user["content"][1]["text"].startswith("Wie weit ist")
    row = functions.process_results(doc, ["2.5 m"])["prediction"]
    assert row["value"] == 2.5
    assert load_template("depth", row["prompt"]).unit == "m"  # for `depthlm score --prompt`
    said = (moved / "depthlm_records.yaml").read_text()
    assert str(tmp_path) not in said + json.dumps(doc)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": "few"}, "--points is a number, or all; found 'few'"),
        ({"points": "0"}, "points_per_record must be a whole number above 0"),
        ({"task": ["dpth"]}, "did you mean 'depth'"),
        ({"task": ["relative_pose"]}, "records lacks pose, scene for relative_pose"),
        ({"prompt": "oficial"}, "did you mean 'official'"),
        ({"focal": 9000.0}, "records.jsonl:1: .*enlarges the image"),
    ],
)
def test_what_cannot_be_asked_is_refused(records, tmp_path, options, message):
    with pytest.raises(DepthLMError, match=message):
        write(records, out=tmp_path / "t", **options)
    assert not (tmp_path / "t").exists()
    write(records, out=tmp_path / "t")  # what the failed run left is not in the way
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "records.jsonl", "t"}


def test_records_without_a_question_are_refused(record_folder, make_record, tmp_path):
    lonely = make_record(pixel_coords=[[100, 75]], depth=[2.0])
    with pytest.raises(DepthLMError, match=r"nothing can be asked of these records: .*about two"):
        write(record_folder([lonely]), out=tmp_path / "t", task=["two_point_distance"])


def test_nothing_is_overwritten(records, folder, tmp_path):
    (tmp_path / "empty").mkdir()
    write(records, out=tmp_path / "empty")
    with pytest.raises(DepthLMError, match="is there and not empty; remove it or choose another"):
        write(records, out=folder)


def test_datasets_of_one_name_are_refused(records, record_folder, make_record, tmp_path):
    other = record_folder([make_record()], name="sub/records.jsonl", images=[("sub/a.png", (9, 9))])
    with pytest.raises(ConfigError, match="two datasets are called records"):
        write(records, other, out=tmp_path / "t")


def test_names_are_safe_in_patterns_and_lists(record_folder, make_record, tmp_path):
    write(record_folder([make_record()], name="a b,[c].jsonl"), out=tmp_path / "t")
    assert docs_of(tmp_path / "t", "depthlm_a_b__c_")[0]["dataset"] == "a b,[c]"


def test_the_yaml_files_name_what_is_there(folder):
    text = "".join(path.read_text() for path in folder.glob("depthlm_*") if path.suffix != ".py")
    found = set(re.findall(r"!function depthlm_functions\.(\w+)", text))
    assert found == {
        "aggregate", "doc_to_messages", "doc_to_visual", "process_results"
    }  # fmt: skip
    functions = functions_of(folder)
    assert all(callable(getattr(functions, name)) for name in found)
    group = yaml.safe_load((folder / "depthlm.yaml").read_text())
    assert (group["group"], group["task"]) == ("depthlm", ["depthlm_records"])
    assert {one["metric"] for one in group["aggregate_metric_list"]} == {
        *lmms.metrics_of("depth"), "request_failure_rate"
    }  # fmt: skip


# --- answers


def doc_for(target, prompt="official"):
    asked = {
        "dataset": "d",
        "row": 0,
        "points": [0],
        "images": ["a.png"],
        "pixels": [[1.0, 2.0]],
        "task": "depth",
        "prompt": prompt,
        "truth": {"value": target},
        "unit": "m",
    }
    return {"asked": json.dumps(asked)}


def metrics(pairs, prompt="official"):
    """Return what lmms-eval would report for (target, answer text)."""
    every = [lmms.measured(doc_for(target, prompt), text, Path("/none")) for target, text in pairs]
    return {name: lmms.aggregate([one[name] for one in every]) for name in lmms.metrics_of("depth")}


ANSWERS = ["<answer> 2.35 </answer>", "3 m", "between 2 and 3", "", "<think> 4", "120 cm", "9"]


@given(st.lists(st.tuples(st.floats(0.1, 100), st.sampled_from(ANSWERS)), min_size=1, max_size=30))
def test_metrics_are_those_of_the_core(pairs):
    template = load_template("depth", "official")
    values = [read_answer(text, template).values for _, text in pairs]
    predicted = [math.nan if value is None else value["value"] for value in values]
    wanted = score(predicted, [target for target, _ in pairs])
    found = metrics(pairs)
    assert {"delta1", "abs_rel", "parse_failure_rate", "constant_delta1"} <= found.keys()
    for name, value in found.items():
        assert value == pytest.approx(wanted.get(name, math.nan), nan_ok=True), name


def test_without_an_answer_to_read_errors_are_no_number():
    found = metrics([(2.0, "far"), (3.0, "near")])
    assert (found["delta1"], found["parse_failure_rate"]) == (0, 1)
    assert math.isnan(found["abs_rel"])


@pytest.mark.parametrize(
    "text",
    [
        "[LMMS_EVAL_REQUEST_FAILED after 2 retries] Error code: 2",
        "[LMMS_EVAL_BUDGET_EXCEEDED]",
    ],
)
def test_a_failed_request_is_no_answer(text):
    found = lmms.measured(doc_for(2.0, "plain"), text, Path("/none"))
    assert found["request_failure_rate"] == 1
    assert found["delta1"]["score"] == 0
    row = found["prediction"]
    assert (row["value"], row["reason"], row["text"]) == (None, "request failed", "")
    assert score_rows([row])["parse_failure_rate"] == 1
    said = lmms.measured(doc_for(2.0, "plain"), "2", Path("/none"))
    assert (said["request_failure_rate"], said["delta1"]["score"]) == (0, 1)


def test_only_the_main_metric_has_a_score_of_its_own():
    found = lmms.measured(doc_for(2.0), "2.1", Path("/none"))
    scored = {name for name, item in found.items() if isinstance(item, dict) and "score" in item}
    assert scored == {"delta1"}
    assert found["delta1"]["image"] == "a.png"  # lmms-eval's cluster_key


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_metrics_with_a_direction(task):
    found = lmms.metrics_of(task)
    assert found[TASKS[task].kind.main]
    assert not found["parse_failure_rate"]
    errors = [name for name in found if re.search("error|rel|epe|rmse|mae|log", name)]
    assert not any(found[name] for name in errors)
    assert not found.keys() & {"n", "constant_m"}
