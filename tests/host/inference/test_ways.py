"""Each way of asking a model gives the same answers, and reads as few pictures as it may."""

from __future__ import annotations

import json
import math
import random
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.host_tools import SMALL
from support.tiny_heads import tiny

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError, HostError
from depthlm_plugin.host.inference import tree
from depthlm_plugin.host.inference.groups import GroupSize, in_groups
from depthlm_plugin.host.inference.loaded import LoadedModel
from depthlm_plugin.host.inference.positions import positions_of
from depthlm_plugin.host.inference.row import Row
from depthlm_plugin.sampling.sample import Sample

TEMPLATES = {"qwen": "qwen2_vl", "pixtral": "pixtral", "qwen3vl": "qwen3_vl_nothink"}
IMAGE = 6  # its token in the tiny Qwen
CAMERA = Camera(300.0, 300.0, 150.0, 100.0, (300, 200))
PIXELS = [
    (100, 50),
    (27, 120),
    (150.5, 99.5),
    (280, 80),
    (100, 50),
    (200, 133),
]  # one of them twice


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture(scope="module")
def teach(models, tmp_path_factory):
    def teach(family: str, **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("taught") / family
        shutil.copytree(models[family], folder)
        save_config(DepthLMConfig(**SMALL | changes), folder, TEMPLATES[family])
        return folder

    return teach


def read(predictor: Predictor) -> list[int]:
    """Return a list that grows by the number of rows of each forward that sees pictures."""
    rows: list[int] = []

    def note(_: Any, __: Any, inputs: dict[str, Any]) -> None:
        if inputs.get("pixel_values") is not None:
            rows.append(len(inputs["input_ids"]))

    predictor._engine._model.register_forward_pre_hook(note, with_kwargs=True)
    return rows


@pytest.mark.parametrize(
    ("family", "changes", "pictures"),
    [
        ("qwen", {"reference": "text", "prompt": "plain"}, {"auto": [1], "batched": None}),
        ("qwen", {"reference": "text", "prompt": "official"}, {"shared": [1]}),
        ("qwen", {"reference": "marker"}, {"auto": [1, 4], "batched": [6]}),
        ("qwen", {"reference": "numbered"}, {"auto": [1, 4]}),
        ("qwen3vl", {"reference": "text", "prompt": "plain"}, {"auto": [1], "batched": None}),
        ("pixtral", {"reference": "text", "prompt": "plain"}, {"auto": [1], "batched": None}),
        ("pixtral", {"reference": "marker"}, {"auto": [1, 4]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_answers_are_those_of_one_by_one(
    teach, picture: Path, family: str, changes: dict[str, Any], pictures: dict[str, Any]
) -> None:
    model = teach(family, **changes)
    single = Predictor.load(model, way="single")
    rows = read(single)
    expected = [answer.text for answer in single.ask(picture, CAMERA, PIXELS)]
    assert rows == [1] * len(PIXELS)
    assert len(set(expected)) > 1 or family == "pixtral"
    for way, seen in pictures.items():
        predictor = Predictor.load(model, way=way)
        rows = read(predictor)
        assert [answer.text for answer in predictor.ask(picture, CAMERA, PIXELS)] == expected, way
        if seen is not None:
            assert rows == seen, way


def test_a_model_that_does_not_see_far_enough_is_asked_in_batches(teach, picture: Path) -> None:
    model = teach("pixtral", reference="text", prompt="plain")
    config = json.loads((model / "config.json").read_text())
    config["text_config"]["sliding_window"] = 200
    (model / "config.json").write_text(json.dumps(config))
    single = Predictor.load(model, way="single")
    expected = [answer.text for answer in single.ask(picture, CAMERA, PIXELS)]
    predictor = Predictor.load(model)
    rows = read(predictor)
    assert [answer.text for answer in predictor.ask(picture, CAMERA, PIXELS)] == expected
    assert sum(rows) == len(PIXELS)
    with pytest.raises(ConfigError, match=r"way shared: this model's questions .* see 200 tokens"):
        Predictor.load(model, way="shared").ask(picture, CAMERA, PIXELS)


def test_the_command_prints_what_the_predictor_says(
    teach, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = teach("qwen", reference="text", prompt="plain")
    predictor = Predictor.load(model, constrained=True)
    expected = predictor.ask(picture, CAMERA, PIXELS[:2], distribution=True)
    camera = "--intrinsics=300,300,150,100"
    points = [f"--at={x},{y}" for x, y in PIXELS[:2]]
    command = ["predict", str(picture), *points, camera, f"--model={model}", "--constrained"]
    assert main([*command, "--interval", "--way=shared"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for line, answer in zip(printed, expected, strict=True):
        assert (line["text"], line["value"]) == (answer.text, answer.value)
        found = answer.distribution
        assert found is not None
        assert line["distribution"]["median"] == pytest.approx(found.median)
        assert line["distribution"]["interval_90"] == pytest.approx(found.interval_90)
    assert main(command) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in printed] == [answer.text for answer in expected]
    assert "distribution" not in printed[0]


def test_an_adapter_is_asked_in_every_way_too(teach, picture: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen2_5_VLForConditionalGeneration

    model = teach("qwen", reference="text", prompt="plain")
    base = Qwen2_5_VLForConditionalGeneration.from_pretrained(model)
    settings = LoraConfig(target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, settings).save_pretrained(tmp_path)
    shutil.copy(model / "depthlm_config.json", tmp_path)
    said = {}
    for way in ("single", "shared"):
        predictor = Predictor.load(model, adapter=tmp_path, way=way)
        said[way] = [answer.text for answer in predictor.ask(picture, CAMERA, PIXELS)]
    assert said["shared"] == said["single"]
    bare = Predictor.load(model)
    assert [answer.text for answer in bare.ask(picture, CAMERA, PIXELS)] != said["single"]


def test_a_way_that_cannot_be_gone_is_said(teach) -> None:
    model = teach("qwen", reference="text")
    with pytest.raises(ConfigError, match="unknown way 'share'; did you mean 'shared'"):
        LoadedModel(str(model), None, "qwen2_vl", "share")


def test_groups_shrink_until_they_fit_and_then_say_what_to_do() -> None:
    worked: list[int] = []

    def work(items: Any) -> list[int]:
        worked.append(len(items))
        if len(items) > 3:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes")
        return [item + 1 for item in items]

    assert in_groups(range(20), GroupSize(16, 64), work) == list(range(1, 21))
    assert worked[:3] == [16, 8, 4]
    assert max(worked[3:]) == 2
    with pytest.raises(HostError, match="out of memory with a single question; use a shorter"):
        in_groups(range(3), GroupSize(4, 64), lambda _: in_groups([0] * 9, GroupSize(9, 9), work9))
    with pytest.raises(RuntimeError, match="another"):
        in_groups(range(3), GroupSize(4, 64), another)


def work9(_: Any) -> list[int]:
    raise RuntimeError("CUDA out of memory")


def another(_: Any) -> list[int]:
    raise RuntimeError("another error")


def test_the_size_of_groups_is_the_fastest_of_those_tried() -> None:
    sizes = GroupSize(64, 1024)
    cost = {16: 3.0, 32: 1.5, 64: 1.0, 128: 0.9, 256: 1.2}
    for _ in range(6):
        sizes.took(sizes.size, sizes.size * cost[sizes.size])
    assert sizes.size == 128
    sizes.took(5, 0.001)  # an odd rest, which says nothing
    assert sizes.size == 128
    sizes.room = 100
    assert sizes.size == 100


def test_a_row_has_room_for_what_fits_into_half_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = tiny("qwen2_5_vl").eval()
    inputs = {"input_ids": torch.arange(10, 40)[None]}
    with torch.inference_mode():
        row = Row(model, inputs, positions_of(model, inputs), 30)
    for free, fit in ((2**30, (128, 512)), (2**26, (32, 128)), (2**10, (1, 1))):
        monkeypatch.setattr("depthlm_plugin.host.inference.row._free_bytes", lambda _, n=free: n)
        assert fit[0] <= row.room(20) <= fit[1]


def test_samples_of_several_pictures_keep_their_order(teach, picture: Path, tmp_path: Path) -> None:
    other = tmp_path / "b.png"
    with Image.open(picture) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other)
    model = teach("qwen", reference="text", prompt="plain")
    asked = [(picture, PIXELS[0]), (other, PIXELS[1]), (picture, PIXELS[2]), (other, PIXELS[0])]
    texts: dict[str, list[str]] = {}
    for way in ("single", "shared"):
        predictor = Predictor.load(model, way=way)
        samples: list[Sample] = []
        for path, pixel in asked:
            [answer] = predictor.ask(path, CAMERA, [pixel])
            samples.append(answer.sample)
        texts[way] = predictor._engine.answer(samples)
    assert texts["shared"] == texts["single"]
    assert len(set(texts["single"])) == 4


NUMBER = r"\d+\.\d{2,}"
OFFICIAL = (
    rf"<think> The point is around ({NUMBER}) meters away from the camera\. </think>\n\n"
    r"<answer> \1 </answer>"
)


@pytest.mark.parametrize(
    ("style", "form"), [("plain", NUMBER), ("official", OFFICIAL)], ids=["plain", "official"]
)
def test_a_random_model_that_is_constrained_says_numbers(
    teach, picture: Path, style: str, form: str
) -> None:
    model = teach("qwen", reference="text", prompt=style)
    said = {}
    for way in ("single", "batched", "shared"):
        predictor = Predictor.load(model, way=way, constrained=True)
        answers = predictor.ask(picture, CAMERA, PIXELS)
        said[way] = [answer.text for answer in answers]
        assert all(re.fullmatch(form, text) for text in said[way])
        assert all(answer.value is not None for answer in answers)
    assert said["shared"] == said["batched"] == said["single"]
    assert len(set(said["single"])) > 1 or style == "plain"


def test_shares_are_the_probabilities_of_whole_prompts(
    teach, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is random: what it says is constrained, and everything is worth following."""
    monkeypatch.setattr(tree, "_WORTH", 0.0)
    model = teach("qwen", reference="text", prompt="official")
    predictor = Predictor.load(model, constrained=True)
    engine = predictor._engine
    answers = predictor.ask(picture, CAMERA, PIXELS, distribution=True)
    assert [answer.text for answer in answers] == [
        answer.text for answer in predictor.ask(picture, CAMERA, PIXELS)
    ]
    samples = [answer.sample for answer in answers[:2]]
    for sample, (text, shares) in zip(samples, engine.weigh(samples), strict=True):
        [number] = re.findall(r"around (\S+)", text)
        assert len({share.number for share in shares}) == len(shares)
        numbers = engine._tree(sample)
        assert {len(share.number) for share in shares} >= {2, 3, 4}
        own = next(share for share in shares if share.number == number)
        for share in [own, *random.Random(0).sample(shares, 8)]:
            said = [
                *numbers.start,
                *engine._tokenizer.encode(share.number, add_special_tokens=False),
            ]
            prompt = engine._prompts.ids(sample)
            inputs = engine._inputs([sample], [prompt + said])
            inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMAGE).int()
            with torch.inference_mode():
                logits = engine._model(**inputs, use_cache=False).logits[0]
            steps = range(len(prompt) + len(numbers.start), len(prompt) + len(said))
            expected = math.prod(
                float(logits[at - 1].softmax(-1)[inputs["input_ids"][0, at]]) for at in steps
            )
            assert share.probability == pytest.approx(expected, rel=1e-3)


def test_intervals_of_a_model_that_cannot_share_are_refused(teach, picture: Path) -> None:
    predictor = Predictor.load(teach("qwen", reference="text"), way="single")
    language = predictor._engine._model.config.get_text_config()
    language._attn_implementation = "flash_attention_2"
    with pytest.raises(ConfigError, match="intervals need a model whose questions share a picture"):
        predictor.ask(picture, CAMERA, PIXELS[:1], distribution=True)


def test_a_map_is_made_of_the_models_answers(teach, picture: Path, tmp_path: Path, capfd) -> None:
    model = str(teach("qwen", reference="text", prompt="plain"))
    asked = ["--model", model, "--intrinsics", "300,300,150,100", "--grid", "6x4"]
    files = ["--out", str(tmp_path / "d.png"), "--glb", str(tmp_path / "d.glb")]
    written = ["d.glb", "d.png"]
    if find_spec("rerun"):  # the extra `viewer`
        files += ["--rerun", str(tmp_path / "d.rrd")]
        written.append("d.rrd")
    assert main(["map", str(picture), *asked, *files, "--constrained", "--adaptive", "5"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert 24 <= said["answers"] <= 29
    assert (said["camera"]["source"], said["unread"]) == ("intrinsics", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == written
    predictor = Predictor.load(model, constrained=True)
    seen = read(predictor)
    depth = predictor.map(str(picture), CAMERA, grid=(6, 4), adaptive=5)
    assert sum(seen) <= 3  # one reading of the picture for the grid, one for what was added
    with Image.open(tmp_path / "d.png") as image:
        stored = np.asarray(image)
    wanted = np.where(depth.z_m > 65.5355, 0, depth.z_m)
    assert np.abs(stored / 1000 - wanted).max() < 0.001
    at = [(float(x), float(y)) for x, y in depth.pixels]
    values = [answer.value for answer in predictor.ask(str(picture), CAMERA, at)]
    assert depth.answers_z_m == pytest.approx(values / CAMERA.distance_over_z(depth.pixels))
