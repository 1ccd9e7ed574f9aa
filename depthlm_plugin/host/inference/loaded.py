"""A trained model, loaded through LLaMA-Factory, and the way in which it answers samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch  # first: its import is what extends LLaMA-Factory, see autoload.py
from llamafactory.data import get_template_and_fix_tokenizer
from llamafactory.extras import logging
from llamafactory.hparams import get_infer_args
from llamafactory.model import load_model, load_tokenizer

from ...errors import ConfigError, did_you_mean
from ...language.templates import load_template
from ...sampling.sample import Sample
from .. import compat
from ..attention import mend_attention
from ..decoding import decoded
from ..patch_embedding import mend_patch_embedding
from ..processors.registry import grid_of, quicken
from .continuation import Continuation
from .groups import GroupSize, in_groups
from .numbers import Numbers
from .positions import positions_of, text_after
from .prompts import Prompts, on_device
from .refusal import CannotShareError
from .row import Row, reach
from .together import Asking, answer_together
from .tree import Share, weigh_together
from .trial import try_sharing
from .ways import WAYS
from .whole import ended, generate

logger = logging.get_logger("llamafactory.depthlm")

_MAX_NEW_TOKENS = 64  # the official answer takes about 40
_NO_LIMIT = 2**62  # pixels
_WORDS = (
    "How far is it from the camera to the wall behind the two chairs and the small round table?"
)


class LoadedModel:
    """A model that is loaded once and answers samples, shown to it exactly as in training.

    Attributes:
        grid: The sizes of views that its image processor leaves alone.
    """

    def __init__(
        self,
        model: str,
        adapter: str | None,
        template: str,
        way: str = "auto",
        constrained: bool = False,
    ) -> None:
        """Load a model.

        Args:
            model: Folder or name of the base or merged model.
            adapter: LoRA adapter folder, if any.
            template: LLaMA-Factory's chat template.
            way: One of `WAYS`.
            constrained: Whether the model can answer nothing but numbers in its template's form.

        Raises:
            ConfigError: For another way, or `shared` with a model that cannot.
            HostError: For a LLaMA-Factory or an image processor that cannot be trusted.
        """
        if way not in WAYS:
            raise ConfigError(f"unknown way {way!r}{did_you_mean(way, list(WAYS))}")
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
        chat = get_template_and_fix_tokenizer(self._tokenizer, data_args)
        self._prompts = Prompts(chat, self._tokenizer, self._processor)
        self._model = load_model(self._tokenizer, model_args, finetuning_args, is_trainable=False)
        mend_attention(self._model)
        mend_patch_embedding(self._model)
        self._stop = [self._tokenizer.eos_token_id, *chat.get_stop_token_ids(self._tokenizer)]
        self._together, self._weighed = GroupSize(64, 1024), GroupSize(32, 256)
        self._batch = GroupSize(1, 1) if way == "single" else GroupSize(8, 64)
        self._words: dict[tuple[str, str], Continuation] = {}
        self._numbers: dict[tuple[str, str], Numbers] = {}
        self._constrained = constrained
        self._way, self._shares = way, way in ("auto", "shared")
        if self._shares:
            try:
                self._try()
            except CannotShareError as reason:
                self._cannot_share(reason)

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        """Return the text that the model generates for each sample, greedily.

        Raises:
            ConfigError: For constrained answers to a template whose answer is not one number.
            HostError: When not even one sample fits into memory.
        """
        prompts = [self._prompts.ids(sample) for sample in samples]
        answers: list[list[int]] = [[] for _ in samples]
        alone: dict[tuple[object, ...], list[int]] = {}  # what is alike in a batch -> samples
        with torch.inference_mode():
            for group in _of_one_picture(samples):
                together = self._answer_together(samples, prompts, group)
                if together is not None:
                    for at, said in zip(group, together, strict=True):
                        answers[at] = said
                    continue
                for at in group:
                    sizes = tuple(view.size_wh for view in samples[at].views)
                    alike = (*_template(samples[at]), sizes, len(prompts[at]))
                    alone.setdefault(alike, []).append(at)

            def whole(group: Sequence[int]) -> list[list[int]]:
                return self._generate([samples[at] for at in group], [prompts[at] for at in group])

            for group in alone.values():
                for at, said in zip(group, in_groups(group, self._batch, whole), strict=True):
                    answers[at] = said
        return [self._text(said) for said in answers]

    def weigh(self, samples: Sequence[Sample]) -> list[tuple[str, list[Share]]]:
        """Return the text that the model generates for each sample, and what else it could say.

        Returns:
            For each sample its text and shares of probability: of numbers, and of beginnings of
            numbers that were not followed further. Text that is no number has no share.

        Raises:
            ConfigError: For a model that cannot be asked so, or a template whose answer is not one
                number.
            HostError: When not even one sample fits into memory.
        """
        prompts = [self._prompts.ids(sample) for sample in samples]
        found: dict[int, tuple[str, list[Share]]] = {}
        with torch.inference_mode():
            for group in _of_one_picture(samples):
                weighed = self._weigh_together(samples, prompts, group)
                for at, (said, shares) in zip(group, weighed, strict=True):
                    found[at] = self._text(said), shares
        return [found[at] for at in range(len(samples))]

    def _answer_together(
        self, samples: Sequence[Sample], prompts: Sequence[list[int]], group: Sequence[int]
    ) -> list[list[int]] | None:
        """Return what is said to questions about one picture, or None where it is not shared."""
        if not self._shares or len(group) < 2:
            return None
        first, ids = samples[group[0]], [prompts[at] for at in group]
        try:
            row, rests = self._row(first, ids)
        except CannotShareError as reason:
            self._cannot_share(reason)
            return None
        asking = self._asking(first)
        self._together.room = row.room(max(map(len, rests)) + _MAX_NEW_TOKENS)
        return in_groups(rests, self._together, lambda some: answer_together(row, some, asking))

    def _weigh_together(
        self, samples: Sequence[Sample], prompts: Sequence[list[int]], group: Sequence[int]
    ) -> list[tuple[list[int], list[Share]]]:
        """Return what is said to questions about one picture, and the shares of all numbers."""
        first, ids = samples[group[0]], [prompts[at] for at in group]
        numbers = self._tree(first)
        try:
            if not self._shares:  # by its way, or by what an earlier picture was
                self._try()
            row, rests = self._row(first, ids)
        except CannotShareError as reason:
            raise ConfigError(
                f"intervals need a model whose questions share a picture: {reason}"
            ) from reason
        asking = self._asking(first)
        # A beginning that is followed is a token more.
        self._weighed.room = row.room(max(map(len, rests)) + 2 * _MAX_NEW_TOKENS)
        return in_groups(
            rests, self._weighed, lambda some: weigh_together(row, some, asking, numbers)
        )

    def _row(self, sample: Sample, prompts: Sequence[list[int]]) -> tuple[Row, list[list[int]]]:
        """Return what prompts about a sample's picture have in common, and what follows in each.

        Raises:
            CannotShareError: For a model, or prompts, that do not allow it.
            HostError: When the picture does not fit into memory.
        """
        prompt, prefix = prompts[0], _common_length(prompts)
        seen = reach(self._model)
        if seen is not None and seen < max(map(len, prompts)) + _MAX_NEW_TOKENS:
            raise CannotShareError(f"its layers see {seen} tokens, fewer than the prompts have")
        inputs = self._inputs([sample], [prompt])
        for name, value in inputs.items():
            if name != "input_ids" and value.shape[:2] == (1, len(prompt)):
                raise CannotShareError(f"its {name} say something of each token")
        positions = positions_of(self._model, inputs)
        start = text_after(positions, prefix)
        inputs["input_ids"] = inputs["input_ids"][:, :prefix]

        def read(_: Sequence[None]) -> list[Row]:
            return [Row(self._model, inputs, positions[..., :prefix], start)]

        [row] = in_groups([None], GroupSize(1, 1), read)  # for its clear end without memory
        return row, [prompt[prefix:] for prompt in prompts]

    def _asking(self, sample: Sample) -> Asking:
        """Return how questions of a sample's template are answered in a row."""
        if self._constrained:
            numbers = self._tree(sample)
            return Asking(self._stop, _MAX_NEW_TOKENS, numbers.forced, numbers.allowed)
        return Asking(self._stop, _MAX_NEW_TOKENS, self._continuation(sample))

    def _continuation(self, sample: Sample) -> Continuation:
        key = _template(sample)
        if key not in self._words:
            template, encode = load_template(*key), self._answer_ids
            self._words[key] = Continuation(template, encode, self._tokenizer.decode)
        return self._words[key]

    def _tree(self, sample: Sample) -> Numbers:
        key = _template(sample)
        if key not in self._numbers:
            template, encode = load_template(*key), self._answer_ids
            words = self._continuation(sample)
            self._numbers[key] = Numbers(template, words, encode, self._tokenizer)
        return self._numbers[key]

    def _answer_ids(self, text: str) -> list[int]:
        return ended(self._prompts.answer_ids(text), self._stop)

    def _text(self, said: Sequence[int]) -> str:
        return decoded(self._tokenizer, said)

    def _generate(self, samples: Sequence[Sample], ids: Sequence[list[int]]) -> list[list[int]]:
        inputs, pad = self._inputs(samples, ids), self._tokenizer.pad_token_id
        numbers = self._tree(samples[0]) if self._constrained else None
        return generate(self._model, inputs, self._stop, _MAX_NEW_TOKENS, pad, numbers)

    def _inputs(self, samples: Sequence[Sample], ids: Sequence[list[int]]) -> dict[str, Any]:
        """Return model inputs of whole prompts of one length."""
        inputs = {"input_ids": torch.tensor(list(ids)), **self._prompts.pictures(samples, ids)}
        return on_device(inputs, self._model.device)

    def _try(self) -> None:
        """Raise a CannotShareError for a model whose questions cannot share a picture."""
        words = self._tokenizer.encode(_WORDS, add_special_tokens=False)
        with torch.inference_mode():
            try_sharing(self._model, words)

    def _cannot_share(self, reason: CannotShareError) -> None:
        """Remember and say, once, that questions are asked in another way; raise if told not to."""
        if self._way == "shared":
            raise ConfigError(
                f"way shared: this model's questions cannot share a picture: {reason};"
                " use auto, batched or single"
            ) from reason
        self._shares = False
        logger.info_rank0(
            "depthlm: this model's questions about one picture cannot share it, so whole prompts"
            f" are answered in batches: {reason}"
        )


def _template(sample: Sample) -> tuple[str, str]:
    return sample.question.task, sample.question.prompt


def _of_one_picture(samples: Sequence[Sample]) -> list[list[int]]:
    """Return the numbers of samples, by what they show and how they are to be answered."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for at, sample in enumerate(samples):
        groups.setdefault((sample.views, *_template(sample)), []).append(at)
    return list(groups.values())


def _common_length(prompts: Sequence[list[int]]) -> int:
    """Return how many first tokens prompts share, less than any of them has."""
    most = min(map(len, prompts)) - 1
    first = prompts[0]
    return next(
        (at for at in range(most) if any(prompt[at] != first[at] for prompt in prompts)), most
    )
