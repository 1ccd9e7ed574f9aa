"""Describes one LLaMA-Factory run that uses depth data, and prepares it from its arguments."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from llamafactory.extras import logging

from ..card.origin import Training, data_of, training_on
from ..config.block import (
    CONFIG_KEYS,
    EVALUATION_KEYS,
    MODEL_KEYS,
    DepthLMConfig,
    parse_block,
)
from ..config.saved import changes, load_config, saved_training, weights_state
from ..errors import ConfigError
from ..recipe.doors import refuse_closed_doors
from ..records import storage
from ..records.rows import open_rows
from ..records.stated import Stated
from ..sampling.planner import Planner
from ..sampling.requirements import check_served, lacking
from ..tasks import TASKS
from . import compat
from .board import on_board
from .processors.grid import Grid
from .processors.registry import grid_of, quicken

logger = logging.get_logger("llamafactory.depthlm")

FORMATTING = "depthlm"
_DATASET_OPTIONS = {
    "depth_kind",
    "unusual",
    "weight",
}  # of a dataset's depthlm object, beside the keys of the block


_KEYWORD_TOWERS = {"llama4"}
"""Templates of models whose towers hand their layers the hidden states by keyword.

torch's reentrant checkpointing, LLaMA-Factory's default, passes no gradients through keywords: the
adapters of such a tower would stay as they began, in silence.
"""


@dataclass(frozen=True)
class Run:
    """A depth run: plain values that all of its code needs, and that travel to worker processes.

    Attributes:
        config: The run's `depthlm:` block, over what was saved with the adapter or model.
        grid: The sizes of views that the model's image processor leaves alone.
        datasets: The `dataset_info.json` entries of the run's depth datasets.
        dataset_dir: Folder of `dataset_info.json`.
        media_dir: Folder of the images, where the user gave one.
        template: LLaMA-Factory's chat template.
        identity: A short text that differs between weights, and between what they are shown.
        lacking: What each depth dataset lacks for which of the tasks (`requirements.lacking`).
        training: What is known of the training before it begins, for the model card.
    """

    config: DepthLMConfig
    grid: Grid
    datasets: dict[str, dict[str, Any]]
    dataset_dir: str
    media_dir: str | None
    template: str | None
    identity: str = ""
    lacking: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    training: Training = field(default_factory=Training)

    def records_path(self, name: str) -> str:
        """Return the records file (or folder) of a depth dataset."""
        entry = self.datasets[name]
        if "file_name" not in entry:
            raise ConfigError(
                f"dataset {name!r}: give its file_name (a .jsonl, .json or .parquet file, a folder"
                " of them, or a URL of either) in dataset_info.json"
            )
        file_name = str(entry["file_name"])
        return file_name if storage.is_remote(file_name) else str(Path(self.dataset_dir, file_name))

    def trains_on(self, dataset: list[str] | None) -> bool:
        """Return whether any of these datasets holds depth data."""
        return not self.datasets.keys().isdisjoint(dataset or [])

    def planner(self, name: str, *, train: bool) -> Planner:
        """Return what decides the samples of one dataset, for training or for evaluation."""
        options = dict(self.datasets[name].get("depthlm") or {})
        reading = {key: options.pop(key) for key in _DATASET_OPTIONS & options.keys()}
        path = self.records_path(name)
        folders = [self.media_dir, storage.folder_of(path), self.dataset_dir]
        roots = dict.fromkeys(str(folder) for folder in folders if folder)
        config = self.config.for_dataset(options, name)
        lacks = self.lacking.get(name, {})
        tasks = {task: weight for task, weight in config.tasks.items() if task not in lacks}
        return Planner(
            replace(config, tasks=tasks or config.tasks),
            name,
            tuple(roots),
            train,
            self.grid.multiple,
            Stated.of(reading, f"dataset {name!r}"),
            self.grid.fixed_wh,
            path,
        )


def dataset_info(data_args: Any) -> dict[str, dict[str, Any]]:
    """Return the `dataset_info.json` entries of the run's datasets, those that it has."""
    info = data_args.dataset_dir
    if isinstance(info, str):
        try:
            info = json.loads(Path(info, "dataset_info.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):  # absent or broken: LLaMA-Factory says so itself
            return {}
    names = [*(data_args.dataset or []), *(data_args.eval_dataset or [])]
    return {name: info[name] for name in names if isinstance(info.get(name), dict)}


def depth_datasets(data_args: Any) -> dict[str, dict[str, Any]]:
    """Return the `dataset_info.json` entries of the run's datasets with `formatting: depthlm`."""
    entries = dataset_info(data_args)
    return {name: e for name, e in entries.items() if e.get("formatting") == FORMATTING}


def trains_on_depth(data_args: Any, training_args: Any) -> bool:
    """Return whether a run trains on any depth dataset."""
    trains = getattr(training_args, "do_train", False)
    return trains and not depth_datasets(data_args).keys().isdisjoint(data_args.dataset or [])


def resolve_config(data_args: Any, model_args: Any, *, whole: bool = False) -> DepthLMConfig:
    """Return the run's config: its block, over what the adapter or model was trained with.

    What the model was taught to see (focal length, mark, prompt, label) is taken from the
    `depthlm_config.json` beside its weights unless the block says otherwise, which is warned of;
    `whole` takes what else was saved there too (tasks, limits), for those who can give no block.
    """
    saved, source = None, ""
    for folder in [*reversed(model_args.adapter_name_or_path or []), model_args.model_name_or_path]:
        saved, source = load_config(folder), folder
        if saved is not None:
            break
    block = parse_block(getattr(data_args, "depthlm", None))
    if saved is None:
        if model_args.adapter_name_or_path:
            logger.warning_rank0(
                "depthlm: no depthlm_config.json lies beside the adapters: what they were taught to"
                " see is unknown, and this run's depthlm block, or its defaults, are taken for it"
            )
        return DepthLMConfig.from_block(block)
    taught = replace(DepthLMConfig(), **{key: getattr(saved, key) for key in MODEL_KEYS})
    if whole:
        taught = replace(saved, eval_answers=None)
    config = DepthLMConfig.from_block(block, base=taught)
    for change in changes(saved, config, MODEL_KEYS):
        logger.warning_rank0(f"depthlm: this run differs from how {source} was trained: {change}")
    return config


def prepare(
    data_args: Any, model_args: Any, training_args: Any, stage: str, processor: Any
) -> Run | None:
    """Return the depth run that these arguments describe, or None when they use no depth data.

    Raises:
        ConfigError: For arguments that cannot work with depth data, each named.
    """
    datasets = depth_datasets(data_args)
    if not datasets:
        if getattr(data_args, "depthlm", None) is not None:
            logger.warning_rank0(
                "depthlm: the recipe has a depthlm block, but none of its datasets has"
                ' "formatting": "depthlm" in dataset_info.json'
            )
        return None
    compat.require()
    # scripts/vllm_infer.py, which only asks, loads its data as stage ppo.
    asked = SimpleNamespace(stage=None if stage == "ppo" else stage)
    refuse_closed_doors(
        [asked, model_args, data_args, training_args],
        getattr(data_args, "depthlm", None),
        trains=trains_on_depth(data_args, training_args),
    )
    media_dir = data_args.media_dir if data_args.media_dir != data_args.dataset_dir else None
    whole = on_board() and not training_args.do_train
    config = resolve_config(data_args, model_args, whole=whole)
    dataset_dir = data_args.dataset_dir if isinstance(data_args.dataset_dir, str) else ""
    grid = grid_of(processor)
    quicken(processor)
    identity = identity_of(model_args, config)
    run = Run(config, grid, datasets, dataset_dir, media_dir, data_args.template, identity)
    if training_args.do_train:
        run = replace(run, training=_training(model_args, data_args, dataset_dir))
    if any(TASKS[task].images == 2 for task in config.tasks):
        run = replace(run, lacking=_lacking(run))
    if data_args.template in _KEYWORD_TOWERS:
        model_args.use_reentrant_gc = False
    _leave_unfinished(training_args)
    _check_resume(run, training_args)
    logger.info_rank0(f"depthlm: {', '.join(datasets)} with {config}")
    return run


def weights_of(model_args: Any) -> list[str]:
    """Return the model that is loaded, a path or a name on the hub, and its adapters."""
    return [model_args.model_name_or_path, *(model_args.adapter_name_or_path or [])]


def _training(model_args: Any, data_args: Any, dataset_dir: str) -> Training:
    info, (model, *adapters) = dataset_info(data_args), weights_of(model_args)
    datasets = [data_of(name, info.get(name, {}), dataset_dir) for name in data_args.dataset or []]
    return training_on(model, [saved_training(folder) for folder in (model, *adapters)], datasets)


def identity_of(model_args: Any, config: DepthLMConfig) -> str:
    """Return a short text that differs between weights, and between what they are shown."""
    shown = {key: value for key, value in config.to_dict().items() if key in MODEL_KEYS}
    key = json.dumps([*weights_state(weights_of(model_args)), shown]).encode()
    return hashlib.blake2b(key, digest_size=6).hexdigest()


def _lacking(run: Run) -> dict[str, dict[str, list[str]]]:
    """Return what datasets lack for the run's tasks, which some dataset must be able to serve."""
    lacks = {
        name: lacking(run.config.tasks, open_rows(run.records_path(name))) for name in run.datasets
    }
    check_served(run.config.tasks, lacks)
    for name, by_task in lacks.items():
        if by_task:
            keys = dict.fromkeys(key for missing in by_task.values() for key in missing)
            logger.info_rank0(
                f"depthlm: {name} is not asked for {', '.join(by_task)}: it lacks {', '.join(keys)}"
            )
    return lacks


def _leave_unfinished(training_args: Any) -> None:
    """Resume from the last checkpoint that is whole, where a kill cut off the saving of the last.

    LLaMA-Factory takes the last by its number; transformers writes trainer_state.json at the end.
    """
    checkpoint = getattr(training_args, "resume_from_checkpoint", None)
    if not isinstance(checkpoint, str) or _is_whole(Path(checkpoint)):
        return
    siblings = Path(training_args.output_dir).glob("checkpoint-*")
    numbered = {int(p.name[11:]): p for p in siblings if p.name[11:].isdecimal() and p.is_dir()}
    if not numbered or Path(checkpoint).resolve() != numbered[max(numbered)].resolve():
        return  # the user named it
    whole = [number for number, path in numbered.items() if _is_whole(path)]
    training_args.resume_from_checkpoint = str(numbered[max(whole)]) if whole else None
    logger.warning_rank0(
        f"depthlm: {checkpoint} was cut off while it was saved;"
        f" going on from {training_args.resume_from_checkpoint or 'the start'}"
    )


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _check_resume(run: Run, training_args: Any) -> None:
    checkpoint = getattr(training_args, "resume_from_checkpoint", None)
    if not isinstance(checkpoint, str) or not os.path.isdir(checkpoint):
        return
    saved = load_config(checkpoint)
    if saved is None:
        return
    differing = changes(saved, run.config, frozenset(CONFIG_KEYS) - EVALUATION_KEYS)
    if differing:
        raise ConfigError(
            f"cannot resume {checkpoint}: its depthlm block was another one"
            f" ({'; '.join(differing)}); use the same block, or start a new output_dir (from these"
            " weights: adapter_name_or_path)"
        )
