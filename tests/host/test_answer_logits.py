"""Logits of the answers' tokens give the loss and the gradients of all logits; where not, all."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.host_tools import SMALL, losses
from support.loaded import TEMPLATES, Loaded
from support.tiny_heads import FAMILIES, VOCABULARY, tiny

from depthlm_plugin.host import trainer
from depthlm_plugin.host.answer_logits import of_answers, takes_them
from depthlm_plugin.host.mrope import with_token_types

ONLY_ALL = {"gemma3", "llama4"}  # their losses look at the attention mask of the last positions
pytestmark = pytest.mark.usefixtures("one_thread")


def rows() -> dict[str, torch.Tensor]:
    """Three rows: one answer and padding; an answer up to the end; three answers, as packed."""
    ids = torch.randint(3, VOCABULARY, (3, 24), generator=torch.Generator().manual_seed(0))
    labels = torch.full_like(ids, -100)
    for row, start, end in ((0, 14, 17), (1, 20, 24), (2, 3, 5), (2, 9, 11), (2, 15, 17)):
        labels[row, start:end] = ids[row, start:end]
    mask = torch.ones_like(ids)
    mask[0, 17:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def backward(model: Any, inputs: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor], int]:
    """The loss, its gradients, and for how many positions there were logits."""
    model.zero_grad()
    outputs = model(**inputs)
    outputs.loss.backward()
    gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return outputs.loss.item(), gradients, outputs.logits.shape[1]


def assert_same(model: Any, inputs: dict[str, Any], **both: Any) -> None:
    loss, gradients, all_positions = backward(model, inputs | both)
    short = of_answers(inputs)
    short_loss, short_gradients, positions = backward(model, short | both)
    assert all_positions == inputs["labels"].shape[1]
    assert positions == short["labels"].shape[1] < all_positions
    assert short_loss == pytest.approx(loss, rel=1e-6)
    assert gradients.keys() == short_gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(short_gradients[name], gradient, rtol=1e-3, atol=1e-6)


def test_the_positions_that_predict_an_answer_and_one_more_are_kept() -> None:
    labels = torch.full((2, 10), -100)
    labels[0, 4:6] = torch.tensor([1, 2])
    labels[1, 5:7] = torch.tensor([3, 4])
    short = of_answers({"labels": labels, "input_ids": labels})
    assert short["logits_to_keep"].tolist() == [3, 4, 5, 6]
    assert short["labels"].tolist() == [[-100, 1, 2, -100], [-100, -100, 3, 4]]
    assert short["input_ids"] is labels


def test_a_batch_without_labels_stays() -> None:
    inputs = {"labels": torch.full((2, 10), -100)}
    assert of_answers(inputs) is inputs


@pytest.mark.parametrize("family", FAMILIES)
def test_loss_and_gradients_of_each_family_are_the_same(family: str) -> None:
    model = tiny(family).eval()  # no dropout
    state = torch.get_rng_state()
    assert takes_them(model) == (family not in ONLY_ALL)
    assert torch.equal(torch.get_rng_state(), state)
    if family in ONLY_ALL:
        loss, _, _ = backward(model, rows())
        assert backward(model, of_answers(rows()))[0] != pytest.approx(loss, rel=1e-4)
        return
    assert_same(model, rows())
    # The number of answer tokens in all accumulated batches: of models that count them, or not.
    assert_same(model, rows(), num_items_in_batch=torch.tensor(40))


@pytest.mark.parametrize("family", TEMPLATES)
def test_loss_and_gradients_of_pictures_are_the_same(
    models, data: Path, tmp_path: Path, family: str
) -> None:
    from transformers import AutoModelForImageTextToText

    loaded = Loaded(models[family], data, tmp_path, TEMPLATES[family], dataset="a")
    model = AutoModelForImageTextToText.from_pretrained(models[family]).float().eval()
    assert_same(model, with_token_types(model, dict(loaded.batch("train_dataset", 0, 1, 2))))


def test_a_model_is_asked_inside_its_adapter() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny("qwen2_5_vl"), LoraConfig(target_modules=["q_proj", "lm_head"]))
    assert takes_them(model)
    assert_same(model.eval(), rows())


def test_code_that_takes_no_positions_is_found_out() -> None:
    from transformers import Qwen2_5_VLForConditionalGeneration

    class Unaware(Qwen2_5_VLForConditionalGeneration):
        def forward(self, input_ids: Any, labels: Any = None) -> Any:
            return super().forward(input_ids=input_ids, labels=labels)

    class Ignoring(Qwen2_5_VLForConditionalGeneration):
        def forward(self, logits_to_keep: Any = 0, **inputs: Any) -> Any:
            return super().forward(**inputs)

    class Unshifted(Qwen2_5_VLForConditionalGeneration):
        def forward(self, logits_to_keep: Any = 0, **inputs: Any) -> Any:
            labels = inputs.pop("labels").roll(-1, dims=1)
            return super().forward(logits_to_keep=logits_to_keep, labels=labels, **inputs)

    config = tiny("qwen2_5_vl").config
    assert takes_them(Qwen2_5_VLForConditionalGeneration(config))
    for changed in (Unaware, Ignoring, Unshifted):
        assert not takes_them(changed(config))


def train(models, data: Path, out: Path, **extra: Any) -> tuple[dict[int, float], list[Any]]:
    """The losses, and the evaluations, of LLaMA-Factory's own run in this process."""
    from llamafactory.train.tuner import run_exp

    values = {
        "model_name_or_path": str(models["qwen"]),
        "template": "qwen2_vl",
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "dataset": "ibims1",
        "eval_dataset": "a,b",
        "dataset_dir": str(data),
        "output_dir": str(out),
        "cutoff_len": 4096,
        "image_max_pixels": 1_680_000,
        "max_steps": 3,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "per_device_eval_batch_size": 3,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "logging_steps": 1,
        "plot_loss": False,
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "depthlm": SMALL,
    }
    run_exp(values | extra)
    history = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return losses(out), [entry for entry in history if "eval_loss" in entry]


