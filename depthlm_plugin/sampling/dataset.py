"""The samples of a records file as a plain Python dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from ..config.block import DepthLMConfig
from ..errors import ConfigError
from ..records import storage
from ..records.rows import open_rows, read_rows
from ..tasks import TASKS
from .planner import Planner
from .requirements import check_served, lacking
from .sample import Sample


class DepthSamples(Sequence[Sample]):
    """A map-style dataset of samples, usable from any trainer.

    Args:
        records: A records file or folder (JSONL, JSON, Parquet), or records as dicts.
        name: Name of the dataset, part of every seed; the file's stem by default.
        train: Draw training crops and points; otherwise show the whole image.
        depth_kind: What `depth` means in records that do not say: `distance` or `z`.
        media_dir: Folder that image paths start from; the file's own folder by default.
        size_multiple: Patch size x merge size of the model, pixels (28 Qwen2.5-VL, 16 Pixtral).
        fixed_wh: The one size (width, height) that the model accepts, for models that have one.
        epoch: Which of the deterministic draws to make.
        **config: Keys of the `depthlm:` block.

    Raises:
        RecordError: For anything wrong with a record, unless `on_error="skip"`; `counts` tells what
            was left out.

    Example:
        >>> samples = DepthSamples("records.jsonl", depth_kind="z")  # doctest: +SKIP
        >>> samples[0].image, samples[0].messages, samples[0].target  # doctest: +SKIP
    """

    def __init__(
        self,
        records: str | Path | Sequence[Mapping[str, Any]],
        *,
        name: str | None = None,
        train: bool = False,
        depth_kind: str | None = None,
        media_dir: str | Path | None = None,
        size_multiple: int = 28,
        fixed_wh: tuple[int, int] | None = None,
        epoch: int = 0,
        **config: Any,
    ) -> None:
        if isinstance(records, (str, Path)):
            path = str(records)
            own_folder = storage.folder_of(path)
            rows: Any = read_rows(path)
        else:
            path, own_folder = "records", "."
            rows = [(f"records[{i}]", raw) for i, raw in enumerate(records)]
        if size_multiple < 1:
            raise ConfigError(f"size_multiple must be 1 or more, found {size_multiple}")
        planner = Planner(
            DepthLMConfig.from_block(config),
            name or storage.stem(path),
            (str(media_dir or own_folder),),
            train,
            size_multiple,
            depth_kind,
            fixed_wh,
            path if isinstance(records, (str, Path)) else rows,
        )
        if any(TASKS[task].images == 2 for task in planner.config.tasks):
            known = open_rows(path) if isinstance(records, (str, Path)) else rows
            check_served(
                planner.config.tasks, {planner.dataset: lacking(planner.config.tasks, known)}
            )
        self.counts: Counter[str] = Counter()
        self._samples: list[Sample] = []
        for row, (where, raw) in enumerate(rows):
            samples, counts = planner.plan(raw, where, row, epoch)
            self._samples += samples
            self.counts += counts

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Return a sample; its image is rendered when asked for."""
        return self._samples[index]
