"""Trains, evaluates and merges a tiny model of each family, from the shipped recipes.

PYTHONPATH=tests python -m support.families_run [MODEL_TYPE ...]

prints a table of what the unmodified llamafactory-cli could do, with four processes a family:
train, evaluate the adapter, export, evaluate the merged model. It takes a minute or two a family.
`tests/host/test_training_families.py` does the same in one process.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from depthlm_plugin.demo.scenes import write_scenes
from depthlm_plugin.recipe.families import FAMILIES, Family
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.writer import Recipe
from support.host_tools import ROOT, losses, overrides, rows, run
from support.tiny_vlms import TINY_VLMS, build

KINDS = {
    kind.partition("/")[0]: family
    for family in FAMILIES
    for kind in family.model_types
    if kind.partition("/")[0] in TINY_VLMS
}
"""model_type -> what recipes know of it; the others of `TINY_VLMS` have no recipe."""
MERGER, PROJECTOR = "merger", "multi_modal_projector"
BORROWED = {
    "glm4v_moe": MERGER,
    "llava_next_video": PROJECTOR,
    "video_llava": PROJECTOR,
    "paligemma": PROJECTOR,
    "ernie4_5_vl_moe": "resampler_model",
}
"""model_type without a recipe -> what lies between tower and language model.

Qwen2.5-VL's recipes are theirs too, with that and the template.
"""
EXPERTS = {"qwen3_vl_moe", "llama4"}
ERNIE_TARGETS = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj,qkv,attn.proj,fc1,fc2"
"""`all` names a linear layer `mlp`, and other layers have that name."""
STEPS = 40
DEPTH_M = 2.5  # of all points for training, so that one answer is to be learned


@dataclass(frozen=True)
class Trial:
    """One family's tiny model, and what LLaMA-Factory is told to do with it.

    Attributes:
        kind: Its `model_type`.
        folder: Where everything goes.
        data: Of `write_data`.
    """

    kind: str
    folder: Path
    data: Path

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def merged(self) -> Path:
        return self.folder / "merged"

    @property
    def family(self) -> Family | None:
        return KINDS.get(self.kind)

    @property
    def template(self) -> str:
        return self.family.template if self.family else TINY_VLMS[self.kind].template

    @property
    def between(self) -> str:
        """What lies between tower and language model, by its name there."""
        return self.family.merger or PROJECTOR if self.family else BORROWED[self.kind]

    @property
    def recipe(self) -> Recipe:
        """The LoRA recipe."""
        if not self.family:
            return SHIPPED["depthlm_qwen_lora"]
        return next(
            recipe
            for recipe in SHIPPED.values()
            if recipe.base.family == self.family
            and recipe.method == "lora"
            and recipe.base.sizes.experts == (self.kind in EXPERTS)
        )

    @property
    def evaluation(self) -> Recipe:
        """The recipe of the evaluation."""
        return SHIPPED[f"depthlm_{self.family.name if self.family else 'qwen'}_eval"]

    @cached_property
    def views(self) -> dict[str, Any]:
        """The `depthlm` keys of views as small as the tiny model's, as wide as published ones."""
        from transformers import AutoProcessor

        from depthlm_plugin.host.processors.registry import grid_of

        fixed_wh = grid_of(AutoProcessor.from_pretrained(self.model)).fixed_wh
        if fixed_wh is None:  # whole pictures, of several sizes
            return {"focal_px": 200, "crop_height": [400, 400], "crop_width": [400, 400]}
        width, height = fixed_wh
        return {
            "focal_px": round(width / 12) * 10,
            "crop_height": [height, height],
            "crop_width": [width, width],
        }

    @property
    def _everywhere(self) -> dict[str, Any]:
        small: dict[str, Any] = {"model_name_or_path": str(self.model)}
        small |= {"dataset_dir": str(self.data), "bf16": False, "use_cpu": True}
        small |= {"preprocessing_num_workers": 1, "dataloader_num_workers": 0}
        if not self.family:
            small["template"] = self.template
        return small

    @property
    def steps(self) -> int:
        """How long it is trained: PaliGemma's smallest model learns an answer more slowly."""
        return 100 if self.kind == "paligemma" else STEPS

    def training(self) -> dict[str, Any]:
        """What is overridden of the recipe."""
        content = yaml.safe_load(self.recipe.text())
        few = {
            "max_steps": self.steps,
            "logging_steps": 1,
            "learning_rate": 1e-2,
            "plot_loss": False,
        }
        few |= {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1}
        if "deepspeed" in content:
            few["deepspeed"] = None
        if not self.family:
            few["additional_target"] = self.between
        if self.kind == "ernie4_5_vl_moe":
            few["lora_target"] = ERNIE_TARGETS
        return self._everywhere | few | {"output_dir": str(self.adapter), "depthlm": self.views}

    def evaluating(self, out: Path, *, merged: bool) -> dict[str, Any]:
        """What is overridden of the evaluation's recipe."""
        values = self._everywhere | {"per_device_eval_batch_size": 3, "output_dir": str(out)}
        if not merged:
            return values | {"adapter_name_or_path": str(self.adapter)}
        return values | {
            "model_name_or_path": str(self.merged),
            "adapter_name_or_path": None,
            "finetuning_type": "full",
        }

    def export(self) -> dict[str, Any]:
        """LLaMA-Factory's arguments for merging."""
        return {
            "model_name_or_path": str(self.model),
            "adapter_name_or_path": str(self.adapter),
            "template": self.template,
            "finetuning_type": "lora",
            "export_dir": str(self.merged),
            "export_device": "cpu",
            "infer_dtype": "float32",
        }


