"""Checks of what LLaMA-Factory offers and depth data cannot use, or what it would itself refuse."""

from __future__ import annotations

from collections.abc import Iterator

from ...config.block import DepthLMConfig
from ..doors import closed_doors
from .finding import Finding, error, warning
from .settings import Settings

_ANSWER_TOKENS = 45  # the official one takes about 40


def depth_can_use_it(recipe: Settings) -> Iterator[Finding]:
    """Yield stages and options with which no depth run starts (`recipe/doors.py`)."""
    config = recipe.config or DepthLMConfig()
    for closed in closed_doors(recipe.get, config, trains=recipe.trains):
        yield error(closed.key, closed.reason, closed.change)


def evaluation_answers(recipe: Settings) -> Iterator[Finding]:
    """Yield evaluations that give no answers, random ones, or ones that are cut off."""
    if recipe.get("do_predict") and not recipe.get("predict_with_generate"):
        yield error("predict_with_generate", "do_predict needs it to have answers",
                    "predict_with_generate: true")  # fmt: skip
    if recipe.get("predict_with_generate") and recipe.zero == 3:
        yield error("predict_with_generate", "LLaMA-Factory cannot generate with ZeRO-3; use"
                    " ZeRO-2, or evaluate afterwards", "predict_with_generate: false")  # fmt: skip
    if not recipe.get("predict_with_generate"):
        return
    if recipe.get("do_sample") in (None, True):
        yield warning("do_sample", "answers are drawn at random: another score every time",
                      "do_sample: false")  # fmt: skip
    most = recipe.number("max_new_tokens", 1024)
    if most < _ANSWER_TOKENS:
        yield warning("max_new_tokens", f"{most:g} may cut answers off; the official one takes"
                      " about 40", "max_new_tokens: 64")  # fmt: skip


def work_is_named(recipe: Settings) -> Iterator[Finding]:
    """Yield a recipe that does nothing, or has nothing to do it with."""
    if not any(recipe.get(key) for key in ("do_train", "do_eval", "do_predict")):
        yield error("do_train", "the recipe neither trains nor evaluates", "do_train: true")
    if recipe.trains and not recipe.names("dataset"):
        yield error("dataset", "none is named to train on", "dataset: NAME")
    asked = recipe.get("eval_strategy") not in (None, "no", False)
    asked = asked or any(recipe.get(key) for key in ("do_predict", "do_eval"))
    if (asked or recipe.get("predict_with_generate")) and not recipe.names("eval_dataset"):
        yield error("eval_dataset", "none is named to evaluate on", "eval_dataset: NAME")
    if not recipe.get("output_dir"):
        yield warning("output_dir", "none is given: the run would be written into trainer_output",
                      "output_dir: saves/NAME")  # fmt: skip
