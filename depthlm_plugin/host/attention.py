"""Gives the models of depth runs an attention that is neither slow nor broken.

Both seams go through transformers' own registry of attention functions, and only when a depth run
has loaded its model: no class of transformers is replaced, and other runs meet neither. Each goes
away by itself where the installed transformers does not need it.

Seam "windows": without flash attention, vision towers of the Qwen-VL shape call SDPA for each
window of an image, and wait for the device in each layer to learn the windows' lengths. A crop of
1400x1176 pixels has 143 windows in Qwen2.5-VL, of three lengths. Where "flash" is in the name of
the attention function, these towers leave the windows to it: so a function of such a name sends
all windows of one length through SDPA together.

Seam "sink": `flash_attention_forward` of transformers 5.6.0 calls `s_aux.to` although models
without attention sinks give None, so that `flash_attn: fa2` crashes (transformers #45588).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from llamafactory.extras import logging
from torch.utils.weak import WeakTensorKeyDictionary
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

logger = logging.get_logger("llamafactory.depthlm")

BY_LENGTH = "depthlm_flash_shaped_sdpa"  # transformers looks for "flash" in the name

WINDOWED = {
    "ernie4_5_vl_moe": "Ernie4_5_VLMoeVisionAttention",
    "glm4v": "Glm4vVisionAttention",
    "glm4v_moe": "Glm4vMoeVisionAttention",
    "glm_ocr": "GlmOcrVisionAttention",
    "qwen2_5_omni": "Qwen2_5OmniVisionAttention",
    "qwen2_5_vl": "Qwen2_5_VLVisionAttention",
    "qwen2_vl": "VisionAttention",
    "qwen3_5": "Qwen3_5VisionAttention",
    "qwen3_5_moe": "Qwen3_5MoeVisionAttention",
    "qwen3_omni_moe": "Qwen3OmniMoeVisionAttention",
    "qwen3_vl": "Qwen3VLVisionAttention",
    "qwen3_vl_moe": "Qwen3VLMoeVisionAttention",
}
"""Families with a template whose vision attention has the known shape: family -> its class."""

_MARK = "_depthlm"  # on a function that stands in for transformers' own

_SHAPE = (  # of the source of its `forward`
    "is_flash_attention_requested(self.config)",
    "cu_seq_lens_q=cu_seqlens",
    "lengths.tolist()",
)


def mend_attention(model: Any) -> None:
    """Let a loaded model use what this module offers, where it needs it; safe to call again.

    Only towers that would use SDPA are changed: `flash_attn: fa2` and `disabled` stay what they
    are. The choice is the model's, not its weights': it is not saved with them.
    """
    mend_flash_attention()
    AttentionInterface.register(BY_LENGTH, sdpa_by_length)
    for module in model.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "_attn_implementation", None) == "sdpa" and is_windowed(type(module)):
            config._attn_implementation = BY_LENGTH
            logger.info_rank0(f"depthlm: {type(module).__name__} takes equal windows in one call")


def mend_flash_attention() -> None:
    """Register flash attention functions that models without sinks can call, if they cannot."""
    for name, function in AttentionInterface().items():
        if _needs_sink(function):
            AttentionInterface.register(name, _without_sink(function))


def is_windowed(attention: type) -> bool:
    """Return whether a class of attention calls SDPA by window, and would not by another name."""
    return _has_shape(_source(getattr(attention, "forward", None)))


def describe() -> str:
    """Return which attention depth runs use in this environment, and why, for `depthlm doctor`."""
    from transformers.utils import is_flash_attn_2_available

    if is_flash_attn_2_available():
        broken = any(map(_needs_sink, AttentionInterface().values()))
        said = "SDPA with flash_attn: auto, which never picks flash-attn; flash-attn with fa2" + (
            " (depth runs repair transformers, whose own fa2 crashes)" if broken else ""
        )
    else:
        said = "SDPA: flash-attn 2 is not installed or has no GPU here, and fa2 would be SDPA too"
    others = [family for family in WINDOWED if not _is_known(family)]
    windows = "equal windows of vision towers in one call"
    if others:
        windows += f", but not of {', '.join(others)}: not as this transformers has them"
    return f"{said}; {windows}"


def sdpa_by_length(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    cu_seq_lens_q: torch.Tensor,
    cu_seq_lens_k: torch.Tensor,
    max_length_q: Any,
    max_length_k: Any,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention of windows, all those of one length in one call of SDPA.

    Args:
        module: The attention layer.
        query: (1, heads, length, channels), the windows one after the other; `key` and `value` too.
        key: As `query`.
        value: As `query`.
        attention_mask: None.
        cu_seq_lens_q: (windows + 1) where windows begin and end, from 0 to length.
        cu_seq_lens_k: The same.
        max_length_q: Not used.
        max_length_k: Not used.
        **kwargs: What transformers' SDPA function takes.

    Returns:
        (1, length, heads, channels), and None for the weights, as transformers' SDPA function.
    """
    plan = _PLANS.get(cu_seq_lens_q)
    if plan is None:
        plan = _PLANS[cu_seq_lens_q] = _plan(cu_seq_lens_q)
    rows = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    if plan.order is not None:
        rows = [tensor.index_select(0, plan.order) for tensor in rows]
    outputs, start = [], 0
    for count, length in plan.groups:
        end = start + count * length
        windows = [row[start:end].unflatten(0, (count, length)).transpose(1, 2) for row in rows]
        output, _ = sdpa_attention_forward(module, *windows, attention_mask, **kwargs)
        outputs.append(output.flatten(0, 1))
        start = end
    together = torch.cat(outputs)
    if plan.back is not None:
        together = together.index_select(0, plan.back)
    return together.unsqueeze(0), None


