"""Makes logits of the answers' tokens only: the loss needs no others.

transformers makes logits of every token, in half precision and once more in float32: about
12 bytes x tokens x vocabulary with their gradients, most of it for tokens of pictures. Its models
take `logits_to_keep`, the positions to make logits of. A batch of just these positions, with labels
to match, is to the loss what a batch of shorter rows would be. No model says whether its loss takes
that (Gemma 3 and Llama 4 look at the attention mask of the last positions), so the model's own code
is tried, without its weights.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

IGNORE_INDEX = -100  # the label without a loss, in transformers and LLaMA-Factory


def of_answers(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return model inputs whose logits and labels are those of the answers' tokens.

    The k positions from which any row's answer is predicted are kept, and one more, since losses
    shift: logits of the last position, like the label of the first, have no part in them.

    Args:
        inputs: With `labels` (batch, length), -100 where there is no loss. Without any label
            they are returned as they are.

    Returns:
        The inputs with `labels` (batch, k + 1) and `logits_to_keep` (k + 1,).
    """
    targets = inputs["labels"][:, 1:]
    kept = (targets != IGNORE_INDEX).any(dim=0).nonzero()[:, 0]
    if not len(kept):
        return inputs
    return inputs | {
        "labels": nn.functional.pad(targets[:, kept], (1, 0), value=IGNORE_INDEX),
        "logits_to_keep": torch.cat([kept, kept[-1:] + 1]),
    }


def takes_them(model: Any) -> bool:
    """Return whether the model's loss `of_answers` is that of the whole batch.

    Found by running the `forward` of its class on two short rows, one of them padded, with random
    hidden states in place of what its weights would make.

    Args:
        model: A model of transformers, possibly wrapped by PEFT.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "logits_to_keep" not in inspect.signature(type(base).forward).parameters:
        return False
    labels = torch.full((2, 8), IGNORE_INDEX)
    labels[0, 4:6] = torch.tensor([1, 2])
    labels[1, 2:3] = 3
    mask = torch.ones_like(labels)
    mask[0, 6:] = 0
    rows = {"input_ids": torch.zeros_like(labels), "attention_mask": mask, "labels": labels}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        hidden = torch.randn(2, 8, 4)
        shell, head = _shell(base, hidden)
        if head is None:
            return False
        try:
            kept = type(base).forward(shell, **of_answers(rows))
        except Exception:  # whatever its code cannot do, it cannot do
            return False
        whole = head(hidden)[:, :-1]
    expected = cross_entropy(whole.flatten(0, 1), labels[:, 1:].flatten())
    return kept.loss is not None and torch.allclose(kept.loss, expected, rtol=1e-4)


def _shell(model: Any, hidden: torch.Tensor) -> tuple[Any, nn.Linear | None]:
    """Return the model with all its parts replaced by one that returns `hidden`, and its head."""
    names = {id(part): name for name, part in model.named_children()}
    name = names.get(id(model.get_output_embeddings()))
    if name is None:
        return None, None
    head = nn.Linear(hidden.shape[-1], model.config.get_text_config().vocab_size, bias=False)
    shell = copy.copy(model)
    shell._modules = {part: _Hidden(hidden) for part in model._modules} | {name: head}
    return shell, head


class _Hidden(nn.Module):
    """A part of a model that returns the same hidden states whatever it is given."""

    def __init__(self, hidden: torch.Tensor) -> None:
        super().__init__()
        self.hidden = hidden

    def forward(self, *_: Any, **__: Any) -> Any:
        """Return what stands for a `ModelOutput`: it holds the hidden states and nothing else."""
        return _Output((self.hidden,))


class _Output(tuple[torch.Tensor]):
    def __getattr__(self, name: str) -> torch.Tensor | None:
        return self[0] if name == "last_hidden_state" else None
