"""Labelled points a second with 1, 4 and 10 questions an image, in the text reference.

    PYTHONPATH=tests python tests/benchmarks/packing_speed.py IBIMS1_FOLDER [ROUNDS]

A training step of a tiny Qwen2.5-VL (two layers, 64 wide) on real photographs with the paper's
crops, from the views to the gradients, on one thread; the three take turns. A large model spends
more of a step on tokens and less on pixels.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HOME", tempfile.mkdtemp(prefix="depthlm-hf-"))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["DISABLE_VERSION_CHECK"] = "1"

import torch
from support.loaded import Loaded
from transformers import AutoModelForImageTextToText

from depthlm_plugin.demo.tiny_vlm import build_tiny_qwen
from depthlm_plugin.views import render as rendering

BATCH = 2
PACKED = (1, 4, 10)


def main() -> None:
    ibims = Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "rgb").symlink_to(ibims / "rgb")
        (folder / "ibims1.jsonl").write_bytes((ibims / "ibims1_dev.jsonl").read_bytes())
        (folder / "dataset_info.json").write_text(
            '{"ibims1": {"file_name": "ibims1.jsonl", "formatting": "depthlm",'
            ' "depthlm": {"depth_kind": "z"}}}'
        )
        path = build_tiny_qwen(folder / "model", seed=0, hidden_size=64, layers=2)
        model = AutoModelForImageTextToText.from_pretrained(path).float().train()
        loaded = {}
        for packed in PACKED:
            block = {"reference": "text", "prompt": "plain", "questions_per_image": packed}
            out = folder / f"out{packed}"
            loaded[packed] = Loaded(path, folder, out, "qwen2_vl", depthlm=block)
        seconds: dict[int, list[float]] = {packed: [] for packed in PACKED}
        tokens: dict[int, list[int]] = {packed: [] for packed in PACKED}
        for turn in range(rounds + 1):
            for packed in PACKED:
                rendering.CACHE.clear()
                started = time.process_time()
                count = step(model, loaded[packed], turn)
                if turn:  # the first warms up
                    seconds[packed].append(time.process_time() - started)
                    tokens[packed].append(count)
    print("| questions an image | tokens a sample | labelled points/s (CPU) | ratio |")
    print("|---|---|---|---|")
    rates = {k: k * BATCH / statistics.median(seconds[k]) for k in PACKED}
    for packed, rate in rates.items():
        length = statistics.mean(tokens[packed]) / BATCH
        print(f"| {packed} | {length:.0f} | {rate:.2f} | {rate / rates[1]:.1f}x |")


def step(model: torch.nn.Module, loaded: Loaded, turn: int) -> int:
    batch = loaded.batch("train_dataset", *(range(turn * BATCH, (turn + 1) * BATCH)))
    count = int(batch["attention_mask"].sum())
    model(**{name: value for name, value in batch.items()}).loss.backward()
    model.zero_grad()
    return count


if __name__ == "__main__":
    main()
