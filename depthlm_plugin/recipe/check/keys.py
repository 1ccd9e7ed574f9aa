"""Checks of the keys themselves: that there are such, and that numbers are numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches

from ...config.block import DepthLMConfig, parse_block
from ...config.checks import problems_of
from ...errors import ConfigError
from .finding import Finding, error, left_out
from .host_facts import argument_names
from .settings import Settings

NUMBERS = (
    "image_max_pixels",
    "cutoff_len",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "warmup_steps",
    "warmup_ratio",
    "max_grad_norm",
    "lora_rank",
    "max_new_tokens",
    "label_smoothing_factor",
    "val_size",
    "eval_steps",
    "ray_num_workers",
)


def keys_are_known(recipe: Settings) -> Iterator[Finding]:
    """Yield the keys that `llamafactory-cli train` would refuse."""
    known = argument_names()
    if not known:
        yield left_out("keys", "LLaMA-Factory is not installed here: its keys are not known")
        return
    for key in recipe.values.keys() - known - {"depthlm"}:
        if key in DepthLMConfig().to_dict():
            yield error(key, "is a key of the depthlm block; indent it there", f"depthlm.{key}")
            continue
        close = get_close_matches(key, known, n=1, cutoff=0.6)
        guess = f"; did you mean {close[0]}?" if close else ""
        value = recipe.get(key)
        yield error(key, f"unknown key{guess}", f"{close[0]}: {value}" if close else "")


def numbers_are_numbers(recipe: Settings) -> Iterator[Finding]:
    """Yield numbers that are none."""
    for key in NUMBERS:
        value = recipe.get(key)
        if value is None or (key == "learning_rate" and _is_number(value)):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            yield error(key, f"must be a number, found {value!r}")
        elif value < 0 and key != "max_steps":
            yield error(key, f"must not be negative, found {value!r}")


def block_is_valid(recipe: Settings) -> Iterator[Finding]:
    """Yield every mistake of the `depthlm:` block."""
    try:
        block = parse_block(recipe.get("depthlm"))
    except ConfigError as refused:
        yield error("depthlm", str(refused))
        return
    for problem in problems_of(DepthLMConfig().to_dict() | block):
        words = problem.partition(";")[0].replace("unknown task ", "tasks ")
        said = set(re.findall(r"\w+", words))
        named = next((f"depthlm.{key}" for key in block if key in said), "depthlm")
        yield error(named, problem)


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True
