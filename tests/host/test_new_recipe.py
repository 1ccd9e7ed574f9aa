"""Recipes that `depthlm recipe` makes train: of a base that no table knows, and on two devices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from support.host_tools import Cli, losses

from depthlm_plugin.cli import main
from depthlm_plugin.demo.scenes import FOCAL_PX, write_scenes
from depthlm_plugin.recipe.resolve import base_of

CPU = ["bf16=false", "use_cpu=true", "plot_loss=false", "dataloader_num_workers=1"]


def new(folder: Path, out: Path) -> int:
    words = ["recipe", "new", str(folder), "--method", "lora", "--data", "scenes"]
    return main([*words, "--gpu", "24GB", "--out", str(out)])


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """A dataset_dir with the dataset `scenes`."""
    folder = tmp_path / "data"
    folder.mkdir()
    records = write_scenes(folder, scenes=4, points=4, seed=0, name="scenes")
    info = {"scenes": {"file_name": records.name, "formatting": "depthlm"}}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def one_step(recipe: Path, scenes: Path, out: Path, *more: str) -> list[str]:
    small = [f"depthlm.focal_px={FOCAL_PX}", "depthlm.crop_height=null", "depthlm.crop_width=null"]
    few = ["max_steps=1", "logging_steps=1", "per_device_train_batch_size=1"]
    return ["train", str(recipe), f"dataset_dir={scenes}", f"output_dir={out}", *few, *small, *CPU,
            *more]  # fmt: skip


def test_two_commands_train_a_base_that_is_not_in_the_table(
    models, scenes: Path, cli: Cli, tmp_path: Path, capsys
) -> None:
    recipe = tmp_path / "my.yaml"
    assert new(models["qwen3vl"], recipe) == 0
    assert "qwen3vl, batch " in capsys.readouterr().err
    content = yaml.safe_load(recipe.read_text())
    assert content["template"] == "qwen3_vl_nothink"
    assert content["model_name_or_path"] == str(models["qwen3vl"])
    assert "# Written:" in recipe.read_text()
    assert "is not in the table" in recipe.read_text()

    out = tmp_path / "out"
    cli(*one_step(recipe, scenes, out))
    assert losses(out).keys() == {1}
    assert (out / "adapter_config.json").is_file()


def test_two_processes_share_a_model_and_save_all_that_is_trained(
    models, scenes: Path, cli: Cli, tmp_path: Path, capsys
) -> None:
    from safetensors.torch import load_file

    assert main(["recipe", "show", "depthlm_qwen_lora", "--with", "fsdp2"]) == 0
    recipe, out = tmp_path / "shared.yaml", tmp_path / "out"
    recipe.write_text(capsys.readouterr().out)
    more = [f"model_name_or_path={models['qwen']}", "dataset=scenes", "ddp_backend=gloo"]
    cli(*one_step(recipe, scenes, out, *more), FORCE_TORCHRUN="1", NPROC_PER_NODE="2")
    assert losses(out).keys() == {1}
    base, saved = (
        load_file(models["qwen"] / "model.safetensors"),
        load_file(out / "adapter_model.safetensors"),
    )
    merger = {name: weight for name, weight in saved.items() if ".merger." in name}
    shapes = {name.split("visual.")[1]: w.shape for name, w in base.items() if ".merger." in name}
    assert {name.split("visual.")[1]: weight.shape for name, weight in merger.items()} == shapes
    assert all(weight.numel() for weight in saved.values())
    assert any("language_model.layers" in name for name in saved)


def test_a_config_is_read_without_weights(models, tmp_path: Path) -> None:
    folder = tmp_path / "pixtral"
    folder.mkdir()
    config = (models["pixtral"] / "config.json").read_text()
    (folder / "config.json").write_text(config)
    base = base_of(str(folder))
    assert (base.family.name, base.path) == ("pixtral", str(folder))
    assert base.sizes.vocabulary == json.loads(config)["text_config"]["vocab_size"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no config.json"),
        ("{", "cannot be read as a model's config"),
        ('{"model_type": "depthvlm"}', "cannot be read as a model's config"),
        ('{"model_type": "qwen2"}', "no recipe knows how models of type 'qwen2' see"),
        ('{"model_type": "llava"}', "no recipe knows how models of type 'llava/clip_vision_model'"),
    ],
)
def test_a_folder_that_is_no_known_base_is_refused(
    tmp_path: Path, capsys, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert new(tmp_path, tmp_path / "my.yaml") == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "my.yaml").exists()


def test_a_base_that_was_not_downloaded_is_said(tmp_path: Path, capsys) -> None:
    assert main(
        ["recipe", "new", "Qwen/Qwen2.5-VL-14B-Instruct", "--method", "lora", "--data", "scenes",
         "--gpu", "24GB"]
    ) == 1  # fmt: skip
    printed = capsys.readouterr().err
    assert "was not downloaded before" in printed
    assert "did you mean 'Qwen2.5-VL-" in printed
