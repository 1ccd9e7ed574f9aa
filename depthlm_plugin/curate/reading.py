"""What every reader is, and what readers share: depth PNGs, masks, roots that are wrong."""

from __future__ import annotations

import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ..errors import ConfigError, DepthLMError, RecordError, did_you_mean
from ..geometry.camera import DEPTH_KINDS
from .frames import Frame, Item

CARD_KEYS = ("Source", "Licence", "Camera", "Depth", "Units", "Invalid", "Split")
_SHOWN = 12  # names of a wrong root
_DEPTH_MODES = ("I;16", "I;16B", "I;16L", "I")  # what 16-bit greyscale is called in Pillow


@dataclass(frozen=True)
class Official:
    """How DepthLM's published labels of a dataset differ from ours: what `--compat official` does.

    Attributes:
        depth_kind: The quantity that they are.
        split: What they were made of, where no split is asked for; None: the dataset's first.
        border_px: Pixels at the picture's border that were never drawn.
        note: For the data card: everything else, such as another scale, which the reader applies.
    """

    depth_kind: str
    split: str | None = None
    border_px: int = 0
    note: str = ""


@dataclass(frozen=True)
class Reader(ABC):
    """A raw dataset. Its docstring is its data card: a title, then `CARD_KEYS`, one a paragraph.

    A subclass is a frozen dataclass too; the fields that it adds are its options, given on the
    command line as `--option name=value`, and need a type (str, int or float, with None) and a
    default. It travels to worker processes, so it holds plain values.

    Attributes:
        root: Folder of the raw download.
        split: One of `SPLITS`; the first by default.
        compat: Whether to give the published labels (`OFFICIAL`) instead of the correct ones.
    """

    root: Path
    split: str | None = None
    compat: bool = False

    SPLITS: ClassVar[tuple[str, ...]] = ()
    OFFICIAL: ClassVar[Official | None] = None
    VERBATIM: ClassVar[bool] = False  # labels stay as they are: quantity, order and all digits
    WRITES_IMAGES: ClassVar[bool] = False  # yields bytes, not paths

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


def read_depth_png(path: Path, where: str) -> NDArray[np.uint16]:
    """Return the raw values (H, W) of a 16-bit greyscale PNG.

    Raises:
        RecordError: `missing depth`, `bad depth image` for one that is not 16-bit greyscale, which
            is never scaled, or is damaged.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    try:
        with Image.open(path) as image:
            mode = image.mode
            values = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RecordError(
            "bad depth image", where, f"{path} cannot be decoded ({error}); fetch it again"
        ) from error
    if mode not in _DEPTH_MODES:
        raise RecordError(
            "bad depth image",
            where,
            f"{path} has {len(image.getbands())} channels of {_bits(mode)} (Pillow mode {mode});"
            " expected one channel of 16 bits. 8-bit depth is a picture of depth, not metres",
        )
    if values.min() < 0 or values.max() > 65535:
        raise RecordError("bad depth image", where, f"{path} holds values outside 16 bits")
    return values.astype(np.uint16)


def _bits(mode: str) -> str:
    return {"1": "1 bit", "F": "floating point"}.get(mode, "8 bits")


def read_mask(path: Path, shape_hw: tuple[int, ...], where: str) -> NDArray[np.bool_]:
    """Return where a mask image (H, W) is not zero.

    Raises:
        RecordError: `missing mask` or `bad mask`.
    """
    if not path.is_file():
        raise RecordError(
            "missing mask", where, f"{path} does not exist; is the download complete?"
        )
    try:
        with Image.open(path) as image:
            values = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise RecordError(
            "bad mask", where, f"{path} cannot be decoded ({error}); fetch it again"
        ) from error
    if values.shape != shape_hw:
        raise RecordError(
            "bad mask", where, f"{path} has the shape {values.shape}, expected {shape_hw}"
        )
    result: NDArray[np.bool_] = values != 0
    return result


def read_npy(path: Path, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """Return the array of a `.npy` file, whose shape must be the given one.

    Raises:
        RecordError: `missing depth` or `bad depth array`.
    """
    if not path.is_file():
        raise RecordError(
            "missing depth", where, f"{path} does not exist; is the download complete?"
        )
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordError(
            "bad depth array", where, f"{path} cannot be read ({error}); fetch it again"
        ) from error
    if values.shape != shape:
        raise RecordError(
            "bad depth array", where, f"{path} has the shape {values.shape}, expected {shape}"
        )
    return values


def read_numbers(path: Path, count: int, where: str, what: str) -> list[float]:
    """Return the numbers of a text file, separated by commas or white space.

    Raises:
        RecordError: `missing file`, or `bad file` for another count or what is no number.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = [float(word) for word in text.replace(",", " ").split()]
    except FileNotFoundError as error:
        raise RecordError(
            "missing file", where, f"{path} ({what}) does not exist; is the download complete?"
        ) from error
    except (OSError, ValueError) as error:
        raise RecordError("bad file", where, f"{path} ({what}) cannot be read: {error}") from error
    if len(values) != count:
        raise RecordError(
            "bad file", where, f"{path} holds {len(values)} numbers, expected the {count} of {what}"
        )
    return values


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Return an RGB picture (H, W, 3) as PNG: without loss, and the same bytes every time."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
