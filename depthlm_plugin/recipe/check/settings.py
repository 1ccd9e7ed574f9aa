"""A recipe as LLaMA-Factory would read it, with what is known of its base."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import yaml

from ...config.block import DepthLMConfig, parse_block
from ...config.checks import RULES
from ...config.saved import load_config
from ...errors import ConfigError, did_you_mean
from ...records.rows import Rows, open_rows
from ...tasks import TASKS
from ..bases import BASES, Base
from ..families import FAMILIES, REFUSED, Family
from ..memory import Load
from ..plan import load_of
from ..resolve import base_of
from .machine import Machine

HOST_MAX_PIXELS = 768 * 768  # LLaMA-Factory's image_max_pixels
_SURELY_MEANT = 0.85  # of difflib, between a name and one of the table


@dataclass(frozen=True)
class Seen:
    """What is known of the model that a recipe names.

    Attributes:
        base: Of the table, or None.
        family: How it sees, or None.
        folder: Where its files are, or None.
        problem: Why it cannot be used, with the base that was meant; empty if nobody knows that.
        unknown: Why nothing is known of it; empty otherwise.
    """

    base: Base | None = None
    family: Family | None = None
    folder: Path | None = None
    problem: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class Settings:
    """A recipe with what was overridden.

    Attributes:
        path: The recipe's file.
        values: Its keys.
        machine: Where it is to run.
        given: Keys that the command line gave, `depthlm.` ones with the block's name.
        compared: Rows of each records file that are compared with those of the other side.
        opened: Records files that were opened, so that each is looked through once.
    """

    path: str
    values: dict[str, Any]
    machine: Machine = field(default_factory=Machine)
    given: frozenset[str] = frozenset()
    compared: int = 20_000
    opened: dict[str, Rows] = field(default_factory=dict, repr=False)

    def rows(self, path: str) -> Rows:
        """Return the rows of a local records file or folder.

        Raises:
            DepthLMError: As `open_rows` does.
        """
        place = str(Path(path).resolve())
        if place not in self.opened:
            self.opened[place] = open_rows(place)
        return self.opened[place]

    def get(self, key: str) -> Any:
        """Return the value of a key, or None."""
        return self.values.get(key)

    def number(self, key: str, default: float) -> float:
        """Return the number of a key; `default` where it has none."""
        value = self.values.get(key)
        if isinstance(value, bool) or value is None:
            return default
        try:
            return float(value)
        except (TypeError, ValueError):
            return default  # `keys` says so

    def names(self, key: str) -> list[str]:
        """Return a list, or a text with commas, as a list."""
        value = self.values.get(key)
        if value is None:
            return []
        listed = value.split(",") if isinstance(value, str) else value
        return [str(name).strip() for name in listed] if isinstance(listed, list) else [str(value)]

    @cached_property
    def trains(self) -> bool:
        """Whether it trains, rather than only evaluates."""
        return bool(self.get("do_train"))

    @cached_property
    def method(self) -> str:
        """`lora`, `qlora`, `full`, or what else `finetuning_type` says."""
        named = str(self.get("finetuning_type") or "lora")
        return "qlora" if named == "lora" and self.get("quantization_bit") else named

    @cached_property
    def zero(self) -> int:
        """DeepSpeed's ZeRO stage; 0 for none."""
        config = self.get("deepspeed")
        if isinstance(config, str) and Path(config).is_file():
            try:
                config = json.loads(Path(config).read_text(encoding="utf-8"))
            except ValueError:
                return 0
        found = config.get("zero_optimization") if isinstance(config, dict) else None
        stage = found.get("stage") if isinstance(found, dict) else 0
        return stage if isinstance(stage, int) else 0

    @cached_property
    def gpus(self) -> int | None:
        """How many GPUs share a step, or None if that is not known."""
        if self.machine.gpus:
            return self.machine.gpus
        if self.get("ray_num_workers"):
            return int(self.number("ray_num_workers", 1))
        return None if self.get("deepspeed") or self.get("fsdp") else 1

    @cached_property
    def effective_batch(self) -> int | None:
        """Samples whose gradients make one step, or None if the GPUs are not known."""
        if self.gpus is None:
            return None
        batch = self.number("per_device_train_batch_size", 8)
        return int(batch * self.number("gradient_accumulation_steps", 1) * self.gpus)

    @cached_property
    def adapters(self) -> list[str]:
        """Folders of adapters."""
        return self.names("adapter_name_or_path")

    @cached_property
    def taught(self) -> tuple[DepthLMConfig, str] | None:
        """What the adapter or model was trained with, and its folder; None if that is not there.

        Raises:
            ConfigError: For one that is damaged or of another version.
        """
        for folder in [*reversed(self.adapters), str(self.get("model_name_or_path"))]:
            saved = load_config(folder)
            if saved is not None:
                return saved, folder
        return None

    @cached_property
    def config(self) -> DepthLMConfig | None:
        """The block, over what was taught, without its mistakes.

        It is None where keys do not go together, and for an evaluation of what is not here: what
        that would show is not known.
        """
        try:
            taught = self.taught
            if taught is None and not self.trains:
                return None
            block = parse_block(self.get("depthlm"))
            right = {key: value for key, value in block.items() if _is_right(key, value)}
            return DepthLMConfig.from_block(right, base=taught[0] if taught else None)
        except ConfigError:
            return None

    @cached_property
    def seen(self) -> Seen:
        """What is known of its model."""
        return _seen(str(self.get("model_name_or_path") or ""))

    @cached_property
    def sized(self) -> Base | None:
        """The base with its sizes, of the table or counted from its config; None if not known."""
        if self.seen.base is not None or self.seen.folder is None:
            return self.seen.base
        try:
            return base_of(str(self.get("model_name_or_path")))
        except ConfigError:
            return None

    @cached_property
    def view(self) -> Family | None:
        """How the model sees the largest training view; None if one of both is not known."""
        family, config = self.seen.family, self.config
        if family is None or config is None or family.fixed_wh:
            return family
        if config.crop_width is None or config.crop_height is None:
            return None
        return replace(family, crop_width=config.crop_width, crop_height=config.crop_height)

    @cached_property
    def load(self) -> Load | None:
        """What one sample of the largest training views holds."""
        view, config = self.view, self.config
        if view is None or config is None:
            return None
        images = max((TASKS[task].images for task in config.tasks), default=1)
        load = load_of(view, view.largest_wh, images, config.questions_per_image, self.method)
        return replace(load, tower=self.trains_tower)

    @cached_property
    def trains_tower(self) -> bool:
        """Whether LLaMA-Factory trains the vision tower; of a known family."""
        family = self.seen.family
        if family is None or (family.tower and self.method != "full"):
            return False
        return not family.merger or self.get("freeze_vision_tower") is False


