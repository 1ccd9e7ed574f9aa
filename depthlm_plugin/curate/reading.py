"""What a reader of a raw dataset is: it lists frames, loads one, and documents the data."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from inspect import cleandoc
from pathlib import Path
from typing import Any, ClassVar

from ..errors import ConfigError, DepthLMError, did_you_mean
from ..geometry.camera import DEPTH_KINDS
from .formats.files import inside
from .frames import Frame, Item

CARD_KEYS = ("Source", "Licence", "Camera", "Depth", "Units", "Invalid", "Split")
_SHOWN = 12  # names of a wrong root


@dataclass(frozen=True)
class Official:
    """How DepthLM's published labels of a dataset differ from ours: what `--compat official` does.

    Attributes:
        depth_kind: The quantity that they are, `distance` or `z`.
        split: What they were made of, where no split is asked for; None: the dataset's first.
        border_px: Width in pixels of the picture's border, from which no label was drawn.
        scale: How many times the true depths they are; the reader applies it.
        note: Everything else that differs, for the data card.
    """

    depth_kind: str
    split: str | None = None
    border_px: int = 0
    scale: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Reader(ABC):
    """A raw dataset; the docstring of a subclass is its data card.

    A card is a title and then a paragraph for each of `CARD_KEYS`, as `Licence: MIT.`

    A subclass is a frozen dataclass too. The fields that it adds are its options, given on the
    command line as `--option name=value`; each needs a type (str, int or float, or None) and a
    default. Readers travel to worker processes, so they hold plain values.

    Attributes:
        root: Folder of the raw download.
        split: One of `SPLITS`; the first by default.
        compat: Whether to give the published labels (`OFFICIAL`) instead of the correct ones.
        unusual: What is rare in the data and nevertheless right, see `records.stated.UNUSUAL`.
    """

    root: Path
    split: str | None = None
    compat: bool = False
    unusual: frozenset[str] = frozenset()

    SPLITS: ClassVar[tuple[str, ...]] = ()
    """The names that `--split` can have, the default first."""
    STORED_DEPTH: ClassVar[str] = ""
    """What the raw data holds, in a few words for the table of datasets: `z, 1/1000 m`."""
    MOTION: ClassVar[tuple[str, ...]] = ()
    """Which of `pose`, `timestamp` and `speed_m_s` its records can have."""
    OFFICIAL: ClassVar[Official | None] = None
    """How DepthLM's published labels differ, where there are some."""
    CALIBRATED: ClassVar[bool] = False
    """Whether cameras are the dataset's own calibration: elsewhere unusual ones are asked about."""
    ANNOUNCED: ClassVar[tuple[str, ...]] = ()
    """The reasons of `RecordError` for which the card says that frames are left out: a curation
    that leaves out no others succeeds."""
    SAMPLING: ClassVar[str] = "uniform"
    """How points are drawn where `--sampling` is not given: one of `points.STRATEGIES`."""
    WORKERS: ClassVar[int | None] = None
    """How many processes there are where `--workers` is not given; None: as many as cores."""
    VERBATIM: ClassVar[bool] = False
    """Whether labels stay as they are: quantity, order and all digits."""

    @abstractmethod
    def items(self) -> Iterator[Item]:
        """Yield every frame of the split, always in the same order, opening none.

        Raises:
            DepthLMError: For a root that is not this dataset: see `missing`.
        """

    @abstractmethod
    def load(self, item: Item) -> Frame:
        """Return a frame.

        Raises:
            RecordError: For a frame that is damaged or incomplete; it is counted, others go on.
        """

    def inputs(self) -> dict[str, str]:
        """Return digests, by name, of what else decides labels: other ones are another curation."""
        return {}

    def below(self, path: Path, where: str) -> Path:
        """Return a path, perhaps of a list, an option or a link, that stays below the root.

        Args:
            path: The path, which begins with `root`.
            where: What to name in errors: the frame, or the option.

        Raises:
            RecordError: `file outside its root`, when all links and `..` in it are followed.
        """
        return inside(self.root, path, where)

    @classmethod
    def card(cls) -> tuple[str, dict[str, str]]:
        """Return the title and the facts (key to text) of the docstring."""
        title, *paragraphs = cleandoc(cls.__doc__ or "").split("\n\n")
        facts = {}
        for paragraph in paragraphs:
            key, colon, text = " ".join(paragraph.split()).partition(": ")
            if colon and key in CARD_KEYS:
                facts[key] = text
        return " ".join(title.split()), facts

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Return the options, which are the fields that the subclass adds, with their defaults."""
        shared = {field.name for field in fields(Reader)}
        return {
            field.name: None if field.default is MISSING else field.default
            for field in fields(cls)
            if field.name not in shared
        }


def missing(root: Path, dataset: str, looked_for: str) -> DepthLMError:
    """Return the error for a root that is not the dataset: what was looked for and what is there.

    Archives among it are named, because unpacking is what is forgotten.
    """
    if not root.is_dir():
        return DepthLMError(f"--root {root} is not a folder; expected that of {dataset}")
    names = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())
    there = ", ".join(names[:_SHOWN]) + (
        f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    )
    packed = [name for name in names if re.search(r"\.(zip|tar|gz|tgz|7z)$", name)]
    hint = f"; unpack {packed[0]} first?" if packed else ""
    return DepthLMError(
        f"--root {root} is not {dataset}: looked for {looked_for}; there is"
        f" {there or 'nothing'}{hint}"
    )


def chosen(option: str, value: str | None, known: tuple[str, ...]) -> str:
    """Return the value of an option that must be one of `known`.

    Raises:
        ConfigError: For another value, or none.
    """
    if value is None:
        raise ConfigError(f"give --option {option}=..., one of {', '.join(known)}")
    if value not in known:
        raise ConfigError(f"unknown {option} {value!r}{did_you_mean(value, list(known))}")
    return value


def chosen_kind(value: str | None) -> str:
    """Return the option `depth_kind`, which the user must state where a dataset does not."""
    return chosen("depth_kind", value, DEPTH_KINDS)
