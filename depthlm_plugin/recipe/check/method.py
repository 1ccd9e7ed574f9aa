"""Checks of what is trained and how: method, modules, rates, warm-up, steps, target."""

from __future__ import annotations

from collections.abc import Iterator

from ..plan import EFFECTIVE_BATCH, learning_rate
from .finding import Finding, error, warning
from .settings import Settings

_ADAPTED = ("lora", "qlora", "oft")
_OFF = 3.9  # times: so far from the usual rate is a slip rather than a choice
_FAR_BATCH = 3.9  # times the batch for which the rate is meant


def tower_is_trained(recipe: Settings) -> Iterator[Finding]:
    """Yield a frozen vision tower, which would have to learn to see marks of five pixels.

    4-bit recipes freeze it to save memory, and say so; LoRA cannot train that of every family.
    """
    family = recipe.seen.family
    if not recipe.trains or recipe.method not in ("lora", "qlora", "full"):
        return
    if recipe.method != "full" and family is not None and family.tower:
        if recipe.get("freeze_vision_tower") is False:
            reason = " ".join(family.tower)
            yield error("freeze_vision_tower", reason, "freeze_vision_tower: true")
        return
    if family is not None and not family.merger:
        if recipe.get("freeze_vision_tower"):
            yield warning(
                "freeze_vision_tower",
                f"LLaMA-Factory knows no parts of {family.title} and freezes none: it is ignored",
                "freeze_vision_tower: false",
            )
        return
    if recipe.method == "qlora":
        return
    drawn = recipe.config is None or recipe.config.reference != "text"
    if drawn and recipe.get("freeze_vision_tower") in (None, True):
        by_default = recipe.get("freeze_vision_tower") is None
        why = "LLaMA-Factory's default freezes it" if by_default else "it is frozen"
        yield warning(
            "freeze_vision_tower",
            f"{why}: the tower must learn to keep a mark of few pixels, and the paper trains it",
            "freeze_vision_tower: false",
        )


def merger_is_trained(recipe: Settings) -> Iterator[Finding]:
    """Yield that what lies between tower and language model stays as it is."""
    family = recipe.seen.family
    if not recipe.trains or family is None:
        return
    if recipe.method == "full":
        if recipe.get("freeze_multi_modal_projector") in (None, True):
            yield warning(
                "freeze_multi_modal_projector",
                "LLaMA-Factory freezes what joins tower and language model unless told; the paper"
                " trains everything",
                "freeze_multi_modal_projector: false",
            )
        return
    named = f"{recipe.get('additional_target')} {recipe.get('lora_target')}"
    if recipe.method == "lora" and family.merger and family.merger not in named:
        yield warning(
            "additional_target",
            "`lora_target: all` never adapts what joins tower and language model; train it whole",
            f"additional_target: {family.merger}",
        )


def quantised_base_can_train(recipe: Settings) -> Iterator[Finding]:
    """Yield what a quantised base cannot do."""
    if not recipe.get("quantization_bit") or not recipe.trains:
        return
    named = recipe.get("finetuning_type") or "lora"
    if named not in _ADAPTED:
        yield error(
            "quantization_bit",
            f"finetuning_type {named} cannot train quantised weights; LoRA can",
            "finetuning_type: lora",
        )
    family = recipe.seen.family
    if family and family.targets and family.merger in recipe.names("additional_target"):
        yield error(
            "additional_target",
            "modules of a quantised base hold whole numbers and cannot be trained whole: loading"
            ' fails with "only Tensors of floating point dtype can require gradients"; remove it',
            "additional_target: null",
        )
    if recipe.seen.base and recipe.seen.base.sizes.experts:
        yield warning(
            "quantization_bit",
            "this base is a mixture of experts, which stay in 16 bits: 4-bit weights save nothing",
            "quantization_bit: null",
        )


def target_is_right(recipe: Settings) -> Iterator[Finding]:
    """Yield a loss of more than the answers."""
    if recipe.get("train_on_prompt"):
        yield warning(
            "train_on_prompt",
            "the loss would be of questions too, whose points are drawn at random; remove it",
            "train_on_prompt: false",
        )


