"""What stops a training run, what it only logs, and what it does not look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.recipes import FOLDER

from depthlm_plugin.recipe.check import before_training
from depthlm_plugin.recipe.check.before_training import findings_before_training
from depthlm_plugin.recipe.check.machine import Machine
from depthlm_plugin.recipe.check.settings import Settings, read_settings
from depthlm_plugin.recipe.shipped import SHIPPED

RECIPES = [name for name, recipe in SHIPPED.items() if recipe.method != "eval"]


def keys_of(name: str, *overrides: str, data: bool = False) -> tuple[set[str], set[str]]:
    recipe = read_settings(str(FOLDER / f"{name}.yaml"), overrides, Machine())
    certain, others = findings_before_training(recipe, data=data)
    return {finding.key for finding in certain}, {finding.key for finding in others}


@pytest.mark.parametrize("name", RECIPES)
def test_shipped_recipes_train_in_silence(name: str) -> None:
    assert keys_of(name) == (set(), set())


def test_what_is_certainly_wrong_stops() -> None:
    found = keys_of("depthlm_qwen_qlora", "additional_target=merger")
    assert found == ({"additional_target"}, set())


@pytest.mark.parametrize(
    ("name", "override"),
    [
        ("depthlm_qwen_qlora", "additional_target=embed_tokens"),  # they are not quantised
        ("depthlm_qwen_lora", "model_name_or_path=somebody/her-own-vlm"),
    ],
)
def test_what_may_be_right_goes_on(name: str, override: str) -> None:
    assert keys_of(name, override)[0] == set()


@pytest.mark.parametrize(
    "override", ["learning_rate=1e-2", "template=intern_vl", "max_grad_norm=0", "warmup_steps=1.5"]
)
def test_what_is_unusual_is_only_said(override: str) -> None:
    assert keys_of("depthlm_qwen_lora", override) == (set(), {override.partition("=")[0]})


def test_records_on_both_sides_are_said(tmp_path: Path) -> None:
    """To train on what is evaluated, to see whether anything is learnt, is allowed."""
    row = {"image": "a.png", "intrinsics": [500, 500, 32, 24, 64, 48], "points": [[1, 1]],
           "depth": [2.0]}  # fmt: skip
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    info = {"a": {"formatting": "depthlm", "file_name": "a.jsonl"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    given = [f"dataset_dir={tmp_path}", "dataset=a", "eval_dataset=a"]
    certain, others = keys_of("depthlm_qwen_lora", *given, data=True)
    assert certain == set()
    assert others == {"eval_dataset", "num_train_epochs"}
    assert keys_of("depthlm_qwen_lora", *given) == (set(), set())


def test_a_check_that_fails_stops_nobody(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    def broken(_: Settings) -> Any:
        raise KeyError("depth")

    monkeypatch.setattr(before_training, "_LIKELY", (broken,))
    assert keys_of("depthlm_qwen_lora", "learning_rate=1") == (set(), set())
    assert "the check broken failed" in caplog.text
