"""Attention of depth runs: equal windows together, and flash attention without its crash."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from support.host_tools import SMALL, losses, run
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AutoModelForImageTextToText
from transformers import modeling_flash_attention_utils as flash

from depthlm_plugin.host.attention import (
    _MARK,
    BY_LENGTH,
    WINDOWED,
    describe,
    is_windowed,
    mend_attention,
    sdpa_by_length,
)

TOWERS = {
    "ernie4_5_vl_moe": "Ernie4_5_VLMoeVisionTransformerPretrainedModel",
    "glm4v": "Glm4vVisionModel",
    "glm4v_moe": "Glm4vMoeVisionModel",
    "glm_ocr": "GlmOcrVisionModel",
    "qwen2_5_omni": "Qwen2_5OmniVisionEncoder",
    "qwen2_5_vl": "Qwen2_5_VisionTransformerPretrainedModel",
    "qwen2_vl": "Qwen2VisionTransformerPretrainedModel",
    "qwen3_5": "Qwen3_5VisionModel",
    "qwen3_5_moe": "Qwen3_5MoeVisionModel",
    "qwen3_omni_moe": "Qwen3OmniMoeVisionEncoder",
    "qwen3_vl": "Qwen3VLVisionModel",
    "qwen3_vl_moe": "Qwen3VLMoeVisionModel",
}
LARGEST = [[1, 84, 100]]  # patches of 14 px: 1400x1176
MIXED = [[1, 10, 14], [1, 20, 12], [1, 10, 14]]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is registered in a test is forgotten after it, and what runs registered, before."""
    registered = AttentionInterface._global_mapping.items()
    functions = {
        name: function.__wrapped__ if hasattr(function, _MARK) else function
        for name, function in registered
        if name != BY_LENGTH
    }
    monkeypatch.setattr(AttentionInterface, "_global_mapping", functions)


