"""Lets 4-bit models be evaluated on CPUs, and be trained on as if they had not been.

On CPUs with AVX512-BF16 bitsandbytes 0.50 packs a layer's weights anew when it is first evaluated.
It fails ("shape ... is invalid for input of size") where widths are no multiples of its blocks, as
the 3420 of Qwen2.5-VL's vision tower, and rounds the scales of all others to bfloat16 for good.
"""

from __future__ import annotations

from typing import Any


def mend_quantised(model: Any) -> None:
    """Keep the weights of 4-bit layers as training has them; other layers have no such switch."""
    for module in model.modules():
        if getattr(module, "support_avx512bf16_for_cpu", False):
            module.support_avx512bf16_for_cpu = False
