"""Step time, memory and waiting for data of training, beside the estimates of `recipe/`.

    PYTHONPATH=tests python tests/benchmarks/training_step.py [--tiny] [--steps N] [--workers N]
        [--batch N] [--methods lora qlora full]

LoRA, QLoRA and full training by the shipped recipes of Qwen2.5-VL-3B, through LLaMA-Factory's own
trainer, in bf16, with crops of 1000x700 and 1400x1200 of JPEGs of 1920x1440; the weights are
random, which changes neither time nor memory. A process for each cell, so that peaks are its own.
The first steps are left out. `waits` is the share of time between the end of a step on the GPU and
the beginning of the next one, in which it has nothing to do. `memory` is the most that torch held.
The estimates are those of `recipe/memory.py` and `recipe/flops.py`: time at 40 % of the card's
peak, on a CPU of what it reaches with a large product of matrices.

Without a GPU, or with --tiny, the same code trains a tiny model on one small crop, on a CPU and in
float32: a minute and a half of one core. It was never run on a GPU: none was at hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from transformers import TrainerCallback

from depthlm_plugin.recipe.check.machine import machine_of
from depthlm_plugin.recipe.families import QWEN2_5_VL
from depthlm_plugin.recipe.flops import card_of, flops_of, seconds_of
from depthlm_plugin.recipe.memory import REST_GB, estimate
from depthlm_plugin.recipe.plan import load_of
from depthlm_plugin.recipe.shipped import SHIPPED
from depthlm_plugin.recipe.sizes import sizes_of

METHODS = ("lora", "qlora", "full")
CROPS = ((1000, 700), (1400, 1200))
PICTURE_WH, PICTURE_FOCAL_PX = (1920, 1440), 1100.0
LEFT_OUT = 3  # steps at the beginning


def main() -> None:
    parser = argparse.ArgumentParser(description="See the first lines of this file.")
    parser.add_argument("--tiny", action="store_true", default=not torch.cuda.is_available())
    parser.add_argument("--steps", type=int, default=0, help="default: 20; tiny: 5")
    parser.add_argument("--workers", type=int, default=-1, help="default: 8; tiny: 1")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--cell", nargs=3, metavar=("FOLDER", "METHOD", "WxH"))
    args = parser.parse_args()
    args.steps = args.steps or (5 if args.tiny else 20)
    args.workers = args.workers if args.workers >= 0 else (1 if args.tiny else 8)
    if args.cell:
        print(json.dumps(cell(Path(args.cell[0]), args.cell[1], args.cell[2], args)))
        return
    device = "CPU, a tiny model" if args.tiny else torch.cuda.get_device_name()
    print(f"{device}; batch {args.batch}, {args.workers} workers, {args.steps} steps")
    print("| method | crop | step s | estimate s | samples/s | waits % | memory GB | estimate GB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures(folder / "data", 8 if args.tiny else 64)
        build(folder / "model", args.tiny)
        for method in args.methods:
            for width, height in ((280, 196),) if args.tiny else CROPS:
                print(row(folder, method, f"{width}x{height}", args), flush=True)


def row(folder: Path, method: str, crop: str, args: argparse.Namespace) -> str:
    """Return the line of one cell, trained in a process of its own."""
    command = [sys.executable, __file__, "--cell", str(folder), method, crop]
    command += [f"--{key}={getattr(args, key)}" for key in ("steps", "workers", "batch")]
    command += ["--tiny"] if args.tiny else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"| {method} | {crop} | {(done.stderr.strip().splitlines() or ['failed'])[-1]} |"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    memory = f"{found['memory_gb']:.1f}" if found["memory_gb"] else "-"
    return (
        f"| {method} | {crop} | {found['step_s']:.3f} | {found['estimate_s']:.3f} |"
        f" {found['samples_s']:.2f} | {100 * found['waits']:.1f} | {memory} |"
        f" {found['estimate_gb']:.3g} |"
    )


def pictures(folder: Path, count: int) -> None:
    """Write JPEGs with some structure, and their records as the dataset `pictures`."""
    folder.mkdir()
    rng, (width, height) = np.random.default_rng(0), PICTURE_WH
    records = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (90, 120, 3), dtype=np.uint8))
        coarse.resize(PICTURE_WH, Image.Resampling.BICUBIC).save(folder / f"{number}.jpg")
        points = rng.uniform((800, 600), (1100, 800), (8, 2)).round(1).tolist()
        camera = [PICTURE_FOCAL_PX, PICTURE_FOCAL_PX, width / 2, height / 2, width, height]
        depth = rng.uniform(1, 20, 8).round(2).tolist()
        records.append(
            {"image": f"{number}.jpg", "intrinsics": camera, "pixel_coords": points,
             "depth": depth, "depth_kind": "z"}
        )  # fmt: skip
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "pictures.jsonl").write_text(lines)
    info = {"pictures": {"file_name": "pictures.jsonl", "formatting": "depthlm"}}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def build(folder: Path, tiny: bool) -> None:
    """Save random weights: of the published size, or of a tiny one."""
    from support.published_sizes import config_of

    from depthlm_plugin.demo.tiny_vlm import SPECIAL_TOKENS, build_processor, build_tiny_qwen

    if tiny:
        build_tiny_qwen(folder, seed=0, hidden_size=64, layers=2)
        return
    processor, config = build_processor(), config_of("Qwen2.5-VL-3B")
    processor.image_processor.size = {"shortest_edge": 28 * 28, "longest_edge": 16384 * 28 * 28}
    ids = {token: processor.tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config.image_token_id, config.video_token_id = ids["<|image_pad|>"], ids["<|video_pad|>"]
    config.vision_start_token_id = ids["<|vision_start|>"]
    config.save_pretrained(folder)
    processor.save_pretrained(folder)
    code = (
        "import sys, torch; from transformers import AutoConfig, AutoModelForImageTextToText as A\n"
        "config = AutoConfig.from_pretrained(sys.argv[1])\n"
        "with torch.device('cuda'): model = A.from_config(config, dtype=torch.bfloat16)\n"
        "model.save_pretrained(sys.argv[1])"
    )  # in a process of its own, which gives the GPU's memory back
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True)


class Clock(TrainerCallback):
    """Notes when each step begins and ends on the device."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.begun.append(time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ended.append(time.perf_counter())


