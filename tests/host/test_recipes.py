"""Every shipped recipe, through LLaMA-Factory's own argument parser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.host_tools import ROOT

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.tasks import TASKS

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_accepted_and_fits_its_largest_crop(recipe: Path) -> None:
    from llamafactory.hparams import get_train_args
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.load(recipe))
    model_args, data_args, training_args, *_ = get_train_args(
        content | {"bf16": False, "use_cpu": True}
    )
    config = DepthLMConfig.from_block(data_args.depthlm)
    multiple = {"pixtral": 16, "qwen3_vl_nothink": 32}.get(data_args.template, 28)
    width, height = (
        limits[1] // multiple * multiple for limits in (config.crop_width, config.crop_height)
    )
    if training_args.do_train:
        assert width * height <= model_args.image_max_pixels
        tokens = (width // multiple + (multiple == 16)) * (height // multiple)
        tokens *= max(TASKS[task].images for task in config.tasks)
        assert tokens + 100 + 100 * config.questions_per_image < data_args.cutoff_len
    else:
        assert model_args.image_max_pixels / multiple**2 + 200 < data_args.cutoff_len
    policy = recipe.read_text(encoding="utf-8")
    assert not training_args.do_train or "freeze_vision_tower:" in policy
    assert str(recipe.name) in policy  # it opens with how to run it
    assert os.path.basename(training_args.output_dir) == recipe.stem


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"focal": 750}, "unknown key 'focal'; did you mean 'focal_px'?"),
        ({"marker": "arow"}, "unknown marker 'arow'; did you mean 'arrow'?"),
        ({"prompt": "offical"}, "unknown prompt 'offical'; did you mean 'official'?"),
        ({"tasks": {"deph": 1}}, "unknown task 'deph'; did you mean 'depth'?"),
    ],
    ids=["key", "marker", "prompt", "task"],
)
def test_typos_are_caught_before_anything_is_loaded(override, message: str) -> None:
    from llamafactory.hparams import get_train_args
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.load(ROOT / "recipes" / "depthlm_qwen_lora.yaml"))
    content["depthlm"] |= override
    with pytest.raises(Exception, match=message.replace("?", r"\?")):
        get_train_args(content | {"bf16": False, "use_cpu": True})
