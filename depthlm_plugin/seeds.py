"""Numbers of texts: the one place where a name becomes a seed, a side of a split or a key.

They are BLAKE2b's, so they are the same on every machine, in every process and every version.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass


def number_of(text: str, size_bytes: int = 8) -> int:
    """Return the number of a text, evenly spread over `range(256**size_bytes)`.

    Half of a surrogate pair, which JSON can hold, counts like any other character.
    """
    data = text.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=size_bytes).digest())


def seed_of(*parts: object) -> int:
    """Return a 64-bit seed of these parts."""
    return number_of("/".join(map(str, parts)))


@dataclass(frozen=True)
class SeededRng:
    """Makes the generators of one dataset: the same for the same record, epoch and purpose.

    Attributes:
        seed: The run's.
        dataset: The dataset's name.
    """

    seed: int
    dataset: str

    def rng(self, row: int, epoch: int, *purpose: object) -> random.Random:
        """Return a new generator for a record of the dataset, counted from 0."""
        return random.Random(seed_of(self.seed, self.dataset, row, epoch, *purpose))
