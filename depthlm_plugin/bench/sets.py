"""The sets of DepthLMBench are found among a folder's datasets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError, did_you_mean
from ..scoring.published import SETS

_FOR_TRAINING = ("train", "training", "published_train", "all")


@dataclass(frozen=True)
class BenchSet:
    """An evaluation set that is there.

    Attributes:
        name: One of `published.SETS`.
        dataset: Its name in dataset_info.json.
        records: Its records file or folder.
        options: Its depthlm object in dataset_info.json.
    """

    name: str
    dataset: str
    records: Path
    options: Mapping[str, Any]


def find_sets(data: Path, chosen: Sequence[str] = ()) -> tuple[list[BenchSet], list[str]]:
    """Return the sets whose records are listed in a folder's dataset_info.json, and those missing.

    A set is the dataset of its name, or of its name and a split that is not for training
    (`nyuv2_test`), as `depthlm curate` names them.

    Args:
        data: The folder.
        chosen: `SET`, or `SET=DATASET` for a dataset of another name; by default all eight.

    Raises:
        ConfigError: For a folder without dataset_info.json, unknown names, several candidates, or
            when no set is there.
    """
    info = _info(data)
    asked: dict[str, str | None] = dict.fromkeys(SETS) if not chosen else {}
    for text in chosen:
        name, _, dataset_name = text.partition("=")
        if name not in SETS:
            raise ConfigError(f"--sets: unknown set {name!r}{did_you_mean(name, list(SETS))}")
        asked[name] = dataset_name or None
    found: list[BenchSet] = []
    missing: list[str] = []
    for name in SETS:
        if name not in asked:
            continue
        dataset = asked[name] or _candidate(name, list(info))
        if dataset is None:
            missing.append(name)
            continue
        if dataset not in info:
            raise ConfigError(
                f"--sets: {data} has no dataset {dataset!r}{did_you_mean(dataset, list(info))}"
            )
        entry = info[dataset]
        if entry.get("formatting") != "depthlm" or "file_name" not in entry:
            raise ConfigError(
                f'{data}: dataset {dataset!r} needs "formatting": "depthlm" and a file_name'
            )
        options = entry.get("depthlm") or {}
        found.append(BenchSet(name, dataset, data / entry["file_name"], options))
    if not found:
        raise ConfigError(
            f"{data} has none of the sets {', '.join(asked)}; curate them (depthlm curate --list),"
            " or name them: --sets nyuv2=MY_DATASET"
        )
    return found, missing


def _info(data: Path) -> dict[str, dict[str, Any]]:
    path = data / "dataset_info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); --data is a folder that depthlm curate wrote"
        ) from error
    return {name: entry for name, entry in info.items() if isinstance(entry, dict)}


def _candidate(name: str, datasets: list[str]) -> str | None:
    """Return the one dataset that is the set of a name, or None."""
    if name in datasets:
        return name
    candidates = [
        dataset
        for dataset in datasets
        if dataset.startswith(f"{name}_") and dataset[len(name) + 1 :] not in _FOR_TRAINING
    ]
    if len(candidates) > 1:
        raise ConfigError(
            f"{name} could be {' or '.join(candidates)}; choose one: --sets {name}={candidates[0]}"
        )
    return candidates[0] if candidates else None