class Counting:
    """Counts calls of attention and waits for the device, also when checkpointing runs again."""

    def __enter__(self) -> Counting:
        self.attention = self.waits = 0
        self._patch = pytest.MonkeyPatch()
        self._count(torch.nn.functional, "scaled_dot_product_attention", "attention")
        self._count(torch.Tensor, "tolist", "waits")
        self._count(torch.Tensor, "item", "waits")
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _count(self, owner: Any, name: str, counter: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            setattr(self, counter, getattr(self, counter) + 1)
            return original(*args, **kwargs)

        self._patch.setattr(owner, name, counted)


def tower_of(family: str, depth: int = 3) -> Any:
    """The family's vision tower with small random weights; its last layer sees whole pictures."""
    module = import_module(f"transformers.models.{family}.modeling_{family}")
    made = getattr(module, TOWERS[family])
    sizes = {
        "depth": depth,
        "num_heads": 2,
        "hidden_size": 64,
        "embed_dim": 64,
        "intermediate_size": 64,
        "out_hidden_size": 64,
        "fullatt_block_indexes": [depth - 1],
        "deepstack_visual_indexes": [0],
        "num_position_embeddings": 64,
    }
    known = made.config_class()
    config = made.config_class(**{k: v for k, v in sizes.items() if hasattr(known, k)})
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    return made(config).eval()


def pair(family: str, **sizes: int) -> tuple[Any, Any]:
    """Two equal towers: as transformers has it, and mended."""
    stock, ours = tower_of(family, **sizes), tower_of(family, **sizes)
    mend_attention(ours)
    return stock, ours


def patches(tower: Any, grid: list[list[int]]) -> torch.Tensor:
    """Random pictures as the tower takes them, with sides in patches."""
    size = tower.patch_embed.proj.weight[0].numel()
    count = sum(t * h * w for t, h, w in grid)
    generator = torch.Generator().manual_seed(1)
    dtype = tower.patch_embed.proj.weight.dtype
    return torch.randn(count, size, generator=generator).to(dtype)


def tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif output is not None:
        for value in output.values() if hasattr(output, "values") else output:
            yield from tensors(value)


def step(tower: Any, grid: list[list[int]]) -> tuple[Counting, list[torch.Tensor], dict[str, Any]]:
    """Run forward and backward; return calls, outputs and gradients by parameter."""
    with Counting() as counting:
        outputs = list(tensors(tower(patches(tower, grid), torch.tensor(grid))))
        sum(output.float().square().mean() for output in outputs).backward()
    gradients = {
        name: weight.grad for name, weight in tower.named_parameters() if weight.grad is not None
    }
    return counting, outputs, gradients


def assert_same_step(stock: Any, ours: Any, grid: list[list[int]]) -> tuple[Counting, Counting]:
    before, expected, expected_gradients = step(stock, grid)
    after, found, gradients = step(ours, grid)
    assert len(found) == len(expected) > 0
    assert all(map(torch.equal, found, expected))
    assert gradients.keys() == expected_gradients.keys()
    assert any(gradient.abs().sum() > 0 for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected_gradients[name], msg=lambda m, n=name: n + m)
    return before, after


def test_the_largest_crop_takes_three_calls_a_layer_and_gives_the_same_bits() -> None:
    stock, ours = pair("qwen2_5_vl")
    before, after = assert_same_step(stock, ours, LARGEST)
    assert (before.attention, after.attention) == (143 + 143 + 1, 3 + 3 + 1)


@pytest.mark.parametrize("family", WINDOWED)
def test_each_family_gives_the_same_bits_with_fewer_calls(family: str) -> None:
    stock, ours = pair(family)
    assert ours.config._attn_implementation == BY_LENGTH
    before, after = assert_same_step(stock, ours, MIXED)
    if "qwen2_5" in family:
        assert (before.attention, after.attention) == (2 * 14 + 3, 2 * 5 + 2)
    else:  # whole pictures only: three of them, two of which have one size
        assert (before.attention, after.attention) == (3 * 3, 3 * 2)


@pytest.mark.parametrize("reentrant", [False, True], ids=["", "reentrant"])
@pytest.mark.parametrize("lora", [False, True], ids=["all weights", "LoRA"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_training_with_checkpointing(dtype: torch.dtype, lora: bool, reentrant: bool) -> None:
    towers = []
    for tower in pair("qwen2_5_vl"):
        torch.manual_seed(2)
        if lora:
            peft = get_peft_model(tower, LoraConfig(target_modules=["qkv"], lora_alpha=64))
            tower = peft.base_model.model
            tower.patch_embed.register_forward_hook(lambda *a: a[-1].requires_grad_())
        tower.to(dtype).train()
        tower.gradient_checkpointing_enable({"use_reentrant": reentrant})
        towers.append(tower)
    before, after = assert_same_step(*towers, MIXED)
    assert (before.attention, after.attention) == (2 * (2 * 14 + 3), 2 * (2 * 5 + 2))


def test_lengths_are_read_once_a_forward_and_not_in_each_layer() -> None:
    """The wait for the device is `tolist`; checkpointing runs each layer again in the backward."""
    waits = []
    for depth in (3, 9):
        tower = tower_of("qwen2_5_vl", depth=depth)
        mend_attention(tower)
        tower.train()
        tower.gradient_checkpointing_enable({"use_reentrant": False})
        waits.append(step(tower, MIXED)[0].waits)
    stock = tower_of("qwen2_5_vl", depth=3)
    assert waits[0] == waits[1] < step(stock, MIXED)[0].waits


def test_towers_that_do_not_use_sdpa_are_left_alone() -> None:
    for chosen in ("eager", "flash_attention_2"):
        tower = tower_of("qwen2_5_vl")
        tower.config._attn_implementation = chosen
        mend_attention(tower)
        assert tower.config._attn_implementation == chosen


def test_a_tower_of_another_shape_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    tower = tower_of("qwen2_5_vl")
    attention = type(tower.blocks[0].attn)
    assert is_windowed(attention)
    before = attention.forward

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return before(self, *args, **kwargs)

    monkeypatch.setattr(attention, "forward", forward)
    mend_attention(tower)
    assert tower.config._attn_implementation == "sdpa"


def test_every_known_family_is_found_here() -> None:
    assert WINDOWED.keys() == TOWERS.keys()
    assert describe().endswith("equal windows of vision towers in one call")


def test_flash_attention_is_named_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: False)
    assert describe().startswith("SDPA: flash-attn 2 is not installed or has no GPU here")
    monkeypatch.setattr("transformers.utils.is_flash_attn_2_available", lambda: True)
    said = "SDPA with flash_attn: auto, which never picks flash-attn; flash-attn with fa2"
    assert describe().startswith(said)
    repaired = "(depth runs repair transformers, whose own fa2 crashes)"
    assert (repaired in describe()) == (transformers.__version__ == "5.6.0")


def test_an_unknown_shape_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WINDOWED, "qwen2_vl", "AttentionOfTomorrow")
    monkeypatch.setitem(WINDOWED, "model_of_tomorrow", "VisionAttention")
    said = describe()
    assert "but not of qwen2_vl, model_of_tomorrow: not as this transformers has them" in said


def test_the_choice_is_not_saved_with_the_weights(models: Any, tmp_path: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(models["qwen"])
    mend_attention(model)
    assert model.config.vision_config._attn_implementation == BY_LENGTH
    assert model.config._attn_implementation == "sdpa"
    assert model.config.text_config._attn_implementation == "sdpa"
    model.save_pretrained(tmp_path)
    assert "flash" not in (tmp_path / "config.json").read_text()
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert again.config.vision_config._attn_implementation == "sdpa"


# flash-attn's kernels run on GPUs only: these two functions, with its signatures, stand for them.
# All else is transformers' own code. https://github.com/Dao-AILab/flash-attention


def flash_attn_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
) -> torch.Tensor:
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    mask = None
    if causal:  # aligned at the last token of both
        shape = q.shape[2], k.shape[2]
        mask = torch.ones(shape, dtype=torch.bool).tril(shape[1] - shape[0])
    output = scaled_dot_product_attention(
        q, k, v, mask, dropout_p, scale=softmax_scale, enable_gqa=True
    )
    return output.transpose(1, 2)


def flash_attn_varlen_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor,
    max_seqlen_q: int,
    max_seqlen_k: int,
    dropout_p: float = 0.0,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
    softcap: float = 0.0,
    alibi_slopes: None = None,
    deterministic: bool = False,
    return_attn_probs: bool = False,
    block_table: None = None,
) -> torch.Tensor:
    lengths = [torch.diff(ends).tolist() for ends in (cu_seqlens_q, cu_seqlens_k, cu_seqlens_k)]
    assert max(lengths[0]) == int(max_seqlen_q)
    parts = zip(*map(torch.split, (q, k, v), lengths), strict=True)
    return torch.cat(
        [
            flash_attn_func(*(row[None] for row in part), dropout_p, softmax_scale, causal)[0]
            for part in parts
        ]
    )


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins, where transformers looks for flash-attn."""
    functions = (
        flash_attn_func,
        flash_attn_varlen_func,
        None,
        flash._pad_input,
        flash._unpad_input,
    )
    monkeypatch.setattr(flash, "_lazy_imports", lambda *_, **__: functions)
    state = "_loaded_implementation _flash_fn _flash_varlen_fn _flash_with_kvcache_fn _pad_fn"
    for name in (*state.split(), "_unpad_fn", "_process_flash_kwargs_fn"):
        monkeypatch.setattr(flash, name, None)


def asked(model: Path) -> tuple[Any, dict[str, torch.Tensor]]:
    """A model, and two prompts with a picture each, the second padded on the left."""
    from PIL import Image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(model)
    image = processor.image_token
    text = f"{image} how far is the point"
    pictures = [Image.new("RGB", size, "green") for size in ((280, 168), (140, 168))]
    inputs = processor(
        pictures, [text, text], return_tensors="pt", padding_side="left", padding=True
    )
    return AutoModelForImageTextToText.from_pretrained(model).eval(), inputs


@pytest.mark.parametrize("name", ["qwen", "qwen3vl", "pixtral"])
def test_flash_attention_works_again(models: Any, kernels: None, name: str) -> None:
    model, inputs = asked(models[name])
    with torch.no_grad():
        expected = model(**inputs).logits
        answer = model.generate(**inputs, max_new_tokens=6, do_sample=False)
        model.config._attn_implementation = "flash_attention_2"  # what a GPU is asked for
        stock = dict(AttentionInterface._global_mapping)
        try:
            model(**inputs)
            broken = False
        except AttributeError as error:  # transformers 5.6.0
            broken = str(error) == "'NoneType' object has no attribute 'to'"
            assert broken
        mend_attention(model)
        mended = dict(AttentionInterface._global_mapping)
        assert (mended.pop(BY_LENGTH), mended != stock) == (sdpa_by_length, broken)
        found = model(**inputs).logits
        read = inputs["attention_mask"].bool()
        torch.testing.assert_close(found[read], expected[read], rtol=1e-4, atol=1e-4)
        again = model.generate(**inputs, max_new_tokens=6, do_sample=False)
    assert torch.equal(again, answer)
    mend_attention(model)
    assert AttentionInterface._global_mapping == mended | {BY_LENGTH: sdpa_by_length}


def test_an_attention_sink_reaches_the_kernel(kernels: None) -> None:
    """Of models that have one: only its absence is repaired."""
    seen = []

    def broken(*args: Any, s_aux: Any = None) -> None:
        seen.append(s_aux.to(torch.bfloat16))

    def sound(*args: Any, s_aux: Any = None) -> None:
        seen.append(s_aux.to(torch.bfloat16) if s_aux is not None else None)

    AttentionInterface.register("broken", broken)
    AttentionInterface.register("sound", sound)
    mend_attention(torch.nn.Identity())
    registered = AttentionInterface._global_mapping
    assert registered["sound"] is sound
    assert registered["broken"] is not broken
    sink = torch.ones(2)
    registered["broken"](1, s_aux=sink)
    registered["broken"](1)
    assert seen[0].dtype == torch.bfloat16
    assert seen[1] is None


def test_depth_runs_use_it_and_others_do_not(
    models: Any, data: Path, ibims: Path, tmp_path: Path
) -> None:
    rooms = {"messages": "messages", "images": "images"}
    picture = next((ibims / "rgb").glob("*.png"))
    turns = [{"from": "human", "value": "<image>Where?"}, {"from": "gpt", "value": "Here."}]
    (tmp_path / "rooms.json").write_text(
        json.dumps([{"messages": turns, "images": [str(picture)]}])
    )
    entry = {"file_name": "rooms.json", "formatting": "sharegpt", "columns": rooms}
    (tmp_path / "dataset_info.json").write_text(json.dumps({"rooms": entry}))
    shared = {
        "model_name_or_path": str(models["qwen"]),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "freeze_vision_tower": False,
        "cutoff_len": 4096,
        "max_steps": 2,
        "per_device_train_batch_size": 1,
        "logging_steps": 1,
        "use_cpu": True,
        "report_to": "none",
    }
    runs = {
        "other": {"dataset": "rooms", "dataset_dir": str(tmp_path), "image_max_pixels": 65536},
        "depth": {"dataset": "a", "dataset_dir": str(data), "depthlm": SMALL},
    }
    arguments = [shared | extra | {"output_dir": str(tmp_path / n)} for n, extra in runs.items()]
    script = f"""
from llamafactory.train.tuner import run_exp
for arguments in {arguments!r}:
    print("begins: " + arguments["dataset"])
    run_exp(arguments)
"""
    result = run([sys.executable, "-u", "-c", script])
    assert result.returncode == 0, result.stderr[-3000:]
    said = "Qwen2_5_VLVisionAttention takes equal windows in one call"
    others, depths = result.stdout.split("begins: a\n")
    assert (others.count(said), depths.count(said)) == (0, 1)
    for name in runs:
        assert losses(tmp_path / name).keys() == {1, 2}
        assert "flash" not in (tmp_path / name / "config.json").read_text()
