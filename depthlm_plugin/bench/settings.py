"""What LLaMA-Factory is told in every bench of a model: the evaluation recipe of its family."""

from __future__ import annotations

from typing import Any

from ..recipe.bases import BASES
from ..recipe.families import FAMILIES, QWEN2_5_VL
from ..resources import data_folder

_NO_LIMIT = {"image_max_pixels": 100_000_000, "cutoff_len": 32_768}


def evaluation_settings(model: str, template: str) -> dict[str, Any]:
    """Return the evaluation recipe of the family with a chat template, or of a base VLM.

    A family without one gets that of Qwen2.5-VL, with limits that no view reaches.
    """
    import yaml

    by_template = {family.template: family for family in FAMILIES}
    by_path = {base.path: base.family for base in BASES}
    family = by_template.get(template) or by_path.get(model)
    file = data_folder("recipes") / f"depthlm_{(family or QWEN2_5_VL).name}_eval.yaml"
    settings: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return settings if family else settings | _NO_LIMIT
