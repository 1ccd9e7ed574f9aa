"""An estimate of the GPU memory that training takes, before a GPU is rented.

Bytes on each GPU, P parameters of which T are trained, n GPUs:

| part | LoRA | QLoRA | full |
|---|---|---|---|
| weights | 2 P | 0.52 P, but 2 for embedding and output tables | in "training" |
| training: weights, gradients, Adam's two moments in 32 bits | 16 T | 16 T | 16 P + 2 P |
| the same with ZeRO-2 | 2 P + 16 T | | 2 P + 14 P / n |
| the same with ZeRO-3 | 2 P / n + 16 T / n | | 16 P / n |

The 2 P more of full training are the copies that autocast makes in 16 bits. LoRA of rank r trains
r (inputs + outputs) of every linear layer that it adapts, and a copy of the merger between vision
tower and language model.

Activations, in numbers of 16 bits a token: with gradient checkpointing what enters every layer, its
width, and of the one layer that is computed again 26 x width + 7 x feed-forward width; without it
16 x width + 4 x feed-forward width of every layer, and 4 x feed-forward width more of the one whose
gradients are computed. The same for the vision tower and its patches, where it is trained. The two
towers' one layer are not there at once, and what the language model keeps is gone when the vision
tower's turn comes. Attention counts nothing that grows with tokens^2, which SDPA and FlashAttention
never write out, but for Pixtral's tower: its mask holds 2 bytes x (patches of the batch)^2.

Logits: 12 bytes x positions x vocabulary (16 bits, their copy in 32 bits, and the gradients of
both), for every row at all positions that any row of the batch answers at; in families whose loss
wants the logits of every token (`Family.all_logits`), at all. They are added, though they are gone
before a layer is computed again: that is room for what else a GPU keeps.

The rest, CUDA's context and what its allocator cannot use, is taken for 1.5 GB; 1 GB is 10^9 bytes.
Nothing here was measured on a GPU; on a CPU, with tiny models of two families, the tensors that are
alive at once take between 0.75 and 1.1 of it (tests/host/test_estimates.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from .sizes import Sizes

REST_GB = 1.5
LORA_RANK = 64
_FOUR_BIT = 0.52  # bytes: half of one, and the constants of double quantisation
_LOGIT = 12  # bytes


@dataclass(frozen=True)
class Load:
    """What one step on one GPU holds.

    Attributes:
        samples: In the batch.
        tokens: Of a sample, image and text.
        patches: Of a sample, in the vision tower.
        answers: Tokens of a sample whose logits are wanted.
        tower: Whether the vision tower is trained.
        span: Patches that a patch attends to in the tower, its layers' mean; 0: all of its sample.
        joined: Whether the tower sees the pictures of a batch as one sequence, with a mask.
    """

    samples: int
    tokens: int
    patches: int
    answers: int
    tower: bool = True
    span: float = 0
    joined: bool = False

    @property
    def logits(self) -> int:
        """Positions x rows with logits: rows do not answer at the same positions."""
        return self.samples * min(self.tokens, self.samples * self.answers)


@dataclass(frozen=True)
class Memory:
    """An estimate for each GPU, in GB of 10^9 bytes."""

    weights_gb: float
    training_gb: float
    activations_gb: float
    logits_gb: float

    @property
    def total_gb(self) -> float:
        """All of it, with the rest."""
        parts = self.weights_gb + self.training_gb + self.activations_gb + self.logits_gb
        return parts + REST_GB


def estimate(
    sizes: Sizes,
    method: str,
    load: Load,
    *,
    gpus: int = 1,
    zero: int = 0,
    checkpointing: bool = True,
) -> Memory:
    """Return the memory of each GPU in training.

    Args:
        sizes: Of the base VLM.
        method: `lora`, `qlora` (the merger's adapters, under 0.1 GB, are not counted) or `full`.
        load: Of one step on one GPU.
        gpus: How many share the work.
        zero: 0: each has everything; 2 and 3: DeepSpeed's ZeRO stages.
        checkpointing: Whether layers are computed again instead of kept.
    """
    everything = sizes.parameters
    weights, training = _states(sizes, method, load.tower)
    if zero == 2:
        training /= gpus
        if method == "full":
            weights, training = 2 * everything, 14 * everything / gpus
    elif zero == 3:
        weights, training = weights / gpus, training / gpus
        if method == "full":
            training = 16 * everything / gpus
    activations = _activations(sizes, load, checkpointing)
    logits = _LOGIT * load.logits * sizes.vocabulary
    return Memory(*(part / 1e9 for part in (weights, training, activations, logits)))


def _states(sizes: Sizes, method: str, tower: bool) -> tuple[float, float]:
    """Return bytes of the frozen weights, and of what is trained, on one GPU."""
    everything = sizes.parameters
    if method == "full":
        return 0, 18 * everything
    trained = 16 * LORA_RANK * (sizes.language_sides + (sizes.vision_sides if tower else 0))
    if method == "lora":
        return 2 * everything, trained + 16 * sizes.merger
    return 2 * sizes.tables + _FOUR_BIT * (everything - sizes.tables), trained


def _activations(sizes: Sizes, load: Load, checkpointing: bool) -> float:
    tokens, patches = load.samples * load.tokens, load.samples * load.patches
    kept, one = _kept(tokens, sizes.layers, sizes.hidden, sizes.inner, checkpointing)
    width, inner = sizes.vision_hidden, sizes.vision_inner
    tower_kept, tower_one = _kept(patches, sizes.vision_layers, width, inner, checkpointing)
    if not load.tower:
        tower_kept, tower_one = 0, 2 * patches * (26 * width + 7 * inner)
    mask = 2 * patches**2 if load.joined else 0
    return mask + tower_kept + max(kept + one, tower_one)


def _kept(
    tokens: int, layers: int, width: int, inner: int, checkpointing: bool
) -> tuple[float, float]:
    """Return bytes that are kept of all layers, and those of the one that is at work."""
    if checkpointing:
        return 2 * tokens * width * layers, 2 * tokens * (26 * width + 7 * inner)
    return 2 * tokens * (16 * width + 4 * inner) * layers, 2 * tokens * 4 * inner
