"""Splits without leaks: whole groups of records (scenes, logs) on one side, never single rows.

The side of a group is a hash of (seed, group) and nothing else, so neither other records, their
order nor the file that holds them move a group; a larger share only moves groups towards eval.
"""

from __future__ import annotations

import json
import posixpath
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import numpy as np

from ..errors import ConfigError, RecordError
from ..seeds import number_of
from .raw import parse_row

Group = tuple[str, ...]
Rows = Iterable[tuple[str, str]]  # (where, JSON text), as rows.read_rows yields them
TRAIN, EVAL = "train", "eval"
FOLDER = "(.*)/"  # the pattern whose groups are the images' folders


@dataclass(frozen=True)
class GroupBy:
    """The rule by which records belong to one group.

    Attributes:
        keys: Keys of the record; a group is one combination of their values.
        pattern: A regular expression searched in the image path instead of `keys`: what its
            parentheses catch is the group, or all of the match where it has none.
    """

    keys: tuple[str, ...] = ("scene",)
    pattern: str | None = None

    def __post_init__(self) -> None:
        if not all(self.keys):
            raise ConfigError(f"--by takes keys of the records, as scene or source,scene: {self}")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ConfigError(f"{self.pattern!r} is not a regular expression: {error}") from error

    def __str__(self) -> str:
        if self.pattern is None:
            return ",".join(self.keys)
        return "image folder" if self.pattern == FOLDER else f"image path {self.pattern}"

    def group(self, raw: Mapping[str, Any], where: str) -> Group:
        """Return the group of a record.

        Raises:
            RecordError: `no group`.
        """
        if self.pattern is None:
            return tuple(_value(raw, key, where) for key in self.keys)
        groups = {_caught(self.pattern, path) for path in image_paths(raw)}
        if len(groups) == 1 and None not in groups:
            return next(group for group in groups if group is not None)
        raise RecordError(
            "no group",
            where,
            f"its images {image_paths(raw)} belong to no one group by {self}; expected a match in"
            " the path, the same for all images of the record",
        )


def image_paths(raw: Mapping[str, Any]) -> list[str]:
    """Return the image paths that a record names, in one spelling; pair records have two."""
    image = raw.get("image") or raw.get("image_path")
    images = raw.get("images") if image is None else [image]
    if not isinstance(images, list):
        return []
    return [
        posixpath.normpath(path.lstrip("/")) for path in images if isinstance(path, str) and path
    ]


def _value(raw: Mapping[str, Any], key: str, where: str) -> str:
    value = raw.get(key)
    if key == "image":
        value = next(iter(image_paths(raw)), None)
    # bool is an int, and a float is no name: 3.0 and 3 would be two scenes.
    if type(value) not in (str, int) or value == "":
        has = f"{key!r} is {value!r}" if key in raw else f"there is no key {key!r}"
        raise RecordError(
            "no group",
            where,
            f"{has}; records are split by it, so that one scene is never on both sides: write the"
            " name or number of the scene into every record, name another key with --by (log,"
            " camera, image, ...), or take the group from the image path with --by-folder or"
            " --by-path",
        )
    return str(value)


def _caught(pattern: str, path: str) -> Group | None:
    match = re.search(pattern, path)
    if match is None:
        return None
    return tuple(part or "" for part in match.groups()) or (match.group(),)


def side_of(group: Group, eval_share: float, seed: int) -> str:
    """Return the side, `train` or `eval`, that a group belongs to."""
    drawn = number_of(json.dumps([seed, *group]))
    return EVAL if drawn < eval_share * 2**64 else TRAIN


@dataclass
class Side:
    """The groups and images of one side; takes memory for its groups, and eight bytes an image.

    Attributes:
        rows: Number of rows of every group.
        first: Where the first row of every group is.
        images: Hashes of the image paths.
    """

    rows: Counter[Group] = field(default_factory=Counter)
    first: dict[Group, str] = field(default_factory=dict)
    images: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, raw: Mapping[str, Any], group: Group, where: str) -> None:
        """Count one record."""
        self.rows[group] += 1
        self.first.setdefault(group, where)
        self.images.extend(map(number_of, image_paths(raw)))


def write_split(
    rows: Rows, files: Mapping[str, TextIO], by: GroupBy, eval_share: float, seed: int
) -> dict[str, Side]:
    """Write every record's text to the file of its side, in order; return what went where.

    Raises:
        RecordError: For a record that is not JSON in UTF-8, or belongs to no group.
    """
    sides = {side: Side() for side in files}
    for where, text in rows:
        if "\ufffd" in text:  # what read_rows makes of it; the copy would not be the record
            raise RecordError("malformed record", where, "not UTF-8; convert the file to UTF-8")
        raw = parse_row(text, where)
        group = by.group(raw, where)
        side = side_of(group, eval_share, seed)
        sides[side].add(raw, group, where)
        files[side].write(text.rstrip("\r\n") + "\n")
    return sides


@dataclass(frozen=True)
class Leak:
    """A group or an image that is on both sides.

    Attributes:
        what: Its name or path.
        train: Where a row of the train side has it.
        eval: Where a row of the eval side has it.
    """

    what: str
    train: str
    eval: str


def shared_groups(train: Side, eval_: Side) -> list[Leak]:
    """Return the groups that are on both sides, in order of their names."""
    both = sorted(train.rows.keys() & eval_.rows.keys())
    return [Leak(" ".join(group), train.first[group], eval_.first[group]) for group in both]


def shared_images(
    train: Side, eval_: Side, read: Callable[[], Iterator[tuple[str, str, str]]]
) -> list[Leak]:
    """Return the images that are on both sides, in order of their paths.

    Args:
        train: One side.
        eval_: The other side.
        read: Reads the rows of both again, as (side, where, JSON text); called only where hashes
            agree.
    """
    hashes = set(np.intersect1d(_array(train), _array(eval_)).tolist())
    if not hashes:
        return []
    shared: dict[str, dict[str, str]] = {}
    for side, where, text in read():
        for path in image_paths(parse_row(text, where)):
            if number_of(path) in hashes:
                shared.setdefault(path, {}).setdefault(side, where)
    return [
        Leak(path, places[TRAIN], places[EVAL])
        for path, places in sorted(shared.items())
        if len(places) == 2
    ]


def values_on_both_sides(sides: Mapping[str, Side], by: GroupBy) -> dict[str, int]:
    """Return, for those keys of a combination that have some, how many values are on both sides."""
    if by.pattern is not None or len(by.keys) == 1:
        return {}
    train, eval_ = (zip(*sides[side].rows, strict=True) for side in (TRAIN, EVAL))
    both = {
        key: len({*in_train} & {*in_eval})
        for key, in_train, in_eval in zip(by.keys, train, eval_, strict=True)
    }
    return {key: count for key, count in both.items() if count}


def _array(side: Side) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.frombuffer(side.images, dtype=np.uint64)
