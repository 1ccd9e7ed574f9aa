"""Dividing a records file into two files and the list of their groups, and comparing two files."""

from __future__ import annotations

import filecmp
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import DepthLMError
from .atomic import recover, whole_files
from .raw import parse_row
from .rows import read_rows
from .splits import (
    EVAL,
    TRAIN,
    GroupBy,
    Leak,
    Side,
    shared_groups,
    shared_images,
    side_of,
    write_split,
)


class LeakError(DepthLMError):
    """Images are in records of several groups, so that no split by these keeps them apart."""

    def __init__(self, message: str, images: list[Leak]) -> None:
        super().__init__(message)
        self.images = images


@dataclass(frozen=True)
class SplitFiles:
    """The three files of a split.

    Attributes:
        out: Their folder.
        name: How their names begin.
    """

    out: Path
    name: str

    @property
    def sides(self) -> dict[str, Path]:
        """The records of `train` and `eval`."""
        return {side: self.out / f"{self.name}_{side}.jsonl" for side in (TRAIN, EVAL)}

    @property
    def report(self) -> Path:
        """What divided the records, and the groups of each side."""
        return self.out / f"{self.name}_split.json"

    def write(
        self, records: Path, media_dir: Path, by: GroupBy, eval_share: float, seed: int
    ) -> dict[str, Side]:
        """Write the three files, all or none; return what went where.

        Args:
            records: A records file, or a folder of them.
            media_dir: The folder that its image paths start from; the report names it.
            by: What makes records a group.
            eval_share: Share of the groups on the side `eval`, above 0 and below 1.
            seed: Of the choice.

        Raises:
            LeakError: When groups share images.
            DepthLMError: When a file is there already, a side would be empty, or records cannot be
                read or written.
        """
        targets = self.sides
        places = [*targets.values(), self.report]
        try:
            if recover(self.report):
                print("removed what an interrupted run had written", file=sys.stderr)
            for place in places:
                if os.path.lexists(place):
                    raise DepthLMError(
                        f"{place} exists; remove it, or choose another --out or --name"
                    )
            self.out.mkdir(parents=True, exist_ok=True)
            with whole_files(places) as folder:
                partial = SplitFiles(folder, self.name)
                sides = _write_sides(records, partial.sides, by, eval_share, seed)
                content = {
                    "by": str(by),
                    "seed": seed,
                    "eval_share": eval_share,
                    "records": str(records),
                    "media_dir": os.path.relpath(media_dir, self.out),  # from this file's folder
                } | {name: _listed(targets[name], side) for name, side in sides.items()}
                text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
                # backslashreplace: for a lone surrogate it is JSON's own escape
                partial.report.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise DepthLMError(f"cannot split {records} into {self.out}: {error}") from error
        return sides


@dataclass(frozen=True)
class Shared:
    """What two finished files share.

    Attributes:
        sides: What each of them holds.
        groups: The groups in both.
        images: The images in both, without those that are other pictures of the same name.
    """

    sides: dict[str, Side]
    groups: list[Leak]
    images: list[Leak]


def compare_files(train: Path, eval_: Path, by: GroupBy) -> Shared:
    """Return what two records files share.

    Raises:
        DepthLMError: For a file without records, or whose records belong to no group.
    """
    paths = {TRAIN: train, EVAL: eval_}
    sides = {side: Side() for side in paths}
    for side, path in paths.items():
        for where, text in _rows(path):
            raw = parse_row(text, where)
            sides[side].add(raw, by.group(raw, where), where)
        if not sides[side].rows:
            raise DepthLMError(f"{path} holds no record")

    def again() -> Iterator[tuple[str, str, str]]:
        return ((side, *row) for side, path in paths.items() for row in _rows(path))

    images = [
        leak
        for leak in shared_images(sides[TRAIN], sides[EVAL], again)
        if not _differ(folder_of(train) / leak.what, folder_of(eval_) / leak.what)
    ]
    return Shared(sides, shared_groups(sides[TRAIN], sides[EVAL]), images)


def folder_of(records: Path) -> Path:
    """Return the folder that image paths start from where nothing else is said."""
    return records if records.is_dir() else records.parent


def _write_sides(
    records: Path, places: dict[str, Path], by: GroupBy, eval_share: float, seed: int
) -> dict[str, Side]:
    """Write both sides to files at `places`, refusing a split that is none."""
    with ExitStack() as stack:
        files = {
            side: stack.enter_context(place.open("w", encoding="utf-8", newline="\n"))
            for side, place in places.items()
        }
        sides = write_split(_rows(records), files, by, eval_share, seed)
    groups = {group for side in sides.values() for group in side.rows}
    if not groups:
        raise DepthLMError(f"{records} holds no record")
    if len(groups) == 1:
        raise DepthLMError(
            f"all records of {records} are of one group by {by}, {' '.join(*groups)!r}, and a group"
            " is never divided; take eval records from another scene, or group more finely with"
            " --by"
        )
    for name, side in sides.items():
        if not side.rows:
            raise DepthLMError(
                f"none of the {len(groups)} groups by {by} falls on the {name} side with --eval"
                f" {eval_share:g} and --seed {seed}; try another --seed, or a share that"
                f" {len(groups)} groups can give"
            )

    def again() -> Iterator[tuple[str, str, str]]:
        for where, text in _rows(records):
            group = by.group(parse_row(text, where), where)
            yield side_of(group, eval_share, seed), where, text

    images = shared_images(sides[TRAIN], sides[EVAL], again)
    if images:
        raise LeakError(
            f"{len(images)} images are in records of several groups by {by}, so no split by it"
            " keeps them apart; correct the records, or group more coarsely with --by",
            images,
        )
    return sides


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    # disable=None: quiet when stderr is not a terminal
    return iter(tqdm(read_rows(path), unit="row", disable=None, delay=2, file=sys.stderr))


def _differ(first: Path, second: Path) -> bool:
    """Return whether two files are there and hold different pictures under one relative path."""
    if not (first.is_file() and second.is_file()):
        return False
    return not filecmp.cmp(first, second, shallow=False)


def _listed(target: Path, side: Side) -> dict[str, Any]:
    groups = [
        {"group": list(group), "rows": rows, "first": side.first[group]}
        for group, rows in sorted(side.rows.items())
    ]
    return {"file": target.name, "rows": side.rows.total(), "groups": groups}
