"""Each family trains, evaluates and merges from its shipped recipe, and sees what it should.

One run of LLaMA-Factory a family, in this process, on a tiny model of the real classes: forty
steps on one repeated batch of pictures, an evaluation, a merge.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.families import BASE_VLMS
from support.families_run import (
    BORROWED,
    DEPTH_M,
    Trial,
    answers,
    overridden,
    write_data,
)
from support.host_tools import losses
from support.tiny_vlms import TINY_VLMS, build

from depthlm_plugin import View
from depthlm_plugin.host.decoding import decoded
from depthlm_plugin.host.mrope import with_token_types
from depthlm_plugin.host.processors.registry import grid_of
from depthlm_plugin.language.reading import read_answer
from depthlm_plugin.language.templates import load_template

ANSWER = (
    f"<think> The point is around {DEPTH_M:.2f} meters away from the camera. </think>\n\n"
    f"<answer> {DEPTH_M:.2f} </answer>"
)
_QWEN = (r"(?:<\|image_pad\|>)+", "<|image_pad|>")
_IMAGE = (r"(?:<image>)+", "<image>")
PICTURES = {
    "Qwen2VLProcessor": _QWEN,
    "Qwen2_5_VLProcessor": _QWEN,
    "Qwen3VLProcessor": _QWEN,
    "PixtralProcessor": (r"(?:\[IMG\]|\[IMG_BREAK\])+\[IMG_END\]", "[IMG]"),
    "InternVLProcessor": (r"<img>(?:<IMG_CONTEXT>)+</img>", "<IMG_CONTEXT>"),
    "Gemma3Processor": (r"\n\n<start_of_image>.*<end_of_image>\n\n", "<start_of_image>"),
    "Gemma4Processor": (r"<\|image>(?:<\|image\|>)+<image\|>", "<|image|>"),
    "Glm4vProcessor": (r"(?:<\|image\|>)+", "<|image|>"),
    "Lfm2VlProcessor": _IMAGE,
    "LlavaNextProcessor": _IMAGE,
    "LlavaNextVideoProcessor": _IMAGE,
    "VideoLlavaProcessor": _IMAGE,
    "MllamaProcessor": (r"<\|image\|>", "<|image|>"),
    "Llama4Processor": (r"<\|image_start\|>.*<\|image_end\|>", "<|image|>"),
    "Ernie4_5_VLMoeProcessor": (r"(?:<\|IMAGE_PLACEHOLDER\|>)+", "<|IMAGE_PLACEHOLDER|>"),
}
"""What a row of the batch has for a picture, and what the family's processor replaces by that."""
SETTINGS = {"lfm2_vl": {"use_image_special_tokens": False}}
"""LLaMA-Factory 0.9.5 writes LFM2-VL's pictures without begin and end."""
UNUSED = {
    "layers.1.": "CLIP's last layer, of which these families take the one before",
    "video_tower": "Video-LLaVA's, which no picture passes",
}


@dataclass
class Done:
    """A family after training.

    Attributes:
        trial: Its folders and recipes.
        uris: The views of each batch.
        batch: The first batch, as the model receives it.
    """

    trial: Trial
    uris: list[list[str]]
    batch: dict[str, Any]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module", params=TINY_VLMS)
def done(request: pytest.FixtureRequest, one_thread, scenes: Path, tmp_path_factory) -> Done:
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask as Collator
    from llamafactory.train.tuner import run_exp

    trial = Trial(request.param, tmp_path_factory.mktemp(request.param), scenes)
    build(trial.kind, trial.model)
    uris: list[list[str]] = []
    batches: list[dict[str, Any]] = []
    collate = Collator.__call__

    def remembering(self: Any, features: list[dict[str, Any]]) -> Any:
        uris.append([uri for feature in features for uri in feature["images"]])
        batch = collate(self, features)
        if not batches:
            batches.append(copy.deepcopy(dict(batch)))
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Collator, "__call__", remembering)
        run_exp(overridden(trial.recipe, trial.training()))
    return Done(trial, uris[: trial.steps], batches[0])


