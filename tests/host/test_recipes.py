"""Every shipped recipe through LLaMA-Factory's own parser; its table against its sources."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from support.counting import processor_of
from support.families import BASE_VLMS
from support.host_tools import ROOT
from support.published_sizes import SIZES, config_of

from depthlm_plugin import Camera, View
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.host.open_views import views_as
from depthlm_plugin.host.processors.registry import grid_of
from depthlm_plugin.host.tokens import SizedProcessor, expanded
from depthlm_plugin.recipe.bases import BASES, Base
from depthlm_plugin.recipe.families import FAMILIES, Family
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.sizes import sizes_of
from depthlm_plugin.tasks import TASKS

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
FAMILY = {family.template: family for family in FAMILIES}
CPU = {"bf16": False, "use_cpu": True, "deepspeed": None}  # which is not installed here


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_is_accepted_and_fits_its_largest_crop(recipe: Path) -> None:
    from llamafactory.hparams import get_train_args
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(OmegaConf.load(recipe))
    model_args, data_args, training_args, *_ = get_train_args(content | CPU)
    config = DepthLMConfig.from_block(data_args.depthlm)
    family = FAMILY[data_args.template]
    if training_args.do_train:
        size_wh = family.fixed_wh or tuple(
            limits[1] // family.multiple * family.multiple
            for limits in (config.crop_width, config.crop_height)
        )
        assert size_wh[0] * size_wh[1] <= model_args.image_max_pixels
        tokens = family.image_tokens(size_wh) * max(TASKS[task].images for task in config.tasks)
        assert tokens + 100 + 100 * config.questions_per_image < data_args.cutoff_len
    else:
        largest = model_args.image_max_pixels / family.multiple**2
        assert (family.fixed_tokens or largest) + 200 < data_args.cutoff_len
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
        get_train_args(content | CPU)


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.stem)
def test_llamafactory_knows_the_base_and_its_template(base: Base) -> None:
    from llamafactory.data.template import TEMPLATES
    from llamafactory.extras.constants import DEFAULT_TEMPLATE, SUPPORTED_MODELS

    [name, *_] = [name for name, paths in SUPPORTED_MODELS.items() if base.path in paths.values()]
    template = base.family.template
    assert template in TEMPLATES
    # We teach short answers: the template without thinking, where there are two.
    assert template.removesuffix("_nothink") == DEFAULT_TEMPLATE[name].removesuffix("_nothink")


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.stem)
def test_sizes_are_those_of_the_published_config(base: Base) -> None:
    config = config_of(base.name)
    kind = config.model_type
    if kind == "llava":
        kind += f"/{config.vision_config.model_type}"
    assert kind in base.family.model_types
    assert sizes_of(config) == base.sizes


def test_every_published_config_is_a_base() -> None:
    assert SIZES.keys() == {base.name for base in BASES}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_views_and_image_tokens_are_those_of_the_real_processor(family: Family) -> None:
    from llamafactory.data.template import TEMPLATES

    [vlm, *_] = [vlm for vlm in BASE_VLMS if family.template in vlm.templates]
    processor: Any = processor_of(vlm)
    processor.patch_size = family.patch_px
    grid, size_wh = grid_of(processor), family.largest_wh
    assert (grid.multiple, grid.fixed_wh) == (family.multiple, family.fixed_wh)
    assert grid.problem(size_wh) is None
    uri = View("a.png", Camera(500, 500, 9, 9, size_wh), 500, 0, 0, size_wh).to_uri()
    with views_as("shapes"):
        text = expanded(TEMPLATES[family.template].mm_plugin, uri, SizedProcessor(processor))
    tokens = len(re.findall(r"<[^<>]+>|\[\w+\]", text))
    assert tokens - family.image_tokens(size_wh) in (0, 1, 2)  # begin and end of the image


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_evaluation_may_show_what_the_processor_leaves_alone(family: Family) -> None:
    [vlm, *_] = [vlm for vlm in BASE_VLMS if family.template in vlm.templates]
    grid = grid_of(processor_of(vlm))
    assert SHIPPED[f"depthlm_{family.name}_eval"].view == family
    assert grid.max_pixels is None or family.eval_pixels <= grid.max_pixels
