"""From what somebody calls a base VLM to what is known of it: the table, or its own config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from .bases import BASES, Base
from .families import FAMILIES, REFUSED, Family
from .sizes import sizes_of


def base_of(wanted: str) -> Base:
    """Return the base VLM of this name: of the table, a folder, or downloaded from the hub before.

    Nothing is downloaded, and no weights are read.

    Raises:
        ConfigError: For a base that is not found, cannot be read, or keeps no metres.
    """
    for base in BASES:
        if wanted.lower() in {base.stem.lower(), base.name.lower(), base.path.lower()}:
            return base
    for part, reason in REFUSED.items():
        if part in Path(wanted).name.lower():
            raise ConfigError(f"there is no recipe for {wanted!r}: {reason}")
    config = _config(wanted)
    kind = config.model_type
    if kind == "llava":  # Pixtral's class, and LLaVA-1.5's
        kind += f"/{config.vision_config.model_type}"
    name = Path(wanted).name
    stem = re.sub(r"\W+", "_", name.lower())
    return Base(stem, name, wanted, _family(wanted, kind), sizes_of(config))


def _config(wanted: str) -> Any:
    known = [base.name for base in BASES]
    folder = Path(wanted)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"{wanted}: there is no config.json; is it a model's folder?")
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", wanted):
        raise ConfigError(f"unknown base {wanted!r}{did_you_mean(wanted, known)}, or a folder")
    from transformers import AutoConfig  # seconds

    try:
        return AutoConfig.from_pretrained(wanted, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        if folder.is_dir():
            raise ConfigError(
                f"{wanted}/config.json cannot be read as a model's config: {str(error)[:200]}"
            ) from error
        raise ConfigError(
            f"{wanted!r} is not in the table and was not downloaded before; fetch its config"
            f" (hf download {wanted} config.json), or give a folder{did_you_mean(wanted, known)}"
        ) from error


def _family(wanted: str, kind: str) -> Family:
    for family in FAMILIES:
        if kind in family.model_types:
            return family
    known = [kind for family in FAMILIES for kind in family.model_types]
    raise ConfigError(
        f"{wanted}: no recipe knows how models of type {kind!r} see{did_you_mean(kind, known)};"
        " add a family (recipes/README.md)"
    )
