"""Gives what LLaMA-Factory publishes of a depth model its own model card and its config."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any, cast

from llamafactory.extras import logging

from ..card.evaluation import answers, evaluation_of
from ..card.model_card import CARD, write_card
from ..card.origin import Data, Training, model_name, training_on
from ..config.block import MODEL_KEYS
from ..config.saved import (
    SAVED_AS,
    TEMPLATES,
    load_config,
    save_config,
    saved_data,
    saved_scores,
    saved_training,
)
from .run import identity_of, resolve_config, weights_of

logger = logging.get_logger("llamafactory.depthlm")


def create_modelcard_and_push_with(original: Callable[..., None]) -> Callable[..., None]:
    """Return what ends a training; it writes the trainer's own card where it does not push.

    A push asks the trainer for it, but otherwise LLaMA-Factory has transformers write its own.
    """

    @wraps(original)
    def create_modelcard_and_push(
        trainer: Any, model_args: Any, data_args: Any, training_args: Any, *args: Any, **kwargs: Any
    ) -> None:
        depth = getattr(trainer, "_depthlm_run", None) is not None
        if depth and training_args.do_train and not training_args.push_to_hub:
            trainer.create_model_card()
        else:
            original(trainer, model_args, data_args, training_args, *args, **kwargs)

    return create_modelcard_and_push


def export_model_with(original: Callable[..., None]) -> Callable[..., None]:
    """Return LLaMA-Factory's export, which keeps the config of a depth model and writes its card.

    Both are written before the weights; LLaMA-Factory pushes weights and tokenizer only, so what it
    leaves behind is pushed after them.
    """

    @wraps(original)
    def export_model(args: Any = None) -> None:
        from llamafactory.hparams import get_infer_args

        model_args, data_args, *_ = get_infer_args(args)
        folder, hub = model_args.export_dir, model_args.export_hub_model_id
        ours = folder is not None and any(map(load_config, weights_of(model_args)))
        if ours:
            os.makedirs(folder, exist_ok=True)
            _describe(model_args, data_args, folder, hub or Path(folder).resolve().name)
        original(args)
        if ours and hub:
            from huggingface_hub import upload_folder

            upload_folder(
                repo_id=hub,
                folder_path=folder,
                allow_patterns=[CARD, SAVED_AS, f"{TEMPLATES}*"],
                commit_message="Model card and depthlm config",
                token=model_args.hf_hub_token,
            )

    return export_model


def _describe(model_args: Any, data_args: Any, folder: str, name: str) -> None:
    """Write the config and the card of what is exported."""
    config = resolve_config(data_args, model_args)
    model, *adapters = weights_of(model_args)
    taught, trained = next(
        (own, saved) for own in (*reversed(adapters), model) if (saved := load_config(own))
    )
    shown = replace(trained, **{key: getattr(config, key) for key in MODEL_KEYS})
    training = _training(model, adapters, taught)
    run = identity_of(model_args, config)
    found = evaluation_of(Path(taught), run, next(iter(shown.tasks)), shown.prompt)
    as_saved = shown == trained and _alone(model, adapters, taught)
    own = saved_scores(taught) if as_saved else None
    scores = max(filter(None, (own, found)), key=answers, default=None)
    save_config(config, folder, data_args.template, training=training, scores=scores)
    write_card(folder, name, shown, training, scores, adapter=False)
    said = f"{answers(scores)} answers" if scores else f"none; no evaluation is beside {taught}"
    logger.info_rank0(f"depthlm: the scores in {Path(folder, CARD)}: {said}")


def _training(model: str, adapters: list[str], taught: str) -> Training:
    """Return how what is exported came to be, as far as the folders say it."""
    own = saved_training(taught)
    if own is None:  # of an earlier version
        names = (saved_data(taught) or {}).get("datasets", {})
        return training_on(model, [], [Data(name=name, licence=None, hub=None) for name in names])
    others = [saved_training(folder) for folder in (model, *adapters) if folder != taught]
    joined = training_on(own["model"], [*others, own], own["datasets"])
    return {**cast(Training, own), "base": joined["base"], "earlier": joined["earlier"]}


def _alone(model: str, adapters: list[str], taught: str) -> bool:
    """Return whether what is exported is what a folder's scores are of, and nothing beside it."""
    training = saved_training(taught)
    if adapters:
        on = model_name(model) if training is None else training["model"]
        return adapters == [taught] and model_name(model) == on
    return taught == model
