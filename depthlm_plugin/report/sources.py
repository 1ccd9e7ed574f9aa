"""What a RUN of the command line is: where its answers are, and what its folder says about it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

from ..bench.results import RESULTS, Results, read_results
from ..config.block import DepthLMConfig
from ..errors import ConfigError, DepthLMError
from ..scoring.prediction import SIDECAR

_INFO = "dataset_info.json"


@dataclass(frozen=True)
class Source:
    """A run.

    Attributes:
        name: Of the run, for people.
        path: Its prediction file.
        media_dirs: Folders that image paths start from; the first with the picture counts. Only
            those that the user named can be URLs.
        results: What results.json of `depthlm bench` says, empty where there is none.
        config: The block that the model was asked with, where results.json has it.
    """

    name: str
    path: Path
    media_dirs: tuple[str, ...]
    results: Results = field(default_factory=Results)
    config: DepthLMConfig | None = None

    @property
    def missing_sets(self) -> list[str]:
        """Sets that should have been run, and were not."""
        return [str(name) for name in self.results.get("missing", [])]

    def asked(self, dataset: str) -> int | None:
        """Return how many answers of a dataset there should be, where results.json says it."""
        own = self.results.get("sets", {}).get(dataset)
        asked = own.get("asked") if isinstance(own, Mapping) else None
        return asked if isinstance(asked, int) else None


def open_source(run: str, media_dirs: list[str]) -> Source:
    """Return the source of a RUN.

    Args:
        run: A prediction file (JSON lines), or a folder with depth_predictions.jsonl.
        media_dirs: Folders of its pictures; none: the one that results.json names, if it is what
            `depthlm bench` writes there (absolute, local, with a dataset_info.json: not any folder
            that a file from elsewhere might wish for), or else that of the prediction file.

    Raises:
        DepthLMError: When it is neither, or its results.json cannot be read.
    """
    place = Path(run)
    path = place / SIDECAR if place.is_dir() else place
    if not path.is_file():
        raise DepthLMError(
            f"{path} does not exist; RUN is a prediction file, or a folder with {SIDECAR}: the"
            " output_dir of an evaluation, or the folder of depthlm bench"
        )
    folder = path.resolve().parent
    name = folder.name if path.name == SIDECAR else path.stem
    results = read_results(path.parent) if place.is_dir() else {}
    data = results.get("data")
    folders = media_dirs or [data if _is_bench_data(data) else str(path.parent)]
    return Source(name, path, tuple(folders), results, _config(results, path.parent / RESULTS))


def _is_bench_data(data: object) -> TypeGuard[str]:
    """Return whether this is a local folder of datasets, as `depthlm bench` needs one."""
    return isinstance(data, str) and os.path.isabs(data) and Path(data, _INFO).is_file()


def _config(results: Results, path: Path) -> DepthLMConfig | None:
    block = results.get("block")
    if block is None:
        return None
    # A prompt of one's own may be elsewhere by now; pictures and labels do not depend on it.
    plain = {key: value for key, value in block.items() if key != "prompt"}
    try:
        return DepthLMConfig.from_block(plain)
    except ConfigError as error:
        raise DepthLMError(f"{path}: its block is not of this version: {error}") from error