def rate_suits(recipe: Settings) -> Iterator[Finding]:
    """Yield a learning rate far from the usual one of the method, the size and the batch."""
    if not recipe.trains or recipe.method not in ("lora", "qlora", "full"):
        return
    parameters = recipe.seen.base.sizes.parameters if recipe.seen.base else 0
    usual = float(learning_rate(recipe.method, parameters))
    rate = recipe.number("learning_rate", 5e-5)
    batch = recipe.effective_batch or EFFECTIVE_BATCH
    scaled = usual * (batch / EFFECTIVE_BATCH) ** 0.5
    if not 1 / _OFF < rate / scaled < _OFF and not 1 / _OFF < rate / usual < _OFF:
        yield warning(
            "learning_rate",
            f"{rate:.2g} with {recipe.method}: usual is {usual:.2g} at an effective batch of"
            f" {EFFECTIVE_BATCH}"
            + (f", {scaled:.2g} at {batch}" if batch != EFFECTIVE_BATCH else ""),
            f"learning_rate: {scaled:.1e}",
        )


def batch_suits_the_rate(recipe: Settings) -> Iterator[Finding]:
    """Yield an effective batch for which the rate was not scaled: with its square root."""
    batch = recipe.effective_batch
    if not recipe.trains or batch is None or recipe.method not in ("lora", "qlora", "full"):
        return
    if batch < 1:
        yield error("per_device_train_batch_size", "a step must hold a sample",
                    "per_device_train_batch_size: 1")  # fmt: skip
        return
    parameters = recipe.seen.base.sizes.parameters if recipe.seen.base else 0
    usual = float(learning_rate(recipe.method, parameters))
    rate, factor = recipe.number("learning_rate", 5e-5), batch / EFFECTIVE_BATCH
    scaled = usual * factor**0.5
    if 1 / _FAR_BATCH < factor < _FAR_BATCH or not 1 / _OFF < rate / usual < _OFF:
        return
    if not 0.6 < rate / scaled < 1 / 0.6:
        yield warning(
            "learning_rate",
            f"{rate:.2g} is meant for an effective batch near {EFFECTIVE_BATCH}, here it is {batch}"
            " (batch x accumulation x GPUs): by the square-root rule that is"
            f" {scaled:.2g}; or change gradient_accumulation_steps",
            f"learning_rate: {scaled:.1e}",
        )


def warm_up_is_one(recipe: Settings) -> Iterator[Finding]:
    """Yield a warm-up that is given twice, or is neither a share nor whole steps."""
    steps, ratio = recipe.get("warmup_steps"), recipe.get("warmup_ratio")
    if steps is not None and ratio is not None:
        yield warning(
            "warmup_ratio",
            f"warmup_steps ({steps}) and warmup_ratio ({ratio}) are both given: transformers takes"
            " the ratio; keep one, warmup_steps below 1 is a share",
            f"warmup_steps: {ratio}",
        )
    if recipe.number("warmup_ratio", 0) >= 1:
        yield warning(
            "warmup_ratio",
            f"is no share below 1, found {ratio}: transformers reads it as steps",
            f"warmup_steps: {ratio}",
        )
    share = recipe.number("warmup_steps", 0)
    if share > 1 and share != int(share):
        yield warning(
            "warmup_steps",
            f"{steps} is neither a share below 1 nor whole steps: transformers cuts it off",
            f"warmup_steps: {int(share)}",
        )
    elif 0.3 < share < 1:
        yield warning(
            "warmup_steps",
            f"the rate rises during {share:.0%} of all steps; the paper's share is 0.1",
            "warmup_steps: 0.1",
        )


def clipping_is_on(recipe: Settings) -> Iterator[Finding]:
    """Yield gradients that are not clipped."""
    if recipe.trains and recipe.get("max_grad_norm") == 0:
        yield warning("max_grad_norm", "gradients are not clipped; the paper clips at 0.1",
                      "max_grad_norm: 0.1")  # fmt: skip
