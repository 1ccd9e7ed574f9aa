"""Embeds the patches of depth runs by one matrix product.

Vision towers of the Qwen-VL shape are given patches, cut out already, and send each through a
`Conv3d` whose kernel is the patch and never slides: a matrix product, which no convolution library
expects. On an H100 in bfloat16 the convolution can take seconds a picture (transformers #45750,
#45041; sglang-omni #539). The weights stay the convolution's: saved and loaded as ever.
"""

from __future__ import annotations

from typing import Any

import torch
from llamafactory.extras import logging
from torch.nn.functional import linear

logger = logging.get_logger("llamafactory.depthlm")


class PatchProduct(torch.nn.Conv3d):
    """A convolution that multiplies what is no larger than its kernel."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return (N, channels, 1, 1, 1) of patches (N, channels, T, H, W)."""
        if input.shape[2:] != self.weight.shape[2:]:
            return super().forward(input)
        rows = linear(input.flatten(1), self.weight.flatten(1), self.bias)
        return rows[..., None, None, None]


def mend_patch_embedding(model: Any) -> None:
    """Let a loaded model multiply its patches where it would convolve them; safe to call again."""
    for name, module in model.named_modules():
        if type(module) is torch.nn.Conv3d and _never_slides(module):
            module.__class__ = PatchProduct
            logger.info_rank0(f"depthlm: {name} embeds patches by a matrix product")


def _never_slides(layer: torch.nn.Conv3d) -> bool:
    return (
        layer.stride == layer.kernel_size
        and layer.padding == (0, 0, 0)
        and layer.dilation == (1, 1, 1)
        and layer.groups == 1
    )
