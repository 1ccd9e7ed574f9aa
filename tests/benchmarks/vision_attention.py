"""What equal windows in one call of SDPA save in the vision tower of Qwen2.5-VL.

    python tests/benchmarks/vision_attention.py [PICTURES [ROUNDS]]

Forward, and forward with backward, over PICTURES crops of 1400x1176 pixels (1 by default): as
transformers has it, and as depth runs do. The two are interleaved, ROUNDS times (5 by default), and
the median is printed, with the calls of SDPA and the peak of memory. On a GPU the tower has the
size of the published 3B's, in bf16; without one, a small one in float32.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)

from depthlm_plugin.host.attention import mend_attention

GRID = [1, 84, 100]  # of 1400x1176: patches of 14 px
CUDA = torch.cuda.is_available()
PUBLISHED = {
    "depth": 32,
    "hidden_size": 1280,
    "num_heads": 16,
    "intermediate_size": 3420,
    "out_hidden_size": 2048,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
SMALL = {
    "depth": 8,
    "hidden_size": 128,
    "num_heads": 4,
    "intermediate_size": 256,
    "out_hidden_size": 128,
    "fullatt_block_indexes": [7],
}


def tower() -> Any:
    config = Qwen2_5_VLConfig(vision_config=PUBLISHED if CUDA else SMALL).vision_config
    config._attn_implementation = "sdpa"
    torch.manual_seed(0)
    made = Qwen2_5_VisionTransformerPretrainedModel(config)
    return made.to("cuda", torch.bfloat16) if CUDA else made


def measured(action: Callable[[], object]) -> tuple[float, float]:
    """Return seconds, and the peak of memory in MiB (of a GPU only)."""
    if CUDA:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    action()
    if CUDA:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return seconds, torch.cuda.max_memory_allocated() / 2**20 if CUDA else 0.0


def calls_of(action: Callable[[], object]) -> int:
    """Return how often an action calls SDPA."""
    functional: Any = torch.nn.functional
    original, count = functional.scaled_dot_product_attention, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        return original(*args, **kwargs)

    functional.scaled_dot_product_attention = counted
    try:
        action()
    finally:
        functional.scaled_dot_product_attention = original
    return count


def main(pictures: int = 1, rounds: int = 5) -> None:
    stock, ours = tower(), tower()
    mend_attention(ours)
    weight = stock.patch_embed.proj.weight
    grid = torch.tensor([GRID] * pictures, device=weight.device)
    pixels = torch.randn(pictures * GRID[1] * GRID[2], weight[0].numel()).to(weight)

    def forward(model: Any) -> Any:
        with torch.no_grad():
            return model(pixels, grid).pooler_output

    def step(model: Any) -> None:
        model.zero_grad()
        model(pixels, grid).pooler_output.float().square().mean().backward()

    differ = (forward(stock) - forward(ours)).abs().max().item()
    device = torch.cuda.get_device_name() if CUDA else f"CPU, {torch.get_num_threads()} threads"
    print(f"{device}; {pictures} x 1400x1176; largest difference of outputs {differ:g}")
    print("| what | stock ms | ours ms | ratio | SDPA calls | peak MiB |")
    print("|---|---|---|---|---|---|")
    for name, action in (("forward", forward), ("forward and backward", step)):
        actions = [partial(action, model) for model in (stock, ours)]
        calls = [calls_of(each) for each in actions]  # and warm
        sides = list(
            zip(*([measured(each) for each in actions] for _ in range(rounds)), strict=True)
        )
        times = [1e3 * statistics.median(seconds for seconds, _ in side) for side in sides]
        peaks = [max(peak for _, peak in side) for side in sides]
        print(
            f"| {name} | {times[0]:.0f} | {times[1]:.0f} | {times[0] / times[1]:.2f}x |"
            f" {calls[0]} / {calls[1]} | {peaks[0]:.0f} / {peaks[1]:.0f} |"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
