"""recipes/grpo.py: TRL's own GRPO trainer on a tiny Qwen2.5-VL, with our rewards."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.host_tools import ROOT

from depthlm_plugin import DepthSamples, rewards
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import load_config, save_config
from depthlm_plugin.demo.scenes import FOCAL_PX, write_scenes
from depthlm_plugin.errors import RecordError

SCRIPT = ROOT / "recipes" / "grpo.py"
GROUP = 32  # answers to one question
TASKS = ("depth", "depth_order")
REWARDS = ("delta1", "negative_l1", "negative_abs_rel", "accuracy")


@pytest.fixture(scope="module", autouse=True)
def usable_trl() -> Iterator[None]:
    """Let TRL 0.24, the newest that LLaMA-Factory 0.9.5 allows, be imported with transformers 5.

    transformers 5 tells whether a package is there as (False, "N/A"). TRL 0.24 takes that for true
    and imports mergekit, which is not installed. It also writes to `warnings_issued`, which models
    of transformers 5 have no more. Later versions of TRL are left as they are.
    """
    from accelerate.state import AcceleratorState
    from transformers import PreTrainedModel
    from trl import import_utils

    with pytest.MonkeyPatch.context() as patch:
        for name, value in vars(import_utils).copy().items():
            if name.endswith("_available") and isinstance(value, tuple):
                patch.setattr(import_utils, name, value[0])
        patch.setattr(PreTrainedModel, "warnings_issued", {}, raising=False)
        yield
    AcceleratorState._reset_state(reset_partial_state=True)  # it was told to stay on the CPU


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Questions about synthetic scenes: a distance and an order in turn."""
    folder = tmp_path_factory.mktemp("scenes")
    records = write_scenes(folder, scenes=4, points=4, seed=0, name="grpo")
    settings = {"focal_px": FOCAL_PX, "prompt": "plain"}
    tasks = (
        rewards.grpo_rows(DepthSamples(records, tasks={task: 1}, **settings)) for task in TASKS
    )
    return [row for pair in zip(*tasks, strict=False) for row in pair]


def train(model_folder: Path, out: Path, rows: list[dict[str, Any]], functions: list[Any]) -> Any:
    """Return the trainer after two steps, each about one row of either task.

    Random weights would hardly ever say a number. So an answer is one token out of nine digits, a
    letter and the end: some can be read and some cannot.
    """
    from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
    from trl import GRPOConfig

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(model_folder)
    tokenizer = AutoProcessor.from_pretrained(model_folder).tokenizer
    allowed = {*tokenizer.convert_tokens_to_ids([*"123456789q"]), tokenizer.eos_token_id}
    settings = GRPOConfig(
        output_dir=str(out),
        max_steps=2,
        per_device_train_batch_size=2 * GROUP,
        num_generations=GROUP,
        shuffle_dataset=False,
        max_completion_length=1,
        temperature=50.0,  # makes all of them about as likely
        generation_kwargs={"suppress_tokens": sorted({*range(len(tokenizer))} - allowed)},
        learning_rate=1e-3,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
    )
    return runpy.run_path(str(SCRIPT))["train"](model, rows, settings, functions)


def own_rewards(text: str, target: float, task: str) -> dict[str, float]:
    """The rewards of a digit, q or nothing, written out here."""
    value = float(text) if re.fullmatch("[1-9]", text) else None
    if task == "depth_order":
        return {"accuracy": float(value == target)}
    if value is None:
        return {"delta1": 0.0, "negative_l1": -100.0, "negative_abs_rel": -10.0}
    return {
        "delta1": float(target / 1.25 < value < target * 1.25),
        "negative_l1": -abs(value - target),
        "negative_abs_rel": -min(abs(value - target) / target, 10),
    }


def test_two_steps_of_grpo(models, rows, tmp_path: Path) -> None:
    from transformers import Qwen2_5_VLForConditionalGeneration

    steps = []

    def seen(completions: list[Any], **columns: Any) -> list[float]:
        """Record what the trainer hands to every reward function."""
        texts = [completion[-1]["content"] for completion in completions]
        steps.append(list(zip(texts, columns["target"], columns["task"], strict=True)))
        return [0.0] * len(completions)

    functions = [getattr(rewards, name) for name in REWARDS]
    trainer = train(models["qwen"], tmp_path, rows, [*functions, seen])

    logged = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(logged) == len(steps) == 2
    given = {name: set() for name in REWARDS}
    for entry, step in zip(logged, steps, strict=True):
        assert [task for _, _, task in step] == [task for task in TASKS for _ in range(GROUP)]
        own = [own_rewards(*answer) for answer in step]
        for name in REWARDS:
            expected = [each[name] for each in own if name in each]
            mean = sum(expected) / len(expected)
            assert entry[f"rewards/{name}/mean"] == pytest.approx(mean, rel=1e-5)
            given[name].update(expected)
        total = sum(sum(each.values()) for each in own)
        assert entry["reward"] == pytest.approx(total / len(own), rel=1e-5)
    assert all(len(values) > 1 for values in given.values()), "a reward told nothing apart"

    before = Qwen2_5_VLForConditionalGeneration.from_pretrained(models["qwen"]).state_dict()
    moved = {
        name.split(".")[1]
        for name, weight in trainer.model.state_dict().items()
        if not weight.cpu().equal(before[name])
    }
    assert moved == {"visual", "language_model", "weight"}  # both towers and the head


def test_a_bad_truth_stops_the_run(models, rows, tmp_path: Path) -> None:
    bad = [rows[0], {**rows[1], "target": float("nan")}, *rows[2:]]
    with pytest.raises(RecordError, match=f"sample {GROUP}: its target is nan"):
        train(models["qwen"], tmp_path, bad, [rewards.accuracy])


def test_the_file_as_it_is_started(models, tmp_path: Path, monkeypatch) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(models["qwen"], model)
    config = DepthLMConfig(focal_px=FOCAL_PX, prompt="plain")
    save_config(config, model)
    records = write_scenes(tmp_path, scenes=2, points=2, seed=0, name="grpo")
    options = {
        "model": model, "records": records, "output_dir": out, "max_steps": 1,
        "per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 2,
        "gradient_checkpointing": False, "bf16": False, "use_cpu": True, "report_to": "none",
    }  # fmt: skip
    words = [f"--{key}={value}" for key, value in options.items()]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *words])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert (out / "model.safetensors").is_file()
    assert load_config(out) == config