def cell(folder: Path, method: str, crop: str, args: argparse.Namespace) -> dict[str, float]:
    """Train some steps by the shipped recipe of a method; return what was measured and estimated.

    Memory is 0 on a CPU.
    """
    from llamafactory.train.tuner import run_exp
    from transformers import AutoConfig

    width, height = map(int, crop.split("x"))
    recipe = yaml.safe_load(SHIPPED[f"depthlm_qwen_{method}"].text())
    recipe.pop("deepspeed", None)  # one GPU
    recipe["depthlm"] |= {"crop_height": [height, height], "crop_width": [width, width]}
    recipe |= {
        "model_name_or_path": str(folder / "model"),
        "dataset": "pictures",
        "dataset_dir": str(folder / "data"),
        "output_dir": str(folder / f"{method}-{crop}"),
        "image_max_pixels": 1_680_000,
        "per_device_train_batch_size": args.batch,
        "gradient_accumulation_steps": 1,
        "dataloader_num_workers": args.workers,
        "max_steps": args.steps + LEFT_OUT,
        "save_strategy": "no",
        "logging_steps": args.steps + LEFT_OUT,
        "plot_loss": False,
        "disable_tqdm": True,
    }
    if args.tiny:
        recipe |= {"use_cpu": True, "bf16": False, "preprocessing_num_workers": 1}
        recipe["depthlm"]["focal_px"] = 300
    clock = Clock()
    run_exp(recipe, callbacks=[clock])
    ends, begins = clock.ended[LEFT_OUT - 1 :], clock.begun[LEFT_OUT:]
    steps = [after - before for before, after in pairwise(ends)]
    waits = [begun - ended for ended, begun in zip(ends, begins, strict=False)]

    sizes = sizes_of(AutoConfig.from_pretrained(folder / "model"))
    load = load_of(QWEN2_5_VL, (width // 28 * 28, height // 28 * 28), 1, 1, method)
    memory = estimate(sizes, method, replace(load, samples=args.batch))
    flops = args.batch * flops_of(sizes, method, load)
    step_s = statistics.median(steps)
    return {
        "step_s": step_s,
        "samples_s": args.batch / step_s,
        "waits": sum(waits) / sum(steps),
        "memory_gb": torch.cuda.max_memory_reserved() / 1e9 if not args.tiny else 0,
        "estimate_s": seconds_of(flops, teraflops(args.tiny)),
        "estimate_gb": memory.total_gb - (REST_GB if args.tiny else 0),
    }


def teraflops(tiny: bool) -> float:
    """Return the peak of the GPU as its maker states it, or what a CPU reaches."""
    if not tiny:
        machine = machine_of(None)
        return machine.teraflops or card_of(machine.card_gb or 0)[1]
    side = 1024
    left, right = torch.randn(2, side, side)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        torch.mm(left, right)
        times.append(time.perf_counter() - began)
    return 2 * side**3 / min(times) / 1e12


if __name__ == "__main__":
    main()