@pytest.fixture
def positions(monkeypatch: pytest.MonkeyPatch):
    """Of each batch with labels: how many tokens a row has, and how many have logits."""
    from transformers import Qwen2_5_VLForConditionalGeneration as Model

    seen: list[tuple[int, int]] = []
    forward = Model.forward

    @functools.wraps(forward)
    def counting(self: Any, *args: Any, **inputs: Any) -> Any:
        outputs = forward(self, *args, **inputs)
        length = inputs["input_ids"].shape[1]
        if length > 8:  # not those of the trial
            seen.append((length, outputs.logits.shape[1]))
        return outputs

    monkeypatch.setattr(Model, "forward", counting)
    return seen


def test_a_run_is_the_same_with_a_part_of_the_logits(
    models, data: Path, tmp_path: Path, monkeypatch, positions
) -> None:
    few, few_evaluations = train(models, data, tmp_path / "few")
    assert len(positions) > 3 * 2  # the accumulated steps; the others are evaluations of a and b
    assert all(kept < length // 2 for length, kept in positions)
    positions.clear()
    monkeypatch.setattr(trainer, "takes_them", lambda model: False)
    every, every_evaluations = train(models, data, tmp_path / "every")
    assert all(kept == length for length, kept in positions)
    assert few == pytest.approx(every, rel=1e-4)
    assert len(few_evaluations) == len(every_evaluations)
    for ours, theirs in zip(few_evaluations, every_evaluations, strict=True):
        assert ours["eval_loss"] == pytest.approx(theirs["eval_loss"], rel=1e-4)


def test_metrics_of_logits_see_all_of_them(models, data: Path, tmp_path: Path, positions) -> None:
    extra = {"compute_accuracy": True, "eval_dataset": "a", "max_steps": 2}
    _, evaluations = train(models, data, tmp_path / "run", **extra)
    steps, evaluated = positions[:4], positions[4:]
    assert all(kept < length // 2 for length, kept in steps)
    assert evaluated
    assert all(kept == length for length, kept in evaluated)
    assert 0 <= evaluations[0]["eval_accuracy"] <= 1


def test_packed_rows_are_the_same(models, data: Path, tmp_path, monkeypatch, positions) -> None:
    extra = {
        "depthlm": SMALL | {"lazy": False},
        "packing": True,
        "neat_packing": True,
        "cutoff_len": 512,
        "eval_strategy": "no",
        "eval_dataset": None,
    }
    few, _ = train(models, data, tmp_path / "few", **extra)
    assert all(kept < length // 2 for length, kept in positions)
    monkeypatch.setattr(trainer, "takes_them", lambda model: False)
    assert train(models, data, tmp_path / "every", **extra)[0] == pytest.approx(few, rel=1e-4)


def test_another_loss_gets_all_logits(models, data: Path, tmp_path: Path, positions) -> None:
    extra = {"use_dft_loss": True, "max_steps": 1, "eval_strategy": "no"}
    train(models, data, tmp_path / "run", **extra)
    assert positions
    assert all(kept == length for length, kept in positions)


def test_other_runs_keep_all_logits(models, data: Path, tmp_path: Path, positions) -> None:
    sums = [{"instruction": f"{n} + {n}", "input": "", "output": f"{2 * n}"} for n in range(8)]
    (tmp_path / "sums.json").write_text(json.dumps(sums))
    (tmp_path / "dataset_info.json").write_text('{"sums": {"file_name": "sums.json"}}')
    extra = {"dataset": "sums", "eval_dataset": None, "eval_strategy": "no", "depthlm": None}
    train(models, tmp_path, tmp_path / "run", max_steps=1, **extra)
    assert positions
    assert all(kept == length for length, kept in positions)
