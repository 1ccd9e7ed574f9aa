"""The card as the hub reads it, and as a person does."""

import re

import pytest
from huggingface_hub import ModelCard

from depthlm_plugin.card.model_card import write_card
from depthlm_plugin.card.origin import Data, training_on
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.tasks import TASKS

BASE = "Qwen/Qwen2.5-VL-3B-Instruct"
DATA = [
    Data(name="rooms", licence="MIT | <b>CC BY 4.0</b>", hub=None),
    Data(name="streets", licence=None, hub="me/streets"),
]
SCORES = {
    "parts": [
        {
            "dataset": "rooms",
            "task": "depth",
            "metrics": {
                "n": 400,
                "delta1": 0.8371,
                "constant_delta1": 0.41,
                "parse_failure_rate": 0.01,
            },
            "intervals": {"delta1": [0.8, 0.86]},
        },
        {
            "dataset": "rooms",
            "task": "depth_order",
            "metrics": {"n": 1, "accuracy": 1.0, "parse_failure_rate": 0.0},
            "intervals": {},
        },
    ]
}


@pytest.fixture
def card(tmp_path):
    def write(config=None, model=BASE, scores=None, adapter=True, name="me/sees-metres", **more):
        training = training_on(model, [], DATA) | more
        config = config or DepthLMConfig()
        path = write_card(tmp_path, name, config, training, scores, adapter=adapter)
        return ModelCard(path.read_text())

    return write


def test_the_hub_reads_it(card) -> None:
    data = card(scores=SCORES, method="lora", bits=4).data
    assert data.base_model == BASE
    assert (data.library_name, data.pipeline_tag) == ("peft", "image-text-to-text")
    assert data.datasets == ["me/streets"]
    assert data.license is None  # which nobody knows but the author
    assert {"depthlm", "lora"} <= set(data.tags)
    read = [(one.dataset_name, one.task_name, one.metric_type, one.metric_value)
            for one in data.eval_results]  # fmt: skip
    assert read == [("rooms", "depth", "delta1", 0.8371), ("rooms", "depth_order", "accuracy", 1.0)]
    assert "400 answers, 95% interval 0.800 to 0.860" in data.eval_results[0].metric_name


def test_a_base_that_is_not_on_the_hub_is_not_linked(card, tmp_path) -> None:
    found = card(model=str(tmp_path), adapter=False)
    assert found.data.base_model is None
    assert found.data.library_name == "transformers"
    assert str(tmp_path.parent) not in found.content


def test_a_person_reads_scores_data_and_licences(card) -> None:
    text = card(
        scores=SCORES, method="lora", bits=4, steps=9, samples_a_step=32, learning_rate=1e-5
    ).text
    assert "| rooms | depth | 400 | delta1 | 0.837 | 0.800 to 0.860 | 0.410 | 0.010 |\n" in text
    assert "| rooms | depth_order | 1 | accuracy | 1.000 |  |  | 0.000 |\n" in text
    assert "| rooms | MIT \\| &lt;b>CC BY 4.0&lt;/b> |\n" in text
    assert "| [streets](https://huggingface.co/datasets/me/streets) | unknown |\n" in text
    assert (
        "| Trained | LoRA on 4-bit weights |\n| Steps | 9 of 32 samples, learning rate 1e-05 |"
        in text
    )
    assert "Not evaluated" not in text
    assert "\n\n\n" not in text


def test_without_scores_it_says_so(card) -> None:
    found = card()
    assert found.data.eval_results is None
    assert "## Scores\n\nNot evaluated.\n" in found.text


def test_it_tells_what_must_be_shown(card) -> None:
    config = DepthLMConfig(
        focal_px=750, marker="ring", marker_px=9, marker_color="#00ff00", marker_outline="black",
        label="z", max_depth_m=80, crop_height=None,
    )  # fmt: skip
    text = card(config).text
    assert "| Focal length | 750 px on both axes: resize the width by 750 / fx" in text
    assert "ring of size 9 px, outlined in " in text
    assert "its tip" not in text
    assert "| Depth | z, along the principal axis, metres |" in text
    assert "| Range | from 0 m to 80 m |" in text
    assert "crops of" not in text
    assert "by its coordinates in the question" in card(DepthLMConfig(reference="text")).text


def test_every_task_is_asked_in_the_words_of_its_template(card) -> None:
    tasks = dict.fromkeys(TASKS, 1.0)
    text = card(DepthLMConfig(tasks=tasks)).text
    assert text.count("    User:   ") == text.count("    Answer: ") == len(TASKS)
    assert "how far is the point pointed by the red arrow from the camera?" in text
    assert "    <answer> {value} </answer>\n" in text
    assert not re.search(r"\{(point\d?|reasoning|color|marker)\}", text)
    assert "depthlm predict" not in card(DepthLMConfig(tasks={"speed": 1.0})).text


def test_the_commands_name_what_must_be_loaded(card) -> None:
    adapter = card().text
    assert "    hf download me/sees-metres --local-dir sees-metres\n" in adapter
    assert f"        --model {BASE} --adapter sees-metres\n" in adapter
    merged = card(adapter=False, name="sees-metres").text
    assert "hf download" not in merged
    assert "        --model sees-metres\n" in merged
