"""The samples of a records file as a plain Python dataset."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..config.block import DepthLMConfig
from ..errors import ConfigError, RecordError
from ..records import storage
from ..records.pair import is_pair
from ..records.raw import parse_row
from ..records.rows import Rows, open_rows
from ..records.stated import Stated
from ..records.units import check_units
from ..tasks import TASKS
from .decoding import decoding
from .planned import Planned
from .planner import Planner
from .requirements import check_served, lacking
from .sample import Sample


class DepthSamples(Sequence[Sample]):
    """A map-style dataset of samples, usable from any trainer.

    A file of any size opens at once; a record is read and planned when one of its samples is asked
    for, and pictures are rendered when a sample's `image` is. It can be given to worker processes.

    Every record has the same number of positions, `points_per_record` (times the number of tasks in
    evaluation, which asks them all); with `points_per_record="all"` as many as it has labelled
    points, for which every record is read once when a length or position is first needed. A record
    may have fewer samples than positions: in training they are then repeated, in evaluation, or
    where there is none at all, the position is refused. Iterating gives each sample once and passes
    over gaps, so `len(list(samples))` can be less than `len(samples)`.

    Args:
        records: A records file or folder (JSONL, JSON, Parquet, shards), or records as dicts.
        name: Name of the dataset, part of every seed; the file's stem by default.
        train: Draw training crops and points; otherwise show the whole image.
        depth_kind: What `depth` means in records that do not say: `distance` or `z`.
        unusual: What is rare in these records and nevertheless right: `camera`, `depth`.
        media_dir: Folder that image paths start from; the file's own folder by default.
        size_multiple: Patch size x merge size of the model, pixels (28 Qwen2.5-VL, 16 Pixtral).
        fixed_wh: The one size (width, height) that the model accepts, for models that have one.
        epoch: Which of the deterministic draws to make.
        **config: Keys of the `depthlm:` block.

    Attributes:
        counts: What the last full pass (iterating, or `usable`) left out, by reason.

    Raises:
        ConfigError: For wrong settings, or tasks that these records cannot serve.
        DepthLMError: For a file that holds no records.
        RecordError: When a sample is asked for: for anything wrong with its record, unless
            `on_error="skip"`; and for a position whose record has no such sample.

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
        unusual: Sequence[str] = (),
        media_dir: str | Path | None = None,
        size_multiple: int = 28,
        fixed_wh: tuple[int, int] | None = None,
        epoch: int = 0,
        **config: Any,
    ) -> None:
        block = DepthLMConfig.from_block(config)
        if size_multiple < 1:
            raise ConfigError(f"size_multiple must be 1 or more, found {size_multiple}")
        stated = Stated.of({"depth_kind": depth_kind, "unusual": unusual}, "DepthSamples")
        if isinstance(records, (str, Path)):
            path, folder = str(records), storage.folder_of(str(records))
            self._rows: Rows = open_rows(path)
        else:
            path, folder = "records", "."
            self._rows = _GivenRows(records)
        check_units(self._rows, stated, path)
        self._planner = decoding(
            Planner(
                block,
                name or storage.stem(path),
                (str(media_dir or folder),),
                train,
                size_multiple,
                stated,
                fixed_wh,
                self._rows,
            )
        )
        self._epoch = epoch
        self._last: tuple[int, str, Planned] | None = None
        self.counts: Counter[str] = Counter()
        if any(TASKS[task].images == 2 for task in block.tasks):
            lacks = lacking(block.tasks, self._rows)
            check_served(block.tasks, {self._planner.dataset: lacks})

    def __len__(self) -> int:
        """Return the number of positions."""
        return self._first(len(self._rows))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        """Return the sample at a position; its image is rendered when asked for.

        Raises:
            RecordError: For a bad record, or `no such sample` where its record has fewer.
            IndexError: For a position that does not exist.
        """
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = operator.index(index)
        position += len(self) if position < 0 else 0
        if not 0 <= position < len(self):
            raise IndexError(f"position {index} of {len(self)}")
        row = self._row_of(position)
        k = position - self._first(row)
        where, (samples, left_out) = self._planned(row)
        if samples and self._planner.train:
            return samples[k % len(samples)]
        if k < len(samples):
            return samples[k]
        reasons = "; ".join(f"{count} {reason}" for reason, count in left_out.most_common())
        raise RecordError(
            "no such sample",
            where,
            f"the record gives {len(samples)} samples, so there is none at position {position}"
            f" ({reasons or 'it has no more points'}); iterate over the samples, or take only the"
            " positions that usable() lists",
        )

    def __iter__(self) -> Iterator[Sample]:
        """Yield every sample once, in the order of the records."""
        for _, planned in self._all():
            yield from planned.samples

    def usable(self) -> list[int]:
        """Return the positions of the samples that iterating yields, having planned every record.

        `torch.utils.data.Subset(samples, samples.usable())` is a dataset without gaps.
        """
        return [
            self._first(row) + k
            for row, planned in self._all()
            for k in range(len(planned.samples))
        ]

    def _all(self) -> Iterator[tuple[int, Planned]]:
        """Yield each row and what it gives, then set `counts`."""
        counts: Counter[str] = Counter()
        for row in range(len(self._rows)):
            _, planned = self._planned(row)
            counts += planned.left_out
            yield row, planned
        self.counts = counts

    def _planned(self, row: int) -> tuple[str, Planned]:
        """Return where a record is and what it gives; the last one is kept for its other points."""
        last = self._last
        if last is None or last[0] != row:
            where, raw = self._rows[row]
            last = self._last = row, where, self._planner.plan(raw, where, row, self._epoch)
        return last[1:]

    def _row_of(self, position: int) -> int:
        if self._each is not None:
            return position // self._each
        return int(np.searchsorted(self._starts, position, side="right")) - 1

    def _first(self, row: int) -> int:
        """Return the first position of a row; of the row after the last one: how many there are."""
        return row * self._each if self._each is not None else int(self._starts[row])

    @property
    def _each(self) -> int | None:
        """How many positions a record has, where all have the same number."""
        points = self._planner.config.points_per_record
        return None if points == "all" else int(points) * self._asked

    @property
    def _asked(self) -> int:
        """How many tasks one record is asked about."""
        return 1 if self._planner.train else len(self._planner.config.tasks)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """First positions (rows + 1,) of `points_per_record: all`."""
        points = (_labelled_points(*self._rows[row]) for row in range(len(self._rows)))
        counts = np.fromiter(points, np.int64, len(self._rows))
        return np.concatenate([[0], np.cumsum(counts * self._asked)])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_last": None}


class _GivenRows(Rows):
    """Records given as dicts, by number."""

    def __init__(self, records: Sequence[Mapping[str, Any]]) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, row: int) -> tuple[str, dict[str, Any]]:
        return f"records[{row}]", dict(self._records[row])


def _labelled_points(where: str, raw: dict[str, Any] | str) -> int:
    """Return how many points a record labels; 1 where that is unknown, so that it can be asked."""
    try:
        record = parse_row(raw, where) if isinstance(raw, str) else raw
    except RecordError:  # told of when it is planned
        return 1
    depth = record.get("depth")
    if is_pair(record) and isinstance(depth, Sequence) and depth:
        depth = depth[0]
    return max(1, len(depth)) if isinstance(depth, Sized) else 1