@pytest.fixture(scope="module")
def answered(done: Done) -> list[str]:
    """What the adapter answers."""
    from llamafactory.train.tuner import run_exp

    out = done.trial.folder / "with_adapter"
    run_exp(overridden(done.trial.evaluation, done.trial.evaluating(out, merged=False)))
    return answers(out)


@pytest.fixture(scope="module")
def plain(done: Done, answered: list[str]) -> tuple[Any, Any]:
    """The merged model and its processor, as transformers loads them."""
    from llamafactory.train.tuner import export_model
    from transformers import AutoModelForImageTextToText, AutoProcessor

    export_model(done.trial.export())
    model = AutoModelForImageTextToText.from_pretrained(done.trial.merged).float().eval()
    return model, AutoProcessor.from_pretrained(done.trial.merged)


def test_the_loss_of_a_repeated_batch_falls(done: Done) -> None:
    loss = losses(done.trial.adapter)
    assert all(sorted(uris) == sorted(done.uris[0]) for uris in done.uris)
    assert loss.keys() == set(range(1, done.trial.steps + 1))
    assert loss[30] < loss[1] / 3


def test_a_batch_has_pictures_of_several_sizes(done: Done) -> None:
    sizes = {View.from_uri(uri).size_wh for uri in done.uris[0]}
    fixed = "crop_width" in done.trial.views and done.trial.recipe.view.fixed_wh
    if fixed or done.trial.kind in {"video_llava", "llava_next_video", "paligemma"}:
        assert len(sizes) == 1
        assert len(set(done.uris[0])) == len(done.uris[0])
    else:
        assert len(sizes) > 1


def test_the_loss_covers_the_answers_only(done: Done) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(done.trial.adapter)
    for labels, ids in zip(done.batch["labels"], done.batch["input_ids"], strict=True):
        learned = labels != -100
        assert torch.equal(labels[learned], ids[learned])
        text = decoded(tokenizer, labels[learned].tolist()).strip()
        for word in ("Assistant: ", "<|channel>thought\n<channel|>"):  # ERNIE's and Gemma 4's
            text = text.removeprefix(word)
        assert text == ANSWER


