"""Lets depth data into a run, where LLaMA-Factory asks for its datasets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..errors import ConfigError
from .open_views import let_open
from .run import Run, dataset_info, prepare


def get_dataset_with(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return LLaMA-Factory's `get_dataset`, prepared for depth data where there is any.

    Of a run with depth data it returns three more things, which LLaMA-Factory hands on to its
    trainer: the `Run` as `depthlm`, with `lazy: true` a `LazySamples` as `train_dataset`, and with
    `eval_answers` its questions as `depthlm_answers`.
    """

    @wraps(original)
    def get_dataset(
        template: Any,
        model_args: Any,
        data_args: Any,
        training_args: Any,
        stage: str,
        tokenizer: Any,
        processor: Any = None,
    ) -> Any:
        # Not above: they import LLaMA-Factory's loader, and when it is imported, so is this file.
        from .eval_answers import check_answers, questions_to_answer
        from .lazy import lazy_samples
        from .recipe_checks import check_recipe

        def stock(data_args: Any) -> Any:
            """Return what LLaMA-Factory itself makes of these arguments."""
            return original(
                template, model_args, data_args, training_args, stage, tokenizer, processor
            )

        let_open(template.mm_plugin, False)
        run = prepare(data_args, model_args, training_args, stage, processor)
        if run is None:
            return stock(data_args)
        if training_args.do_train and stage == "sft":
            check_recipe(run, model_args, training_args)
        data_args = copy.copy(data_args)
        data_args.depthlm_run = run
        if stage != "sft":
            module = stock(data_args)
            let_open(template.mm_plugin, True)
            return module
        answers = training_args.do_train and run.config.eval_answers is not None
        if answers:
            check_answers(run, model_args, data_args, training_args)
            data_args.depthlm_aligned = {}  # `_get_merged_dataset` fills it
        samples = None
        trains = training_args.do_train and run.trains_on(data_args.dataset)
        if trains and not run.config.lazy:
            _refuse_weights(run, data_args)
        elif trains:
            samples = lazy_samples(
                original, run, template, model_args, data_args, training_args, tokenizer, processor
            )
            data_args = copy.copy(data_args)
            data_args.dataset = None
        module = stock(data_args) if samples is None or data_args.eval_dataset is not None else {}
        if samples is not None:
            module["train_dataset"] = samples
        if answers:
            module["depthlm_answers"] = questions_to_answer(
                run, data_args.depthlm_aligned, template, data_args, tokenizer, processor
            )
        module["depthlm"] = run
        let_open(template.mm_plugin, True)
        return module

    return get_dataset


def _refuse_weights(run: Run, data_args: Any) -> None:
    """Raise a ConfigError for weights that only lazy training would obey."""
    info = dataset_info(data_args)
    names = [name for name in data_args.dataset if name in info]
    weighted = [name for name in names if "weight" in (info[name].get("depthlm") or {})]
    if run.config.mixture is not None or weighted:
        given = "mixture" if run.config.mixture is not None else f"the weight of {weighted[0]}"
        raise ConfigError(
            f"depthlm: {given} needs lazy: true; with lazy: false give LLaMA-Factory's"
            " interleave_probs"
        )