def overridden(recipe: Recipe, values: dict[str, Any]) -> dict[str, Any]:
    """The content of a recipe with other values, as LLaMA-Factory's arguments."""
    content: dict[str, Any] = yaml.safe_load(recipe.text())
    block = (content["depthlm"] or {}) | values.get("depthlm", {})
    return content | values | {"depthlm": block}


def answers(out: Path) -> list[str]:
    """The texts that an evaluation has generated."""
    return [row["text"] for row in rows(out / "depth_predictions.jsonl")]


def write_data(folder: Path) -> Path:
    """Write a picture of each camera, with one point near the middle; return `folder`.

    Evaluation asks about the pictures of training: what is learned by heart must be answered.
    """
    path = write_scenes(folder, scenes=16, points=8, seed=0, name="rooms")
    by_camera = {record["camera"]: record for record in rows(path)}
    lines = []
    for record in by_camera.values():
        width, height = record["intrinsics"][4:]
        pixel = min(
            record["pixel_coords"], key=lambda xy: abs(xy[0] - width / 2) + abs(xy[1] - height / 2)
        )
        lines.append(json.dumps(record | {"pixel_coords": [pixel], "depth": [DEPTH_M]}) + "\n")
    path.write_text("".join(lines), encoding="utf-8")
    entry = {"file_name": path.name, "formatting": "depthlm"}
    info = {"depthlm_train": entry, "depthlm_eval": entry}
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def tried(trial: Trial) -> dict[str, str]:
    """What the unmodified llamafactory-cli can do with a family: column -> yes, or why not."""
    build(trial.kind, trial.model)
    found = {}
    train = ["train", _recipe(trial.recipe), *overrides(**trial.training())]
    found["trains"] = _ran(train) or _falls(losses(trial.adapter))
    with_adapter, alone = trial.folder / "with_adapter", trial.folder / "alone"
    evaluate = ["train", _recipe(trial.evaluation)]
    with_it = overrides(**trial.evaluating(with_adapter, merged=False))
    found["evaluates"] = _ran([*evaluate, *with_it])
    config = trial.folder / "export.yaml"
    config.write_text(yaml.safe_dump(trial.export()), encoding="utf-8")
    found["merges"] = _ran(["export", str(config)]) or _ran(
        [*evaluate, *overrides(**trial.evaluating(alone, merged=True))]
    )
    if not found["evaluates"] and not found["merges"] and answers(alone) != answers(with_adapter):
        found["merges"] = "no: other answers"
    return {column: problem or "yes" for column, problem in found.items()}


def _recipe(recipe: Recipe) -> str:
    return str(ROOT / recipe.path)


def _falls(loss: dict[int, float]) -> str:
    first, last = loss[min(loss)], loss[max(loss)]
    return "" if last < first / 2 else f"no: loss {first:.2f} -> {last:.2f}"


def _ran(arguments: list[str]) -> str:
    """An empty text, or why the command failed."""
    result = run(["llamafactory-cli", *arguments], HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    if result.returncode == 0:
        return ""
    return f"no: {result.stderr.strip().splitlines()[-1]}"


def main(kinds: list[str]) -> None:
    print("| model type | recipe | trains | evaluates | merges |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        data = write_data(Path(scratch, "data"))
        for kind in kinds or TINY_VLMS:
            trial = Trial(kind, Path(scratch, kind), data)
            cells = [kind, f"`{trial.recipe.name}`", *tried(trial).values()]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
