"""Extends LLaMA-Factory's SFT trainer by numeric evaluation on depth data.

The trainer rather than its metric function is extended, because only the trainer knows the
evaluated dataset: exact targets come from its views, and rows that two processes repeat are dropped
by its length.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence as SequenceABC
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, concatenate_datasets
from llamafactory.extras import logging
from llamafactory.extras.constants import IGNORE_INDEX
from torch.utils.data import SequentialSampler
from transformers import EvalPrediction, ProgressCallback
from transformers.trainer_utils import PredictionOutput

from ..card.evaluation import brief
from ..card.model_card import write_card
from ..card.origin import ADAPTERS, Training
from ..config.saved import save_config
from ..sampling.sample import Question
from ..scoring.prediction import SIDECAR, Prediction, PredictionRow, write_jsonl_atomically
from ..scoring.scores import Scores
from ..scoring.table import table_of
from .answer_logits import of_answers, takes_them
from .attention import mend_attention
from .board import on_board
from .decoding import decoded
from .eval_answers import FOLDER, answering, greedy, steady_metrics
from .lazy import EpochSampler, LazySamples
from .mrope import with_token_types
from .open_views import is_view
from .patch_embedding import mend_patch_embedding
from .quantised import mend_quantised
from .run import Run
from .vocabulary import mend_vocabulary

logger = logging.get_logger("llamafactory.depthlm")

_CONVERTED = "pissa_converted"  # where LLaMA-Factory's callback puts the adapter to be used


def trainer_on(base: Any) -> Any:
    """Return a subclass of LLaMA-Factory's SFT trainer; without a depth run it behaves the same."""

    class DepthSeq2SeqTrainer(base):
        """Saves the depthlm config with every checkpoint, and scores depth answers in metres."""

        _gen_kwargs: dict[str, Any]  # transformers': what it calls `generate` with

        def __init__(
            self,
            *args: Any,
            depthlm: Run | None = None,
            depthlm_answers: Dataset | None = None,
            **kwargs: Any,
        ) -> None:
            self._depthlm_run = depthlm
            self._to_answer = depthlm_answers
            self._prediction_rows: dict[str, list[PredictionRow]] = {}
            self._final_rows: list[PredictionRow] = []  # of the weights that are saved last
            self._generation: dict[str, Any] = dict(kwargs.get("gen_kwargs") or {})
            super().__init__(*args, **kwargs)
            if depthlm is not None:
                mend_attention(self.model)
                mend_patch_embedding(self.model)
                mend_vocabulary(self.model)
                mend_quantised(self.model)
            self._of_answers = depthlm is not None and self._can_shorten()

        __init__._depthlm = True  # type: ignore[attr-defined]

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            super()._save(output_dir, state_dict=state_dict)
            if self._depthlm_run is not None:
                folder = output_dir or self.args.output_dir
                self._describe(self._depthlm_run, folder)
                converted = os.path.join(folder, _CONVERTED)
                if os.path.isdir(converted):
                    self._describe(self._depthlm_run, converted)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """Write README.md into output_dir: of a depth run, its own model card."""
            if self._depthlm_run is None:
                super().create_model_card(*args, **kwargs)
            elif self.is_world_process_zero():
                self._describe(self._depthlm_run, self.args.output_dir)

        def _describe(self, run: Run, folder: str) -> None:
            """Write the config and the model card of the weights that are saved in a folder."""
            lazy = isinstance(self.train_dataset, LazySamples)
            data = self.train_dataset.description() if lazy else None
            training: Training = {
                **run.training,
                "method": self.finetuning_args.finetuning_type,
                "steps": self.state.global_step,
                "samples_a_step": self.args.train_batch_size
                * self.args.gradient_accumulation_steps
                * self.args.world_size,
                "learning_rate": self.args.learning_rate,
            }
            scores = brief(Scores(self._final_rows)) if self._final_rows else None
            save_config(run.config, folder, run.template, data, training, scores)
            name = self.args.hub_model_id or Path(folder).resolve().name
            adapter = training["method"] in ADAPTERS
            write_card(folder, name, run.config, training, scores, adapter=adapter)

        def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(self.train_dataset, LazySamples):
                return super()._get_train_sampler(*args, **kwargs)
            in_order = getattr(self.args, "train_sampling_strategy", "random") == "sequential"
            shuffles = not (in_order or self.finetuning_args.disable_shuffling)
            self.train_dataset.set_shuffle(shuffles)
            return EpochSampler(self.train_dataset)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            device = self.args.device
            if self._depthlm_run is None or device.type != "cpu":
                super()._load_optimizer_and_scheduler(checkpoint)
                return
            # Several processes on CPUs: accelerate names the device cpu:0, which torch 2.11 cannot
            # load to, so transformers 5.6 could not resume them.
            cached: dict[str, Any] = self.args.__dict__
            cached["_setup_devices"] = torch.device("cpu")
            try:
                super()._load_optimizer_and_scheduler(checkpoint)
            finally:
                cached["_setup_devices"] = device

        def _can_shorten(self) -> bool:
            """Return whether logits of the answers' tokens give the same loss; log why not.

            Label smoothing and LLaMA-Factory's own losses look at logits in ways of their own.
            """
            if self.label_smoother is not None or self.compute_loss_func is not None:
                reason = "of the loss that the recipe asks for"
            elif self.args.n_gpu > 1 or getattr(self.accelerator, "parallelism_config", None):
                reason = "batches are split"
            elif not takes_them(self.model):
                reason = "its own loss needs them"
            else:
                return True
            logger.info_rank0(f"depthlm: the model makes logits of every token, because {reason}")
            return False

        def training_step(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            """Train one batch, with logits of the answers' tokens only where that is the same."""
            if self._of_answers:
                inputs = of_answers(inputs)
            return super().training_step(model, inputs, *args, **kwargs)

        def prediction_step(
            self, model: Any, inputs: Any, prediction_loss_only: bool, *args: Any, **kwargs: Any
        ) -> Any:
            """Evaluate one batch; where only its loss counts, as in training."""
            if self._of_answers and prediction_loss_only and not self.args.predict_with_generate:
                inputs = of_answers(inputs)
            return super().prediction_step(model, inputs, prediction_loss_only, *args, **kwargs)

        def _get_eval_sampler(self, eval_dataset: Any) -> Any:
            if self._depthlm_run is None:
                return super()._get_eval_sampler(eval_dataset)
            return SequentialSampler(eval_dataset)  # answers are matched to questions by order

        def evaluation_loop(
            self,
            dataloader: Any,
            description: str,
            prediction_loss_only: bool | None = None,
            ignore_keys: list[str] | None = None,
            metric_key_prefix: str = "eval",
        ) -> Any:
            """Run the loop, and score depth rows in metres and other rows as LLaMA-Factory does.

            Of a training run with `eval_answers` these are answered after the loss.
            """
            args = (dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
            if not self.args.predict_with_generate:
                output = super().evaluation_loop(*args)
                if self._to_answer is not None and self._ends_evaluation(metric_key_prefix):
                    output.metrics.update(self._answer(self._to_answer))
                return output
            questions = self._questions(dataloader.dataset)
            if not questions:
                return super().evaluation_loop(*args)
            if on_board():
                longest = max(map(len, dataloader.dataset["labels"]))
                self._gen_kwargs = greedy(self._gen_kwargs, longest)
                logger.info_rank0("depthlm: answers are greedy, where LLaMA Board would sample")
            tokenizer = self.processing_class
            other_metrics, padding_side = self.compute_metrics, tokenizer.padding_side
            self.compute_metrics: Any = None
            tokenizer.padding_side = "left"  # LLaMA-Factory sets it only when training is over
            try:
                output = super().evaluation_loop(*args)
            finally:
                self.compute_metrics = other_metrics
                tokenizer.padding_side = padding_side
            # Two processes pad the last batch with repeated rows, at the end.
            count = len(dataloader.dataset)
            predictions, labels = output.predictions[:count], output.label_ids[:count]
            rows = self._rows(questions, predictions)
            self._write_sidecar(metric_key_prefix, rows)
            scores = Scores(rows)
            metrics = scores.metrics()
            logger.info_rank0(f"depthlm:\n{table_of(scores)}{_unread(rows)}")
            others = [index for index in range(count) if index not in questions]
            if others and other_metrics is not None:
                metrics |= other_metrics(EvalPrediction(predictions[others], labels[others]))
            named = {f"{metric_key_prefix}_{name}": value for name, value in metrics.items()}
            return output._replace(
                predictions=predictions,
                label_ids=labels,
                metrics=output.metrics | named,
                num_samples=count,
            )

        def _ends_evaluation(self, metric_key_prefix: str) -> bool:
            """Return whether this is the last loop of an evaluation, of whose metrics all hear."""
            datasets = self.eval_dataset
            last = f"eval_{list(datasets)[-1]}" if isinstance(datasets, dict) else "eval"
            return metric_key_prefix == last

        def _answer(self, asked: Dataset) -> dict[str, float]:
            """Return the metrics of generated answers to the questions of `eval_answers`."""
            began = time.perf_counter()
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, ProgressCallback):  # the loss is done: its bar ends
                    callback.on_predict(self.args, self.state, self.control)
            settings = greedy(self._generation, max(map(len, asked["labels"])))
            with answering(self, settings):
                loader = self._get_dataloader(
                    asked, "Answering", self.args.eval_batch_size, self._get_eval_sampler
                )
                output = super().evaluation_loop(loader, "Answering", False)
            rows = self._rows(self._questions(asked), output.predictions)
            scores = Scores(rows)
            steady = steady_metrics(scores, rows)
            metrics = {f"eval_{name}": value for name, value in steady.items()}
            seconds = time.perf_counter() - began
            step = self.state.global_step
            logger.info_rank0(
                f"depthlm: step {step}: {len(rows)} answers in {seconds:.1f} s"
                f" ({len(rows) / seconds:.2f} a second)\n{table_of(scores)}{_unread(rows)}"
            )
            if not self.is_in_train:
                self._final_rows = rows
            if self.is_world_process_zero():
                name = f"step-{step}" if self.is_in_train else "final"
                path = Path(self.args.output_dir, FOLDER, f"{name}.jsonl")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_jsonl_atomically(path, rows)
            return metrics | {
                "eval_answer_seconds": round(seconds, 3),
                "eval_answers_per_second": round(len(rows) / seconds, 3),
            }

        def _prepare_inputs(self, inputs: Any) -> Any:
            inputs = super()._prepare_inputs(inputs)
            if self._depthlm_run is None:
                return inputs
            return with_token_types(self.accelerator.unwrap_model(self.model), inputs)

        def evaluate(
            self,
            eval_dataset: Any = None,
            ignore_keys: list[str] | None = None,
            metric_key_prefix: str = "eval",
            **gen_kwargs: Any,
        ) -> Any:
            """Evaluate with the recipe's generation settings.

            transformers forgets them for evaluations in training and for all but one of several
            datasets, and would generate up to cutoff_len tokens.
            """
            if self._depthlm_run is not None:
                gen_kwargs = self._generation | gen_kwargs
            return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix, **gen_kwargs)

        def predict(
            self,
            test_dataset: Any,
            ignore_keys: list[str] | None = None,
            metric_key_prefix: str = "test",
            **gen_kwargs: Any,
        ) -> Any:
            """Predict a dataset, or each of several (`eval_on_each_dataset`)."""
            if self._depthlm_run is None or not isinstance(test_dataset, dict):
                return super().predict(test_dataset, ignore_keys, metric_key_prefix, **gen_kwargs)
            outputs = [
                super(DepthSeq2SeqTrainer, self).predict(
                    dataset, ignore_keys, f"{metric_key_prefix}_{name}", **gen_kwargs
                )
                for name, dataset in test_dataset.items()
            ]
            metrics: dict[str, float] = {}
            for output in outputs:
                metrics |= output.metrics
            return PredictionOutput(
                _stack([output.predictions for output in outputs]),
                _stack([output.label_ids for output in outputs]),
                metrics,
            )

        def save_predictions(self, dataset: Any, *args: Any, **kwargs: Any) -> None:
            """Write LLaMA-Factory's generated_predictions.jsonl."""
            if self._depthlm_run is not None and isinstance(dataset, dict):
                dataset = concatenate_datasets(list(dataset.values()))
            super().save_predictions(dataset, *args, **kwargs)

        def _questions(self, dataset: Any) -> dict[int, Question]:
            if self._depthlm_run is None:
                return {}
            return {
                index: Question.from_uri(images[0])
                for index, images in enumerate(dataset["images"])
                if images and is_view(images[0])
            }

        def _rows(self, questions: dict[int, Question], predictions: Any) -> list[PredictionRow]:
            """Return the sidecar's rows of generated tokens (N, L), of which `questions` are."""
            assert self._depthlm_run is not None  # it has questions
            texts = self._decode(predictions[list(questions)])
            counts = Counter(question.dataset for question in questions.values())
            run, step = self._depthlm_run.identity, self.state.global_step
            if self.args.load_best_model_at_end and not self.is_in_train:
                step = self.state.best_global_step or step  # whose weights these are
            return [
                Prediction(question, text).to_row()
                | {"run": f"{run}-{step}" if step else run, "of": counts[question.dataset]}
                for question, text in zip(questions.values(), texts, strict=True)
            ]

        def _decode(self, predictions: Any) -> list[str]:
            tokenizer = self.processing_class
            tokens = np.where(predictions != IGNORE_INDEX, predictions, tokenizer.pad_token_id)
            return [decoded(tokenizer, row) for row in tokens]

        def _write_sidecar(self, prefix: str, rows: list[PredictionRow]) -> None:
            """Write the rows of this evaluation: of all its datasets, and of no earlier one."""
            root = prefix.partition("_")[0]
            if prefix in self._prediction_rows or any(
                other.partition("_")[0] != root for other in self._prediction_rows
            ):
                self._prediction_rows.clear()
            self._prediction_rows[prefix] = rows
            every = list(chain(*self._prediction_rows.values()))
            if not self.is_in_train:
                self._final_rows = every
            if self.is_world_process_zero():
                path = Path(self.args.output_dir, SIDECAR)
                path.parent.mkdir(parents=True, exist_ok=True)
                write_jsonl_atomically(path, every)
                logger.info_rank0(f"depthlm: {len(every)} predictions in {path}")

    return DepthSeq2SeqTrainer


def _unread(rows: list[PredictionRow]) -> str:
    """Return why answers could not be read, with their number, as lines for the log."""
    counts = Counter(row["reason"] for row in rows if row["reason"] is not None)
    return "".join(f"\n{count:7d}  {reason}" for reason, count in counts.most_common())


def _stack(arrays: SequenceABC[Any]) -> Any:
    """Return token arrays (N_i, L_i) as one (sum N_i, max L_i), padded on the right."""
    length = max(array.shape[1] for array in arrays)
    padded = [
        np.pad(array, ((0, 0), (0, length - array.shape[1])), constant_values=IGNORE_INDEX)
        for array in arrays
    ]
    return np.concatenate(padded)
