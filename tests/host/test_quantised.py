"""4-bit and 8-bit weights (bitsandbytes) on a CPU: what is quantised, steps, resuming, merging."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.host_tools import SMALL, losses
from torch import nn

from depthlm_plugin.config.saved import load_config
from depthlm_plugin.errors import ConfigError

PARTS = {
    "qwen": ("visual.blocks", "merger"),
    "pixtral": ("vision_tower.transformer", "multi_modal_projector"),
}
KINDS = {4: ("Linear4bit", torch.uint8), 8: ("Linear8bitLt", torch.int8)}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("family", PARTS)
@pytest.mark.parametrize("bits", KINDS)
def test_what_is_quantised(models, family: str, bits: int) -> None:
    """All linear layers of tower, merger and language model, and nothing else."""
    from llamafactory.hparams import FinetuningArguments, ModelArguments
    from llamafactory.model import load_model, load_tokenizer

    asked = ModelArguments(model_name_or_path=str(models[family]), quantization_bit=bits)
    asked.compute_dtype = torch.bfloat16
    tokenizer = load_tokenizer(asked)["tokenizer"]
    model = load_model(tokenizer, asked, FinetuningArguments())
    name, storage = KINDS[bits]
    layers = {key: module for key, module in model.named_modules() if isinstance(module, nn.Linear)}
    quantised = {key for key, module in layers.items() if type(module).__name__ == name}
    assert layers.keys() - quantised == {"lm_head"}
    for part in (*PARTS[family], "language_model"):
        assert any(part in key for key in quantised), part
    for key in quantised:
        weight: Any = layers[key].weight
        if bits == 4:
            state = weight.quant_state
            assert (state.quant_type, state.nested) == ("nf4", True)  # scales quantised too
            assert weight.dtype == torch.bfloat16  # as which the four bits are stored
            assert weight.numel() * weight.element_size() == layers[key].in_features * (
                layers[key].out_features // 2
            )
        else:
            assert weight.dtype == storage
    others = {
        parameter.dtype
        for key, parameter in model.named_parameters()
        if key.rpartition(".")[0] not in quantised
    }
    assert others == {torch.float32}  # as in the checkpoint: patches, norms, embeddings, lm_head
    assert {layers[key].bias.dtype for key in quantised if layers[key].bias is not None} <= others


class Runs:
    def __init__(self, model: Path, data: Path, out: Path) -> None:
        self.model, self.data, self.out = model, data, out

    def go(self, name: str, **settings: Any) -> dict[str, Any]:
        from llamafactory.train.tuner import run_exp

        values = {
            "model_name_or_path": str(self.model), "template": "qwen2_vl", "do_train": True,
            "finetuning_type": "lora", "freeze_vision_tower": False, "dataset": "a",
            "dataset_dir": str(self.data), "output_dir": str(self.out / name), "bf16": True,
            "cutoff_len": 4096, "image_max_pixels": 1_680_000, "use_cpu": True,
            "report_to": "none", "per_device_train_batch_size": 2, "max_steps": 2,
            "logging_steps": 1, "save_steps": 1, "learning_rate": 1e-2, "disable_tqdm": True,
            "quantization_bit": 4, "depthlm": SMALL,
        }  # fmt: skip
        run_exp({key: value for key, value in (values | settings).items() if value is not ...})
        results: dict[str, Any] = json.loads((self.out / name / "all_results.json").read_text())
        return results


@pytest.fixture(scope="module")
def runs(models, data: Path, tmp_path_factory) -> Runs:
    return Runs(models["qwen"], data, tmp_path_factory.mktemp("quantised"))


@pytest.mark.parametrize("bits", KINDS)
def test_steps_evaluation_and_resuming(runs: Runs, bits: int) -> None:
    """Evaluations on the way change nothing, a resumed run goes on where it was."""
    asked = {"quantization_bit": bits}
    runs.go(f"{bits}", **asked)
    straight = losses(runs.out / f"{bits}")
    assert straight[2] < straight[1]
    looked = asked | {"eval_dataset": "b", "eval_strategy": "steps", "eval_steps": 1}
    looked |= {"depthlm": SMALL | {"eval_answers": 2}, "save_strategy": "no"}
    runs.go(f"{bits}_looked", **looked)
    assert losses(runs.out / f"{bits}_looked") == straight
    checkpoint = str(runs.out / f"{bits}" / "checkpoint-1")
    runs.go(f"{bits}_resumed", resume_from_checkpoint=checkpoint, **asked)
    assert losses(runs.out / f"{bits}_resumed") == straight
    again = runs.go(
        f"{bits}_again", adapter_name_or_path=str(runs.out / f"{bits}"), do_train=False,
        do_eval=True, dataset=..., eval_dataset="b", max_steps=..., **asked,
    )  # fmt: skip
    on_the_way = json.loads((runs.out / f"{bits}_looked" / "trainer_state.json").read_text())
    evaluated = [entry for entry in on_the_way["log_history"] if "eval_loss" in entry]
    assert again["eval_loss"] == pytest.approx(evaluated[-1]["eval_loss"], rel=1e-2)


def test_paged_optimizers_train_on_cpus(runs: Runs) -> None:
    """Where there is no GPU memory to page from: bitsandbytes takes its 8-bit Adam as it is."""
    runs.go("paged", optim="paged_adamw_8bit", double_quantization=False, save_strategy="no")
    straight = losses(runs.out / "paged")
    assert straight[2] < straight[1]


def test_adapters_of_4_bit_weights_are_merged_into_the_base(runs: Runs) -> None:
    from llamafactory.train.tuner import export_model
    from safetensors.torch import load_file

    if not (runs.out / "4").is_dir():
        runs.go("4")
    merged = runs.out / "merged"
    export = {
        "model_name_or_path": str(runs.model), "adapter_name_or_path": str(runs.out / "4"),
        "template": "qwen2_vl", "finetuning_type": "lora", "export_dir": str(merged),
        "export_device": "cpu", "infer_dtype": "float32",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="quantization_bit: adapters cannot be merged into quant"):
        export_model(export | {"model_name_or_path": "/nowhere", "quantization_bit": 4})
    assert not merged.exists()
    export_model(export)
    base = load_file(runs.model / "model.safetensors")
    adapter = load_file(runs.out / "4" / "adapter_model.safetensors")
    whole = load_file(merged / "model.safetensors")
    settings = json.loads((runs.out / "4" / "adapter_config.json").read_text())
    scale, learnt = settings["lora_alpha"] / settings["r"], []
    for key in base:
        layer = key.removesuffix(".weight").replace("model.layers", "language_model.layers")
        a, b = (adapter.get(f"base_model.model.model.{layer}.lora_{x}.weight") for x in "AB")
        if a is None or b is None:
            assert torch.equal(whole[key], base[key])
        else:
            assert torch.allclose(whole[key], base[key] + scale * b @ a, atol=1e-6)
            learnt += [key]
    assert len(learnt) == len(adapter) // 2
    config = load_config(merged)
    assert config is not None
    assert config.focal_px == SMALL["focal_px"]
