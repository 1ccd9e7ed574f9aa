"""The files of a model that labels: where they are, what they say, and which version they are."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...config.saved import TEMPLATES
from ...errors import ConfigError
from .files import inside

CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "*.safetensors"
# Settings (a list of shards and a nested processor among them), weights, tokenizers, templates.
_READ = ("*.json", WEIGHTS, "*.txt", "*.jinja", "*.model", f"{TEMPLATES}*.yaml")
_HUB_NAME = r"[\w.-]+(/[\w.-]+)?"
_DIGITS = 16  # of a version, hexadecimal


def model_folder(root: Path, model: str, option: str, needed: Sequence[str]) -> Path:
    """Return the folder of a model: below the root, or at an absolute path, or from the hub.

    Args:
        root: The dataset's folder, out of which no link of a model in it leads.
        model: A folder, or the identifier of a model of the Hugging Face hub, which is fetched
            unless its cache has it.
        option: The option that names it, for errors.
        needed: Patterns of files that it must have.

    Raises:
        ConfigError: For one that is not there, or lacks files.
        RecordError: `file outside its root`.
    """
    where = f"--option {option}={model}"
    folder = root / model
    if folder.is_dir():
        if not Path(model).is_absolute():
            for path in _files(folder):
                inside(root, path, where)
    elif Path(model).is_dir():
        raise ConfigError(f"{where}: give a folder outside of --root by its absolute path")
    elif re.fullmatch(_HUB_NAME, model):
        folder = _fetched(model, where)
    else:
        raise ConfigError(f"{where} is neither a folder nor the name of a model of the hub")
    absent = [name for name in needed if not any(path.is_file() for path in folder.glob(name))]
    if absent:
        raise ConfigError(
            f"{where} lacks {' and '.join(absent)}; expected a model as transformers saves it, with"
            " its processor"
        )
    return folder


def name_of(folder: Path, model: str) -> str:
    """Return what records call a model: as its option does, without the path to a folder."""
    return folder.name if Path(model).is_absolute() else model


def read_config(folder: Path) -> dict[str, Any]:
    """Return a model's config.json.

    Raises:
        ConfigError: For one that is no JSON object.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} holds no JSON object")
    return config


def version_of(*folders: Path) -> str:
    """Return a digest of a model's weights and settings, whatever its folders are called."""
    whole = hashlib.sha256()
    for folder in folders:
        for path in _files(folder):
            with path.open("rb") as file:
                part = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()} {part}\n".encode())
    return f"sha256:{whole.hexdigest()[:_DIGITS]}"


def _files(folder: Path) -> list[Path]:
    """Return all files of a model that decide what it says."""
    return sorted(path for pattern in _READ for path in folder.glob(pattern) if path.is_file())


@lru_cache  # asks the hub; a path is wanted for every picture
def _fetched(model: str, where: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(_READ)))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{where} is no folder below --root, and the hub did not give it: {error}"
        ) from error
