"""The recipes of the folder `recipes/`: which there are."""

from __future__ import annotations

from dataclasses import replace

from .bases import BASES, Base
from .families import FAMILIES
from .subjects import MULTITASK, VLM3
from .writer import Recipe

_QLORA = {
    "qwen", "qwen_7b", "qwen_32b", "qwen_72b", "qwen3vl_4b", "qwen3vl_8b", "qwen3vl_32b",
    "qwen3_5_4b", "qwen3_5_9b", "pixtral", "mistral_small",
    "internvl3_8b", "internvl3_5_4b", "internvl3_5_8b", "gemma3_4b", "gemma3_12b",
    "gemma4_e4b", "glm4_1v", "llava_next", "llama3_2_11b",
}  # fmt: skip
_FULL = {"qwen", "qwen_7b", "qwen3vl_2b", "qwen3vl_4b", "qwen3vl_8b", "pixtral"}
"""All weights of the models that the papers train, and of those near them."""


def _shipped() -> list[Recipe]:
    named = {base.stem: base for base in BASES}
    found: list[Recipe] = []
    for family in FAMILIES:
        bases = [base for base in BASES if base.family == family]
        for base in bases:
            found += [
                Recipe(f"depthlm_{base.stem}_{method}", base, method) for method in _methods(base)
            ]
            if base.stem == "qwen":
                found.append(_multitask(base))
            if base.stem == "qwen3vl_4b":
                found.append(Recipe("vlm3_qwen3vl_lora", named["qwen3vl_4b"], "lora", VLM3))
        found.append(Recipe(f"depthlm_{family.name}_eval", bases[0], "eval"))
    return found


def _methods(base: Base) -> list[str]:
    return [
        "lora",
        *(["qlora"] if base.stem in _QLORA else []),
        *(["full"] if base.stem in _FULL else []),
    ]


def _multitask(base: Base) -> Recipe:
    smaller = replace(
        base.family,
        crop_height=(700, 1000),
        crop_width=(1000, 1200),
        why=("", "two crops must fit into cutoff_len", ""),
    )
    return Recipe("depthlm_qwen_multitask_lora", base, "lora", MULTITASK, family=smaller)


SHIPPED = {recipe.name: recipe for recipe in _shipped()}
"""Every shipped recipe by its name, in the order of the table."""
