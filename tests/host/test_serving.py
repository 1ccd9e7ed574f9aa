"""Models trained here, asked by the predictor and by LLaMA-Factory's own chat (its API's too)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llamafactory.chat import ChatModel
from PIL import Image
from support.host_tools import ROOT, SMALL, rows
from support.loaded import TEMPLATES

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.predict.answer import Answer

SYSTEM = "You measure pictures."


def chat_of(model: Path, **limits: int) -> ChatModel:
    return ChatModel(
        {
            "model_name_or_path": str(model),
            "template": "qwen2_vl",
            "infer_backend": "huggingface",
            "infer_dtype": "float32",
            "do_sample": False,
            "max_new_tokens": 64,
        }
        | limits
    )


def test_pictures_are_made_smaller_only_where_somebody_said_so(teach, models) -> None:
    assert chat_of(teach("qwen")).engine.processor.image_max_pixels == 2**26
    stated = chat_of(teach("qwen"), image_max_pixels=500_000)
    assert stated.engine.processor.image_max_pixels == 500_000
    assert chat_of(models["qwen"]).engine.processor.image_max_pixels == 768 * 768


@pytest.fixture(scope="module")
def teach(models, tmp_path_factory):
    """Return a model folder that says how it was taught to see."""

    def teach(family: str, **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("taught") / family
        shutil.copytree(models[family], folder)
        save_config(DepthLMConfig(**SMALL | changes), folder, TEMPLATES[family])
        return folder

    return teach


@pytest.fixture(scope="module", params=["official", "with a system turn"])
def taught(request: pytest.FixtureRequest, teach, tmp_path_factory) -> Path:
    if request.param == "official":
        return teach("qwen")
    prompt = tmp_path_factory.mktemp("prompt") / "strict.yaml"
    official = (ROOT / "templates/depth/official.yaml").read_text(encoding="utf-8")
    prompt.write_text(f"{official}system: {SYSTEM}\n", encoding="utf-8")
    return teach("qwen", prompt=str(prompt))


@pytest.fixture(scope="module")
def answer(taught: Path, data: Path) -> Answer:
    """The predictor's answer about a pixel of a photograph."""
    record = rows(data / "a.jsonl")[0]
    camera = Camera.from_intrinsics(record["intrinsics"])
    [answer] = Predictor.load(taught).ask(data / record["image"], camera, [(300.0, 200.0)])
    return answer


def generation(chat: ChatModel, answer: Answer) -> dict[str, Any]:
    """What the model is called with."""
    engine = chat.engine
    return engine._process_args(
        engine.model,
        engine.tokenizer,
        engine.processor,
        engine.template,
        engine.generating_args,
        [dict(answer.sample.user_turn)],
        images=[answer.sample.image],
        input_kwargs={},
    )[0]


def test_chat_gives_the_answer_of_the_predictor(taught: Path, answer: Answer) -> None:
    chat = chat_of(taught)
    turns, images = [dict(answer.sample.user_turn)], [answer.sample.image]
    system = answer.sample.system
    [response] = chat.chat(turns, system, images=images)
    assert response.response_text == answer.text
    if system is not None:  # which the model would miss
        assert system == SYSTEM
        [response] = chat.chat(turns, images=images)
        assert response.response_text != answer.text
    found = generation(chat, answer)
    image_token = chat.engine.model.config.image_token_id
    assert (found["mm_token_type_ids"] == (found["inputs"] == image_token)).all()
    assert found["mm_token_type_ids"].sum() > 10


def test_other_models_are_called_as_ever(models, answer: Answer) -> None:
    assert "mm_token_type_ids" not in generation(chat_of(models["qwen"]), answer)


@pytest.mark.parametrize("family", ["qwen", "pixtral"])
def test_answers_do_not_depend_on_what_was_asked_before(teach, tmp_path, family: str) -> None:
    """Pictures within and beyond LLaMA-Factory's limits of pixels, which are the processor's."""
    model = teach(family)
    questions = []
    for width, height in ((300, 200), (1000, 800), (1000, 100)):
        path = tmp_path / f"{width}x{height}.png"
        noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
        camera = Camera(300.0, 300.0, width / 2, height / 2, (width, height))
        questions.append((path, camera, [(100, 50), (width - 60, height - 40)]))
    fresh = [[a.text for a in Predictor.load(model).ask(*question)] for question in questions]
    predictor = Predictor.load(model)
    for number in (0, 1, 2, 0, 2, 1):
        assert [a.text for a in predictor.ask(*questions[number])] == fresh[number]
    assert [a.text for a in Predictor.load(model).ask(*questions[1])] == fresh[1]
    assert len({text for texts in fresh for text in texts}) > 2
