"""Says which of LLaMA-Factory's settings depth data cannot use, and why: one list for all who ask.

A run asks when its arguments are parsed, before anything is loaded (`host/arguments.py`), and where
it loads its datasets (`host/run.py`); `depthlm recipe check` asks without a run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from packaging.version import Version

from ..config.block import DepthLMConfig
from ..errors import ConfigError

Get = Callable[[str], Any]
"""Returns the value of one of LLaMA-Factory's keys; None where it is not given."""


@dataclass(frozen=True)
class Closed:
    """A setting that depth data cannot use.

    Attributes:
        key: LLaMA-Factory's key.
        reason: Why not, and what to do; it follows the key.
        change: The line of the recipe that mends it.
    """

    key: str
    reason: str
    change: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


_PAIRS = (
    "it learns from answers that are better or worse than others, and a record has the true one"
)
_STAGES = {
    "pt": "it trains on plain text",
    "rm": _PAIRS,
    "dpo": _PAIRS,
    "kto": _PAIRS,
    "ppo": "LLaMA-Factory's PPO trains without the pictures",
}
_UNPROVEN = "puts code of its own in the model's place, which nobody has tried with depth data"
_OWN_TRAINER = "has a trainer of its own, which knows neither depth data nor metres"
_CLOSED = {
    "streaming": "depth data are not streamed; remove it: lazy training starts at once too",
    "val_size": "would evaluate on crops of scenes that are trained on; give an eval_dataset"
    " (depthlm split makes one)",
    "batch_eval_metrics": "depth answers are scored as a whole; remove it",
    "split_special_tokens": "would split the tokens that stand for the picture; remove it",
    "adapter_folder": "what the adapter was taught is looked for in adapter_name_or_path; give the"
    " whole path there",
    "mixture_of_depths": "its models read text only; remove it",
    "use_unsloth": f"unsloth {_UNPROVEN}; remove it",
    "use_kt": f"KTransformers {_UNPROVEN}; remove it",
    "use_hyper_parallel": f"HyperParallel {_OWN_TRAINER}; use FSDP or DeepSpeed",
    "use_mca": f"Megatron {_OWN_TRAINER}; unset USE_MCA, and use FSDP or DeepSpeed",
    "use_megatron_bridge": "the Megatron bridge is given texts without their pictures; unset"
    " USE_MEGATRON_BRIDGE, and use FSDP or DeepSpeed",
}
_FROM_ENVIRONMENT = {"use_mca": "USE_MCA", "use_megatron_bridge": "USE_MEGATRON_BRIDGE"}
_CLOSED_TO_TRAINING = {
    "use_asft_loss": "its reference model is not shown the pictures; use_dft_loss and"
    " use_eaft_loss can be used",
    "use_adam_mini": "LLaMA-Factory asks the model for the heads of a language model; remove it",
    "label_smoothing_factor": "transformers' label smoother does not shift the labels of VLMs:"
    " every token would be taught as its own answer; remove it",
}
_ALL_SAMPLES = "needs every sample beforehand: set depthlm.lazy: false, or remove it"
_CLOSED_TO_LAZY = dict.fromkeys(
    (
        "packing",
        "neat_packing",
        "tokenized_path",
        "group_by_length",
        "include_effective_tokens_per_second",
    ),
    _ALL_SAMPLES,
)


_PROJECTED = {
    "use_galore": ("adamw_torch", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "adafactor"),
    "use_apollo": ("adamw_torch",),
}
"""Key -> the values of `optim` that LLaMA-Factory takes with it."""


def closed_doors(
    get: Get,
    config: DepthLMConfig,
    *,
    trains: bool,
    environment: Mapping[str, str] = os.environ,
) -> list[Closed]:
    """Return every setting of a depth run that would be ignored, fail later, or teach other metres.

    Args:
        get: Gives the run's settings.
        config: Its `depthlm:` block.
        trains: Whether it trains on depth data.
        environment: Its environment variables.
    """
    switches = {key: environment.get(name) for key, name in _FROM_ENVIRONMENT.items()}
    on = {key for key, value in switches.items() if str(value).lower() in ("true", "y", "1")}
    found = [*_of_stage(get), *_listed(_CLOSED, lambda key: key in on or get(key)), *_of_liger(get)]
    found += _of_evaluation(get, config)
    if trains:
        found += [*_listed(_CLOSED_TO_TRAINING, get), *_of_training(get)]
    if trains and config.lazy:
        found += _of_lazy(get, config)
    return found


def _of_stage(get: Get) -> Iterator[Closed]:
    stage = get("stage") or "sft"
    if stage in _STAGES:
        yield Closed(
            "stage",
            f"{stage} cannot use depth data: {_STAGES[stage]}; use sft (for reinforcement learning"
            " depthlm_plugin.rewards, as recipes/grpo.py does)",
            "stage: sft",
        )


