"""`depthlm recipe`: the table of recipes, and one of them, explained or for several GPUs."""

from __future__ import annotations

import pytest
import yaml

from depthlm_plugin.cli import main
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.variants import VARIANTS


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["recipe", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_recipes_are_listed_in_a_table(capsys) -> None:
    head, *rows = shown(capsys, "list").splitlines()
    starts = [head.index(word) for word in head.split()]
    assert [row.split()[0] for row in rows] == [*SHIPPED]
    for row in rows:
        assert all(row[start - 1 : start] in ("", " ") for start in starts[1:])
        assert all(row[start : start + 1] != " " for start in starts[:3])
    [qwen] = [row for row in rows if row.startswith("depthlm_qwen_lora ")]
    assert qwen.split() == "depthlm_qwen_lora Qwen2.5-VL-3B lora 1 x 24 GB 18 GB".split()  # noqa: SIM905


@pytest.mark.parametrize("name", ["depthlm_qwen_lora", "depthlm_qwen_lora.yaml"])
def test_one_is_shown_as_it_is(capsys, name: str) -> None:
    assert shown(capsys, "show", name) == SHIPPED["depthlm_qwen_lora"].text()


def test_one_is_explained_for_several_gpus(capsys) -> None:
    text = shown(capsys, "show", "depthlm_qwen_lora", "--explain", "--with", "zero3")
    assert "# LLaMA-Factory's chat template" in text
    assert yaml.safe_load(text)["deepspeed"]["zero_optimization"]["stage"] == 3


@pytest.mark.parametrize("variant", VARIANTS)
def test_evaluation_needs_no_section_for_several_gpus(capsys, variant: str) -> None:
    assert main(["recipe", "show", "depthlm_qwen_eval", "--with", variant]) == 1
    assert "uses all that it sees" in capsys.readouterr().err


def test_an_unknown_one_is_guessed(capsys) -> None:
    assert main(["recipe", "show", "depthlm_qwen_lra"]) == 1
    assert "did you mean 'depthlm_qwen_lora'?" in capsys.readouterr().err
