"""What `depthlm recipe check` tells of a recipe beside its mistakes: memory, time, numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..bases import Base
from ..flops import UTILISATION, card_of, duration, flops_of, seconds_of
from ..memory import Memory, estimate
from ..plan import described
from .settings import Settings
from .tokens import NUMBER, answer_tokens, are_digits_single, tokenizer_of, tokens_in

_REFERENCE_GB = 80  # the card whose speed is assumed where none is named


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a recipe, or that is not.

    Attributes:
        name: What about.
        message: For people.
        values: For programs; empty where it is not known.
    """

    name: str
    message: str
    values: dict[str, float | bool | str] = field(default_factory=dict)


def facts_of(recipe: Settings) -> list[Fact]:
    """Return what is known of a recipe."""
    return [*_memory_and_time(recipe), *_numbers(recipe)]


def step_memory(recipe: Settings, base: Base) -> Memory | None:
    """Return the estimate for each GPU of a training recipe; None where its views are not known."""
    if recipe.load is None or recipe.method not in ("lora", "qlora", "full"):
        return None
    batch = int(recipe.number("per_device_train_batch_size", 8))
    return estimate(
        base.sizes,
        recipe.method,
        replace(recipe.load, samples=max(batch, 1)),
        gpus=recipe.gpus or 1,
        zero=recipe.zero or (3 if recipe.get("fsdp") else 0),
        checkpointing=not recipe.get("disable_gradient_checkpointing"),
    )


def _memory_and_time(recipe: Settings) -> Iterator[Fact]:
    if not recipe.trains:
        return
    base = recipe.sized
    memory = step_memory(recipe, base) if base else None
    if base is None or memory is None or recipe.load is None:
        yield Fact("estimate", "memory and time are not known: the base, its views or the method")
        return
    machine, gpus = recipe.machine, recipe.gpus or 1
    name, teraflops = card_of(machine.card_gb or _REFERENCE_GB)
    name, teraflops = machine.name or name, machine.teraflops or teraflops
    kept = bool(recipe.get("disable_gradient_checkpointing"))
    flops = flops_of(base.sizes, recipe.method, recipe.load, checkpointing=not kept)
    seconds = seconds_of(1000 * flops, gpus * teraflops)
    yield Fact(
        "estimate",
        f"{described(memory)} on each GPU, {duration(seconds)} per 1 000 samples ({gpus} x {name}"
        f" at {UTILISATION:.0%} of {teraflops:g} teraflops)",
        {
            "memory_gb": round(memory.total_gb, 1),
            "seconds_per_1000_samples": round(seconds),
            "teraflops_per_sample": round(flops / 1e12, 1),
            "assumed_card": name,
            "assumed_teraflops": teraflops,
            "assumed_utilisation": UTILISATION,
        },
    )


def _numbers(recipe: Settings) -> Iterator[Fact]:
    tokenizer, missing = tokenizer_of(recipe)
    if tokenizer is None:
        yield Fact("numbers", f"how they are tokenised is not known: {missing}")
        return
    single, count = are_digits_single(tokenizer), tokens_in(NUMBER, tokenizer)
    values: dict[str, float | bool | str] = {"number_tokens": count, "digits_are_single": single}
    message = f"{NUMBER} takes {count} tokens, {'one' if single else 'less than one'} a digit"
    if recipe.config is not None:
        values["answer_tokens"] = answer_tokens(recipe.config, tokenizer)
        message += f"; the longest answer takes {values['answer_tokens']}"
    yield Fact("numbers", message, values)
