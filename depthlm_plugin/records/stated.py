"""What a dataset states of all its records, and a record of itself, where files do not tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, did_you_mean

UNUSUAL = ("camera", "depth")
"""What may be stated to be unusual, and right."""


@dataclass(frozen=True)
class Stated:
    """What a dataset states of its records.

    Attributes:
        depth_kind: What `depth` means in records that do not say, or None.
        unusual: What is rare in its records and nevertheless right: `camera` (see
            `geometry.plausible.unusual_camera`), `depth` (metres that look like another unit).
    """

    depth_kind: str | None = None
    unusual: frozenset[str] = frozenset()

    @classmethod
    def of(cls, options: Mapping[str, Any], where: str) -> Stated:
        """Return what the keys `depth_kind` and `unusual` of a dataset's options state.

        Raises:
            ConfigError: For an `unusual` that is none, after `where`.
        """
        try:
            return cls(options.get("depth_kind"), parse_unusual(options.get("unusual")))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from error


NOTHING = Stated()


def parse_unusual(value: Any) -> frozenset[str]:
    """Return what is stated to be unusual: a list of names, or a text with commas; None is nothing.

    Raises:
        ValueError: For anything else, with the names that there are.
    """
    names = value.split(",") if isinstance(value, str) else () if value is None else value
    if not isinstance(names, Iterable) or isinstance(names, Mapping):
        raise ValueError(f"'unusual' must be a list of {', '.join(UNUSUAL)}; found {value!r}")
    found = [name.strip() if isinstance(name, str) else name for name in names]
    for name in found:
        if name not in UNUSUAL:
            raise ValueError(f"unknown in 'unusual': {name!r}{did_you_mean(str(name), [*UNUSUAL])}")
    return frozenset(found)
