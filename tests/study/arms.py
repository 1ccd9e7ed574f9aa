"""The arms of `arms.yaml`, and the recipes that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).with_name("arms.yaml")
_ASKED_ALIKE = {
    "stage", "template", "cutoff_len", "image_min_pixels", "report_to",
    "finetuning_type", "quantization_bit", "quantization_method",
}  # fmt: skip
ASIDE = "one"
"""A dataset of one depth question, asked before ordinary ones and not counted."""
_KEYS = {"after", "steps", "evaluate", "plain", "ordinary", "new_tokens", "real"}


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        name: As `arms.yaml` has it.
        label: What figures call it.
        changes: Keys of the recipe that differ from the base's.
        after: Name of the arm whose model it goes on from; None: from random weights.
        steps: Times the usual number of steps; 0: the model as it was.
        evaluate: Datasets of held-out questions.
        plain: Whose words its questions have: a style of `data.py`, or None for the package's own.
        ordinary: Whether it is asked ordinary questions too.
        new_tokens: Most tokens of an answer.
        real: Whether its datasets are of photographs.
    """

    name: str
    label: str
    changes: Mapping[str, Any]
    after: str | None = None
    steps: float = 1.0
    evaluate: tuple[str, ...] = ("known", "unseen", "warehouse")
    plain: str | None = None
    ordinary: bool = False
    new_tokens: int = 10
    real: bool = False


@cache
def content() -> Any:
    """Return what `arms.yaml` holds."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@cache
def arms() -> dict[str, Arm]:
    """Return all arms by name, those that others go on from first."""
    result = {}
    for name, given in content()["arms"].items():
        changes = dict(given)
        own = changes.pop("study", {})
        if unknown := own.keys() - _KEYS:
            raise ValueError(f"{FILE}: {name}: unknown {sorted(unknown)}")
        if "evaluate" in own:
            own["evaluate"] = tuple(own["evaluate"])
        elif "plain" in own:
            own["evaluate"] = tuple(f"{one}_{own['plain']}" for one in ("known", "unseen"))
            changes["dataset"] = f"indoor_{own['plain']}"
        result[name] = Arm(name, changes.pop("label"), changes, **own)
    return result


def with_bases(names: Sequence[str]) -> list[Arm]:
    """Return the arms of these names, and those that they go on from, first."""
    wanted = set(names)
    for arm in reversed(arms().values()):
        if arm.name in wanted and arm.after is not None:
            wanted.add(arm.after)
    return [arm for arm in arms().values() if arm.name in wanted]


def training(arm: Arm, model: Path, data: Path, seed: int, steps: int) -> dict[str, Any]:
    """Return the recipe that trains an arm."""
    recipe = _merged(content()["recipe"], arm.changes)
    recipe |= {"max_steps": round(steps * arm.steps), "seed": seed}
    if arm.plain is not None or arm.ordinary:
        del recipe["depthlm"]
        # Rows are encoded while they are trained on; Accelerate would cut the patches of a batch.
        recipe |= {"streaming": True, "buffer_size": 4096, "dataloader_num_workers": 1}
        recipe["accelerator_config"] = {"dispatch_batches": False}
    else:
        recipe["depthlm"] = {**recipe["depthlm"], "seed": seed}
    return recipe | _common(model, data)


def evaluation(
    arm: Arm, model: Path, adapter: Path | None, data: Path, sets: tuple[str, ...]
) -> dict[str, Any]:
    """Return the recipe that asks an arm's model the held-out questions of some datasets.

    All of them are depth runs, by the one depth question of ASIDE if by nothing else: LLaMA-Factory
    0.9.5 alone generates without telling the model where image tokens are.
    """
    trained = _merged(content()["recipe"], arm.changes)
    recipe = {key: value for key, value in trained.items() if key in _ASKED_ALIKE}
    packed = {"points_per_record": "all", "questions_per_image": 1}
    recipe["depthlm"] = trained["depthlm"] | packed
    if adapter is not None:
        recipe["adapter_name_or_path"] = str(adapter)
    return (
        recipe
        | _common(model, data)
        | {
            "do_predict": True,
            "predict_with_generate": True,
            "eval_dataset": ",".join(sets),
            "per_device_eval_batch_size": 100,
            "max_new_tokens": arm.new_tokens,
            "do_sample": False,
        }
    )


def _common(model: Path, data: Path) -> dict[str, Any]:
    return {
        "model_name_or_path": str(model),
        "dataset_dir": str(data),
        "preprocessing_num_workers": 1,
    }


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result
