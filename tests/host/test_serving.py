"""Models trained here, asked through LLaMA-Factory's own chat (what its API calls too)."""

import shutil
from pathlib import Path

import pytest
from llamafactory.chat import ChatModel
from support.host_tools import SMALL, rows

from depthlm_plugin import Camera
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.predict.predictor import ask


def chat_of(model: Path) -> ChatModel:
    return ChatModel(
        {
            "model_name_or_path": str(model),
            "template": "qwen2_vl",
            "infer_backend": "huggingface",
            "infer_dtype": "float32",
            "image_max_pixels": 10**6,
            "image_min_pixels": 1,
            "do_sample": False,
            "max_new_tokens": 64,
        }
    )


@pytest.fixture(scope="module")
def taught(models, tmp_path_factory) -> Path:
    """A model folder that says how it was taught to see."""
    folder = tmp_path_factory.mktemp("taught") / "model"
    shutil.copytree(models["qwen"], folder)
    save_config(DepthLMConfig(**SMALL), folder, "qwen2_vl")
    return folder


@pytest.fixture(scope="module")
def asked(taught: Path, data: Path):
    """A question about a photograph, with the answer of `depthlm predict`."""
    record = rows(data / "a.jsonl")[0]
    camera = Camera.from_intrinsics(record["intrinsics"])
    [(sample, text)] = ask(
        str(taught), None, None, str(data / record["image"]), camera, [(300.0, 200.0)]
    )
    return sample, text


def generation(chat: ChatModel, sample):
    """What the model is called with."""
    engine = chat.engine
    return engine._process_args(
        engine.model,
        engine.tokenizer,
        engine.processor,
        engine.template,
        engine.generating_args,
        [dict(sample.user_turn)],
        images=[sample.image],
        input_kwargs={},
    )[0]


def test_chat_gives_the_answer_of_predict(taught: Path, asked) -> None:
    sample, text = asked
    chat = chat_of(taught)
    [response] = chat.chat([dict(sample.user_turn)], images=[sample.image])
    assert response.response_text == text
    found = generation(chat, sample)
    image_token = chat.engine.model.config.image_token_id
    assert (found["mm_token_type_ids"] == (found["inputs"] == image_token)).all()
    assert found["mm_token_type_ids"].sum() > 10


def test_other_models_are_called_as_ever(models, asked) -> None:
    assert "mm_token_type_ids" not in generation(chat_of(models["qwen"]), asked[0])
