"""Training data made where it is loaded: the same samples, exact mixtures, exact resume."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.host_tools import SMALL, SUPPORT, environment, losses, rows, run
from support.loaded import Loaded

from depthlm_plugin import View
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.host.lazy import EpochSampler, LazySamples
from depthlm_plugin.sampling.sample import Question

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def load(models, data: Path, tmp_path: Path):
    def load(data_dir: Path = data, block: dict[str, Any] | None = None, **extra: Any) -> Loaded:
        block = SMALL | {"lazy": True} | (block or {})
        return Loaded(
            models["qwen"], data_dir, tmp_path / "out", "qwen2_vl", depthlm=block, **extra
        )

    return load


def described(features: dict[str, Any]) -> str:
    keys = ("input_ids", "labels", "attention_mask", "images")
    return json.dumps([features[key] for key in keys])


@pytest.mark.parametrize("points", [1, 3])
def test_the_first_epoch_has_the_samples_of_the_converter(load, points: int) -> None:
    block = {"points_per_record": points}
    lazy = load(block=block).module["train_dataset"]
    before = load(block=block | {"lazy": False}).module["train_dataset"]
    assert isinstance(lazy, LazySamples)
    assert len(lazy) == len(before) == 46 * points
    ours = [described(lazy[i]) for i in range(len(lazy))]
    assert sorted(ours) == sorted(map(described, before))
    assert ours != sorted(ours)


def test_every_epoch_draws_other_points_and_crops(load) -> None:
    lazy = load().module["train_dataset"]
    epochs = []
    for epoch in range(2):
        lazy.set_epoch(epoch)
        epochs.append([lazy[i]["images"][0] for i in EpochSampler(lazy)])
    assert not set(epochs[0]) & set(epochs[1])
    rows = [[Question.from_uri(uri).row for uri in uris] for uris in epochs]
    assert sorted(rows[0]) == sorted(rows[1]) == list(range(46))
    assert rows[0] != rows[1]


def test_nothing_is_cached(load) -> None:
    def files() -> set[Path]:
        return {p for p in Path(os.environ["HF_HOME"]).rglob("*") if p.suffix == ".arrow"}

    before = files()
    lazy = load().module["train_dataset"]
    lazy[3]
    assert files() == before


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_run_sees_what_the_uninterrupted_one_sees(
    models, data: Path, tmp_path: Path, processes: int
) -> None:
    """Ids, crops and tokens of the 200 samples (and more) after the middle of epoch 2."""
    from support.loader_order import SKIPPED

    script = [str(SUPPORT / "loader_order.py")]
    script += [str(models["qwen"]), str(data), str(tmp_path)]
    launch = ["torchrun", "--nproc_per_node", "2", "--master_port", "29517"]
    command = (launch if processes == 2 else [sys.executable]) + script
    result = run(command, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr[-3000:]
    ranks = [json.loads(p.read_text()) for p in sorted(tmp_path.glob("seen-*.json"))]
    assert len(ranks) == processes
    for seen in ranks:
        assert seen["0"] == seen["2"]  # workers
        whole, rest = seen["0"]
        after = whole[2][SKIPPED:] + [batch for epoch in whole[3:] for batch in epoch]
        assert rest == after
        assert sum(len(notes) for notes, _ in rest) * processes >= 200
    # Together the ranks see every record of an epoch; even batches repeat a few.
    for epoch in range(3):
        uris = [n[0][0] for seen in ranks for notes, _ in seen["0"][0][epoch] for n in notes]
        assert {Question.from_uri(uri).row for uri in uris} == set(range(46))
        assert len(set(uris)) == 46


def test_rays_workers_train_as_torchruns_processes_do(models, data: Path, tmp_path: Path) -> None:
    """The first loss of two ranks with one sample each, in Ray's actors and under torchrun."""
    pytest.importorskip("ray", reason="LLaMA-Factory's Ray mode needs ray")
    recipe = write_recipe(tmp_path, models["qwen"], data, max_steps=2)
    command = [sys.executable, str(SUPPORT / "ray_run.py"), str(recipe)]
    result = run(command, OMP_NUM_THREADS="1")
    assert result.returncode == 0, result.stderr[-3000:]
    in_ray = losses(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
    result = run(["llamafactory-cli", "train", str(recipe)], **TWO_PROCESSES)
    assert result.returncode == 0, result.stderr[-3000:]
    assert list(in_ray) == [1, 2]
    assert in_ray == pytest.approx(losses(tmp_path / "out"), rel=1e-4)


def test_a_killed_rank_and_a_restart_change_no_loss(models, data: Path, tmp_path: Path) -> None:
    """One of two processes is killed after a checkpoint; the same command goes on from it."""
    curves = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        recipe = write_recipe(folder, models["qwen"], data, max_steps=6, save_steps=3)
        command = ["llamafactory-cli", "train", str(recipe)]
        if name == "killed":
            process = subprocess.Popen(
                command,
                env=environment(**TWO_PROCESSES),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            checkpoint = folder / "out" / "checkpoint-3" / "trainer_state.json"
            while not checkpoint.exists():
                assert process.poll() is None, "training ended before its first checkpoint"
                time.sleep(0.05)
            os.kill(rank_of(process.pid, 1), signal.SIGKILL)
            assert process.wait() != 0  # torchrun stops the other rank
            assert not (folder / "out" / "trainer_state.json").exists()
        result = run(command, **TWO_PROCESSES)
        assert result.returncode == 0, result.stderr[-3000:]
        curves.append(losses(folder / "out"))
    assert list(curves[0]) == [1, 2, 3, 4, 5, 6]
    assert curves[0] == pytest.approx(curves[1], rel=1e-4)


TWO_PROCESSES = {"FORCE_TORCHRUN": "1", "NPROC_PER_NODE": "2", "OMP_NUM_THREADS": "1"}


def rank_of(ancestor: int, rank: int) -> int:
    """The process id of a rank of a torchrun that `ancestor` has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            parents = [int(folder.name)]
            while parents[-1] > 1:
                status = Path("/proc", str(parents[-1]), "stat").read_text()
                parents.append(int(status.rpartition(")")[2].split()[1]))
        except OSError:
            continue
        # Loader workers inherit the variable: the rank's own parent is torchrun, without it.
        if f"RANK={rank}".encode() in variables and ancestor in parents:
            above = Path("/proc", str(parents[1]), "environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() not in above:
                return int(folder.name)
    raise AssertionError(f"no process of rank {rank} below {ancestor}")


def write_recipe(folder: Path, model: Path, data: Path, **extra: Any) -> Path:
    values = {
        "model_name_or_path": str(model),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "ibims1",
        "dataset_dir": str(data),
        "output_dir": str(folder / "out"),
        "cutoff_len": 4096,
        "logging_steps": 1,
        "per_device_train_batch_size": 1,
        "learning_rate": 5e-3,
        "use_cpu": True,
        "ddp_backend": "gloo",
        "report_to": "none",
        "depthlm": SMALL,
    }
    recipe = folder / "recipe.yaml"  # which JSON is
    recipe.write_text(json.dumps(values | extra))
    return recipe


@pytest.fixture
def mixed_dir(data: Path, tmp_path: Path) -> Path:
    """Two depth datasets and ordinary questions about a picture."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "rgb").symlink_to((data / "rgb").resolve())
    for name in ("a", "b"):
        (folder / f"{name}.jsonl").write_bytes((data / f"{name}.jsonl").read_bytes())
    Image.new("RGB", (80, 60), (9, 99, 200)).save(folder / "sky.png")
    turns = [
        {"messages": [{"role": "user", "content": f"<image>What is {i}?"},
                      {"role": "assistant", "content": f"Sky {i}."}],
         "images": [str(folder / "sky.png")]}
        for i in range(10)
    ]  # fmt: skip
    (folder / "vqa.json").write_text(json.dumps(turns))
    return folder


def write_info(folder: Path, **weights: Any) -> None:
    info: dict[str, Any] = {
        name: {
            "file_name": f"{name}.jsonl",
            "formatting": "depthlm",
            "depthlm": {"depth_kind": "z"},
        }
        for name in ("a", "b")
    }
    info["vqa"] = {
        "file_name": "vqa.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                 "assistant_tag": "assistant"},
    }  # fmt: skip
    for name, weight in weights.items():
        info[name]["depthlm"] = (info[name].get("depthlm") or {}) | {"weight": weight}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def kinds(lazy: LazySamples, count: int) -> Counter[str]:
    return Counter(
        Question.from_uri(uri).dataset if uri.startswith("depthlm://") else "vqa"
        for uri in (lazy[i]["images"][0] for i in range(count))
    )


def test_without_weights_an_epoch_is_every_dataset_once(load, mixed_dir: Path) -> None:
    write_info(mixed_dir)
    lazy = load(mixed_dir, dataset="a,vqa,b").module["train_dataset"]
    assert len(lazy) == 4 + 10 + 3
    assert kinds(lazy, 17) == {"a": 4, "vqa": 10, "b": 3}


@pytest.mark.parametrize(
    ("strategy", "found"),
    [
        ("interleave_under", {"a": 3, "b": 3}),
        ("interleave_over", {"a": 4, "b": 4}),
        ("interleave_once", {"a": 4, "b": 3}),
    ],
)
def test_without_weights_datasets_take_turns(
    load, mixed_dir: Path, strategy: str, found: dict[str, int]
) -> None:
    write_info(mixed_dir)
    lazy = load(mixed_dir, dataset="a,b", mix_strategy=strategy).module["train_dataset"]
    assert kinds(lazy, len(lazy)) == found
    write_info(mixed_dir, a=1, b=2)
    if strategy == "interleave_once":
        with pytest.raises(ConfigError, match=r"takes every sample once, so weights would be ign"):
            load(mixed_dir, dataset="a,b", mix_strategy=strategy)


@pytest.mark.parametrize(
    ("asked", "in_order"), [({"train_sampling_strategy": "sequential"}, True), ({}, False)]
)
def test_the_order_that_is_asked_for(
    models, data: Path, tmp_path: Path, asked: dict[str, str], in_order: bool
) -> None:
    from llamafactory.train.tuner import run_exp
    from transformers import TrainerCallback

    seen: list[int] = []

    class Look(TrainerCallback):
        def on_train_begin(self, *args: Any, train_dataloader: Any, **kwargs: Any) -> None:
            lazy = train_dataloader.dataset
            views = [lazy[index]["images"][0] for index in range(4)]
            images = [View.from_uri(uri).image for uri in views]
            listed = [row["image"] for row in rows(data / "a.jsonl")]
            seen.extend(next(i for i, n in enumerate(listed) if p.endswith(n)) for p in images)

    settings = {
        "model_name_or_path": str(models["qwen"]), "template": "qwen2_vl", "do_train": True,
        "finetuning_type": "lora", "dataset": "a", "dataset_dir": str(data),
        "output_dir": str(tmp_path / "out"), "cutoff_len": 4096, "image_max_pixels": 1_680_000,
        "use_cpu": True, "report_to": "none", "max_steps": 1, "save_strategy": "no",
        "depthlm": SMALL,
    }  # fmt: skip
    run_exp(settings | asked, [Look()])
    assert sorted(seen) == [0, 1, 2, 3]
    assert (seen == [0, 1, 2, 3]) == in_order


@pytest.mark.parametrize("how", ["dataset_info", "interleave_probs"])
def test_weights_hold_and_other_data_is_untouched(load, mixed_dir: Path, how: str) -> None:
    weights = {"a": 2, "b": 0.5, "vqa": 1.5}
    if how == "dataset_info":
        write_info(mixed_dir, **weights)
        loaded = load(mixed_dir, dataset="a,b,vqa")
    else:
        write_info(mixed_dir)
        loaded = load(
            mixed_dir,
            dataset="a,b,vqa",
            mix_strategy="interleave_over",
            interleave_probs="2,0.5,1.5",
        )
    lazy = loaded.module["train_dataset"]
    assert len(lazy) == (17 if how == "dataset_info" else math.floor(10 / 1.5 * 4))
    count = 200
    for name, found in kinds(lazy, count).items():
        assert found == pytest.approx(count * weights[name] / 4, abs=3)
    stock = load(mixed_dir, dataset="vqa").module["train_dataset"]  # a run without depth
    texts = {described(row) for row in stock}
    assert {
        described(row)
        for row in (lazy[i] for i in range(60))
        if not row["images"][0].startswith("depthlm://")
    } == texts


@pytest.mark.parametrize(
    ("weights", "block", "found"),
    [
        ({"a": 1}, {}, r"weights are given for a but not for b, vqa; give each"),
        ({"a": 1, "b": 0, "vqa": 1}, {}, r"'b': weight must be a positive number, found 0"),
        ({"a": 1, "b": -2, "vqa": 1}, {}, r"'b': weight must be a positive number, found -2"),
        ({"a": 1, "b": "x", "vqa": 1}, {}, r"'b': weight must be a positive number, found 'x'"),
        ({"vqa": 1}, {"mixture": "vlm3"}, r"mixture 'vlm3' has no weight for dataset 'a'"),
        ({}, {"mixture": "vlm4"}, r"unknown mixture 'vlm4'; did you mean 'vlm3'"),
        ({"a": 1, "b": 1, "vqa": 1}, {"lazy": False}, r"the weight of a needs lazy: true"),
        ({}, {"lazy": False, "mixture": "vlm3"}, r"mixture needs lazy: true"),
        ({}, {"points_per_record": "all"}, r"points_per_record: all .* lazy: false"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(load, mixed_dir, weights, block, found) -> None:
    write_info(mixed_dir, **weights)
    with pytest.raises(ConfigError, match=found):
        load(mixed_dir, block, dataset="a,b,vqa")


def test_limits_that_cut_samples_stop_the_run(load) -> None:
    with pytest.raises(ConfigError, match=r"cutoff_len is 100.*set cutoff_len: \d+"):
        load(cutoff_len=100)
    lazy = load().module["train_dataset"]
    lazy.sources[0]._cutoff_len = 60  # as if the checked samples had been smaller than this one
    with pytest.raises(ConfigError, match=r"ibims1\.jsonl:\d+: .* cutoff_len is 60"):
        lazy[0]


def test_a_run_is_not_resumed_on_other_data(load, mixed_dir: Path, tmp_path: Path) -> None:
    write_info(mixed_dir)
    lazy = load(mixed_dir, dataset="a,b").module["train_dataset"]
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir()
    save_config(DepthLMConfig.from_block(SMALL), checkpoint, data=lazy.description())
    load(mixed_dir, dataset="a,b", resume_from_checkpoint=str(checkpoint))
    rows = (mixed_dir / "a.jsonl").read_text().splitlines()
    (mixed_dir / "a.jsonl").write_text("\n".join(rows[:3]) + "\n")
    with pytest.raises(ConfigError, match=r"cannot resume .*'samples': 4.*now.*'samples': 3"):
        load(mixed_dir, dataset="a,b", resume_from_checkpoint=str(checkpoint))


@pytest.mark.parametrize("lazy", [True, False])
def test_records_and_images_may_be_behind_a_url(load, data: Path, tmp_path, lazy: bool) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    url = f"file://{data.resolve()}/a.jsonl"
    entry = {"file_name": url, "formatting": "depthlm", "depthlm": {"depth_kind": "z"}}
    (folder / "dataset_info.json").write_text(json.dumps({"a": entry}))
    here, there = (
        load(place, {"lazy": lazy}, dataset="a").module["train_dataset"] for place in (data, folder)
    )
    loaded = load(folder, {"lazy": lazy}, dataset="a")
    for index in range(4):
        assert there[index]["input_ids"] == here[index]["input_ids"]
        (uri,) = there[index]["images"]
        assert View.from_uri(uri).image.startswith("file://")
        pixels = [loaded.collate([dict(rows[index])])["pixel_values"] for rows in (here, there)]
        assert torch.equal(*pixels)


def test_evaluation_data_is_prepared_as_before(load) -> None:
    module = load(eval_dataset="a").module
    assert isinstance(module["train_dataset"], LazySamples)
    assert len(module["eval_dataset"]) == 4


def test_without_shuffling_the_order_is_the_files(load) -> None:
    lazy = load().module["train_dataset"]
    lazy.set_shuffle(False)
    assert [Question.from_uri(lazy[i]["images"][0]).row for i in range(50)] == [
        *range(46),
        *range(4),
    ]
