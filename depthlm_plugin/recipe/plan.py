"""What fits on which card: GPUs, batch and accumulation of a recipe, from the estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .families import Family
from .flops import card_of, flops_of, seconds_of
from .memory import Load, Memory, estimate
from .sizes import Sizes

EFFECTIVE_BATCH = 32  # samples a step, whatever the hardware: rates and steps mean the same
TEXT_TOKENS = 100  # of the words around a question, and of each question with its answer
CARDS = ((1, 24), (1, 48), (1, 80), (2, 80), (4, 80), (8, 80))  # GPUs, GB of each; first that fits
_RATES = {"full": ("1.0e-5", "5.0e-6")}  # of models up to LARGE, and of larger ones
_ADAPTER_RATES = ("1.0e-4", "5.0e-5")
LARGE = 20e9  # parameters: larger models take the smaller rate
_ANSWER_TOKENS = 50  # of an answer; the official one takes about 40
_USABLE = 0.85  # of a card: an estimate that nobody measured needs room


@dataclass(frozen=True)
class Plan:
    """How a recipe uses its hardware.

    Attributes:
        gpus: How many.
        card_gb: Memory of each.
        zero: DeepSpeed's ZeRO stage, 0 for none.
        batch: Samples a step on each GPU.
        memory: The estimate for each GPU.
        seconds: The estimate of the time that 1 000 samples take on all of them (`flops.py`).
        checkpointing: Whether layers are computed again instead of kept.
    """

    gpus: int
    card_gb: int
    zero: int
    batch: int
    memory: Memory
    seconds: float
    checkpointing: bool = True

    @property
    def accumulation(self) -> int:
        """Steps whose gradients are added up, for the effective batch."""
        return max(EFFECTIVE_BATCH // (self.batch * self.gpus), 1)

    @property
    def fits(self) -> bool:
        """Whether the estimate fits into a card."""
        return self.memory.total_gb <= _USABLE * self.card_gb


def learning_rate(method: str, parameters: int) -> str:
    """Return the usual learning rate at `EFFECTIVE_BATCH`, as recipes write it."""
    return _RATES.get(method, _ADAPTER_RATES)[parameters > LARGE]


def load_of(
    family: Family, size_wh: tuple[int, int], images: int, questions: int, method: str
) -> Load:
    """Return what one sample of views of this size holds, as recipes of a method train it."""
    tokens = images * family.image_tokens(size_wh) + TEXT_TOKENS * (1 + questions)
    answers = tokens if family.all_logits else _ANSWER_TOKENS * questions
    patches = family.patches(size_wh)
    return Load(
        1,
        tokens,
        images * patches,
        answers,
        tower=family.trains_tower(method),
        span=family.windowed * family.window + (1 - family.windowed) * patches,
        joined=family.row_tokens,
    )


def plan(
    sizes: Sizes, method: str, load: Load, gpus: int, card_gb: int, *, checkpointing: bool = True
) -> Plan:
    """Return the plan with the largest batch that fits, or with one sample where none does.

    Several GPUs share what one has no room for: ZeRO-2 where that is enough, since answers can be
    generated with it while training, else ZeRO-3.
    """
    found = None
    flops = 1000 * flops_of(sizes, method, load, checkpointing=checkpointing)
    seconds = seconds_of(flops, gpus * card_of(card_gb)[1])
    for zero in (2, 3) if gpus > 1 else (0,):
        for batch in (8, 4, 2, 1):
            step = replace(load, samples=batch)
            memory = estimate(
                sizes, method, step, gpus=gpus, zero=zero, checkpointing=checkpointing
            )
            found = Plan(gpus, card_gb, zero, batch, memory, seconds, checkpointing)
            if found.fits and batch * gpus <= EFFECTIVE_BATCH:
                return found
    assert found is not None
    return found


def smallest(
    sizes: Sizes, method: str, load: Load, cards: Sequence[tuple[int, int]] = CARDS
) -> Plan:
    """Return the plan for the smallest of the cards that it fits; the last one where none does."""
    plans = [plan(sizes, method, load, gpus, card_gb) for gpus, card_gb in cards]
    return next((found for found in plans if found.fits), plans[-1])


def described(memory: Memory) -> str:
    """Return an estimate in words: `18 GB (weights 7.5, ...)`."""
    parts = {
        "weights": memory.weights_gb,
        "what is trained": memory.training_gb,
        "activations": memory.activations_gb,
        "logits": memory.logits_gb,
    }
    listed = ", ".join(f"{name} {gb:.1f}" for name, gb in parts.items() if gb)
    return f"{memory.total_gb:.0f} GB ({listed})"
