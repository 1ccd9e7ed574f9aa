"""`recipe new` writes recipes that pass: of every base, by every method, on whatever card fits.

Of a base of the table, and of a folder of one's own with the same config.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.published_sizes import config_of

from depthlm_plugin.errors import ConfigError
from depthlm_plugin.recipe.bases import BASES, Base
from depthlm_plugin.recipe.check.checks import findings_of
from depthlm_plugin.recipe.check.finding import LEFT_OUT, Finding
from depthlm_plugin.recipe.check.machine import machine_of
from depthlm_plugin.recipe.check.settings import read_settings
from depthlm_plugin.recipe.families import FAMILIES
from depthlm_plugin.recipe.new import new_recipe

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]
GPUS = ("12GB", "24GB", "48GB", "80GB", "8x80GB", "32x80GB")
FIRST = {family.name: next(base for base in BASES if base.family == family) for family in FAMILIES}


def methods_of(base: Base) -> list[str]:
    return ["lora", "full"] if base.sizes.experts else ["lora", "qlora", "full"]


def passed(wanted: str, method: str, folder: Path, gpus: tuple[str, ...]) -> Iterator[str]:
    """Yield the cards on which a new recipe fits, after it was checked there."""
    info = {"far": {"formatting": "depthlm", "file_name": "https://example.org/far.jsonl"}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    path = folder / "my.yaml"
    for gpu in gpus:
        try:
            recipe = new_recipe(wanted, method, ["far"], gpu, str(path))
        except ConfigError as refused:
            assert "does not fit" in str(refused)  # noqa: PT017 - some cards are too small
            continue
        path.write_text(recipe.text(), encoding="utf-8")
        machine = replace(machine_of(gpu), has=lambda _: True)
        findings = findings_of(read_settings(str(path), [f"dataset_dir={folder}"], machine))
        assert loud(findings) == [], gpu
        yield gpu


def loud(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level != LEFT_OUT]


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.stem)
def test_of_every_base(base: Base, tmp_path: Path) -> None:
    for method in methods_of(base):
        assert GPUS[-1] in passed(base.stem, method, tmp_path, GPUS)


@pytest.mark.parametrize("base", FIRST.values(), ids=FIRST)
def test_of_a_folder_that_the_table_does_not_know(base: Base, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    config_of(base.name).save_pretrained(folder)
    assert list(passed(str(folder), "lora", tmp_path, GPUS[-1:]))
