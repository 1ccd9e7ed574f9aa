"""Reaching LLaMA-Factory, leaving it alone, and saying so when it has moved."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from support.host_tools import SMALL, SUPPORT, Cli, losses, overrides, rows, run

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.host.seams import SEAMS, Seam


def arguments(model: Path, data: Path, out: Path, **extra: Any) -> dict[str, Any]:
    return {
        "model_name_or_path": str(model),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "a",
        "dataset_dir": str(data),
        "output_dir": str(out),
        "cutoff_len": 4096,
        "max_steps": 1,
        "per_device_train_batch_size": 1,
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "report_to": "none",
        "depthlm": SMALL,
    } | extra


@pytest.mark.parametrize(
    ("prelude", "variables"),
    [
        ("", {}),
        (
            "from depthlm_plugin.autoload import activate; activate()",
            {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"},
        ),
    ],
    ids=["llamafactory is the first import", "activated after everything was imported"],
)
def test_order_of_imports_does_not_matter(
    models, data: Path, tmp_path: Path, prelude: str, variables: dict[str, str]
) -> None:
    args = arguments(models["qwen"], data, tmp_path / "out")
    script = f"from llamafactory.train.tuner import run_exp\n{prelude}\nrun_exp({args!r})"
    result = run([sys.executable, "-c", script], **variables)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "out" / "depthlm_config.json").is_file()


def test_switched_off_by_environment(models, data: Path, tmp_path: Path) -> None:
    args = arguments(models["qwen"], data, tmp_path / "out")
    script = f"from llamafactory.train.tuner import run_exp\nrun_exp({args!r})"
    result = run([sys.executable, "-c", script], DEPTHLM_AUTOLOAD="0")
    assert result.returncode != 0
    assert "depthlm" in result.stderr.splitlines()[-1]  # LLaMA-Factory does not know the block


@pytest.fixture(scope="module")
def ordinary(ibims: Path, tmp_path_factory) -> Path:
    """Ordinary multimodal ShareGPT data."""
    folder = tmp_path_factory.mktemp("sharegpt")
    images = sorted((ibims / "rgb").glob("*.png"))[:4]
    samples = [
        {
            "messages": [
                {"role": "user", "content": "<image>What room is this?"},
                {"role": "assistant", "content": image.stem.replace("_", " ")},
            ],
            "images": [str(image)],
        }
        for image in images
    ]
    (folder / "rooms.json").write_text(json.dumps(samples))
    entry = {
        "file_name": "rooms.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
    (folder / "dataset_info.json").write_text(json.dumps({"rooms": entry}))
    return folder


def test_runs_without_depth_data_are_bit_identical(
    models, ordinary: Path, tmp_path: Path, cli: Cli
) -> None:
    for name, switch in (("with", "1"), ("without", "0")):
        args = arguments(
            models["qwen"],
            ordinary,
            tmp_path / name,
            dataset="rooms",
            eval_dataset="rooms",
            image_max_pixels=65536,
            max_steps=3,
            do_predict=True,
            predict_with_generate=True,
            max_new_tokens=8,
            do_sample=False,
        )
        del args["depthlm"]
        # A cache of its own, or the second run would replay what the first has tokenised.
        cli(
            "train",
            *_flags(args),
            DEPTHLM_AUTOLOAD=switch,
            HF_DATASETS_CACHE=str(tmp_path / f"cache-{name}"),
        )
    one, other = tmp_path / "with", tmp_path / "without"
    for file in ("adapter_model.safetensors", "generated_predictions.jsonl"):
        assert (one / file).read_bytes() == (other / file).read_bytes(), file
    assert losses(one) == losses(other)
    assert len(losses(one)) == 3
    timing = ("runtime", "per_second", "time")
    results = [json.loads((folder / "predict_results.json").read_text()) for folder in (one, other)]
    kept = [{k: v for k, v in r.items() if not k.endswith(timing)} for r in results]
    assert kept[0] == kept[1]
    assert {path.name for path in one.iterdir()} == {path.name for path in other.iterdir()}


def _flags(args: dict[str, Any]) -> list[str]:
    return [word for key, value in args.items() for word in (f"--{key}", str(value))]


def test_depth_and_ordinary_data_in_one_evaluation(
    models, data: Path, ordinary: Path, tmp_path: Path, cli: Cli
) -> None:
    """Each kind keeps its metrics; the sidecar holds the depth rows only."""
    info = json.loads((data / "dataset_info.json").read_text())
    info |= json.loads((ordinary / "dataset_info.json").read_text())
    folder = tmp_path / "both"
    folder.mkdir()
    for source in (data / "rgb", data / "a.jsonl", ordinary / "rooms.json"):
        (folder / source.name).symlink_to(source)
    (folder / "dataset_info.json").write_text(json.dumps(info))
    args = arguments(
        models["qwen"],
        folder,
        tmp_path / "out",
        do_train=False,
        do_predict=True,
        predict_with_generate=True,
        eval_dataset="rooms,a",
        image_max_pixels=100_000,
        max_new_tokens=8,
        do_sample=False,
    )
    del args["dataset"], args["max_steps"]
    recipe = tmp_path / "both.yaml"
    recipe.write_text(json.dumps(args))  # JSON is YAML
    cli("train", str(recipe), *overrides(depthlm={"focal_px": 280}))
    results = json.loads((tmp_path / "out" / "predict_results.json").read_text())
    assert {"predict_delta1", "predict_rouge-1", "predict_bleu-4"} <= results.keys()
    assert results["predict_n"] == 4
    assert len(rows(tmp_path / "out" / "depth_predictions.jsonl")) == 4
    assert len(rows(tmp_path / "out" / "generated_predictions.jsonl")) == 8

    # The same, one dataset at a time.
    args |= {
        "eval_on_each_dataset": True,
        "eval_dataset": "a,b",
        "do_eval": True,
        "output_dir": str(tmp_path / "o"),
    }
    (folder / "b.jsonl").symlink_to(data / "b.jsonl")
    recipe.write_text(json.dumps(args))
    cli("train", str(recipe))
    results = json.loads((tmp_path / "o" / "predict_results.json").read_text())
    assert (results["predict_a_n"], results["predict_b_n"]) == (4, 3)
    assert len(rows(tmp_path / "o" / "depth_predictions.jsonl")) == 7
    evaluation = json.loads((tmp_path / "o" / "eval_results.json").read_text())
    for name in ("a", "b"):
        same = ("delta1", "n", "parse_failure_rate", "constant_m")
        assert [evaluation[f"eval_{name}_{key}"] for key in same] == [
            results[f"predict_{name}_{key}"] for key in same
        ]


def test_generated_evaluation_during_training(models, data: Path, tmp_path: Path, cli: Cli) -> None:
    """In training too: padded on the left, and no longer than the recipe says."""
    args = arguments(
        models["qwen"],
        data,
        tmp_path / "out",
        max_steps=2,
        eval_strategy="steps",
        eval_steps=2,
        eval_dataset="a",
        predict_with_generate=True,
        do_predict=True,
        per_device_eval_batch_size=3,
        max_new_tokens=8,
        do_sample=False,
        dataloader_num_workers=2,
    )
    recipe = tmp_path / "during.yaml"
    recipe.write_text(json.dumps(args))
    result = cli("train", str(recipe))
    assert "right-padding was detected" not in result.stdout + result.stderr
    history = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    (during,) = [entry for entry in history if "eval_n" in entry]
    after = json.loads((tmp_path / "out" / "predict_results.json").read_text())
    assert during["eval_delta1"] == after["predict_delta1"]
    assert during["eval_parse_failure_rate"] == after["predict_parse_failure_rate"]
    assert losses(tmp_path / "out").keys() == {1, 2}


@pytest.fixture(scope="module")
def with_each_seam_moved(models, data: Path, ordinary: Path, tmp_path_factory) -> dict[str, Any]:
    """For each seam that has moved: the errors of a run that uses depth data, and of another."""
    folder = tmp_path_factory.mktemp("moved")
    taught = folder / "taught"
    shutil.copytree(models["qwen"], taught)
    save_config(DepthLMConfig(**SMALL), taught, "qwen2_vl")
    other = {"dataset": "rooms", "image_max_pixels": 65536, "overwrite_output_dir": True}
    runs = {
        "depth": arguments(models["qwen"], data, folder / "depth"),
        "ordinary": arguments(models["qwen"], ordinary, folder / "ordinary", **other),
        "taught": {"model_name_or_path": str(taught), "template": "qwen2_vl"},
        "plain": {"model_name_or_path": str(models["qwen"]), "template": "qwen2_vl"},
    }
    del runs["ordinary"]["depthlm"]
    site = folder / "site"
    site.mkdir()
    (folder / "runs.json").write_text(json.dumps(runs))
    path = os.pathsep.join([str(site), os.environ["PYTHONPATH"]])
    files = [str(folder / "runs.json"), str(site), str(folder / "results.json")]
    command = [sys.executable, str(SUPPORT / "moved_seams.py"), *files]
    result = run(command, PYTHONPATH=path)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


# Where v1's has moved, a recipe that v1 is given by mistake is refused in its own words again.
MET_BY_DEPTH_RUNS = [seam for seam in SEAMS if not seam.home.startswith("v1.")]


@pytest.mark.parametrize("seam", MET_BY_DEPTH_RUNS, ids=str)
def test_a_moved_seam_is_named_in_depth_runs_only(with_each_seam_moved, seam: Seam) -> None:
    """In a copy of LLaMA-Factory in which this name is another, as after an update."""
    errors = with_each_seam_moved[str(seam)]
    assert errors["depth"].startswith("HostError: LLaMA-Factory 0.9.5 is not as depthlm-plugin")
    assert f"\n  {seam}: is gone\n" in errors["depth"]
    assert "Known to work: LLaMA-Factory 0.9.5" in errors["depth"]
    named = set(re.findall(r"(?m)^  (llamafactory\S+):", errors["depth"]))
    owner = str(seam).rpartition(".")[0]
    assert named == {str(seam)} or {name.rpartition(".")[0] for name in named} == {owner}
    assert errors["other"] is None


@pytest.mark.parametrize("seam", SEAMS, ids=str)
def test_a_seam_with_other_parameters_is_noted(with_each_seam_moved, seam: Seam) -> None:
    """In a copy of LLaMA-Factory in which each takes one parameter more, in the first place."""
    noted = with_each_seam_moved["parameters"][str(seam)]
    found, expected = re.fullmatch(r"takes \((.*)\), expected \((.*), \.\.\.\)", noted).groups()
    assert expected.split(", ") == seam.parameters.split()
    assert found.split(", ")[found.startswith("self, ")] == "moved"
