"""Every planted mistake is found, with what is wrong with it; shipped recipes have none."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.recipes import FOLDER

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.recipe.check.checks import findings_of
from depthlm_plugin.recipe.check.finding import ERROR, LEFT_OUT, WARNING, Finding
from depthlm_plugin.recipe.check.machine import Machine, machine_of
from depthlm_plugin.recipe.check.settings import read_settings
from depthlm_plugin.recipe.new import new_recipe
from depthlm_plugin.recipe.shipped import SHIPPED

ROWS = 1000  # 31 steps of an effective batch of 32
LORA, QLORA = "depthlm_qwen_lora", "depthlm_qwen_qlora"
FULL, EVAL = "depthlm_qwen_full", "depthlm_qwen_eval"
SHOWN = ("depthlm_train", "depthlm_eval", "argoverse2_train", "waymo_training", "nuscenes_train",
         "scannetpp_train", "taskonomy_train", "hm3d_train", "matterport3d_train")  # fmt: skip


def record(number: int, scene: str, **other: Any) -> dict[str, Any]:
    image = f"{scene}.png"
    intrinsics = [500.0, 500.0, 320.0, 240.0, 640, 480]
    points = {"points": [[100 + number % 99, 90]], "depth": [2.5]}
    return {"image": image, "intrinsics": intrinsics, "scene": scene, **points, **other}


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with datasets under the names that recipes have, and with broken ones."""
    folder = tmp_path_factory.mktemp("data")
    for scene in ("hall", "attic", "yard"):
        (folder / f"{scene}.png").touch()
    train = [record(number, "hall") for number in range(ROWS)]
    files = {
        "train": train,
        "eval": [record(0, "attic")],
        "few": train[:64],
        "millimetres": [record(number, "yard", depth=[2500.0]) for number in range(40)],
        "gone_image": [record(0, "cellar")],
        "same_image": [record(3, "hall")],
        "same_scene": [record(3, "hall", image="attic.png")],
        "wide": [record(0, "attic", intrinsics=[300.0, 300.0, 960.0, 540.0, 1920, 1080])],
    }
    for name, records in files.items():
        write_records(folder / f"{name}.jsonl", records)
    listed = {name: f"{name}.jsonl" for name in files}
    listed |= {name: "eval.jsonl" if "eval" in name else "train.jsonl" for name in SHOWN}
    listed |= {"gone": "gone.jsonl", "as_train": "train.jsonl"}
    info: dict[str, Any] = {
        name: {"formatting": "depthlm", "file_name": file} for name, file in listed.items()
    }
    info["chat"] = {"file_name": "chat.json"}
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters as training leaves them: of Qwen2.5-VL-3B, and what is not one."""
    folder = tmp_path_factory.mktemp("trained")
    for name, focal_px in (("adapter", 1000.0), ("short", 700.0), ("newer", 1000.0)):
        place = folder / name
        place.mkdir()
        content = {"base_model_name_or_path": "Qwen/Qwen2.5-VL-3B-Instruct"}
        (place / "adapter_config.json").write_text(json.dumps(content), encoding="utf-8")
        save_config(DepthLMConfig(focal_px=focal_px), place, "qwen2_vl")
    saved = folder / "newer" / "depthlm_config.json"
    saved.write_text(saved.read_text("utf-8").replace('"format": 1', '"format": 9'), "utf-8")
    (folder / "empty").mkdir()
    (folder / "odd").mkdir()
    (folder / "odd" / "config.json").write_text('{"model_type": ', encoding="utf-8")
    small = folder / "small"
    small.mkdir()
    (small / "config.json").write_text('{"model_type": "qwen2_5_vl"}', encoding="utf-8")
    (small / "preprocessor_config.json").write_text('{"max_pixels": 1003520}', encoding="utf-8")
    return folder


def everything(_: str) -> bool:
    return True


def nothing(_: str) -> bool:
    return False


ANY, BARE = Machine(has=everything), Machine(has=nothing)


def found(name: str, *overrides: str, machine: Machine = ANY) -> list[Finding]:
    return findings_of(read_settings(str(FOLDER / f"{name}.yaml"), overrides, machine))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_silent(name: str, data: Path) -> None:
    """On the GPUs that their heads name, too."""
    recipe = SHIPPED[name]
    machine = ANY
    if recipe.method != "eval":
        machine = Machine(recipe.plan.gpus, recipe.plan.card_gb, 8.0, everything)
    findings = found(name, f"dataset_dir={data}", machine=machine)
    assert [each for each in findings if each.level != LEFT_OUT] == []


@dataclass(frozen=True)
class Planted:
    """A mistake.

    Attributes:
        key: That the finding is about.
        words: In its message.
        recipe: The shipped one that it is planted into.
        overrides: The mistake; {data} and {trained} are the folders.
        level: Of the finding.
        change: The line that mends it.
        machine: Where it is to run.
    """

    key: str
    words: str
    recipe: str
    overrides: str
    level: str = ERROR
    change: str | None = None
    machine: Machine = ANY


INTERNVL = "depthlm_internvl3_8b_lora"
PLANTED = {
    "unknown key": Planted(
        "cutof_len", "did you mean cutoff_len", LORA, "cutof_len=4096", change="cutoff_len: 4096"
    ),
    "key of the block outside it": Planted(
        "focal_px", "key of the depthlm block", LORA, "focal_px=900"
    ),
    "text for a number": Planted("cutoff_len", "must be a number", LORA, "cutoff_len=long"),
    "unknown key of the block": Planted(
        "depthlm.markr", "did you mean 'marker'", LORA, "depthlm.markr=dot"
    ),
    "unknown task": Planted(
        "depthlm.tasks", "did you mean 'depth'", LORA, "depthlm.tasks.dept=1"
    ),
    "misspelled base": Planted(
        "model_name_or_path", "did you mean 'Qwen/Qwen2.5-VL-3B-Instruct'", LORA,
        "model_name_or_path=Qwen/Qwen2.5-VL-3B-Instrukt",
    ),
    "refused base": Planted(
        "model_name_or_path", "cannot be trained in metres", LORA,
        "model_name_or_path=openbmb/MiniCPM-V-4_5",
    ),
    "no folder of a model": Planted(
        "model_name_or_path", "no config.json", LORA, "model_name_or_path={trained}/empty"
    ),
    "unreadable config": Planted(
        "model_name_or_path", "cannot be read", LORA, "model_name_or_path={trained}/odd"
    ),
    "template of another model": Planted(
        "template", "that of InternVL", LORA, "template=intern_vl", change="template: qwen2_vl"
    ),
    "unknown template": Planted(
        "template", "did you mean 'qwen2_vl'", LORA, "template=qwen2vl"
    ),
    "no template": Planted("template", "no picture", LORA, "template=null"),
    "views shrunk": Planted(
        "image_max_pixels", "1400 x 1176", LORA, "image_max_pixels=1000000",
        change="image_max_pixels: 1680000",
    ),
    "views shrunk by default": Planted(
        "image_max_pixels", "default of 589824", INTERNVL.replace("internvl3_8b", "gemma3_4b"),
        "image_max_pixels=null", change="image_max_pixels: 802816",
    ),
    "the one view shrunk in evaluation": Planted(
        "image_max_pixels", "1120 x 1120", "depthlm_llama3_2_eval", "image_max_pixels=1000000",
        change="image_max_pixels: 1254400",
    ),
    "views over the longest edge": Planted(
        "depthlm.crop_width", "side over 1024 px", "depthlm_pixtral_lora",
        "depthlm.crop_width=[1000,1400] image_max_pixels=1680000",
        change="crop_width: [1000, 1024]",
    ),
    "views over the processor's limit": Planted(
        "depthlm.crop_width", "takes 1003520", LORA, "model_name_or_path={trained}/small"
    ),
    "image tokens over cutoff_len": Planted(
        "cutoff_len", "2100 image tokens", LORA, "cutoff_len=2048", change="cutoff_len: 2304"
    ),
    "two pictures over cutoff_len": Planted(
        "cutoff_len", "4200 image tokens", LORA, "depthlm.tasks.relative_pose=1"
    ),
    "whole images over cutoff_len": Planted(
        "cutoff_len", "3826 image tokens", EVAL, "cutoff_len=2048", WARNING
    ),
    "little of the scene is seen": Planted(
        "depthlm.focal_px", "spans only 25 x 25 degrees", INTERNVL, "depthlm.focal_px=1000",
        WARNING, "focal_px: 370",
    ),
    "mark hides its point": Planted(
        "depthlm.marker_px", "patches", LORA, "depthlm.marker_px=99", WARNING
    ),
    "tower frozen": Planted(
        "freeze_vision_tower", "default freezes it", LORA, "freeze_vision_tower=null", WARNING,
        "freeze_vision_tower: false",
    ),
    "tower that LoRA cannot train": Planted(
        "freeze_vision_tower", "Gemma4ClippableLinear", "depthlm_gemma4_e4b_lora",
        "freeze_vision_tower=false", change="freeze_vision_tower: true",
    ),
    "merger forgotten": Planted(
        "additional_target", "never adapts", LORA, "additional_target=null", WARNING,
        "additional_target: merger",
    ),
    "merger frozen": Planted(
        "freeze_multi_modal_projector", "trains everything", FULL,
        "freeze_multi_modal_projector=null", WARNING,
    ),
    "merger of a quantised base": Planted(
        "additional_target", "floating point dtype", QLORA, "additional_target=merger"
    ),
    "quantised full training": Planted(
        "quantization_bit", "cannot train quantised", FULL, "quantization_bit=4"
    ),
    "quantised experts": Planted(
        "quantization_bit", "mixture of experts", "depthlm_qwen3vl_30b_lora",
        "quantization_bit=4 additional_target=null", WARNING,
    ),
    "label smoothing": Planted(
        "label_smoothing_factor", "does not shift", LORA, "label_smoothing_factor=0.1"
    ),
    "flag that nothing obeys": Planted(
        "freeze_vision_tower", "freezes none", "depthlm_lfm2vl_lora", "freeze_vision_tower=true",
        WARNING, "freeze_vision_tower: false",
    ),
    "rate of LoRA for all weights": Planted(
        "learning_rate", "usual is 1e-05", FULL, "learning_rate=1e-4", WARNING
    ),
    "rate of a smaller batch": Planted(
        "learning_rate", "square-root rule", LORA, "gradient_accumulation_steps=128", WARNING,
        "learning_rate: 4.0e-04",
    ),
    "warm-up twice": Planted(
        "warmup_ratio", "both given", LORA, "warmup_ratio=0.1", WARNING
    ),
    "warm-up of half a step": Planted(
        "warmup_steps", "whole steps", LORA, "warmup_steps=10.5", WARNING
    ),
    "warm-up of two shares": Planted(
        "warmup_ratio", "as steps", LORA, "warmup_steps=null warmup_ratio=2", WARNING
    ),
    "evaluation of nothing": Planted(
        "eval_dataset", "none is named", LORA, "eval_strategy=steps eval_steps=10"
    ),
    "warm-up to the end": Planted(
        "warmup_steps", "during all 31 steps", LORA, "warmup_steps=500", WARNING
    ),
    "too few steps": Planted(
        "num_train_epochs", "2 steps in all (64 records", LORA, "dataset=few", WARNING
    ),
    "learnt by heart": Planted(
        "max_steps", "every record is used 32 times", LORA, "max_steps=1000", WARNING
    ),
    "never evaluated": Planted(
        "eval_steps", "within 31 steps", LORA,
        "eval_dataset=depthlm_eval eval_strategy=steps eval_steps=500", WARNING,
    ),
    "no dataset": Planted("dataset", "none is named", LORA, "dataset=null"),
    "misspelled dataset": Planted(
        "dataset", "did you mean 'depthlm_train'", LORA, "dataset=depthlm_trian"
    ),
    "no depth data": Planted("depthlm", "ordinary chats", LORA, "dataset=chat"),
    "no list of datasets": Planted("dataset_dir", "lists the datasets", LORA, "dataset_dir=gone"),
    "records gone": Planted("dataset", "gone.jsonl", LORA, "dataset=gone"),
    "image gone": Planted("dataset", "no image cellar.png", LORA, "dataset=gone_image"),
    "millimetres": Planted("dataset", "unit looks wrong", LORA, "dataset=millimetres"),
    "same file": Planted("eval_dataset", "as 'depthlm_train'", LORA, "eval_dataset=as_train"),
    "same image": Planted("eval_dataset", "hall.png", LORA, "eval_dataset=same_image"),
    "same scene": Planted("eval_dataset", "1 scenes", LORA, "eval_dataset=same_scene", WARNING),
    "whole images shrunk": Planted(
        "image_max_pixels", "6400x3600", EVAL,
        "adapter_name_or_path={trained}/adapter eval_dataset=wide",
    ),
    "adapter of another base": Planted(
        "adapter_name_or_path", "is an adapter of Qwen/Qwen2.5-VL-3B", EVAL,
        "adapter_name_or_path={trained}/adapter model_name_or_path=Qwen/Qwen2.5-VL-7B-Instruct",
        change="model_name_or_path: Qwen/Qwen2.5-VL-3B-Instruct",
    ),
    "adapter that is none": Planted(
        "adapter_name_or_path", "no adapter_config.json", EVAL,
        "adapter_name_or_path={trained}/empty",
    ),
    "adapter beside all weights": Planted(
        "adapter_name_or_path", "takes no adapters", EVAL, "finetuning_type=full"
    ),
    "adapter of another version": Planted(
        "adapter_name_or_path", "has format 9", EVAL, "adapter_name_or_path={trained}/newer"
    ),
    "evaluation with another focal length": Planted(
        "depthlm.focal_px", "was trained with 700", EVAL,
        "adapter_name_or_path={trained}/short depthlm.focal_px=1000", change="focal_px: 700.0",
    ),
    "evaluation with another template": Planted(
        "template", "was trained with qwen2_vl", EVAL,
        "adapter_name_or_path={trained}/adapter template=qwen3_vl",
    ),
    "two precisions": Planted("fp16", "both given", LORA, "fp16=true"),
    "no precision": Planted("bf16", "neither", LORA, "bf16=false", WARNING),
    "no bfloat16": Planted(
        "bf16", "compute capability 7.5", LORA, "", WARNING, machine=Machine(1, 24, 7.5, everything)
    ),
    "no flash attention": Planted(
        "flash_attn", "takes SDPA", LORA, "flash_attn=fa2", WARNING, machine=BARE
    ),
    "no bitsandbytes": Planted(
        "quantization_bit", "pip install bitsandbytes", QLORA, "", machine=BARE
    ),
    "no deepspeed": Planted(
        "deepspeed", "pip install deepspeed", FULL, "", machine=BARE
    ),
    "no tensorboard": Planted(
        "report_to", "pip install tensorboard", LORA, "report_to=tensorboard",
        machine=BARE,
    ),
    "too large for the card": Planted(
        "per_device_train_batch_size", "by an estimate; 4 x 8 steps fit", LORA,
        "per_device_train_batch_size=8", change="per_device_train_batch_size: 4",
        machine=Machine(1, 24, 8.0, everything),
    ),
    "stage": Planted("stage", "dpo cannot", LORA, "stage=dpo"),
    "streaming": Planted("streaming", "not streamed", LORA, "streaming=true max_steps=100"),
    "val_size": Planted("val_size", "crops of scenes", LORA, "val_size=0.1"),
    "packing": Planted("neat_packing", "lazy: false", LORA, "neat_packing=true"),
    "no answers": Planted(
        "predict_with_generate", "to have answers", EVAL, "predict_with_generate=false"
    ),
    "answers with ZeRO-3": Planted(
        "predict_with_generate", "ZeRO-3", EVAL, "deepspeed.zero_optimization.stage=3"
    ),
    "random answers": Planted("do_sample", "at random", EVAL, "do_sample=null", WARNING),
    "answers cut off": Planted("max_new_tokens", "about 40", EVAL, "max_new_tokens=16", WARNING),
    "nothing to do": Planted("do_train", "neither trains", LORA, "do_train=false"),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_mistake_is_found(planted: Planted, data: Path, trained: Path) -> None:
    overrides = planted.overrides.format(data=data, trained=trained).split()
    if not any(word.startswith("dataset_dir=") for word in overrides):
        overrides.append(f"dataset_dir={data}")
    findings = found(planted.recipe, *overrides, machine=planted.machine)
    about = [each for each in findings if each.key == planted.key and each.level == planted.level]
    [finding] = [each for each in about if planted.words in each.message] or [about]
    assert isinstance(finding, Finding), f"{findings}"
    if planted.change is not None:
        assert finding.change == planted.change


def test_mistakes_are_found_all_at_once(data: Path) -> None:
    """A misspelled base or key of the block hides none of the others."""
    findings = found(
        LORA,
        f"dataset_dir={data}",
        "model_name_or_path=Qwen/Qwen2.5-VL-3B-Instrukt",
        "depthlm.markr=dot",
        "image_max_pixels=1000",
        "cutoff_len=100",
        "label_smoothing_factor=0.1",
    )
    errors = {each.key for each in findings if each.level == ERROR}
    assert errors == {
        "model_name_or_path",
        "depthlm.markr",
        "image_max_pixels",
        "cutoff_len",
        "label_smoothing_factor",
    }


def test_what_is_not_known_is_said(data: Path) -> None:
    findings = found(LORA, f"dataset_dir={data}", "model_name_or_path=somebody/her-own-vlm")
    said = {each.key for each in findings if each.level == LEFT_OUT}
    assert said == {"model_name_or_path", "memory"}
    assert {each.level for each in findings} == {LEFT_OUT}


def test_the_evaluation_of_what_was_taught_is_silent(data: Path, trained: Path) -> None:
    """At its own focal length, without saying which."""
    overrides = [f"dataset_dir={data}", f"adapter_name_or_path={trained / 'short'}"]
    assert found(EVAL, *overrides) == []


@pytest.mark.parametrize(
    ("base", "method", "gpu"),
    [
        ("qwen", "lora", "24GB"),
        ("qwen3vl_4b", "lora", "17GB"),
        ("lfm2vl", "lora", "80GB"),
        ("pixtral", "qlora", "24GB"),
        ("internvl3_8b", "qlora", "16GB"),
        ("qwen_7b", "full", "4x80GB"),
        ("qwen", "full", "2x80GB"),
    ],
)
def test_a_new_recipe_passes(base: str, method: str, gpu: str, data: Path, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    recipe = new_recipe(base, method, ["depthlm_train"], gpu, str(path))
    path.write_text(recipe.text(), encoding="utf-8")
    machine = replace(machine_of(gpu), has=everything)
    assert findings_of(read_settings(str(path), [f"dataset_dir={data}"], machine)) == []
