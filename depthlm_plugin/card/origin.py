"""Where a trained model comes from: its base, and its data with their licences.

What is said here is published, so a local path is named by its last part.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from ..errors import DepthLMError
from ..records import storage
from ..records.rows import read_rows

_HUB = re.compile(r"[\w.-]+/[\w.-]+")
_CACHED = re.compile(r"models--([^/]+?)--([^/]+)")  # a folder of the hub's cache
_HUB_DATA = re.compile(r"(?:hf://|huggingface\.co/)datasets/([\w.-]+/[\w.-]+)")
_FACT = re.compile(r"(?m)^\| Licence \| (.*) \|$")  # of a card of `depthlm curate`
_FIELD = re.compile(r"(?m)^license: *(\S.*)$")  # of a card of the hub
_UNSTATED = "yours to state."  # what a reader says that cannot know it
_LONGEST = 300


ADAPTERS = ("lora", "oft")  # of the methods, those that leave the base as it is


class Data(TypedDict):
    """One dataset: its name in dataset_info.json; its licence, as its card says; on the hub."""

    name: str
    licence: str | None
    hub: str | None


class Training(TypedDict, total=False):
    """How weights came to be, as it is saved beside them.

    Attributes:
        model: What was loaded: a name on the hub, or the last part of a folder.
        base: What that had been made of in turn, or the same.
        datasets: What it was trained on.
        earlier: What the weights that it began with had been trained on.
        method: LLaMA-Factory's `finetuning_type`.
        bits: Of quantised weights under adapters, or None.
        steps: Of the optimizer.
        samples_a_step: Of all processes.
        learning_rate: The highest.
    """

    model: str
    base: str
    datasets: list[Data]
    earlier: list[Data]
    method: str
    bits: int | None
    steps: int
    samples_a_step: int
    learning_rate: float


def model_name(path: str) -> str:
    """Return the name of a model: that on the hub, or the last part of its folder."""
    if not os.path.exists(path):
        return path if _HUB.fullmatch(path) else Path(path).name
    cached = _CACHED.search(os.path.abspath(path))
    return "/".join(cached.groups()) if cached else Path(path).resolve().name


def on_hub(name: str) -> bool:
    """Return whether a name that `model_name` gave is one on the hub."""
    return "/" in name


def training_on(
    model: str, before: Sequence[Mapping[str, Any] | None], datasets: list[Data]
) -> Training:
    """Return what is known of a training before it begins.

    Args:
        model: Path or name of the model that is loaded.
        before: How it, and each adapter on it, came to be, where that is known.
        datasets: What it will be trained on.
    """
    name, known = model_name(model), [one for one in before if one]
    base = known[0]["base"] if known else name
    had = [data for one in known for data in (*one["earlier"], *one["datasets"])]
    own = [data["name"] for data in datasets]
    earlier = {data["name"]: data for data in had if data["name"] not in own}
    return Training(model=name, base=base, datasets=datasets, earlier=[*earlier.values()])


def data_of(name: str, entry: Mapping[str, Any], dataset_dir: str) -> Data:
    """Return what is known of a dataset of dataset_info.json; of remote files only their place."""
    file = str(entry.get("file_name", ""))
    found = _HUB_DATA.search(file)
    hub = entry.get("hf_hub_url") or (found and found[1])
    local = bool(file) and not storage.is_remote(file)
    licence = _licence(Path(dataset_dir, file), Path(dataset_dir)) if local else None
    return Data(name=name, licence=licence, hub=str(hub) if hub else None)


def _licence(records: Path, dataset_dir: Path) -> str | None:
    for folder in _card_folders(records, dataset_dir):
        try:
            text = (folder / "README.md").read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        head = text.split("\n---", 1)[0] if text.startswith("---\n") else ""
        found = _FIELD.search(head) or _FACT.search(text)
        if found and found[1] != _UNSTATED:
            return found[1].replace("\\|", "|")[:_LONGEST]
    return None


def _card_folders(records: Path, dataset_dir: Path) -> Iterator[Path]:
    """Yield where a card may be: of a folder of records, beside a file, beside its pictures.

    Records that were split or stored anew keep the paths of their pictures, `NAME/raw/...`.
    """
    yield records if records.is_dir() else records.with_suffix("")
    try:
        image = json.loads(next(read_rows(records))[1])["image"]
        first = Path(image).parts[0]
    except (DepthLMError, OSError, ValueError, LookupError, TypeError, StopIteration):
        return
    if not Path(image).is_absolute() and first != "..":
        yield records.parent / first
        yield dataset_dir / first