class _Plan(NamedTuple):
    """How tokens are sorted by the length of their window.

    Attributes:
        groups: For each length that occurs: how many windows, and the length.
        order: (length) tokens in the order of `groups`, or None if they are in it.
        back: (length) the inverse of `order`.
    """

    groups: list[tuple[int, int]]
    order: torch.Tensor | None
    back: torch.Tensor | None


# A forward hands one tensor to all layers of a kind, also when checkpointing runs them again.
_PLANS: Any = WeakTensorKeyDictionary()


def _plan(cu_seqlens: torch.Tensor) -> _Plan:
    ends = np.array(cu_seqlens.tolist())  # the only wait for the device
    lengths = np.diff(ends)
    found, counts = np.unique(lengths[lengths > 0], return_counts=True)
    groups = list(zip(counts.tolist(), found.tolist(), strict=True))
    order = np.argsort(np.repeat(lengths, lengths), kind="stable")
    if len(groups) == 1 or np.array_equal(order, np.arange(len(order))):
        return _Plan(groups, None, None)
    tensors = (torch.from_numpy(i).to(cu_seqlens.device) for i in (order, np.argsort(order)))
    return _Plan(groups, *tensors)


class _NoSink:
    """Stands for an attention sink that a model does not have: in any type it is None."""

    def to(self, _: torch.dtype) -> None:
        return None


def _without_sink(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def flash_attention_forward(*args: Any, s_aux: Any = None, **kwargs: Any) -> Any:
        return original(*args, s_aux=_NoSink() if s_aux is None else s_aux, **kwargs)

    setattr(flash_attention_forward, _MARK, True)
    return flash_attention_forward


def _needs_sink(function: Callable[..., Any]) -> bool:
    source = "" if hasattr(function, _MARK) else _source(function)
    return "s_aux.to(" in source and "s_aux is not None" not in source


def _is_known(family: str) -> bool:
    """Return whether a family's source has the shape, without the seconds that its import takes."""
    folder = Path(transformers.__path__[0], "models", family)
    try:
        text = (folder / f"modeling_{family}.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return _has_shape(text.partition(f"\nclass {WINDOWED[family]}(")[2].partition("\nclass ")[0])


def _has_shape(source: str) -> bool:
    return all(part in source for part in _SHAPE)


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):  # compiled, or nothing
        return ""
