"""Answers samples with a trained model, through LLaMA-Factory's loading and templates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch  # first: its import is what extends LLaMA-Factory, see autoload.py
from llamafactory.data import get_template_and_fix_tokenizer
from llamafactory.hparams import get_infer_args
from llamafactory.model import load_model, load_tokenizer

from ..sampling.sample import Sample
from . import compat
from .attention import mend_attention
from .decoding import decoded
from .mrope import with_token_types
from .open_views import views_as
from .processors.registry import grid_of, quicken

_MAX_NEW_TOKENS = 64  # the official answer takes about 40
_NO_LIMIT = 2**62  # pixels


class LoadedModel:
    """A model that is loaded once and answers samples, shown to it exactly as in training.

    Attributes:
        grid: The sizes of views that its image processor leaves alone.
    """

    def __init__(self, model: str, adapter: str | None, template: str) -> None:
        """Load a model.

        Args:
            model: Folder or name of the base or merged model.
            adapter: LoRA adapter folder, if any.
            template: LLaMA-Factory's chat template.

        Raises:
            HostError: For a LLaMA-Factory or an image processor that cannot be trusted.
        """
        compat.require()
        args = {"model_name_or_path": model, "template": template}
        if adapter:
            args["adapter_name_or_path"] = adapter
        model_args, data_args, finetuning_args, _ = get_infer_args(args)
        loaded = load_tokenizer(model_args)
        self._tokenizer, self._processor = loaded["tokenizer"], loaded["processor"]
        self.grid = grid_of(self._processor)
        quicken(self._processor)
        # LLaMA-Factory's limits could only resize a view, which would change the metres.
        self._processor.image_max_pixels, self._processor.image_min_pixels = _NO_LIMIT, 0
        self._template = get_template_and_fix_tokenizer(self._tokenizer, data_args)
        self._model = load_model(self._tokenizer, model_args, finetuning_args, is_trainable=False)
        mend_attention(self._model)
        stop = self._template.get_stop_token_ids(self._tokenizer)
        self._stop = [self._tokenizer.eos_token_id, *stop]

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, greedily."""
        return [self._answer(sample) for sample in samples]

    def _answer(self, sample: Sample) -> str:
        uris, processor = sample.to_uris(), self._processor
        plugin = self._template.mm_plugin
        with views_as("blanks"):
            turns = plugin.process_messages([sample.user_turn], uris, [], [], processor)
        turns = [*turns, {"role": "assistant", "content": ""}]
        prompt, _ = self._template.encode_oneturn(self._tokenizer, turns, sample.system)
        with views_as("tensors"):
            seen = plugin.get_mm_inputs(uris, [], [], [1], [0], [0], [prompt], processor)
        inputs: dict[str, Any] = {"input_ids": torch.tensor([prompt]), **seen}
        inputs = {
            name: value.to(self._model.device) if hasattr(value, "to") else value
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            tokens = self._model.generate(
                **with_token_types(self._model, inputs),
                attention_mask=torch.ones_like(inputs["input_ids"]),
                do_sample=False,
                max_new_tokens=_MAX_NEW_TOKENS,
                eos_token_id=self._stop,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        return decoded(self._tokenizer, tokens[0, len(prompt) :])