def read_settings(path: str, overrides: Sequence[str], machine: Machine) -> Settings:
    """Return a recipe as `llamafactory-cli train PATH KEY=VALUE ...` reads it.

    Raises:
        ConfigError: For a file that is not there or is no mapping of keys.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for override in overrides:
        if "=" not in override:
            raise ConfigError(f"expected KEY=VALUE after the recipe, found {override!r}")
    try:
        recipe = OmegaConf.load(path)
        if not isinstance(recipe, DictConfig) or not recipe:
            raise ConfigError(
                f"{path} must hold keys with values, as llamafactory-cli train takes them"
            )
        merged = OmegaConf.merge(recipe, OmegaConf.from_cli(list(overrides)))
        values = cast(dict[Any, Any], OmegaConf.to_container(merged))
    except OSError as problem:
        raise ConfigError(f"{path}: there is no such recipe") from problem
    except (yaml.YAMLError, OmegaConfBaseException, ValueError) as problem:
        raise ConfigError(f"{path} cannot be read as YAML: {problem}") from problem
    given = frozenset(override.partition("=")[0] for override in overrides)
    return Settings(path, {str(key): value for key, value in values.items()}, machine, given)


def _is_right(key: str, value: Any) -> bool:
    """Return whether a key of the block is one, and its value could be right."""
    return key in RULES and RULES[key].problem(key, value) is None


def _seen(name: str) -> Seen:
    """Return what is known of a model, from its name or its folder, and without its weights."""
    for base in BASES:
        if name.lower() == base.path.lower():
            return Seen(base, base.family)
    for part, reason in REFUSED.items():
        if part in Path(name).name.lower():
            return Seen(problem=f"{name} cannot be trained in metres: {reason}")
    folder = Path(name) if name and Path(name).is_dir() else cached_folder(name)
    if folder is None:
        return _not_here(name)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = config["model_type"]
        if kind == "llava":
            kind += f"/{config['vision_config']['model_type']}"
    except OSError:
        return Seen(folder=folder, problem=f"{name} holds no config.json; is it a model's folder?")
    except (ValueError, KeyError, TypeError) as problem:
        return Seen(
            folder=folder,
            problem=f"{name}/config.json cannot be read as a model's config ({problem!r})",
        )
    for family in FAMILIES:
        if kind in family.model_types:
            return Seen(None, family, folder)
    known = [kind for family in FAMILIES for kind in family.model_types]
    return Seen(
        folder=folder,
        unknown=f"no recipe knows how models of type {kind!r} see{did_you_mean(str(kind), known)}",
    )


def cached_folder(name: str) -> Path | None:
    """Return the folder of the hub's cache that holds a model's config, or None."""
    if name.count("/") != 1:
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _not_here(name: str) -> Seen:
    from difflib import get_close_matches

    named = {base.path: base for base in BASES}
    for close in get_close_matches(name, named, n=1, cutoff=_SURELY_MEANT):
        problem = f"{name!r} is not here and not in the table; did you mean {close!r}?"
        return Seen(named[close], named[close].family, problem=problem)
    if name.count("/") != 1:
        known = [base.path for base in BASES]
        return Seen(problem=f"{name!r} is neither a folder nor a name on the hub"
                    + did_you_mean(name, known))  # fmt: skip
    return Seen(
        unknown=f"{name} is not in the table, no folder, and not downloaded (hf download {name}"
        " config.json), so nothing is known of how it sees"
    )