def _listed(reasons: Mapping[str, str], get: Get) -> Iterator[Closed]:
    for key, reason in reasons.items():
        value = get(key)
        if isinstance(value, bool) and value:
            yield Closed(key, reason, f"{key}: false")
        elif isinstance(value, (int, float)) and value > 1e-6:  # LLaMA-Factory's limit
            yield Closed(key, reason, f"{key}: 0")
        elif value and isinstance(value, str):
            yield Closed(key, reason, f"{key}: null")


def _of_liger(get: Get) -> Iterator[Closed]:
    asked = [key for key in ("enable_liger_kernel", "use_liger_kernel") if get(key)]
    problem = _liger_problem() if asked else None
    if problem:
        yield Closed(asked[0], f"{problem}, or remove {asked[0]}", f"{asked[0]}: false")


def _of_evaluation(get: Get, config: DepthLMConfig) -> Iterator[Closed]:
    generates = get("predict_with_generate")
    if generates and get("prediction_loss_only"):
        yield Closed("prediction_loss_only", "leaves no answers to score; remove it",
                     "prediction_loss_only: false")  # fmt: skip
    if (generates or config.eval_answers) and get("eval_do_concat_batches") is False:
        yield Closed("eval_do_concat_batches", "answers are scored as a whole; remove it",
                     "eval_do_concat_batches: true")  # fmt: skip


def _of_training(get: Get) -> Iterator[Closed]:
    if get("use_llama_pro") and (get("finetuning_type") or "lora") != "freeze":
        yield Closed(
            "use_llama_pro",
            "LLaMA-Factory finds the blocks of language models only; use finetuning_type: freeze",
            "finetuning_type: freeze",
        )
    for key, optimizers in _PROJECTED.items():
        if get(key) and get("optim") not in optimizers:
            yield Closed(key, f"needs optim: {' or '.join(optimizers)}, which is not the default",
                         "optim: adamw_torch")  # fmt: skip
    accelerator = get("accelerator_config")
    if isinstance(accelerator, Mapping):
        dispatches = accelerator.get("dispatch_batches")
    else:
        dispatches = getattr(accelerator, "dispatch_batches", None)
    if dispatches:
        yield Closed(
            "accelerator_config",
            "dispatch_batches cuts batches apart between the patches of their pictures; remove it",
            "accelerator_config: null",
        )


def _of_lazy(get: Get, config: DepthLMConfig) -> Iterator[Closed]:
    reasons = dict(_CLOSED_TO_LAZY)
    if get("neat_packing"):
        del reasons["packing"]  # which LLaMA-Factory switches on with it
    yield from _listed(reasons, get)
    if get("train_sampling_strategy") == "group_by_length":
        yield Closed("train_sampling_strategy", f"group_by_length {_ALL_SAMPLES}",
                     "train_sampling_strategy: random")  # fmt: skip
    if get("interleave_probs") or config.mixture is not None:
        yield from once_and_weighted(get("mix_strategy"))


def once_and_weighted(mix_strategy: Any) -> Iterator[Closed]:
    """Yield a mixing strategy under which weights would not be obeyed."""
    if mix_strategy == "interleave_once":
        yield Closed(
            "mix_strategy",
            "interleave_once takes every sample once, so weights would be ignored; use"
            " interleave_under or interleave_over, or remove the weights",
            "mix_strategy: interleave_under",
        )


def refuse_closed_doors(groups: Sequence[Any], block: object, *, trains: bool) -> None:
    """Check a depth run's arguments.

    Args:
        groups: LLaMA-Factory's argument objects, each with attributes by its keys.
        block: Its `depthlm:` block.
        trains: Whether it trains on depth data.

    Raises:
        ConfigError: Naming every setting that it cannot use.
    """

    def get(key: str) -> Any:
        return next((getattr(group, key) for group in groups if hasattr(group, key)), None)

    closed = closed_doors(get, DepthLMConfig.from_block(block), trains=trains)
    if closed:
        raise ConfigError("depthlm: " + "; ".join(map(str, closed)))


def _liger_problem() -> str | None:
    """Return why a run cannot use the Liger kernels that are installed, if it cannot."""
    try:
        liger = Version(version("liger-kernel"))
    except PackageNotFoundError:
        return None  # LLaMA-Factory says so
    if liger >= Version("0.8"):
        return None
    return (
        f"liger-kernel {liger} breaks the generation of Qwen-VL models, and so evaluation in"
        ' metres; pip install "liger-kernel>=0.8"'
    )