def first_picture(done: Done) -> dict[str, Any]:
    """What the batch has of its first picture: everything in it is in the order of pictures."""
    pictures = len(done.uris[0])
    first = {key: value[: len(value) // pictures] for key, value in done.batch.items()}
    if "image_grid_thw" in done.batch:
        patches = int(done.batch["image_grid_thw"][0].prod())
        first["pixel_values"] = done.batch["pixel_values"][:patches]
    return first


def test_mark_and_focal_length_reach_the_model(done: Done) -> None:
    """The first picture of the batch, put together again, is the rendered view."""
    from transformers import AutoProcessor

    [vlm, *_] = [vlm for vlm in BASE_VLMS if done.trial.template in vlm.templates]
    processor = AutoProcessor.from_pretrained(done.trial.adapter)
    seen = vlm.undo(first_picture(done), processor)[0].float().numpy().transpose(1, 2, 0)
    image_processor = processor.image_processor
    if image_processor.do_normalize:
        seen = seen * np.array(image_processor.image_std) + np.array(image_processor.image_mean)
    view = View.from_uri(done.uris[0][0])
    picture = np.asarray(view.render())
    assert seen.shape == picture.shape
    np.testing.assert_allclose(seen * 255, picture, atol=1)  # Llama 4 rounds to bfloat16
    assert view.camera.fx == view.camera.fy == done.trial.views["focal_px"]
    assert grid_of(processor).problem(view.size_wh) is None


def test_adapters_are_where_the_recipe_says(done: Done) -> None:
    from safetensors.torch import load_file

    weights = load_file(done.trial.adapter / "adapter_model.safetensors")
    between = {name for name in weights if f".{done.trial.between}." in name}
    between -= {name for name in between if "deepstack" in name}  # those have LoRA already
    language = {name for name in weights if "language_model" in name}
    tower = weights.keys() - between - language
    assert language
    assert between
    assert bool(tower) != bool(done.trial.recipe.view.tower)
    assert all("lora_" in name for name in language | tower)
    learned_nothing = [
        name for name in language | tower if "lora_B" in name and not weights[name].any()
    ]
    assert all(any(part in name for part in UNUSED) for name in learned_nothing), learned_nothing


def read_metres(text: str) -> float | None:
    values = read_answer(text, load_template("depth", "official")).values
    return None if values is None else next(iter(values.values()))


def asked(done: Done, processor: Any, ids: torch.Tensor, uri: str) -> Any:
    """What the family's own processor makes of a picture and of the text of a row."""
    pattern, picture = PICTURES[TINY_VLMS[done.trial.kind].processor]
    text = processor.tokenizer.decode(ids, skip_special_tokens=False)
    text, found = re.subn(pattern, picture, text, flags=re.DOTALL)
    assert found == 1
    settings = SETTINGS.get(done.trial.kind, {})
    images = [View.from_uri(uri).render()]
    inputs = processor(images=images, text=[text], return_tensors="pt", **settings)
    return {
        key: value.float() if value.is_floating_point() else value for key, value in inputs.items()
    }


def test_a_batch_is_to_the_model_what_its_pictures_are_to_plain_transformers(
    done: Done, plain: tuple[Any, Any]
) -> None:
    """Tokens, pixels, masks and positions: all that makes the logits."""
    model, processor = plain
    if done.trial.kind == "paligemma":
        pytest.skip("LLaMA-Factory reads its questions causally, its processor both ways")
    batch = {key: value for key, value in done.batch.items() if key != "labels"}
    batch = with_token_types(model, batch)  # as the trainer does
    with torch.inference_mode():
        together = model(**batch).logits
        for row, uri in enumerate(done.uris[0]):
            real = done.batch["attention_mask"][row].bool()
            inputs = asked(done, processor, done.batch["input_ids"][row][real], uri)
            assert torch.equal(inputs["input_ids"][0], done.batch["input_ids"][row][real])
            alone = model(**inputs).logits[0]
            torch.testing.assert_close(together[row][real], alone, rtol=1e-3, atol=1e-3)


def test_answers_are_read_and_those_of_plain_transformers(
    done: Done, answered: list[str], plain: tuple[Any, Any]
) -> None:
    model, processor = plain
    assert [read_metres(text) for text in answered] == [DEPTH_M] * len(answered)
    if done.trial.kind == "paligemma":
        return
    prompt = done.batch["input_ids"][0][: int((done.batch["labels"][0] != -100).nonzero()[0])]
    inputs = asked(done, processor, prompt, done.uris[0][0])
    from transformers import AutoTokenizer

    end = AutoTokenizer.from_pretrained(done.trial.adapter).eos_token_id  # the template's
    tokens = model.generate(**inputs, max_new_tokens=64, do_sample=False, eos_token_id=end)
    text = decoded(processor.tokenizer, tokens[0, len(prompt) :].tolist())
    assert read_metres(text) == DEPTH_M


def test_the_merged_model_answers_alike(
    done: Done, answered: list[str], plain: tuple[Any, Any]
) -> None:
    from llamafactory.train.tuner import run_exp

    out = done.trial.folder / "alone"
    run_exp(overridden(done.trial.evaluation, done.trial.evaluating(out, merged=True)))
    assert answers(out) == answered


def test_every_family_of_a_recipe_has_a_tiny_model() -> None:
    from depthlm_plugin.recipe.families import FAMILIES

    kinds = {kind.partition("/")[0] for family in FAMILIES for kind in family.model_types}
    assert kinds - TINY_VLMS.keys() == {"qwen3_5_moe"}
    assert not BORROWED.keys() & kinds
    assert {kind for vlm in BASE_VLMS for kind in vlm.types} == TINY_VLMS.keys()
