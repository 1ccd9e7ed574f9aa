"""`depthlm recipe`: the table, one explained or for several GPUs, and a new one for a card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.recipes import FOLDER

from depthlm_plugin.cli import main
from depthlm_plugin.recipe.flops import duration
from depthlm_plugin.recipe.plan import EFFECTIVE_BATCH
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.variants import VARIANTS


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["recipe", *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_recipes_are_listed_in_a_table(capsys) -> None:
    head, *rows = shown(capsys, "list").splitlines()
    starts = [head.index(word) for word in head.removesuffix(" samples").split()]
    assert [row.split()[0] for row in rows] == [*SHIPPED]
    for row in rows:
        assert all(row[start - 1 : start] in ("", " ") for start in starts[1:])
        assert all(row[start : start + 1] != " " for start in starts[:3])
    [qwen] = [row for row in rows if row.startswith("depthlm_qwen_lora ")]
    found = SHIPPED["depthlm_qwen_lora"].plan
    assert qwen.endswith(f"  {found.memory.total_gb:.0f} GB   {duration(found.seconds)}")
    assert " Qwen2.5-VL-3B  " in qwen
    assert " lora  " in qwen
    assert " 1 x 24 GB  " in qwen


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


def new(capsys, base: str, method: str, gpu: str, *more: str) -> dict[str, Any]:
    words = ("new", base, "--method", method, "--gpu", gpu, "--data", "mine", "yours", *more)
    return yaml.safe_load(shown(capsys, *words))


def refused(capsys, base: str, method: str = "lora", gpu: str = "24GB") -> str:
    arguments = ["recipe", "new", base, "--method", method, "--gpu", gpu, "--data", "mine"]
    assert main(arguments) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("base", ["qwen", "qwen2.5-vl-3b", "Qwen/Qwen2.5-VL-3B-Instruct"])
def test_a_new_one_is_that_of_the_table_for_its_card(capsys, base: str) -> None:
    shipped = yaml.safe_load(SHIPPED["depthlm_qwen_lora"].text())
    assert new(capsys, base, "lora", "24GB") == shipped | {"dataset": "mine,yours"}


def test_a_larger_card_gives_a_larger_batch_and_the_same_step(capsys) -> None:
    content = new(capsys, "qwen", "lora", "80")
    assert content["per_device_train_batch_size"] == 8
    assert content["gradient_accumulation_steps"] == 4


def test_a_smaller_card_gives_smaller_crops_at_the_same_focal_length(capsys) -> None:
    content = new(capsys, "qwen3vl_4b", "lora", "17GB")
    block = content["depthlm"]
    assert block["focal_px"] == 1000
    assert 1000 < block["crop_width"][1] < 1400
    assert 700 < block["crop_height"][1] < 1200
    assert content["image_max_pixels"] == block["crop_width"][1] * block["crop_height"][1]


def test_where_there_is_room_layers_are_not_computed_twice(capsys) -> None:
    assert new(capsys, "lfm2vl", "lora", "80GB")["disable_gradient_checkpointing"] is True
    assert "disable_gradient_checkpointing" not in new(capsys, "lfm2vl", "lora", "10GB")


def test_several_gpus_share_what_has_no_room(capsys) -> None:
    content = new(capsys, "qwen", "full", "2x80GB")
    assert content["deepspeed"]["zero_optimization"]["stage"] == 2
    batch = content["per_device_train_batch_size"] * content["gradient_accumulation_steps"]
    assert batch * 2 == EFFECTIVE_BATCH


def test_it_is_written_with_what_was_chosen(capsys, tmp_path: Path) -> None:
    out = tmp_path / "my.yaml"
    arguments = ["recipe", "new", "qwen", "--method", "qlora", "--gpu", "24GB", "--data", "mine"]
    assert main([*arguments, "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    content = yaml.safe_load(out.read_text(encoding="utf-8"))
    batch = content["per_device_train_batch_size"], content["gradient_accumulation_steps"]
    assert "batch {} x {} on each of 1 GPU(s) of 24 GB".format(*batch) in printed.err
    assert f"# Run:      llamafactory-cli train {out}\n" in out.read_text(encoding="utf-8")
    assert "# Written:  depthlm recipe new qwen --method qlora" in out.read_text(encoding="utf-8")
    assert main([*arguments, "--out", str(out)]) == 1
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Qwen2.5-VL-7"], "did you mean 'Qwen2.5-VL-7B'?"),
        (["moonshotai/Kimi-VL-A3B-Instruct"], "its image code comes with the model"),
        (["openbmb/MiniCPM-V-4"], "its image code comes with the model"),
        (["qwen3vl_30b", "qlora", "80GB"], "a mixture of experts"),
        (["qwen_7b"], "Enough: 1 x 48 GB; or use --method qlora"),
        (["qwen", "lora", "huge"], "such as 24GB or 4x80GB, found 'huge'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(capsys, arguments, message: str) -> None:
    assert message in refused(capsys, *arguments)


def check(capsys, *arguments: str) -> tuple[int, str]:
    recipe = str(FOLDER / "depthlm_qwen_lora.yaml")
    status = main(["recipe", "check", recipe, *arguments, "--gpu", "24GB"])
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out


def test_a_check_says_where_and_how_to_mend_it(capsys) -> None:
    status, printed = check(capsys, "cutoff_len=100", "dataset_dir=gone")
    assert status == 1
    assert "error: cutoff_len (command line): the largest sample takes 2100 image" in printed
    assert "\n    cutoff_len: 2304\n" in printed
    assert printed.endswith("depthlm_qwen_lora.yaml: 2 errors, 0 warnings, 0 left out\n")


def test_a_check_is_read_by_programs(capsys) -> None:
    status, printed = check(capsys, "--json")
    found = json.loads(printed)
    assert status == 1
    assert (found["errors"], found["warnings"]) == (1, 0)
    [finding] = found["findings"]
    lines = (FOLDER / "depthlm_qwen_lora.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[finding["line"] - 1].startswith("dataset_dir:")
    assert finding["level"] == "error"
    assert found["facts"]["estimate"]["memory_gb"] > 10
    assert found["facts"]["numbers"] is None  # the base is not here


def test_warnings_do_not_fail_a_check(capsys, tmp_path: Path) -> None:
    info = {"depthlm_train": {"formatting": "depthlm", "file_name": "https://example.org/a.jsonl"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    status, printed = check(capsys, f"dataset_dir={tmp_path}", "bf16=false")
    assert status == 0
    assert "warning: bf16" in printed
    assert "left out: dataset: depthlm_train is remote" in printed


def test_a_recipe_that_is_not_there_cannot_be_checked(capsys) -> None:
    assert main(["recipe", "check", "gone.yaml"]) == 1
    assert "gone.yaml: there is no such recipe" in capsys.readouterr().err
