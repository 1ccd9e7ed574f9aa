"""Prompts: a sample's question as the model's chat template writes it, in tokens and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ...sampling.sample import Sample
from ..open_views import views_as
from ..tokens import ShortRuns, SizedProcessor, repeated_tokens


class Prompts:
    """Writes the prompts of one loaded model.

    Args:
        template: LLaMA-Factory's chat template.
        tokenizer: The model's tokenizer.
        processor: The model's processor.
    """

    def __init__(self, template: Any, tokenizer: Any, processor: Any) -> None:
        self._template, self._tokenizer, self._processor = template, tokenizer, processor
        self._sized = SizedProcessor(processor)
        self._short: ShortRuns | None = None

    def ids(self, sample: Sample) -> list[int]:
        """Return the tokens of a sample's first question, up to where the model answers."""
        uris, plugin = sample.to_uris(), self._template.mm_plugin
        with views_as("shapes"):
            if self._short is None:
                repeated = repeated_tokens(plugin, uris[0], self._tokenizer, self._sized)
                self._short = ShortRuns(self._tokenizer, repeated)
            turns = plugin.process_messages([sample.user_turn], uris, [], [], self._sized)
        turns = [*turns, {"role": "assistant", "content": ""}]
        prompt, _ = self._template.encode_oneturn(self._short, turns, sample.system)
        return list(prompt)

    def answer_ids(self, text: str) -> list[int]:
        """Return the tokens of an answer, as the model is taught to give it, with its end."""
        turns = [{"role": "user", "content": ""}, {"role": "assistant", "content": text}]
        _, answer = self._template.encode_oneturn(self._tokenizer, turns)
        return list(answer)

    def pictures(self, samples: Sequence[Sample], ids: Sequence[list[int]]) -> dict[str, Any]:
        """Return the model's inputs besides tokens: the views of samples, rendered.

        Args:
            samples: Whose views are read.
            ids: Their prompts.
        """
        uris = [uri for sample in samples for uri in sample.to_uris()]
        counts = [len(sample.views) for sample in samples]
        none = [0] * len(samples)
        with views_as("tensors"):
            inputs: dict[str, Any] = self._template.mm_plugin.get_mm_inputs(
                uris, [], [], counts, none, none, list(ids), self._processor
            )
        return inputs


def on_device(inputs: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Return model inputs as tensors on a device; some of LLaMA-Factory's plugins give lists."""
    return {name: _tensor(value).to(device) for name, value in inputs.items()}


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    if len(value) and isinstance(value[0], torch.Tensor):
        return torch.stack(list(value))
    return torch.as_tensor(value)
