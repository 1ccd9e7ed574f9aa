"""Counts the bytes that tensors hold while torch computes, and the floating-point operations.

Every storage that an operation returns is counted until it is freed, in the backward pass too: what
CUDA's allocator would be asked for, without what kernels need within an operation. A process's own
memory says little of a tiny model.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import (
    FlopCounterMode,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all tensors that are made within it, and their peak.

    Attributes:
        now: Bytes of those that are alive.
        peak: The most that there were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        returned = function(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(returned):
            if storage._cdata not in given:  # else it is a view, or was written to
                self._count(storage)
        return returned

    def _count(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata
        if place in self._known:
            return
        size = self._known[place] = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, place)

    def _freed(self, place: int) -> None:
        self.now -= self._known.pop(place)


def _storages(values: Any) -> Iterator[torch.UntypedStorage]:
    for leaf in tree_leaves(values):
        if isinstance(leaf, torch.Tensor):
            yield leaf.untyped_storage()


def counting_flops() -> FlopCounterMode:
    """Return torch's counter of floating-point operations, with attention on a CPU."""
    aten = torch.ops.aten

    def forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_backward_flop_count(gradient, query, key, value)

    attention = aten._scaled_dot_product_flash_attention_for_cpu
    own = {attention: forward, aten._scaled_dot_product_flash_attention_for_cpu_backward: backward}
    return FlopCounterMode(display=False, custom_mapping=own)
