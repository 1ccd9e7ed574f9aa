"""The datasets that can be curated, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..errors import ConfigError, did_you_mean
from .reading import Reader

DATASETS: dict[str, str] = {
    "argoverse2": "datasets.argoverse2:Argoverse2",
    "colmap": "datasets.colmap.reader:ColmapModel",
    "ddad": "datasets.ddad:Ddad",
    "depthlm": "datasets.depthlm:DepthLMFiles",
    "depthvlm": "datasets.depthvlm.reader:DepthVLMFiles",
    "diode": "datasets.diode:Diode",
    "eth3d": "datasets.eth3d:Eth3d",
    "folder": "datasets.folder:RgbdFolder",
    "hm3d": "formats.omnidata:Hm3d",
    "huggingface": "datasets.huggingface.reader:HuggingFaceDataset",
    "hypersim": "datasets.hypersim:Hypersim",
    "ibims1": "datasets.ibims1:Ibims1",
    "kitti": "datasets.kitti.reader:Kitti",
    "matterport3d": "datasets.matterport3d:Matterport3d",
    "nuscenes": "datasets.nuscenes:NuScenes",
    "nyuv2": "datasets.nyuv2:NyuV2",
    "nyuv2_sunrgbd": "datasets.sunrgbd:SunRgbdNyu",
    "scannetpp": "datasets.scannetpp.reader:ScanNetPP",
    "sunrgbd": "datasets.sunrgbd:SunRgbd",
    "taskonomy": "formats.omnidata:Taskonomy",
    "tum": "datasets.tum:TumRgbd",
    "waymo": "datasets.waymo.reader:Waymo",
}
"""Name to module of this package and class; imported when asked for."""

_SHARED = {field.name for field in fields(Reader)}


def reader_class(dataset: str) -> type[Reader]:
    """Return the reader of a dataset.

    Raises:
        ConfigError: For an unknown name.
    """
    if dataset not in DATASETS:
        raise ConfigError(
            f"unknown dataset {dataset!r}{did_you_mean(dataset, sorted(DATASETS))}; depthlm curate"
            " --list describes them"
        )
    module, _, name = DATASETS[dataset].partition(":")
    found: type[Reader] = getattr(import_module(f".{module}", __package__), name)
    return found


def options_of(reader: type[Reader]) -> dict[str, Any]:
    """Return the options of a reader with their defaults."""
    return {
        field.name: None if field.default is MISSING else field.default
        for field in fields(reader)
        if field.name not in _SHARED
    }


def make_reader(
    dataset: str,
    root: Path,
    *,
    split: str | None = None,
    compat: bool = False,
    options: Mapping[str, str] | None = None,
) -> Reader:
    """Return the reader of a dataset at `root`; nothing is opened yet.

    Args:
        dataset: One of `DATASETS`.
        root: Folder of the raw download.
        split: One of the dataset's; its first by default.
        compat: Published labels, not correct ones.
        options: Values of the reader's own options, as text.

    Raises:
        ConfigError: For a dataset, split or option that does not exist, or compatibility with
            labels that were never published.
    """
    reader = reader_class(dataset)
    if split is not None and split not in reader.SPLITS:
        known = did_you_mean(split, list(reader.SPLITS)) if reader.SPLITS else "; it has none"
        raise ConfigError(f"{dataset} has no split {split!r}{known}")
    if split is None and reader.SPLITS:
        published = reader.OFFICIAL.split if compat and reader.OFFICIAL else None
        split = published or reader.SPLITS[0]
    if compat and reader.OFFICIAL is None and not reader.VERBATIM:
        raise ConfigError(
            f"--compat official: DepthLM published no labels of {dataset} in this form; leave it"
            " out"
        )
    known_options = options_of(reader)
    types = get_type_hints(reader)
    values = {}
    for name, text in (options or {}).items():
        if name not in known_options:
            has = did_you_mean(name, list(known_options)) if known_options else "; it has none"
            raise ConfigError(f"{dataset} has no option {name!r}{has}")
        values[name] = _parsed(name, text, types[name])
    return reader(root=root, split=split, compat=compat, **values)


def _parsed(name: str, text: str, kind: Any) -> Any:
    wanted = next(
        (one for one in (get_args(kind) or (kind,)) if one is not type(None)),
        str,
    )
    try:
        return wanted(text)
    except ValueError as error:
        raise ConfigError(
            f"--option {name}={text}: expected a number ({wanted.__name__})"
        ) from error
