"""What lies between vision and language is trained by LoRA runs, saved, loaded again and merged.

With `lora_target: all` alone LLaMA-Factory leaves it frozen. The recipes' lines that train it are
tried here for every family: a full copy beside the adapter (`additional_target`), or, where its
weights are quantised, LoRA on its linear layers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.families_run import KINDS, MERGER, PROJECTOR
from support.host_tools import SMALL
from support.loaded import TEMPLATES
from support.tiny_heads import tiny

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.writer import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")
FULL_COPY = {
    **{kind: family.merger for kind, family in KINDS.items() if family.merger},
    "glm4v_moe": MERGER,
    "paligemma": PROJECTOR,
}
LORA_THERE_TOO = [kind for kind, family in KINDS.items() if family.targets]
SHIPPED_LORA = {
    f"{kind}-{recipe.method}": (kind, recipe)
    for kind, family in KINDS.items()
    for recipe in SHIPPED.values()
    if recipe.base.family == family and recipe.method in {"lora", "qlora"}
}
"""Recipes of one family and method differ in nothing that matters here."""
METHOD = (
    "lora_rank",
    "lora_target",
    "additional_target",
    "freeze_vision_tower",
    "freeze_multi_modal_projector",
)
QUANTISED = ("quantization_bit", "quantization_method", "upcast_layernorm")
QLORA = {"qwen": "qwen", "qwen3vl": "qwen3vl_4b", "pixtral": "pixtral"}


def trained(family: str, **settings: Any) -> set[str]:
    """The parameters that LLaMA-Factory trains of a family with a recipe's settings."""
    from llamafactory.hparams import FinetuningArguments, ModelArguments
    from llamafactory.model.adapter import init_adapter

    model = tiny(family)
    frozen = family in KINDS and bool(KINDS[family].tower)
    settings = {"lora_target": "all", "freeze_vision_tower": frozen} | settings
    recipe = FinetuningArguments(stage="sft", finetuning_type="lora", **settings)
    model = init_adapter(model.config, model, ModelArguments(model_name_or_path="."), recipe, True)
    names = (name for name, weight in model.named_parameters() if weight.requires_grad)
    return {name.removeprefix("base_model.model.") for name in names}


@pytest.mark.parametrize(("family", "word"), FULL_COPY.items())
def test_one_line_trains_all_between_vision_and_language(family: str, word: str) -> None:
    parts = [name for name, _ in tiny(family).named_parameters() if f"{word}." in name]
    whole = {name for name in parts if "deepstack" not in name}  # those have LoRA already
    without, with_it = trained(family), trained(family, additional_target=word)
    assert not any(f".{word}." in f".{name}" for name in without)
    copies = {name.replace(f"{word}.", f"{word}.modules_to_save.default.") for name in whole}
    assert whole
    assert with_it == without | copies


def between(model: torch.nn.Module, word: str) -> set[str]:
    """The linear layers of what lies between, by their names."""
    return {
        name
        for name, module in model.named_modules()
        if f".{word}." in f".{name}." and isinstance(module, torch.nn.Linear)
    }


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("family", LORA_THERE_TOO)
def test_lora_between_vision_and_language_as_well(family: str, frozen: bool) -> None:
    frozen |= bool(KINDS[family].tower)
    linear = between(tiny(family), FULL_COPY[family])
    adapters = {f"{name}.lora_{side}.default.weight" for name in linear for side in "AB"}
    both = trained(
        family,
        lora_target=KINDS[family].targets,
        freeze_multi_modal_projector=False,
        freeze_vision_tower=frozen,
    )
    assert adapters
    assert both == trained(family, freeze_vision_tower=frozen) | adapters


def test_families_without_such_a_list_have_no_linear_layer_there() -> None:
    [kind] = {kind for kind, family in KINDS.items() if family.merger and not family.targets}
    assert not between(tiny(kind), FULL_COPY[kind])


@pytest.mark.parametrize(("kind", "recipe"), SHIPPED_LORA.values(), ids=SHIPPED_LORA)
def test_a_shipped_recipe_trains_what_it_says(kind: str, recipe: Recipe) -> None:
    content, view = yaml.safe_load(recipe.text()), recipe.view
    names = trained(kind, **{key: content[key] for key in METHOD if key in content})
    word = view.merger or PROJECTOR
    merger = {name for name in names if f".{word}." in f".{name}" and "deepstack" not in name}
    language = {name for name in names if "language_model" in name}
    assert language
    assert bool(merger) == (recipe.method == "lora" or bool(view.targets))
    assert bool(names - merger - language) != content["freeze_vision_tower"]


def test_towers_that_peft_does_not_know_stay_frozen() -> None:
    """When this fails, Gemma 4's tower can be trained like the others'."""
    [kind] = {kind for kind, family in KINDS.items() if family.tower}
    with pytest.raises(ValueError, match=r"Gemma4ClippableLinear(?s:.)*is not supported"):
        trained(kind, freeze_vision_tower=False)


