"""The estimates of memory and operations against tiny models that LLaMA-Factory loads for training.

All tensors that are alive at once are counted, on a CPU: see `support.peaks`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.peaks import LiveBytes, counting_flops
from support.tiny_pixtral import build_tiny_pixtral

from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen
from depthlm_plugin.host.answer_logits import of_answers
from depthlm_plugin.recipe import flops, memory
from depthlm_plugin.recipe.families import PIXTRAL, QWEN2_5_VL, Family
from depthlm_plugin.recipe.flops import flops_of
from depthlm_plugin.recipe.memory import Load, estimate
from depthlm_plugin.recipe.sizes import Sizes, sizes_of

RANK = 8  # of LoRA: a share of the width as in the recipes
SIDE = {"qwen": 40, "pixtral": 20}  # patches
TEXT, ANSWER = 100, 10  # tokens
GIVEN = {"stage": "sft", "do_train": True, "dataset": "none", "bf16": False, "use_cpu": True,
         "freeze_vision_tower": False, "freeze_multi_modal_projector": False}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("estimates")
    sizes = {"seed": 0, "hidden_size": 256, "layers": 4}
    return {
        "qwen": build_tiny_qwen(folder / "qwen", **sizes, vision_hidden_size=128),
        "pixtral": build_tiny_pixtral(folder / "pixtral", **sizes),
    }


def loaded(folder: Path, family: Family, method: str, checkpointing: bool) -> Any:
    """The model as LLaMA-Factory trains it in bf16: frozen weights in 16 bits."""
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_model, load_tokenizer

    given: dict[str, Any] = {
        "model_name_or_path": str(folder),
        "template": family.template,
        "finetuning_type": method,
        "output_dir": str(folder / "out"),
        "disable_gradient_checkpointing": not checkpointing,
    }
    if method == "lora":
        given |= {"lora_rank": RANK, "lora_target": "all", "additional_target": family.merger}
    model_args, _, _, finetuning_args, _ = get_train_args(GIVEN | given)
    model_args.compute_dtype = torch.bfloat16
    tokenizer = load_tokenizer(model_args)["tokenizer"]
    model = load_model(tokenizer, model_args, finetuning_args, True)
    for weight in model.parameters():
        if not weight.requires_grad:
            weight.data = weight.data.bfloat16()
    return model.train()


def one_picture(config: Any, side: int) -> tuple[dict[str, Any], int]:
    """The inputs of one picture with its question and answer, and its image tokens."""
    px = config.vision_config.patch_size
    if config.model_type == "qwen2_5_vl":
        tokens, image = side**2 // 4, config.image_token_id
        pixels = torch.randn(side**2, 3 * 2 * px * px)
        seen = {"pixel_values": pixels, "image_grid_thw": torch.tensor([[1, side, side]])}
    else:
        tokens, image = side**2, config.image_token_index
        pixels = torch.randn(1, 3, side * px, side * px)
        seen = {"pixel_values": pixels, "image_sizes": torch.tensor([[side * px, side * px]])}
    ids = torch.cat([torch.full((tokens,), image), torch.randint(20, 30, (TEXT,))])[None]
    labels = torch.full_like(ids, -100)
    labels[:, -ANSWER:] = ids[:, -ANSWER:]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, **seen}
    if config.model_type == "qwen2_5_vl":
        inputs["mm_token_type_ids"] = (ids == image).long()
    return of_answers(inputs), tokens


@pytest.mark.parametrize(
    ("family", "method", "checkpointing"),
    [
        (QWEN2_5_VL, "lora", True),
        (QWEN2_5_VL, "lora", False),
        (QWEN2_5_VL, "full", True),
        (PIXTRAL, "lora", True),
        (PIXTRAL, "lora", False),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_a_step_takes_what_is_estimated(
    built, monkeypatch, family: Family, method: str, checkpointing: bool
) -> None:
    """Memory between 0.75 and 1.1 of the estimate, operations within 5 %."""
    from transformers import AutoConfig

    monkeypatch.setattr(memory, "LORA_RANK", RANK)
    monkeypatch.setattr(flops, "LORA_RANK", RANK)
    config = AutoConfig.from_pretrained(built[family.name])
    model = loaded(built[family.name], family, method, checkpointing)
    sizes: Sizes = sizes_of(config)
    side = SIDE[family.name]
    inputs, tokens = one_picture(config, side)
    load = Load(1, tokens + TEXT, side**2, ANSWER + 1, joined=family.row_tokens)
    expected = estimate(sizes, method, load, checkpointing=checkpointing)

    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert trained * (18 if method == "full" else 16) == expected.training_gb * 1e9
    with LiveBytes() as live, torch.autocast("cpu", torch.bfloat16):
        model(**inputs).loss.backward()
    step_gb = expected.activations_gb + expected.logits_gb
    step_gb += (6 if method == "full" else 4) * trained / 1e9  # gradients; copies in 16 bits
    assert 0.75 < live.peak / 1e9 / step_gb < 1.1
    with counting_flops() as counted, torch.autocast("cpu", torch.bfloat16):
        model(**inputs).loss.backward()
    operations = flops_of(sizes, method, load, checkpointing=checkpointing)
    assert counted.get_total_flops() == pytest.approx(operations, rel=0.05)


def test_logits_take_twelve_bytes_each() -> None:
    from transformers.loss.loss_utils import ForCausalLMLoss

    positions, vocabulary = 40, 50_000
    hidden = torch.randn(1, positions, 16, dtype=torch.bfloat16, requires_grad=True)
    table = torch.randn(vocabulary, 16, dtype=torch.bfloat16)
    labels = torch.randint(vocabulary, (1, positions))
    with LiveBytes() as live:
        ForCausalLMLoss(hidden @ table.T, labels, vocabulary).backward()
    assert 0.75 < live.peak / (12 * positions * vocabulary) < 1.2


def test_four_bit_weights_take_half_a_byte_and_their_constants() -> None:
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = torch.randn(1024, 1024)
    packed, state = functional.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    parts = (packed, state.absmax, state.state2.absmax, state.state2.code)
    held = sum(part.numel() * part.element_size() for part in parts)
    assert held == pytest.approx(memory._FOUR_BIT * weight.numel(), rel=0.02)
