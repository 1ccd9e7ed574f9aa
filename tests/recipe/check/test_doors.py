"""The check of a recipe finds what its run would be refused for, before it is one."""

from __future__ import annotations

from typing import Any

import pytest
from support.doors import CLOSED
from support.host_tools import overrides
from support.recipes import FOLDER

from depthlm_plugin.recipe.check.doors import depth_can_use_it
from depthlm_plugin.recipe.check.finding import ERROR
from depthlm_plugin.recipe.check.machine import Machine
from depthlm_plugin.recipe.check.settings import read_settings

LORA = str(FOLDER / "depthlm_qwen_lora.yaml")
ANY = Machine(has=lambda _: True)


@pytest.mark.parametrize(("settings", "key", "reason"), CLOSED.values(), ids=CLOSED)
def test_closed_doors(settings: dict[str, Any], key: str, reason: str) -> None:
    flat = dict(settings)
    for name, value in flat.pop("accelerator_config", {}).items():
        flat[f"accelerator_config.{name}"] = value
    [found] = depth_can_use_it(read_settings(LORA, overrides(**flat), ANY))
    assert (found.level, found.key) == (ERROR, key)
    assert reason in found.message
    assert found.change


def test_an_evaluation_may_have_what_training_may_not() -> None:
    recipe = read_settings(LORA, ["do_train=false", "packing=true", "use_asft_loss=true"], ANY)
    assert list(depth_can_use_it(recipe)) == []


def test_the_environment_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_MCA", "1")
    [found] = depth_can_use_it(read_settings(LORA, [], ANY))
    assert (found.key, found.level) == ("use_mca", ERROR)
