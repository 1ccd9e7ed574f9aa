"""Recipes are read as LLaMA-Factory reads them, and files that are none are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.recipe.check.machine import Machine
from depthlm_plugin.recipe.check.settings import Settings, read_settings

MACHINE = Machine()


def test_overrides_reach_into_the_block(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("learning_rate: 1e-4\ndepthlm:\n  focal_px: 1000\n  marker: dot\n")
    overrides = ["depthlm.focal_px=750", "dataset=a,b", "adapter_name_or_path=null"]
    recipe = read_settings(str(path), overrides, MACHINE)
    assert recipe.values == {
        "learning_rate": 1e-4,  # plain YAML would read a text
        "depthlm": {"focal_px": 750, "marker": "dot"},
        "dataset": "a,b",
        "adapter_name_or_path": None,
    }
    assert recipe.names("dataset") == ["a", "b"]
    assert recipe.given == {"depthlm.focal_px", "dataset", "adapter_name_or_path"}


@pytest.mark.parametrize(
    ("text", "overrides", "words"),
    [
        (None, [], "no such recipe"),
        ("a: [1", [], "cannot be read as YAML"),
        ("- a\n", [], "must hold keys"),
        ("", [], "must hold keys"),
        ("a: 1\n", ["cutoff_len"], "expected KEY=VALUE"),
    ],
    ids=["gone", "damaged", "list", "empty", "no value"],
)
def test_what_is_no_recipe_is_refused(
    tmp_path: Path, text: str | None, overrides: list[str], words: str
) -> None:
    path = tmp_path / "my.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_settings(str(path), overrides, MACHINE)


def test_the_effective_batch_counts_the_gpus() -> None:
    values = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
    assert Settings("", values).effective_batch == 8
    assert Settings("", values, Machine(gpus=4)).effective_batch == 32
    assert Settings("", values | {"ray_num_workers": 2}).effective_batch == 16
    assert Settings("", values | {"deepspeed": "zero2.json"}).effective_batch is None


def test_zero_is_read_in_deepspeeds_own_file(tmp_path: Path) -> None:
    path = tmp_path / "ds.json"
    path.write_text('{"zero_optimization": {"stage": 3}}')
    assert Settings("", {"deepspeed": str(path)}).zero == 3
    assert Settings("", {}).zero == 0
