"""The training samples of one dataset as an endless sequence that is never built."""

from __future__ import annotations

import logging
from collections import Counter

from ..errors import ConfigError, DepthLMError
from ..records.rows import Rows
from ..seeds import seed_of
from .decoding import decoding
from .mixture import Permutation
from .planner import NO_PARTNER, NOT_ENOUGH, Planner
from .sample import Sample

_log = logging.getLogger(__name__)

_ATTEMPTS = 20  # records in a row that cannot be used, before something else must be wrong
_PATIENCE = 10  # skipped records before their share is looked at


class SampleStream:
    """`stream[k]` is the k-th sample that a run draws from a dataset.

    One pass after another visits every record `points_per_record` times, in an order of its own;
    each pass draws other points and crops. A sample depends on the seed, the dataset's name and k,
    on nothing else.

    With `on_error: skip` a record that cannot be used is replaced by another, the same on every
    machine, and counted in `counts`.

    Args:
        planner: What decides the samples of a record, for training.
        rows: The records.
        shuffle: Whether passes have random orders; else they follow the file.
        limit: Use only that many of the first records.

    Raises:
        ConfigError: For `points_per_record: all`.
        DepthLMError: For a dataset without records.
    """

    def __init__(
        self, planner: Planner, rows: Rows, *, shuffle: bool = True, limit: int | None = None
    ) -> None:
        config = planner.config
        if config.points_per_record == "all":
            raise ConfigError(
                f"dataset {planner.dataset!r}: points_per_record: all needs every record read"
                " beforehand; give a number, or set lazy: false"
            )
        records = len(rows) if limit is None else min(limit, len(rows))
        if records < 1:
            raise DepthLMError(f"dataset {planner.dataset!r} has no record")
        self.planner, self.rows, self.shuffle = decoding(planner), rows, shuffle
        self.points = int(config.points_per_record)
        self.per_pass = records * self.points
        self.counts: Counter[str] = Counter()
        self.looked_at = 0

    def __getitem__(self, k: int) -> Sample:
        """Return the k-th sample, from 0.

        Raises:
            RecordError: With `on_error: raise`, for anything wrong with its record.
            DepthLMError: With `on_error: skip`, when more than `max_skipped` of the records drawn
                here cannot be used; it lists the reasons.
        """
        visit, position = divmod(k, self.per_pass)
        for attempt in range(_ATTEMPTS):
            row, draw = divmod(self._order(visit, attempt)[position], self.points)
            where, raw = self.rows[row]
            self.looked_at += 1
            samples, left_out = self.planner.plan(raw, where, row, visit)
            if samples:
                return samples[draw % len(samples)]
            if left_out.keys() & {NO_PARTNER, NOT_ENOUGH}:
                self.counts += left_out  # nothing is wrong with the record
            else:
                self._count(left_out)
        raise DepthLMError(self._report(f"{_ATTEMPTS} records in a row cannot be used"))

    def _order(self, visit: int, attempt: int) -> Permutation | range:
        if not self.shuffle and not attempt:
            return range(self.per_pass)
        planner = self.planner
        parts = planner.config.seed, planner.dataset, "order", visit, attempt
        return Permutation(self.per_pass, seed_of(*parts))

    def _count(self, left_out: Counter[str]) -> None:
        self.counts += left_out
        self.counts["records skipped"] += 1
        skipped, limit = self.counts["records skipped"], self.planner.config.max_skipped
        if skipped & (skipped - 1) == 0:  # the first, second, fourth, ...: logs stay short
            _log.warning(self._report("records were skipped in this process"))
        if skipped >= _PATIENCE and skipped > limit * self.looked_at:
            raise DepthLMError(
                self._report(f"more than max_skipped ({limit:g}) of the records cannot be used")
            )

    def _report(self, finding: str) -> str:
        name, looked_at = self.planner.dataset, self.looked_at
        lines = [f"dataset {name!r}: {finding}; of {looked_at} that were drawn here:"]
        lines += [f"  {count:7d}  {reason}" for reason, count in self.counts.most_common()]
        return "\n".join([*lines, "depthlm validate names every bad record"])