def test_lfm2_vl_needs_no_line() -> None:
    names = trained("lfm2_vl")
    assert {name.split(".lora")[0] for name in names if PROJECTOR in name} == {
        f"model.{PROJECTOR}.linear_1",
        f"model.{PROJECTOR}.linear_2",
    }


class Run:
    """One family's runs of LLaMA-Factory, in this process."""

    def __init__(self, family: str, model: Path, data: Path, out: Path) -> None:
        self.model, self.data, self.out = model, data, out
        self.template = TEMPLATES[family]
        self.qlora = f"depthlm_{QLORA[family]}_qlora"
        self.word = PROJECTOR if family == "pixtral" else MERGER
        self.adapter, self.merged = out / "adapter", out / "merged"

    def go(self, name: str, **extra: Any) -> float:
        """Return the loss on the evaluation data at the end, or with none that of training."""
        from llamafactory.train.tuner import run_exp

        values = {
            "model_name_or_path": str(self.model),
            "template": self.template,
            "stage": "sft",
            "do_eval": True,
            "finetuning_type": "lora",
            "eval_dataset": "a",
            "dataset_dir": str(self.data),
            "output_dir": str(self.out / name),
            "cutoff_len": 4096,
            "image_max_pixels": 1_680_000,
            "per_device_eval_batch_size": 2,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
            "depthlm": SMALL,
        }
        run_exp(values | extra)
        results: dict[str, float] = json.loads((self.out / name / "all_results.json").read_text())
        return results["eval_loss" if "eval_loss" in results else "train_loss"]

    def weights(self, folder: Path) -> dict[str, torch.Tensor]:
        """What lies between, of a folder with weights, by the names inside it."""
        from safetensors.torch import load_file

        [path] = folder.glob("*model.safetensors")
        named = {f".{name}": weight for name, weight in load_file(path).items()}
        return {
            name.split(f".{self.word}.")[1]: weight
            for name, weight in named.items()
            if f".{self.word}." in name
        }


@pytest.fixture(scope="module", params=TEMPLATES)
def run(request: pytest.FixtureRequest, models, data: Path, tmp_path_factory) -> Run:
    out = tmp_path_factory.mktemp(request.param)
    return Run(request.param, models[request.param], data, out)


@pytest.fixture(scope="module")
def loss(run: Run) -> float:
    """The loss when training is over."""
    return run.go(
        "adapter",
        do_train=True,
        dataset="ibims1",
        lora_target="all",
        freeze_vision_tower=False,
        additional_target=run.word,
        max_steps=3,
        learning_rate=1e-2,
        logging_steps=1,
    )


def test_it_is_saved_with_the_adapter_and_loaded_for_evaluation(run: Run, loss: float) -> None:
    base, learned = run.weights(run.model), run.weights(run.adapter)
    assert base.keys() == learned.keys()
    assert not any(torch.equal(base[name], learned[name]) for name in base)
    again = run.go("again", adapter_name_or_path=str(run.adapter))
    assert again == pytest.approx(loss, rel=1e-4)
    assert run.go("base") != pytest.approx(loss, rel=1e-2)


def test_adapters_there_learn_on_4_bit_weights(run: Run) -> None:
    content = yaml.safe_load(SHIPPED[run.qlora].text())
    run.go(
        "adapter_4bit",
        do_train=True,
        do_eval=False,  # for which bitsandbytes packs weights on CPUs, in widths unlike these
        eval_dataset=None,
        dataset="ibims1",
        max_steps=2,
        learning_rate=1e-2,
        **{key: content[key] for key in (*QUANTISED, *METHOD) if key in content},
    )
    learned = run.weights(run.out / "adapter_4bit")
    zero_at_first = [weight for name, weight in learned.items() if "lora_B" in name]
    assert zero_at_first
    assert all(weight.any() for weight in zero_at_first)


def test_it_is_merged_and_answers_alike(run: Run, loss: float) -> None:
    from llamafactory.train.tuner import export_model

    export_model(
        {
            "model_name_or_path": str(run.model),
            "adapter_name_or_path": str(run.adapter),
            "template": run.template,
            "finetuning_type": "lora",
            "export_dir": str(run.merged),
            "export_device": "cpu",
            "infer_dtype": "float32",
        }
    )
    merged, learned = run.weights(run.merged), run.weights(run.adapter)
    assert merged.keys() == learned.keys()
    assert all(torch.equal(merged[name], learned[name]) for name in merged)
    on_its_own = run.go("own", model_name_or_path=str(run.merged), finetuning_type="full")
    assert on_its_own == pytest.approx(loss, rel=1e-4)

    record = json.loads((run.data / "a.jsonl").read_text().splitlines()[0])
    camera = Camera.from_intrinsics(record["intrinsics"])
    question = run.data / record["image"], camera, [(300.0, 200.0)]
    adapted = Predictor.load(run.model, adapter=run.adapter, template=run.template)
    alone = Predictor.load(run.merged, template=run.template)
    assert [a.text for a in adapted.ask(*question)] == [a.text for a in alone.ask(*question)]
