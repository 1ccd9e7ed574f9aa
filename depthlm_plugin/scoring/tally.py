"""Answers added up: any number of them, in memory that does not grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry.arrays import Floats
from ..kinds.kind import AnswerKind
from .intervals import FEWEST, RESAMPLES

KEPT = 200_000  # values for medians and best constants; of more, a random sample of so many


class Tally:
    """The scores of some answers of one task.

    Sums are exact. What needs every value (a median, the best constant answer) is exact up to
    `KEPT` answers; beyond, it is that of a random sample of so many.
    """

    def __init__(self, kind: AnswerKind, *, whole: bool = True) -> None:
        """Start with nothing.

        Args:
            kind: That of the task's answers.
            whole: Whether to give the metrics that need every value too.
        """
        self.n = 0
        self._kind = kind
        self._whole = whole and bool(kind.kept)
        self._names: tuple[str, ...] = ()
        self._sums: Floats = np.zeros((2, 0))
        self._resampled: Floats = np.zeros((RESAMPLES, 2, 0))
        self._kept: list[Floats] = []
        self._rng = np.random.default_rng(0)
        self._first: set[int] = set()

    def add(
        self,
        measured: dict[str, Floats],
        cluster: NDArray[np.int64],
        keys: NDArray[np.uint64],
        drawn: Floats,
    ) -> None:
        """Add answers.

        Args:
            measured: What `AnswerKind.measure` returned, arrays (N,).
            cluster: Of each answer (N,), the number of its picture in `keys`.
            keys: The pictures (P,); see `intervals.picture_keys`.
            drawn: How often resamples hold them (P, B); see `intervals.weights`.
        """
        if not len(cluster):
            return
        values = np.stack(list(measured.values()), axis=1)
        if not self._names:
            self._names = tuple(measured)
            self._sums = np.zeros((2, values.shape[1]))
            self._resampled = np.zeros((RESAMPLES, 2, values.shape[1]))
        self.n += len(values)
        if len(self._first) < FEWEST:
            self._first |= set(keys[np.unique(cluster)[:FEWEST]].tolist())
        counted = ~np.isnan(values)
        both = np.stack([np.where(counted, values, 0.0), counted], axis=1)
        sums = np.zeros((len(keys), *both.shape[1:]))
        # Errors may be infinite, or become so; drawn no times they are no number.
        with np.errstate(over="ignore", invalid="ignore"):
            self._sums += both.sum(axis=0)
            np.add.at(sums, cluster, both)
            self._resampled += np.tensordot(drawn, sums, axes=(0, 0))
        if self._whole:
            self._keep(np.stack([measured[name] for name in self._kind.kept], axis=1))

    def metrics(self) -> dict[str, float]:
        """Return the metrics by name, and `n`."""
        found = self._kind.derive(self._means(self._sums))
        metrics = {name: float(value) for name, value in found.items()} | {"n": self.n}
        if self._whole:
            columns = self._sample()[:, 1:].T
            metrics |= self._kind.whole(
                {
                    name: column[~np.isnan(column)]
                    for name, column in zip(self._kind.kept, columns, strict=True)
                }
            )
        return metrics

    def replicates(self) -> dict[str, Floats]:
        """Return each metric in all resamples (B,); nothing where all answers share a picture."""
        if len(self._first) < FEWEST:
            return {}
        return self._kind.derive(self._means(self._resampled))

    def _means(self, sums: Floats) -> dict[str, Floats]:
        """Return the mean of what is measured, for sums (..., 2, K); absent where there is none."""
        _, counts = self._sums
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums[..., 0, :] / sums[..., 1, :]
        return {
            name: means[..., index] for index, name in enumerate(self._names) if counts[index] > 0
        }

    def _keep(self, values: Floats) -> None:
        """Keep values with a random number each: those with the smallest are a sample."""
        self._kept.append(np.column_stack([self._rng.random(len(values)), values]))
        if sum(map(len, self._kept)) > 2 * KEPT:
            self._kept = [self._sample()]

    def _sample(self) -> Floats:
        every = np.concatenate(self._kept)
        if len(every) <= KEPT:
            return every
        result: Floats = every[np.argpartition(every[:, 0], KEPT)[:KEPT]]
        return result
