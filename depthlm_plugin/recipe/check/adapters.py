"""Checks of adapters and trained models: of the same base, seen and asked as they were taught."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ...config.block import MODEL_KEYS
from ...config.saved import changes, saved_template
from ...errors import ConfigError
from ..bases import BASES
from .finding import Finding, error, left_out, warning
from .settings import Settings, cached_folder


def adapters_fit_the_base(recipe: Settings) -> Iterator[Finding]:
    """Yield adapters of another base, or folders that hold none."""
    if recipe.adapters and recipe.method not in ("lora", "qlora"):
        yield error("adapter_name_or_path", f"finetuning_type {recipe.method} takes no adapters",
                    "adapter_name_or_path: null")  # fmt: skip
        return
    named = str(recipe.get("model_name_or_path"))
    for folder in recipe.adapters:
        if not Path(folder).is_dir():
            yield left_out("adapter_name_or_path", f"{folder} is not here (yet)")
            continue
        path = Path(folder, "adapter_config.json")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            base = str(content["base_model_name_or_path"])
        except OSError:
            yield error("adapter_name_or_path", f"{folder} holds no adapter_config.json; is it a"
                        " whole model? Then it is the model_name_or_path")  # fmt: skip
            continue
        except (ValueError, KeyError, TypeError) as problem:
            yield error("adapter_name_or_path", f"{path} cannot be read ({problem!r})")
            continue
        if not _are_one(base, named):
            finding = error if _differ(base, named) else warning
            yield finding(
                "adapter_name_or_path",
                f"{folder} is an adapter of {base}, the recipe's base is {named}",
                f"model_name_or_path: {base}",
            )


def view_is_as_taught(recipe: Settings) -> Iterator[Finding]:
    """Yield a block or a template that differs from what the weights were trained with."""
    try:
        taught = recipe.taught
    except ConfigError as problem:
        yield error("adapter_name_or_path" if recipe.adapters else "model_name_or_path",
                    str(problem))  # fmt: skip
        return
    if taught is None or recipe.config is None:
        return
    saved, folder = taught
    finding = warning if recipe.trains else error
    for change in changes(saved, recipe.config, MODEL_KEYS):
        key, _, values = change.partition(": ")
        before = values.partition(" -> ")[0]
        yield finding(
            f"depthlm.{key}",
            f"{values}: {folder} was trained with {before}; without the key it is taken from there",
            f"{key}: {before}",
        )
    template = saved_template(folder)
    if template and recipe.get("template") and template != recipe.get("template"):
        yield finding("template", f"{folder} was trained with {template}",
                      f"template: {template}")  # fmt: skip


def _are_one(base: str, other: str) -> bool:
    """Return whether two names or folders are the same model, as far as names tell."""
    if base.lower() == other.lower() or Path(base).resolve() == Path(other).resolve():
        return True
    return Path(base).name.lower() == Path(other).name.lower()


def _differ(base: str, other: str) -> bool:
    """Return whether two models are surely not the same, nor one of them under another name."""
    shapes = _shape(base), _shape(other)
    if None not in shapes:
        return shapes[0] != shapes[1]
    paths = {known.path.lower() for known in BASES}
    return {base.lower(), other.lower()} <= paths


def _shape(name: str) -> tuple[object, ...] | None:
    """Return what adapters must fit: class, width, depth, vocabulary; None if that is unknown."""
    folder = Path(name) if Path(name).is_dir() else cached_folder(name)
    if folder is None:
        return None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        text = config.get("text_config") or config
        sizes = ("hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size")
        return (config["model_type"], *(text.get(key) for key in sizes))
    except (OSError, ValueError, KeyError, AttributeError):
        return None
