"""Every model is benched with the evaluation recipe of its family."""

import pytest

from depthlm_plugin.bench.settings import evaluation_settings
from depthlm_plugin.recipe.families import FAMILIES, PIXTRAL
from depthlm_plugin.recipe.shipped import SHIPPED


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_the_family_is_that_of_the_chat_template(family):
    settings = evaluation_settings("my/model", family.template)
    assert settings["output_dir"] == f"saves/depthlm_{family.name}_eval"
    assert settings["image_max_pixels"] == family.eval_pixels


def test_or_that_of_the_base_with_another_template():
    base = SHIPPED["depthlm_pixtral_eval"].base.path
    assert evaluation_settings(base, "mine") == evaluation_settings("my/model", PIXTRAL.template)


def test_a_family_without_a_recipe_has_no_limits():
    settings = evaluation_settings("my/model", "paligemma")
    known = [evaluation_settings("my/model", family.template) for family in FAMILIES]
    for key in ("image_max_pixels", "cutoff_len"):
        assert settings[key] > 4 * max(one[key] for one in known)
    assert settings["do_sample"] is False
