"""Settings of LLaMA-Factory that depth data cannot use, and what is said of each."""

from __future__ import annotations

from typing import Any

PPO = {"stage": "ppo", "reward_model": "/nowhere"}
MADE_ANYWAY = {"do_eval": True, "eval_dataset": "depthlm_eval", "predict_with_generate": True}

# name -> (settings, the key that is refused, words of the reason)
CLOSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "plain text": ({"stage": "pt"}, "stage", "pt cannot use depth data: it trains on plain text"),
    "rewards": ({"stage": "rm"}, "stage", "rm cannot use depth data: it learns from answers that"),
    "DPO": ({"stage": "dpo"}, "stage", "dpo cannot use depth data: it learns from answers that"),
    "ORPO": ({"stage": "dpo", "pref_loss": "orpo"}, "stage", "dpo cannot use depth data"),
    "SimPO": ({"stage": "dpo", "pref_loss": "simpo"}, "stage", "dpo cannot use depth data"),
    "KTO": ({"stage": "kto"}, "stage", "kto cannot use depth data: it learns from answers that"),
    "PPO": (PPO, "stage", "ppo cannot use depth data: LLaMA-Factory's PPO trains without the pict"),
    "streaming": ({"streaming": True, "max_steps": 9}, "streaming", "are not streamed"),
    "part of training data": ({"val_size": 0.1}, "val_size", "crops of scenes that are trained on"),
    "metrics by batch": ({"batch_eval_metrics": True}, "batch_eval_metrics", "scored as a whole"),
    "split tokens": ({"split_special_tokens": True}, "split_special_tokens", "stand for the pict"),
    "adapter in a folder": (
        {"adapter_name_or_path": "/nowhere", "adapter_folder": "last"},
        "adapter_folder",
        "give the whole path there",
    ),
    "mixture of depths": ({"mixture_of_depths": "convert"}, "mixture_of_depths", "read text only"),
    "unsloth": (
        {"use_unsloth": True},
        "use_unsloth",
        "unsloth puts code of its own in the model's",
    ),
    "KTransformers": ({"use_kt": True}, "use_kt", "KTransformers puts code of its own"),
    "HyperParallel": (
        {"use_hyper_parallel": True, "finetuning_type": "full"},
        "use_hyper_parallel",
        "HyperParallel has a trainer of its own",
    ),
    "Megatron": ({"use_mca": True}, "use_mca", "Megatron has a trainer of its own"),
    "ASFT": ({"use_asft_loss": True}, "use_asft_loss", "reference model is not shown the pictures"),
    "label smoothing": (
        {"label_smoothing_factor": 0.1},
        "label_smoothing_factor",
        "does not shift the labels of VLMs",
    ),
    "LLaMA Pro": ({"use_llama_pro": True}, "use_llama_pro", "use finetuning_type: freeze"),
    "Adam-mini": (
        {"use_adam_mini": True, "finetuning_type": "full"},
        "use_adam_mini",
        "a language model",
    ),
    "GaLore": (
        {"use_galore": True, "finetuning_type": "full"},
        "use_galore",
        "needs optim: adamw_torch or",
    ),
    "APOLLO": (
        {"use_apollo": True, "finetuning_type": "full", "optim": "adafactor"},
        "use_apollo",
        "needs optim: adamw_torch,",
    ),
    "dispatched batches": (
        {"accelerator_config": {"dispatch_batches": True}},
        "accelerator_config",
        "cuts batches apart between the patches",
    ),
    "packing": ({"packing": True}, "packing", "needs every sample beforehand"),
    "neat packing": ({"neat_packing": True}, "neat_packing", "needs every sample beforehand"),
    "tokens on disk": ({"tokenized_path": "tokens"}, "tokenized_path", "depthlm.lazy: false"),
    "by length": (
        {"train_sampling_strategy": "group_by_length"},
        "train_sampling_strategy",
        "group_by_length needs every sample beforehand: set depthlm.lazy: false",
    ),
    "tokens a second": (
        {"include_effective_tokens_per_second": True},
        "include_effective_tokens_per_second",
        "needs every sample beforehand",
    ),
    "weights without replacement": (
        {"mix_strategy": "interleave_once", "interleave_probs": "1"},
        "mix_strategy",
        "interleave_once takes every sample once, so weights would be ignored",
    ),
    "a published mixture without replacement": (
        {"mix_strategy": "interleave_once", "depthlm": {"mixture": "vlm3"}},
        "mix_strategy",
        "interleave_once takes every sample once, so weights would be ignored",
    ),
    "answers without answers": (
        MADE_ANYWAY | {"prediction_loss_only": True},
        "prediction_loss_only",
        "leaves no answers to score",
    ),
    "answers in pieces": (
        MADE_ANYWAY | {"eval_do_concat_batches": False},
        "eval_do_concat_batches",
        "answers are scored as a whole",
    ),
}
