"""The config that is saved with a model (`depthlm_config.json`): writing, reading, comparing."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError
from ..language.templates import load_template, template_files
from .block import DepthLMConfig

SAVED_AS = "depthlm_config.json"
TEMPLATES = "depthlm_templates/"
_FORMAT = 1
_ON_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def save_config(
    config: DepthLMConfig,
    folder: str | Path,
    template: str | None = None,
    data: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
) -> Path:
    """Write `depthlm_config.json` into a model or adapter folder; return its path.

    Args:
        config: What the model is taught with.
        folder: The folder.
        template: LLaMA-Factory's chat template of the run, for those who ask the model later.
        data: Describes what it is trained on, for those who resume.
        training: How the weights came to be, and
        scores: how they answer, for their card.
    """
    block = config.to_dict()
    for task, own in template_files(list(config.tasks), config.prompt).items():
        # The user's own templates travel with the weights that were taught by them.
        block["prompt"] = TEMPLATES
        place = Path(folder, TEMPLATES, f"{task}.yaml")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(own.read_bytes())
    content = {
        "format": _FORMAT,
        "version": __version__,
        "template": template,
        "depthlm": block,
        "data": data,
        "training": training,
        "scores": scores,
    }
    path = Path(folder, SAVED_AS)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def load_config(folder: str | Path) -> DepthLMConfig | None:
    """Return the config saved in a folder, or None where there is none.

    The folder of weights on the Hugging Face hub is that of the cache, into which the config is
    fetched; `owner/name` is on the hub where no such folder is here.

    Raises:
        ConfigError: For a file that is damaged, or of another format.
    """
    content = _saved(folder)
    if content is None:
        return None
    block = dict(content["depthlm"])
    if block.get("prompt") == TEMPLATES:
        block["prompt"] = str(Path(_place(str(folder), f"{TEMPLATES}*"), TEMPLATES))
    return DepthLMConfig.from_block(block)


def saved_template(folder: str | Path) -> str | None:
    """Return the chat template saved in a model or adapter folder, or None."""
    content = _saved(folder)
    return None if content is None else content.get("template")


def saved_data(folder: str | Path) -> dict[str, Any] | None:
    """Return the description of the training data saved in a checkpoint, or None."""
    content = _saved(folder)
    return None if content is None else content.get("data")


def saved_training(folder: str | Path) -> dict[str, Any] | None:
    """Return how the weights in a folder came to be (`card.origin.Training`), if it says so."""
    content = _saved(folder)
    return None if content is None else content.get("training")


def saved_scores(folder: str | Path) -> dict[str, Any] | None:
    """Return the scores (`card.evaluation.brief`) of the weights in a folder, if it has some.

    They are of these weights: whatever saves others writes the file anew.
    """
    content = _saved(folder)
    return None if content is None else content.get("scores")


@lru_cache(maxsize=64)
def _place(folder: str, wanted: str) -> str:
    """Return where the files of a model are, local or fetched from the hub into its cache."""
    if os.path.isdir(folder) or not _ON_HUB.fullmatch(folder):
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return snapshot_download(folder, allow_patterns=[wanted])
    except (HfHubHTTPError, LocalEntryNotFoundError):  # whoever loads the weights will say why
        return folder


def _saved(folder: str | Path) -> dict[str, Any] | None:
    path = Path(_place(str(folder), SAVED_AS), SAVED_AS)
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        saved_format, _ = content["format"], content["depthlm"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} is not a saved depthlm config ({error!r})") from error
    if saved_format != _FORMAT:
        raise ConfigError(
            f"{path} has format {saved_format!r}, this version reads {_FORMAT};"
            f" it was written by depthlm-plugin {content.get('version')}"
        )
    return content


def weights_state(folders: Sequence[str]) -> list[Any]:
    """Return what tells weights from others: where they are, and their files as they are now.

    Args:
        folders: Of a model and its adapters; names on the hub stand for themselves.
    """
    places = [os.path.realpath(path) if os.path.isdir(path) else path for path in folders]
    files = [
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for place in places
        for path in sorted(Path(place).glob("*.safetensors"))
    ]
    return [places, files]


def changes(old: DepthLMConfig, new: DepthLMConfig, keys: Collection[str]) -> list[str]:
    """Return `key: old -> new` for each of `keys` in which two configs differ."""
    before, now = old.to_dict(), new.to_dict()
    return [
        f"{key}: {before[key]} -> {now[key]}"
        for key in before
        if key in keys and before[key] != now[key] and not _same_prompt(key, old, new)
    ]


def _same_prompt(key: str, old: DepthLMConfig, new: DepthLMConfig) -> bool:
    """Return whether two prompts are the same templates in different places."""
    return key == "prompt" and all(
        load_template(task, old.prompt) == load_template(task, new.prompt) for task in old.tasks
    )
