"""One model on all tasks at once, through the unmodified command line, and its evaluation."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from support.host_tools import ROOT, SMALL, Cli, losses, overrides, rows

sys.path.insert(0, str(ROOT / "tests"))

from PIL import Image
from support.scene import picture
from tasks.test_tasks import PINHOLE, POSES, record

from depthlm_plugin.tasks import TASKS

CPU = {"bf16": False, "use_cpu": True, "preprocessing_num_workers": 1, "dataloader_num_workers": 1}


@pytest.fixture(scope="module")
def posed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset_dir: `room` with poses, and `photos`, the same pictures without."""
    folder = tmp_path_factory.mktemp("posed")
    records = [record(number, pose) for number, pose in enumerate(POSES)]
    for number, pose in enumerate(POSES):
        Image.fromarray(picture(PINHOLE, pose)).save(folder / f"{number}.png")
    bare = [{k: v for k, v in one.items() if k not in ("pose", "scene")} for one in records]
    info = {}
    for name, content in (("room", records), ("photos", bare)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in content))
        info[name] = {"file_name": f"{name}.jsonl", "formatting": "depthlm"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own template folder: German, for two of the tasks."""
    folder = tmp_path_factory.mktemp("vorlagen")
    (folder / "depth.yaml").write_text(
        'question: ["Wie weit ist {point} weg?", "Wie groß ist der Abstand zu {point}?"]\n'
        'system: Du misst Entfernungen.\nanswer: "{value} m"\nunit: m\nparse: whole\n'
        'point: {marker: "der Punkt am {color} {marker}"}\n',
        encoding="utf-8",
    )
    (folder / "depth_order.yaml").write_text(
        'question: "Was ist näher: 1, {point1}, oder 2, {point2}?"\nanswer: "{value}"\n'
        "parse: whole\ndecimals: {value: 0}\n",
        encoding="utf-8",
    )
    return folder


def train(model: Path, posed: Path, out: Path, **extra: object) -> list[str]:
    values = {
        "model_name_or_path": model,
        "dataset": "room,photos",
        "dataset_dir": posed,
        "output_dir": out,
        "max_steps": 3,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 3,
        "plot_loss": False,
        "depthlm": SMALL | {"prompt": "plain"},
    }
    recipe = ROOT / "recipes" / "depthlm_qwen_multitask_lora.yaml"
    return ["train", str(recipe), *overrides(**values | CPU | extra)]


def evaluate(model: Path, posed: Path, out: Path, adapter: Path, **extra: object) -> list[str]:
    values = {
        "model_name_or_path": model,
        "adapter_name_or_path": adapter,
        "template": "qwen2_vl",
        "eval_dataset": "room,photos",
        "dataset_dir": posed,
        "output_dir": out,
        "per_device_eval_batch_size": 4,
        "max_new_tokens": 8,
    }
    recipe = ROOT / "recipes" / "depthlm_qwen_eval.yaml"
    return ["train", str(recipe), *overrides(**values | CPU | extra)]


def test_all_tasks_in_one_run(models, posed: Path, cli: Cli, tmp_path: Path) -> None:
    trained, evaluated = tmp_path / "trained", tmp_path / "evaluated"
    done = cli(*train(models["qwen"], posed, trained))
    assert sorted(losses(trained)) == [1, 2, 3]
    assert "photos is not asked for camera_translation, relative_pose, point_corr" in (
        done.stdout + done.stderr
    )
    tasks = {"depth": 1.0} | dict.fromkeys(TASKS, 1.0)
    block = {"prompt": "plain", "points_per_record": 1}
    block |= {f"tasks.{name}": weight for name, weight in tasks.items()}
    done = cli(*evaluate(models["qwen"], posed, evaluated, trained, depthlm=block))
    answers = rows(evaluated / "depth_predictions.jsonl")
    asked = {(row["dataset"], row["task"]) for row in answers}
    pairs = {name for name, task in TASKS.items() if task.images == 2}
    assert asked == {("room", t) for t in TASKS} | {("photos", t) for t in TASKS.keys() - pairs}
    assert len(answers) == 4 * len(asked)
    # The printed table has a row for each.
    printed = (done.stdout + done.stderr).split("depthlm:\n")[-1]
    for dataset, task in asked:
        assert re.search(rf"^\s*{dataset}\s+{task}\s+4\s", printed, re.MULTILINE), printed
    metrics = json.loads((evaluated / "all_results.json").read_text())
    for name in ("score", "delta1", "room_relative_pose_auc_30", "photos_depth_order_accuracy"):
        assert any(name in key for key in metrics), name
    assert np.isfinite(list(metrics.values())).all()
    for row in answers:
        assert (row["value"] is None) != (row["reason"] is None)
        assert len(row.get("images", [0])) == TASKS[row["task"]].images


def test_a_template_of_ones_own_travels_with_the_weights(
    models, posed: Path, template: Path, cli: Cli, tmp_path: Path
) -> None:
    block = SMALL | {"prompt": template}
    recipe = tmp_path / "own.yaml"
    shipped = (ROOT / "recipes" / "depthlm_qwen_lora.yaml").read_text()
    recipe.write_text(
        shipped.replace("  prompt: official\n", "  tasks: {depth: 1, depth_order: 1}\n")
    )
    command = train(models["qwen"], posed, tmp_path / "own", depthlm=block, max_steps=1)
    done = cli("train", str(recipe), *command[2:])
    said = done.stdout + done.stderr
    assert "Du misst Entfernungen." in said  # LLaMA-Factory prints the first sample
    assert "Was ist näher" in said or "Wie weit ist" in said or "Wie groß ist" in said
    saved = tmp_path / "own" / "depthlm_templates"
    for task in ("depth", "depth_order"):
        assert (saved / f"{task}.yaml").read_bytes() == (template / f"{task}.yaml").read_bytes()
        (template / f"{task}.yaml").unlink()
    tasks = {"tasks.depth": 1, "tasks.depth_order": 1, "points_per_record": 1}
    cli(*evaluate(models["qwen"], posed, tmp_path / "eval", tmp_path / "own", depthlm=tasks))
    assert {row["task"] for row in rows(tmp_path / "eval" / "depth_predictions.jsonl")} == {
        "depth",
        "depth_order",
    }


def test_a_task_that_no_dataset_can_serve(models, posed: Path, cli: Cli, tmp_path: Path) -> None:
    done = cli(*train(models["qwen"], posed, tmp_path / "out", dataset="photos"), fails=True)
    assert (
        "no dataset of this run can serve camera_translation, relative_pose, point_correspondence:"
        " photos lacks pose, scene for camera_translation" in done.stdout + done.stderr
    )
