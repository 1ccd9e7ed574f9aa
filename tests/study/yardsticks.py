"""What arms are measured against: a small convolutional regressor on the same marked pictures."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from depthlm_plugin import DepthSamples

from .arms import content
from .runs import ANSWERS, Study

CONVOLUTIONAL = "convolutional"
_CELL = 16  # pixels of a side that one vector of the last layer stands for


class Regressor(nn.Module):
    """Four convolutions, then attention over their cells: log metres of the marked point."""

    def __init__(self, width: int = 96, heads: int = 4):
        super().__init__()
        sizes = (3, width // 4, width // 2, width, width)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 5, stride=2, padding=2), nn.GroupNorm(4, b), nn.GELU())
            for a, b in itertools.pairwise(sizes)
        )
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.where = nn.Conv2d(width, heads, 1)
        self.head = nn.Sequential(
            nn.Linear(width * heads + 1, width), nn.GELU(), nn.Linear(width, 1)
        )

    def forward(self, pictures: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return log metres (N,) of pictures (N, 3, H, W), whose cells are `there` (N, h, w)."""
        x = pictures
        for layer in self.layers:
            x = layer(x)
        x = functional.gelu(x + self.mix(x))
        looked = self.where(x).flatten(2).masked_fill(~there.flatten(1)[:, None], -1e4).softmax(-1)
        seen = torch.einsum("nhp,ncp->nhc", looked, x.flatten(2)).flatten(1)
        height = there.any(2).sum(1, keepdim=True) / 10
        return self.head(torch.cat([seen, height], dim=1))[:, 0]


def measure_regressors(study: Study, seeds: int) -> None:
    """Train and ask a regressor for each seed, unless that is done."""
    recipe = content()["recipe"]
    for seed in range(seeds):
        folder = study.folder(CONVOLUTIONAL, seed)
        if (folder / ANSWERS).is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        batch = recipe["per_device_train_batch_size"]
        answers = train_regressor(
            study.data, recipe["depthlm"], study.steps, batch, seed, ("known", "unseen")
        )
        said = {"minutes": (time.monotonic() - began) / 60, "answers": answers}
        (folder / ANSWERS).write_text(json.dumps(said), encoding="utf-8")


def train_regressor(
    data: Path, block: dict[str, Any], steps: int, batch: int, seed: int, sets: tuple[str, ...]
) -> dict[str, list[list[float]]]:
    """Return truths, answers and rows by dataset of a regressor trained on as many samples."""
    torch.manual_seed(seed)
    model = Regressor()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    warm = max(steps // 20, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: min(k / warm, 0.5 + 0.5 * np.cos(np.pi * min(k / steps, 1)))
    )
    drawn = _endless(data / "indoor.jsonl", block, seed)
    for _ in range(steps):
        pictures, there, metres = _batch([next(drawn) for _ in range(batch)])
        loss = functional.smooth_l1_loss(model(pictures, there), metres.log(), beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    answers: dict[str, list[list[float]]] = {}
    for name in sets:
        held = DepthSamples(
            str(data / f"{name}.jsonl"), depth_kind="distance", train=False,
            **{**block, "points_per_record": "all"},
        )  # fmt: skip
        rows = answers[f"{name}/depth"] = []
        for start in range(0, len(held), 64):
            group = [held[k] for k in range(start, min(start + 64, len(held)))]
            pictures, there, metres = _batch(group)
            with torch.no_grad():
                said = model(pictures, there).exp()
            for sample, truth, answer in zip(group, metres.tolist(), said.tolist(), strict=True):
                rows.append([truth, answer, float(sample.question.row)])
    return answers


def _endless(path: Path, block: dict[str, Any], seed: int) -> Iterator[Any]:
    rng = random.Random(seed)
    for epoch in itertools.count():
        samples = DepthSamples(
            str(path), depth_kind="distance", train=True, seed=seed, epoch=epoch, **block
        )
        numbers = list(samples.usable())
        rng.shuffle(numbers)
        yield from (samples[number] for number in numbers)


def _batch(samples: list[Any]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = [np.asarray(sample.image) for sample in samples]
    height, width = (-(-max(i.shape[axis] for i in images) // _CELL) * _CELL for axis in (0, 1))
    pictures = torch.zeros(len(images), 3, height, width)
    there = torch.zeros(len(images), height // _CELL, width // _CELL, dtype=torch.bool)
    for k, image in enumerate(images):
        high, wide = image.shape[:2]
        pictures[k, :, :high, :wide] = torch.from_numpy(image.copy()).permute(2, 0, 1) / 127.5 - 1
        there[k, : -(-high // _CELL), : -(-wide // _CELL)] = True
    return pictures, there, torch.tensor([sample.target for sample in samples])
