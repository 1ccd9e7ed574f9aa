"""What a check tells beside mistakes: memory and time, and what the tokenizer makes of numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.recipes import FOLDER
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from depthlm_plugin.recipe.check.facts import Fact, facts_of
from depthlm_plugin.recipe.check.finding import Finding
from depthlm_plugin.recipe.check.machine import Machine, machine_of
from depthlm_plugin.recipe.check.settings import Settings, read_settings
from depthlm_plugin.recipe.check.tokens import answers_fit, base_can_chat, digits_are_single

LORA, EVAL = "depthlm_qwen_lora", "depthlm_qwen_eval"
SINGLE, MERGING = r"\d|[^\d]", r"\d{1,3}|[^\d]"  # of Qwen and of Llama 3, else a letter a token


def recipe_of(name: str, *overrides: str, machine: Machine | None = None) -> Settings:
    return read_settings(str(FOLDER / f"{name}.yaml"), overrides, machine or Machine())


def fact(recipe: Settings, name: str) -> Fact:
    [found] = [each for each in facts_of(recipe) if each.name == name]
    return found


def base(folder: Path, pieces: str, **config: object) -> str:
    """A base VLM without weights, whose tokenizer cuts texts into these pieces."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    letters = {letter: number for number, letter in enumerate(map(chr, range(32, 127)))}
    numbers = {str(number): len(letters) + number for number in range(10, 1000)}
    tokenizer = Tokenizer(models.WordLevel({**letters, **numbers, "[?]": 5000}, "[?]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pieces), "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    return f"model_name_or_path={folder}"


def keys(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.key) for finding in findings]


def test_memory_and_time_are_those_of_the_card() -> None:
    a100, h100 = (
        fact(recipe_of(LORA, machine=machine_of(g)), "estimate") for g in ("A100", "H100")
    )
    assert a100.values["memory_gb"] == h100.values["memory_gb"]
    assert a100.values["assumed_card"] == "A100"
    ratio = a100.values["seconds_per_1000_samples"] / h100.values["seconds_per_1000_samples"]
    assert ratio == pytest.approx(989 / 312, rel=0.01)
    assert "per 1 000 samples (1 x H100 at 40% of 989 teraflops)" in h100.message


def test_a_frozen_tower_takes_less_memory_and_time() -> None:
    whole, frozen = (
        fact(recipe_of(LORA, f"freeze_vision_tower={value}"), "estimate").values
        for value in ("false", "true")
    )
    assert frozen["memory_gb"] < whole["memory_gb"]
    assert frozen["seconds_per_1000_samples"] < whole["seconds_per_1000_samples"]


def test_what_is_not_known_is_said() -> None:
    recipe = recipe_of(LORA, "model_name_or_path=somebody/her-own-vlm")
    for name in ("estimate", "numbers"):
        assert fact(recipe, name).values == {}
    assert "hf download somebody/her-own-vlm tokenizer.json" in fact(recipe, "numbers").message


@pytest.mark.slow  # it imports transformers
def test_digits_of_their_own(tmp_path: Path) -> None:
    recipe = recipe_of(LORA, base(tmp_path / "base", SINGLE))
    found = fact(recipe, "numbers").values
    assert (found["number_tokens"], found["digits_are_single"]) == (5, True)
    assert found["answer_tokens"] > 40  # a letter a token
    assert list(digits_are_single(recipe)) == []


@pytest.mark.slow  # it imports transformers
def test_merged_digits_are_warned_of(tmp_path: Path) -> None:
    recipe = recipe_of(LORA, base(tmp_path / "base", MERGING))
    found = fact(recipe, "numbers").values
    assert (found["number_tokens"], found["digits_are_single"]) == (3, False)
    assert keys(list(digits_are_single(recipe))) == [("warning", "model_name_or_path")]


@pytest.mark.slow  # transformers tries everything before it gives up
def test_a_damaged_tokenizer_is_said(tmp_path: Path) -> None:
    given = base(tmp_path / "base", SINGLE)
    (tmp_path / "base" / "tokenizer.json").write_text("{")
    assert "cannot be read" in fact(recipe_of(LORA, given), "numbers").message


def test_answers_must_be_generated_whole(tmp_path: Path) -> None:
    given = base(tmp_path / "base", SINGLE)
    [found] = answers_fit(recipe_of(EVAL, given, "do_train=true", "max_new_tokens=64"))
    assert keys([found]) == [("error", "max_new_tokens")]
    mended = found.change.replace(": ", "=")
    assert list(answers_fit(recipe_of(EVAL, given, "do_train=true", mended))) == []


def test_questions_and_answers_must_fit_beside_the_picture(tmp_path: Path) -> None:
    given = base(tmp_path / "base", SINGLE)
    [found] = answers_fit(recipe_of(LORA, given, "cutoff_len=2300"))
    assert keys([found]) == [("error", "cutoff_len")]
    mended = found.change.replace(": ", "=")
    assert list(answers_fit(recipe_of(LORA, given, mended))) == []


def test_a_base_without_a_chat_template_is_warned_of(tmp_path: Path) -> None:
    bare = base(tmp_path / "bare", SINGLE)
    assert keys(list(base_can_chat(recipe_of(LORA, bare)))) == [("warning", "model_name_or_path")]
    taught = base(tmp_path / "taught", SINGLE, chat_template="{{ messages }}")
    assert list(base_can_chat(recipe_of(LORA, taught))) == []
    (tmp_path / "bare" / "chat_template.jinja").write_text("{{ messages }}")
    assert list(base_can_chat(recipe_of(LORA, bare))) == []
