"""A recipe of one's own: a base, a method, data and a card give batch, checkpointing and crop."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..errors import ConfigError
from .bases import BASES, Base
from .families import Family
from .plan import Plan, described, load_of, plan, smallest
from .resolve import base_of
from .writer import Recipe

_ENOUGH = 4  # samples a step: with so many, layers need not be computed twice


def new_recipe(wanted: str, method: str, data: Sequence[str], gpu: str, path: str | None) -> Recipe:
    """Return a recipe that fits a card.

    The largest batch is chosen that fits; gradient checkpointing is left out where a batch of four
    fits without; crops are cut, at the same focal length, where not even one sample fits.

    Args:
        wanted: Base VLM: a name of the table, one on the hub that was downloaded, or a folder.
        method: `lora`, `qlora` or `full`.
        data: Names of the training data in `dataset_info.json`.
        gpu: The hardware, `24GB` or `4x80GB`.
        path: Where the recipe will be, if it is known.

    Raises:
        ConfigError: For an unknown base, a card that cannot be read, or one that is too small.
    """
    gpus, card_gb = _card(gpu)
    base = base_of(wanted)
    if method == "qlora" and base.sizes.experts:
        raise ConfigError(
            f"{base.name} is a mixture of experts, which transformers holds in a form that"
            " bitsandbytes leaves in 16 bits: 4-bit weights would save nothing; use --method lora"
        )
    family, found = _fitting(base, method, gpus, card_gb)
    name = f"depthlm_{base.stem}_{method}"
    words = ["depthlm", "recipe", "new", wanted, "--method", method, "--gpu", gpu, "--data", *data]
    origin = [shlex.join([*words, "--out", path] if path else words), *_said(base, family)]
    return Recipe(
        name,
        base,
        method,
        family=family,
        chosen=found,
        dataset=",".join(data),
        file=path or f"{name}.yaml",
        origin=tuple(origin),
    )


def _card(gpu: str) -> tuple[int, int]:
    match = re.fullmatch(r"(?:([1-9]\d*)\s*x\s*)?([1-9]\d*)\s*(?:GB?)?", gpu.strip(), re.IGNORECASE)
    if not match:
        raise ConfigError(f"--gpu must be such as 24GB or 4x80GB, found {gpu!r}")
    return int(match[1] or 1), int(match[2])


def _fitting(base: Base, method: str, gpus: int, card_gb: int) -> tuple[Family, Plan]:
    """Return how the base sees, as it is or with smaller crops, and the plan that fits."""
    for family in _smaller(base.family):
        load = load_of(family, family.largest_wh, 1, 1, method)
        kept = plan(base.sizes, method, load, gpus, card_gb, checkpointing=False)
        if kept.fits and kept.batch >= _ENOUGH:
            return family, kept
        found = plan(base.sizes, method, load, gpus, card_gb)
        if found.fits:
            return family, found
    load = load_of(base.family, base.family.largest_wh, 1, 1, method)
    least = smallest(base.sizes, method, load)
    enough = ("" if least.fits else "more than ") + f"{least.gpus} x {least.card_gb} GB"
    other = "" if method == "qlora" or base.sizes.experts else "; or use --method qlora"
    raise ConfigError(
        f"{base.name} with {method} does not fit into {gpus} x {card_gb} GB: one sample with the"
        f" smallest crop takes {described(found.memory)}, by an estimate. Enough: {enough}{other}"
    )


def _smaller(family: Family) -> Iterator[Family]:
    """Yield a family, and after it the same with smaller and smaller crops down to its least."""
    yield family
    if family.fixed_wh:
        return
    (least_h, most_h), (least_w, most_w) = family.crop_height, family.crop_width
    for tenths in range(8, -1, -2):
        yield replace(
            family,
            crop_height=(least_h, least_h + (most_h - least_h) * tenths // 10),
            crop_width=(least_w, least_w + (most_w - least_w) * tenths // 10),
            why=(family.why[0], f"up to {most_h} would not fit", f"up to {most_w} would not fit"),
        )


def _said(base: Base, family: Family) -> list[str]:
    """Return what is not known of a base that the table does not have."""
    if base in BASES:
        return []
    return [
        f"{base.name} is not in the table: sizes are counted from its config, and the rest is that"
        f" of {family.title}.",
        f"Look at template: {family.template} before you train; nothing was tried with this model.",
    ]
