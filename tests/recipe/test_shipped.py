"""The folder `recipes/` is what the table of base VLMs says, and every recipe fits its card."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from support.recipes import FOLDER, written

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.recipe.bases import BASES
from depthlm_plugin.recipe.explain import EXPLAINED, explained
from depthlm_plugin.recipe.families import FAMILIES
from depthlm_plugin.recipe.plan import EFFECTIVE_BATCH
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.variants import VARIANTS
from depthlm_plugin.recipe.writer import Recipe

TRAINING = {name: recipe for name, recipe in SHIPPED.items() if recipe.method != "eval"}


def test_no_file_is_stale() -> None:
    """Else: PYTHONPATH=tests python -m support.recipes."""
    found = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.yaml")}
    texts = written()
    assert found.keys() == texts.keys()
    stale = [name for name in texts if found[name] != texts[name]]
    assert not stale, "run PYTHONPATH=tests python -m support.recipes"


def test_every_base_is_trained_and_every_family_evaluated() -> None:
    for base in BASES:
        assert SHIPPED[f"depthlm_{base.stem}_lora"].base == base
    for family in FAMILIES:
        assert SHIPPED[f"depthlm_{family.name}_eval"].base.family == family


@pytest.mark.parametrize("recipe", TRAINING.values(), ids=TRAINING)
def test_a_recipe_fits_its_card_with_the_same_effective_batch(recipe: Recipe) -> None:
    found, content = recipe.plan, yaml.safe_load(recipe.text())
    assert found.fits
    batch = content["per_device_train_batch_size"], content["gradient_accumulation_steps"]
    assert batch[0] * batch[1] * found.gpus == EFFECTIVE_BATCH
    gpus = "one GPU" if found.gpus == 1 else f"{found.gpus} GPUs"
    assert f"Hardware: {gpus} of {found.card_gb} GB" in recipe.text()
    assert f"estimate of the memory{' each' * (found.gpus > 1)}, largest views:" in recipe.text()
    assert ("deepspeed" in content) == (found.gpus > 1)


@pytest.mark.parametrize("recipe", TRAINING.values(), ids=TRAINING)
def test_adapters_come_with_what_joins_tower_and_language_model(recipe: Recipe) -> None:
    """A whole copy, or adapters on 4-bit weights; where `lora_target: all` leaves it out."""
    content, view = yaml.safe_load(recipe.text()), recipe.view
    whole = recipe.method == "lora" and view.merger
    assert content.get("additional_target") == (view.merger if whole else None)
    adapted = recipe.method == "qlora" and view.targets
    assert content.get("lora_target", "all").replace(" ", "") == (
        view.targets if adapted else "all"
    )
    trains = adapted or recipe.method == "full"
    assert content.get("freeze_multi_modal_projector", True) is not bool(trains)


def test_what_4_bit_weights_leave_frozen_is_said() -> None:
    assert SHIPPED["depthlm_gemma3_4b_qlora"].view.merger
    assert (
        "# what joins tower and language model stays" in SHIPPED["depthlm_gemma3_4b_qlora"].text()
    )


def test_full_training_keeps_few_checkpoints_and_waits_for_them() -> None:
    content = yaml.safe_load(SHIPPED["depthlm_qwen_full"].text())
    assert content["deepspeed"]["zero_optimization"]["stage"] == 2
    assert content["save_total_limit"] == 3
    assert content["ddp_timeout"] > 3600


@pytest.mark.parametrize("name", SHIPPED)
def test_lines_are_short_and_commands_name_recipes_that_exist(name: str) -> None:
    text = SHIPPED[name].text()
    assert max(map(len, text.splitlines())) <= 120
    named = re.findall(r"llamafactory-cli train recipes/(\w+)\.yaml", text)
    assert name in named
    assert all(other in SHIPPED for other in named)


@pytest.mark.parametrize("recipe", TRAINING.values(), ids=TRAINING)
def test_the_evaluation_that_a_recipe_names_takes_its_base_and_adapter(recipe: Recipe) -> None:
    """Its command, with what it overrides, evaluates what was trained."""
    head = recipe.text().partition("\n\n")[0]
    then = re.sub(r"\s*\\\n#\s*", " ", head.partition("# Then:")[2]).split()
    found = yaml.safe_load((FOLDER.parent / then[2]).read_text(encoding="utf-8"))
    found |= dict(word.split("=") for word in then[3:])
    trained, saved = yaml.safe_load(recipe.text()), f"saves/{recipe.name}"
    full = recipe.method == "full"
    assert found["template"] == trained["template"]
    assert found["model_name_or_path"] == (saved if full else trained["model_name_or_path"])
    assert found["adapter_name_or_path"] == ("null" if full else saved)
    assert found["finetuning_type"] == ("full" if full else "lora")
    assert found["image_max_pixels"] >= trained["image_max_pixels"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_adds_its_section_and_its_command(variant: str) -> None:
    plain = SHIPPED["depthlm_qwen_lora"]
    recipe = replace(plain, variant=variant)
    added = yaml.safe_load(recipe.text()).keys() - yaml.safe_load(plain.text()).keys()
    assert added == yaml.safe_load(VARIANTS[variant].section).keys()
    assert VARIANTS[variant].command.format(path=recipe.path) in recipe.text()
    assert "divide gradient_accumulation_steps" in recipe.text()


def test_another_variant_takes_the_place_of_the_planned_one() -> None:
    """Its accumulation counts the GPUs already."""
    text = replace(SHIPPED["depthlm_qwen_7b_full"], variant="fsdp2").text()
    assert "fsdp" in yaml.safe_load(text)
    assert "ZeRO" not in text
    assert "divide gradient_accumulation_steps" not in text


def keys(content: dict[str, Any]) -> set[str]:
    block = content["depthlm"]
    return {*content, *block}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_key_is_explained_and_nothing_else_changes(name: str) -> None:
    text = SHIPPED[name].text()
    assert keys(yaml.safe_load(text)) <= EXPLAINED.keys()
    assert yaml.safe_load(explained(text)) == yaml.safe_load(text)
    for key in keys(yaml.safe_load(text)):
        assert re.search(rf"^ *# {re.escape(EXPLAINED[key])}\n *{key}:", explained(text), re.M)


@pytest.mark.parametrize("recipe", TRAINING.values(), ids=TRAINING)
def test_flash_attention_is_offered_and_explained(recipe: Recipe) -> None:
    assert f"# {EXPLAINED['flash_attn']}\n# flash_attn: fa2 " in explained(recipe.text())


@pytest.mark.parametrize("name", SHIPPED)
def test_the_block_is_one(name: str) -> None:
    DepthLMConfig.from_block(yaml.safe_load(SHIPPED[name].text())["depthlm"])
