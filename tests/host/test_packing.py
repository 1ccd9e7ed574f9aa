"""Packed questions as the model receives them: turns, loss masks, and the loss of each answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support.host_tools import ROOT, SMALL, Cli, losses, overrides, rows
from support.loaded import Loaded

from depthlm_plugin.sampling.sample import Question

PACKED = 4
TEMPLATES = {"qwen": "qwen2_vl", "pixtral": "pixtral"}
BLOCK = SMALL | {
    "reference": "text",
    "questions_per_image": PACKED,
    "prompt": "plain",
    "tasks": {"depth": 1.0},
}


@pytest.fixture(scope="module", params=["qwen", "pixtral"])
def loaded(request: pytest.FixtureRequest, models, data: Path, tmp_path_factory) -> Loaded:
    out = tmp_path_factory.mktemp("packed")
    family = request.param
    return Loaded(models[family], data, out, TEMPLATES[family], depthlm=BLOCK, dataset="a")


def answers_of(labels: Any) -> list[tuple[int, int]]:
    """Where the runs of tokens with a loss begin and end."""
    has_loss = (labels != -100).int()
    edges = torch.diff(has_loss, prepend=torch.zeros(1), append=torch.zeros(1)).nonzero()[:, 0]
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_every_answer_has_its_loss_and_nothing_else(loaded: Loaded) -> None:
    for index in range(4):
        batch = loaded.batch("train_dataset", index)
        labels = batch["labels"][0]
        questions = Question.all_from_uri(loaded.uris()[index])
        assert len(questions) == PACKED
        runs = answers_of(labels)
        texts = [loaded.tokenizer.decode(labels[a:b], skip_special_tokens=True) for a, b in runs]
        assert [text.strip() for text in texts] == [f"{q.target:.2f}" for q in questions]


def test_the_vlm3_recipe_trains(models, data: Path, cli: Cli, tmp_path: Path) -> None:
    """Qwen3-VL, coordinates in text, ten questions an image, the published weights by name."""
    info = json.loads((data / "dataset_info.json").read_text())
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "rgb").symlink_to((data / "rgb").resolve())
    for name in ("hm3d_train", "taskonomy_train"):
        (folder / f"{name}.jsonl").write_bytes((data / "ibims1.jsonl").read_bytes())
    entries = {
        n: info["ibims1"] | {"file_name": f"{n}.jsonl"} for n in ("hm3d_train", "taskonomy_train")
    }
    (folder / "dataset_info.json").write_text(json.dumps(entries))
    small = {key: value for key, value in SMALL.items() if key != "prompt"}
    values = {
        "model_name_or_path": models["qwen3vl"],
        "dataset": "hm3d_train,taskonomy_train",
        "dataset_dir": folder,
        "output_dir": tmp_path / "run",
        "max_steps": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 1,
        "dataloader_num_workers": 1,
        "plot_loss": False,
        "bf16": False,
        "use_cpu": True,
        "depthlm": small,
    }
    done = cli("train", str(ROOT / "recipes" / "vlm3_qwen3vl_lora.yaml"), *overrides(**values))
    assert sorted(losses(tmp_path / "run")) == [1, 2]
    said = done.stdout + done.stderr
    assert "60.47%  hm3d_train: 46 records" in said  # .78 / (.78 + .51)
    values = {key: values[key] for key in ("model_name_or_path", "dataset_dir", "bf16", "use_cpu")}
    values |= {
        "template": "qwen3_vl_nothink",
        "adapter_name_or_path": tmp_path / "run",
        "eval_dataset": "hm3d_train",
        "output_dir": tmp_path / "eval",
        "max_samples": 5,
        "max_new_tokens": 6,
        "preprocessing_num_workers": 1,
        "depthlm": {"points_per_record": 1},
    }
    cli("train", str(ROOT / "recipes" / "depthlm_qwen_eval.yaml"), *overrides(**values))
    answers = rows(tmp_path / "eval" / "depth_predictions.jsonl")
    assert [answer["prompt"] for answer in answers] == ["plain"] * 5
    first = said.partition("training example:")[2].partition("labels:")[0]
    assert first.count("in metres? Answer with the number only.") == 10 * first.count("inputs:")


def separate(length: int, starts: list[int], ends: list[int]) -> torch.Tensor:
    """Return which token may look at which: causal, the prefix, and its own turn only."""
    allowed = torch.zeros((length, length), dtype=torch.bool)
    prefix = starts[0]
    allowed[:, :prefix] = True
    for start, end in zip(starts, ends, strict=True):
        allowed[start:end, start:end] = True
    return allowed & torch.ones((length, length), dtype=torch.bool).tril()


def test_separate_attention_gives_the_loss_of_separate_questions(models, loaded: Loaded) -> None:
    """Packing changes what a question can look at, and nothing else."""
    if loaded.template.mm_plugin.__class__.__name__ != "Qwen2VLPlugin":
        pytest.skip("positions are made by hand here, which is done for Qwen's only")
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(models["qwen"]).float().eval()
    batch = loaded.batch("train_dataset", 0)
    ids, labels = batch["input_ids"], batch["labels"]
    runs = answers_of(labels[0])
    vision_end = loaded.tokenizer.convert_tokens_to_ids("<|vision_end|>")
    prefix = int((ids[0] == vision_end).nonzero()[-1]) + 1
    ends = [end for _, end in runs]
    starts = [prefix, *ends[:-1]]
    pixels = {name: batch[name] for name in ("pixel_values", "image_grid_thw")}
    image_token = model.config.image_token_id
    alone, places = [], []
    for start, end in zip(starts, ends, strict=True):
        own = torch.cat([ids[:, :prefix], ids[:, start:end]], dim=1)
        own_labels = torch.full_like(own, -100)
        own_labels[:, prefix:] = labels[:, start:end]
        kinds = (own == image_token).int()
        place, _ = model.model.get_rope_index(
            own, mm_token_type_ids=kinds, image_grid_thw=pixels["image_grid_thw"]
        )
        places.append(place)
        with torch.no_grad():
            logits = model(
                input_ids=own,
                position_ids=place,
                mm_token_type_ids=kinds,
                attention_mask=torch.ones_like(own),
                **pixels,
            ).logits
        alone.append(loss_of(logits, own_labels))
    whole = ids[:, : ends[-1]]
    place = torch.cat([places[0][..., :prefix], *(one[..., prefix:] for one in places)], dim=-1)
    allowed = separate(whole.shape[1], starts, ends)
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min)
    with torch.no_grad():
        logits = model(
            input_ids=whole,
            position_ids=place,
            mm_token_type_ids=(whole == image_token).int(),
            attention_mask=mask[None, None],
            **pixels,
        ).logits
    packed = []
    for start, end in zip(starts, ends, strict=True):
        own_labels = torch.full_like(whole, -100)
        own_labels[:, start:end] = labels[:, start:end]
        packed.append(loss_of(shifted(logits, start, prefix), own_labels))
    assert packed == pytest.approx(alone, rel=1e-5)
    assert len({round(loss, 4) for loss in alone}) == PACKED
    with torch.no_grad():  # as it is trained, later questions see earlier answers
        logits = model(
            input_ids=whole,
            mm_token_type_ids=(whole == image_token).int(),
            attention_mask=torch.ones_like(whole),
            **pixels,
        ).logits
    own_labels = torch.full_like(whole, -100)
    own_labels[:, starts[-1] : ends[-1]] = labels[:, starts[-1] : ends[-1]]
    assert loss_of(logits, own_labels) != pytest.approx(alone[-1], rel=1e-5)


def shifted(logits: torch.Tensor, start: int, prefix: int) -> torch.Tensor:
    """A turn's first token is foretold by the last token that it may look at: the prefix's."""
    result = logits.clone()
    result[:, start - 1] = logits[:, prefix - 1]
    return result


def loss_of(logits: torch.Tensor, labels: torch.Tensor) -> float:
    flat = logits[:, :-1].flatten(0, 1).float()
    loss = torch.nn.functional.cross_entropy(flat, labels[:, 1:].flatten(), ignore_index=-100)
    return loss.item()
