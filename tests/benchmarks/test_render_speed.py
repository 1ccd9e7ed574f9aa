"""Rendering against the published image path; see conftest.py for the table."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import published_path as published
from support.photographs import photographs
from support.timing import compare

from depthlm_plugin import DepthSamples, View
from depthlm_plugin.views import render as rendering

FOCAL_PX = 1000.0
CROP_WH = 1200, 950  # the means of the published ranges


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def labelled(records: list[Any], folder: Path) -> list[published.Labelled]:
    return [
        published.Labelled(str(folder / r["image"]), tuple(r["intrinsics"]), r["pixel_coords"])
        for r in records
    ]


def views(records: list[Any], folder: Path, **config: Any) -> list[str]:
    samples = DepthSamples(records, train=True, media_dir=folder, **config)
    return [sample.to_uris()[0] for sample in samples]


def render_all(uris: list[str]) -> None:
    for uri in uris:
        rendering.CACHE.clear()
        View.from_uri(uri).pixels()


@pytest.mark.parametrize(
    ("name", "suffix", "size_wh"),
    [
        ("render, 640x480 PNG", ".png", None),
        ("render, 640x480 JPEG", ".jpg", None),
        ("render, 1600x1200 JPEG, f = 600", ".jpg", (1600, 1200)),
    ],
    ids=["png", "jpeg", "wide"],
)
def test_one_sample_an_image(
    name: str,
    suffix: str,
    size_wh: tuple[int, int] | None,
    ibims: Path,
    tmp_path: Path,
    rounds: int,
    report: Callable[[str], None],
) -> None:
    records = photographs(ibims, tmp_path, suffix, size_wh)[:12]
    rng = random.Random(0)
    uris = views(records, tmp_path)
    theirs = labelled(records, tmp_path)

    def baseline() -> None:
        for sample in theirs:
            published.render(sample, FOCAL_PX, CROP_WH, rng)

    report(compare(name, rounds, len(records), baseline, lambda: render_all(uris)))
    for uri in uris:  # what was timed is what the reference path renders
        reference = uri.replace("&marks=", "&resampling=reference&marks=")
        difference = View.from_uri(uri).pixels().astype(int) - View.from_uri(reference).pixels()
        assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("suffix", [".png", ".jpg"], ids=["png", "jpeg"])
def test_32_points_of_one_image(
    suffix: str, ibims: Path, tmp_path: Path, rounds: int, report: Callable[[str], None]
) -> None:
    records = photographs(ibims, tmp_path, suffix, None)[:4]
    uris = views(records, tmp_path, points_per_record=32)
    assert len(uris) == 32 * len(records)
    rng = random.Random(0)
    theirs = [sample for sample in labelled(records, tmp_path) for _ in range(32)]

    def baseline() -> None:
        for sample in theirs:
            published.render(sample, FOCAL_PX, CROP_WH, rng)

    def ours() -> None:
        rendering.CACHE.clear()
        for uri in uris:
            View.from_uri(uri).pixels()

    name = f"render, 32 points of one 640x480 {'PNG' if suffix == '.png' else 'JPEG'}"
    report(compare(name, min(rounds, 7), len(uris), baseline, ours))
