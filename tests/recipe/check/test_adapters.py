"""Adapters of another base are an error; those of one that may have moved are only a warning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.recipes import FOLDER

from depthlm_plugin.recipe.check.adapters import adapters_fit_the_base
from depthlm_plugin.recipe.check.machine import Machine
from depthlm_plugin.recipe.check.settings import read_settings


def base(folder: Path, hidden_size: int) -> Path:
    folder.mkdir(parents=True)
    text = {"hidden_size": hidden_size, "num_hidden_layers": 2}
    config = {"model_type": "qwen2_5_vl", "text_config": text}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("place", "hidden_size", "levels"),
    [
        ("elsewhere/base", 32, []),  # the same name
        ("merged", 32, ["warning"]),
        ("other", 64, ["error"]),
        ("gone", None, ["warning"]),
    ],
)
def test_names_and_sizes_tell(
    tmp_path: Path, place: str, hidden_size: int | None, levels: list[str]
) -> None:
    trained_on, adapter = base(tmp_path / "base", 32), tmp_path / "adapter"
    adapter.mkdir()
    content = {"base_model_name_or_path": str(trained_on)}
    (adapter / "adapter_config.json").write_text(json.dumps(content))
    if hidden_size:
        base(tmp_path / place, hidden_size)
    given = [f"model_name_or_path={tmp_path / place}", f"adapter_name_or_path={adapter}"]
    recipe = read_settings(str(FOLDER / "depthlm_qwen_eval.yaml"), given, Machine())
    assert [finding.level for finding in adapters_fit_the_base(recipe)] == levels
