"""What is read in LLaMA-Factory's source is what LLaMA-Factory itself has."""

from __future__ import annotations

from dataclasses import fields

import pytest

from depthlm_plugin.recipe.check.host_facts import argument_names, template_names


@pytest.mark.slow
def test_keys_and_templates_are_llamafactorys() -> None:
    """It starts LLaMA-Factory: seconds."""
    from llamafactory.data.template import TEMPLATES
    from llamafactory.hparams import parser

    taken = {field.name for kind in parser._TRAIN_ARGS for field in fields(kind) if field.init}
    assert taken - argument_names() <= {"depthlm"}
    assert argument_names() - taken == set()
    assert template_names() == TEMPLATES.keys()
