"""LLaMA-Factory's ways to train, on depth data: those that no recipe and no other test takes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from support.host_tools import SMALL, losses

from depthlm_plugin.config.saved import load_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def go(models, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run LLaMA-Factory in this process; return the folder of its results."""
    from llamafactory.data.template import TEMPLATES
    from llamafactory.train.tuner import run_exp

    # LLaMA-Factory writes default_system into its one template, for every later run of a process.
    template = TEMPLATES["qwen2_vl"]
    monkeypatch.setattr(template, "default_system", template.default_system)

    def go(name: str, **settings: Any) -> Path:
        values = {
            "model_name_or_path": str(models["qwen"]), "template": "qwen2_vl", "do_train": True,
            "finetuning_type": "lora", "freeze_vision_tower": False, "dataset": "a",
            "dataset_dir": str(data), "output_dir": str(tmp_path / name), "cutoff_len": 4096,
            "image_max_pixels": 1_680_000, "use_cpu": True, "report_to": "none",
            "per_device_train_batch_size": 2, "max_steps": 2, "logging_steps": 1,
            "learning_rate": 1e-3, "save_strategy": "no", "disable_tqdm": True, "depthlm": SMALL,
        }  # fmt: skip
        run_exp({key: value for key, value in (values | settings).items() if value is not ...})
        return tmp_path / name

    return go


FULL = {"finetuning_type": "full", "freeze_multi_modal_projector": False}
WAYS = {
    "LoRA+ of rank-stabilised LoRA": {"loraplus_lr_ratio": 16.0, "use_rslora": True},
    "precision and checkpointing": {
        "bf16": True, "upcast_layernorm": True, "upcast_lmhead_output": True,
        "use_reentrant_gc": False, "include_num_input_tokens_seen": True,
    },
    "noise": {"neftune_noise_alpha": 5.0, "disable_gradient_checkpointing": True},
    "Muon, DFT": FULL | {"use_muon": True, "use_dft_loss": True},
    "LLaMA Pro, EAFT": {"finetuning_type": "freeze", "use_llama_pro": True, "use_eaft_loss": True},
    "questions too": {"train_on_prompt": True, "default_system": "You measure."},
    "last of several": {
        "mask_history": True,
        "depthlm": SMALL | {"reference": "text", "questions_per_image": 3, "prompt": "plain"},
    },
}  # fmt: skip


@pytest.mark.parametrize("settings", WAYS.values(), ids=WAYS)
def test_a_way_to_train(go, settings: dict[str, Any]) -> None:
    out = go("out", **settings)
    found = losses(out)
    assert sorted(found) == [1, 2]
    assert all(math.isfinite(loss) and loss > 0 for loss in found.values())
    assert found[1] != found[2]
    assert load_config(out) is not None


def test_accuracy_of_tokens_and_early_stopping_for_each_dataset(go) -> None:
    out = go(
        "out", eval_dataset="a,b", eval_on_each_dataset=True, eval_strategy="steps", eval_steps=1,
        compute_accuracy=True, plot_loss=True, save_strategy="steps", save_steps=1,
        load_best_model_at_end=True, metric_for_best_model="eval_b_loss", learning_rate=0.0,
        early_stopping_steps=1, max_steps=4,
    )  # fmt: skip
    state = json.loads((out / "trainer_state.json").read_text())
    assert state["global_step"] == 2  # the second was no better
    for name in ("a", "b"):
        found = [
            e[f"eval_{name}_accuracy"] for e in state["log_history"] if f"eval_{name}_loss" in e
        ]
        assert found
        assert all(0 <= accuracy <= 1 for accuracy in found)
    assert (out / "training_loss.png").is_file()


def test_a_converted_pissa_adapter_says_what_it_was_taught(go) -> None:
    out = go("out", pissa_init=True, pissa_convert=True)
    config = load_config(out / "pissa_converted")
    assert config is not None
    assert config.focal_px == SMALL["focal_px"]


def test_new_tokens_for_which_embeddings_grow(go) -> None:
    """PEFT could not save such an adapter of a VLM."""
    tokens = {"add_special_tokens": "<depth>,<metre>", "eval_dataset": "b", "do_eval": True}
    trained = go("trained", learning_rate=1e-2, **tokens)
    again = go("again", adapter_name_or_path=str(trained), do_train=False, dataset=..., **tokens)
    results = [json.loads((out / "all_results.json").read_text()) for out in (trained, again)]
    assert results[1]["eval_loss"] == pytest.approx(results[0]["eval_loss"], rel=1e-5)
