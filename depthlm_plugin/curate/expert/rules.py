"""How the outputs of each kind of expert become metres, and which experts give none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigError
from . import depth_anything, depth_pro, zoedepth
from .rule import Rule

RULES: Mapping[str, Rule] = {
    "depth_anything": depth_anything.RULE,
    "depth_pro": depth_pro.RULE,
    "zoedepth": zoedepth.RULE,
}
"""The rules by `model_type` of a model's config.json."""

_REFUSED = {
    "chmv2": "it gives heights of canopies seen from above, no distances to a camera",
    "dpt": "it gives relative depth, of unknown scale and shift: nothing makes it metres",
    "glpn": "it gives a share of max_depth, and its files do not say that this is its training"
    " data's: 10 is the default, whatever the weights",
    "prompt_depth_anything": "it wants a depth sensor's map beside each picture, and these have"
    " none; curate what has one with `depthlm curate folder`",
}


def rule_of(config: Mapping[str, Any], model: str) -> Rule:
    """Return the metric rule of a model.

    Args:
        config: Its config.json.
        model: What to name in errors.

    Raises:
        ConfigError: For a model that gives no metres, or of which we have no rule.
    """
    kind = str(config.get("model_type"))
    rule = RULES.get(kind)
    if rule is None:
        reason = _REFUSED.get(kind, "there is no rule that makes its output metres")
    else:
        reason = rule.refusal(config)
    if rule is None or reason:
        raise ConfigError(
            f"--option model={model} is a {kind}, which cannot label: {reason}. Experts are"
            f" {', '.join(RULES)}, the metric ones"
        )
    return rule
