"""An estimate of the time that training takes, from its floating-point operations.

Operations of one sample; t tokens, p patches, L parameters of the language model that a token
meets, V those of the vision tower:

| part | forward |
|---|---|
| language model | 2 L t + 4 t^2 x width x layers |
| vision tower | 2 V p + 4 p x span x width x layers; span: the patches that a patch attends to |
| merger, logits | 2 x its parameters x t; 2 x width x vocabulary x answers' tokens |
| LoRA of rank r | 2 r (inputs + outputs) of every layer that it adapts, x t or p |

Training passes through a part that is trained, or that something before it is, once forward, once
more with gradient checkpointing, and once backward for the activations; weights that are trained
take a third pass for their own gradients. Attention's backward is 2.5 of its forward (it computes
its weights again). A frozen tower is passed through once. The optimizer, which passes over the
weights once a step, and what 4-bit weights take to be unpacked, are left out.

Time: these, at 40 % of what the card multiplies at most in bfloat16 (`CARDS`: the makers' dense
figures). That share is an assumption: nothing here was measured on a GPU, and waiting for data is
not in it.
"""

from __future__ import annotations

from .memory import LORA_RANK, Load
from .sizes import Sizes

UTILISATION = 0.4
CARDS = ((24, "A10", 125), (48, "A40", 150), (80, "A100", 312), (141, "H200", 989))
"""GB of memory, a card that has it, and its bfloat16 teraflops: for cards that have no name."""
_BACKWARD_ATTENTION = 2.5


def flops_of(sizes: Sizes, method: str, load: Load, *, checkpointing: bool = True) -> float:
    """Return the floating-point operations of training with one sample, forward and backward.

    Args:
        sizes: Of the base VLM.
        method: `lora`, `qlora` or `full`.
        load: Of one sample.
        checkpointing: Whether layers are computed again instead of kept.
    """
    again, own = int(checkpointing), int(method == "full")
    passes, attention = 2 + again + own, 1 + again + _BACKWARD_ATTENTION
    tokens, patches = load.tokens, load.patches
    language = 2 * (sizes.active or sizes.language) * tokens
    attended = 4 * tokens**2 * sizes.hidden * sizes.layers
    total = language * passes + attended * attention
    total += 2 * sizes.hidden * sizes.vocabulary * min(load.answers, tokens) * (2 + own)
    total += 2 * sizes.merger * tokens * 3
    tower = 2 * (sizes.vision - sizes.merger) * patches
    seen = 4 * patches * (load.span or patches) * sizes.vision_hidden * sizes.vision_layers
    total += tower * passes + seen * attention if load.tower else tower + seen
    if method != "full":
        sides = sizes.language_sides * tokens
        sides += sizes.vision_sides * patches if load.tower else 0
        total += 2 * LORA_RANK * sides * (3 + again)
    return total


def seconds_of(flops: float, teraflops: float) -> float:
    """Return how long a card takes that multiplies so fast at most."""
    return flops / (UTILISATION * teraflops * 1e12)


def card_of(memory_gb: int) -> tuple[str, float]:
    """Return (name, teraflops) of the largest card of `CARDS` with no more memory, or the first."""
    fitting = [card for card in CARDS if card[0] <= memory_gb] or CARDS[:1]
    return fitting[-1][1:]


def duration(seconds: float) -> str:
    """Return a time in words: `50 s`, `12 min` or `3.2 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
