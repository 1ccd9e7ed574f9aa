"""Runs checks of `depthlm recipe check` on a training run, before its model is loaded.

They are those that need nothing but the recipe and its records, and take no time: what the machine
has, what is installed, and how large views are, is seen by then, or looked at by `checks` with the
real processor.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llamafactory.extras import logging

from ..errors import ConfigError
from ..records import storage
from .arguments import read
from .run import Run

logger = logging.get_logger("llamafactory.depthlm")

_COMPARED = 1000  # rows of each file, with those of the other side
_MOST_BYTES = 100_000_000  # of a records file: to look through more takes seconds


def check_recipe(run: Run, model_args: Any, training_args: Any) -> None:
    """Log what the checks find in the recipe of a depth training run, one line each, on rank 0.

    A recipe that was given as `--key value` is not known as one, and not checked.

    Raises:
        ConfigError: For what makes wrong answers, or would fail when the model is loaded.
    """
    values = read.get("recipe")
    if values is None or training_args.process_index != 0:
        return
    if not _is_of(values, model_args, training_args):
        return
    from ..recipe.check.before_training import findings_before_training
    from ..recipe.check.machine import Machine
    from ..recipe.check.settings import Settings

    machine = Machine(gpus=training_args.world_size)
    recipe = Settings("the recipe", values, machine, compared=_COMPARED)
    certain, others = findings_before_training(recipe, data=_is_small(run))
    for finding in others:
        change = f" ({finding.change})" if finding.change else ""
        logger.warning_rank0(f"depthlm: {finding.key}: {finding.message}{change}")
    if certain:
        found = "; ".join(f"{finding.key}: {finding.message}" for finding in certain)
        raise ConfigError(f"depthlm: {found}")


def _is_of(values: dict[str, Any], model_args: Any, training_args: Any) -> bool:
    """Return whether a recipe is this run's, rather than one that was read before."""
    return (
        values.get("model_name_or_path") == model_args.model_name_or_path
        and values.get("output_dir") == training_args.output_dir
    )


def _is_small(run: Run) -> bool:
    paths = [run.records_path(name) for name in run.datasets]
    local = [Path(path) for path in paths if not storage.is_remote(path)]
    files = [file for path in local for file in ([path] if path.is_file() else path.glob("*.js*"))]
    return sum(file.stat().st_size for file in files) < _MOST_BYTES
