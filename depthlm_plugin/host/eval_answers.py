"""Chooses the questions that are answered while training, and lets the trainer generate for them.

LLaMA-Factory evaluates the loss while training; with `predict_with_generate` it would prepare all
evaluation data for generation instead, and lose that loss. Here a fixed part of the questions is
prepared both ways, and answered at each evaluation after the loss.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from llamafactory.data import loader
from llamafactory.extras import logging
from llamafactory.hparams import GeneratingArguments
from transformers.integrations import is_deepspeed_zero3_enabled

from ..errors import ConfigError
from ..sampling.sample import Question
from ..sampling.subset import fair_subset
from ..scoring.prediction import PredictionRow
from ..scoring.scores import Scores, score_rows
from ..views.view import window_size
from .open_views import views_as
from .run import Run
from .tokens import ShortRuns, SizedProcessor, repeated_tokens

logger = logging.get_logger("llamafactory.depthlm")

FOLDER = "eval_answers"
_LEAST_TOKENS = 64  # an untrained model must have room to answer in its own words


def check_answers(run: Run, model_args: Any, data_args: Any, training_args: Any) -> None:
    """Check that a training run can obey `eval_answers`.

    Raises:
        ConfigError: Naming each of them.
    """
    problems = []
    if not run.trains_on(data_args.eval_dataset):
        problems.append("its questions come from eval_dataset, which names no depth dataset")
    if not training_args.do_eval:
        problems.append("nothing is evaluated; set eval_strategy: steps and eval_steps")
    if data_args.tokenized_path is not None:
        problems.append("it needs the records, which tokenized_path replaces; remove one of them")
    if is_deepspeed_zero3_enabled():
        problems.append(
            "LLaMA-Factory cannot generate under DeepSpeed ZeRO-3; use ZeRO-2, or evaluate saved"
            " checkpoints with recipes/depthlm_qwen_eval.yaml"
        )
    if model_args.use_kt:
        problems.append("LLaMA-Factory cannot generate with KTransformers (use_kt)")
    if problems:
        raise ConfigError(f"depthlm: eval_answers: {'; '.join(problems)}")


def questions_to_answer(
    run: Run,
    aligned: Mapping[str, Dataset],
    template: Any,
    data_args: Any,
    tokenizer: Any,
    processor: Any,
) -> Dataset:
    """Return the questions of `eval_answers`, tokenised as LLaMA-Factory does for generation.

    Args:
        run: The run; its config says how many.
        aligned: The evaluation's depth datasets, by name, before they are tokenised.
        template: LLaMA-Factory's chat template, and its arguments and processors for the rest.
        data_args: Its data arguments.
        tokenizer: The model's tokenizer.
        processor: The model's processor.
    """
    total = run.config.eval_answers
    assert total is not None  # the caller asked
    rows = concatenate_datasets(list(aligned.values()))
    questions = [Question.from_uri(images[0]) for images in rows["_images"]]
    kinds = [(question.dataset, question.task) for question in questions]
    chosen = fair_subset(kinds, total, run.config.seed)
    _say(Counter(kinds), Counter(kinds[index] for index in chosen))
    columns = rows.select(chosen)[:]
    largest = max(chain(*columns["_images"]), key=lambda uri: math.prod(window_size(uri)))
    with views_as("shapes"):
        sized = SizedProcessor(processor)
        tokens = repeated_tokens(template.mm_plugin, largest, tokenizer, sized)
        short = ShortRuns(tokenizer, tokens)
        encoder = loader._get_dataset_processor(
            data_args, "sft", template, short, sized, do_generate=True
        )
        return Dataset.from_dict(encoder.preprocess_dataset(columns))


def _say(available: Counter[tuple[str, str]], chosen: Counter[tuple[str, str]]) -> None:
    lines = [f"depthlm: {chosen.total()} questions are answered at each evaluation while training:"]
    lines += [
        f"  {chosen[kind]:7d} of {count} {kind[1]} questions of {kind[0]}"
        for kind, count in available.items()
    ]
    missed = any(not chosen[kind] for kind in available)
    if missed:
        lines.append(f"  raise eval_answers to {len(available)} or more to ask all kinds of them")
    (logger.warning_rank0 if missed else logger.info_rank0)("\n".join(lines))


def greedy(settings: Mapping[str, Any], longest: int) -> dict[str, Any]:
    """Return a recipe's generation settings for `generate`, made repeatable and bounded.

    Args:
        settings: LLaMA-Factory's, of its recipe or by default.
        longest: Tokens of the longest true answer. Twice as many may be generated (64 at least),
            where the recipe leaves max_new_tokens at LLaMA-Factory's default, 1024.
    """
    kept = dict(settings)
    if kept.get("max_new_tokens") == GeneratingArguments().max_new_tokens:
        kept["max_new_tokens"] = max(_LEAST_TOKENS, 2 * longest)
    neutral = {"temperature": 1.0, "top_p": 1.0, "top_k": 50}  # what greedy search does not warn of
    # Gradient checkpointing has switched the cache off in the model's config.
    return kept | neutral | {"do_sample": False, "use_cache": True}


def steady_metrics(scores: Scores, rows: Sequence[PredictionRow]) -> dict[str, float]:
    """Return the metrics of scored prediction rows, by the same names whatever was answered.

    A metric that has no value, because no answer could be read, is NaN, which is never the best.
    Were it missing, transformers would end the run: at once where it chooses the best model, at the
    end where it makes a table of all evaluations for the model card.
    """
    perfect = score_rows([{**row, "value": row["target"], "reason": None} for row in rows])
    metrics = scores.metrics()
    return {name: metrics.get(name, math.nan) for name in perfect}


@contextmanager
def answering(trainer: Any, settings: dict[str, Any]) -> Iterator[None]:
    """Within this, the trainer's evaluation loop generates as it does after training.

    Everything that training goes on with is afterwards as before: the trainer, its arguments, the
    tokenizer, the model's generation config, the state of the random numbers.

    Args:
        trainer: LLaMA-Factory's SFT trainer.
        settings: What `generate` is called with.
    """
    collator = replace(  # as LLaMA-Factory makes it when it generates
        trainer.data_collator,
        model=None,
        pad_to_multiple_of=None,
        block_diag_attn=False,
        neat_packing=False,
    )
    switches = [
        (trainer.args, "predict_with_generate", True),
        (trainer.args, "prediction_loss_only", False),
        (trainer, "data_collator", collator),
        (trainer, "compute_metrics", None),
        (trainer, "preprocess_logits_for_metrics", None),
        (trainer, "_gen_kwargs", settings),
        (trainer.processing_class, "padding_side", "left"),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in switches]
    # transformers fills its defaults into the model's own config, which is saved with weights.
    config = vars(trainer.accelerator.unwrap_model(trainer.model).generation_config)
    kept = copy.deepcopy(config)
    try:
        for owner, name, value in switches:
            setattr(owner, name, value)
        # Loaders draw seeds; nothing is drawn on a device.
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
        config.clear()
        config.update(kept)
