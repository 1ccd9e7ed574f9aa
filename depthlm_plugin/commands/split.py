"""`depthlm split`: train and eval records with no scene on both sides, and the check of it."""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..errors import DepthLMError
from ..records.record import parse_row
from ..records.rows import read_rows
from ..records.splits import (
    EVAL,
    FOLDER,
    TRAIN,
    GroupBy,
    Leak,
    Side,
    shared_groups,
    shared_images,
    side_of,
    values_on_both_sides,
    write_split,
)

_SHOWN = 20  # leaks printed in full; all are counted


def run(args: argparse.Namespace) -> int:
    """Write the two sides and the list of their groups, or check two files for leaks."""
    pattern = FOLDER if args.by_folder else args.by_path
    by = GroupBy(tuple(key.strip() for key in args.by.split(",")), pattern)
    if args.check:
        if args.records or args.out:
            raise DepthLMError("--check TRAIN EVAL takes no other RECORDS and no --out")
        return _check(Path(args.check[0]), Path(args.check[1]), by)
    if not args.records or not args.out:
        raise DepthLMError("expected RECORDS --out FOLDER, or --check TRAIN EVAL")
    if not 0 < args.eval < 1:
        raise DepthLMError(f"--eval is a share between 0 and 1, as 0.1; found {args.eval:g}")
    return _split(args, by)


def _split(args: argparse.Namespace, by: GroupBy) -> int:
    path, out = Path(args.records), Path(args.out)
    name = args.name or (path.resolve().name if path.is_dir() else path.stem)
    if name in (".", "..") or Path(name).name != name:
        raise DepthLMError(f"--name is how the file names begin, without folders; found {name!r}")
    if path.is_dir() and out.resolve() == path.resolve():
        raise DepthLMError(f"{out} is the folder of the records themselves; choose another --out")
    targets = {side: out / f"{name}_{side}.jsonl" for side in (TRAIN, EVAL)}
    report = out / f"{name}_split.json"
    for target in (*targets.values(), report):
        if target.exists():
            raise DepthLMError(f"{target} exists; remove it, or choose another --out or --name")
    root = _root(path, args.media_dir)
    try:
        out.mkdir(parents=True, exist_ok=True)
        # Complete before any of the three has its name.
        with tempfile.TemporaryDirectory(prefix=".split-", dir=out) as folder:
            partial = {target: Path(folder, target.name) for target in (*targets.values(), report)}
            sides = _write(args, by, {side: partial[target] for side, target in targets.items()})
            content = {
                "by": str(by),
                "seed": args.seed,
                "eval_share": args.eval,
                "records": str(path),
                "media_dir": os.path.relpath(root, out),  # from this file's folder
            } | {side: _listed(targets[side], of) for side, of in sides.items()}
            text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
            # backslashreplace: for a lone surrogate it is JSON's own escape
            partial[report].write_text(text, encoding="utf-8", errors="backslashreplace")
            for target, place in partial.items():
                place.replace(target)
    except OSError as error:
        raise DepthLMError(f"cannot split {path} into {out}: {error}") from error
    media_dir = None if root.resolve() == out.resolve() else str(root)
    counts = {side: _counts(of, sides) for side, of in sides.items()}
    for side, target in targets.items():
        count = counts[side]
        print(
            f"{side:5s}  {count['groups']} groups ({count['groups_share']:.1%}), {count['rows']}"
            f" rows ({count['rows_share']:.1%}): {target}",
            file=sys.stderr,
        )
    for key, shared in values_on_both_sides(sides, by).items():
        print(
            f"note: {shared} values of {key!r} are on both sides; only each combination of {by} is"
            " kept apart",
            file=sys.stderr,
        )
    if media_dir is not None:
        print(
            f"note: image paths start from {media_dir}: say so with media_dir in the recipe and"
            " --media-dir in commands",
            file=sys.stderr,
        )
    result = {"split": str(report), "by": str(by), "seed": args.seed, "media_dir": media_dir}
    files = {side: {"file": str(targets[side])} | counts[side] for side in targets}
    print(json.dumps(result | files))
    return 0


def _write(args: argparse.Namespace, by: GroupBy, places: dict[str, Path]) -> dict[str, Side]:
    """Write both sides to files at `places`, refusing a split that is none."""
    path = Path(args.records)
    with ExitStack() as stack:
        files = {
            side: stack.enter_context(place.open("w", encoding="utf-8", newline="\n"))
            for side, place in places.items()
        }
        sides = write_split(_rows(path), files, by, args.eval, args.seed)
    groups = {group for side in sides.values() for group in side.rows}
    if not groups:
        raise DepthLMError(f"{path} holds no record")
    if len(groups) == 1:
        raise DepthLMError(
            f"all records of {path} are of one group by {by}, {' '.join(*groups)!r}, and a group is"
            " never divided; take eval records from another scene, or group more finely with --by"
        )
    for side, of in sides.items():
        if not of.rows:
            raise DepthLMError(
                f"none of the {len(groups)} groups by {by} falls on the {side} side with --eval"
                f" {args.eval:g} and --seed {args.seed}; try another --seed, or a share that"
                f" {len(groups)} groups can give"
            )

    def again() -> Iterator[tuple[str, str, str]]:
        for where, text in _rows(path):
            group = by.group(parse_row(text, where), where)
            yield side_of(group, args.eval, args.seed), where, text

    leaks = shared_images(sides[TRAIN], sides[EVAL], again)
    if leaks:
        _show("image", leaks, "train", "eval")
        raise DepthLMError(
            f"{len(leaks)} images are in records of several groups by {by}, so no split by it"
            " keeps them apart; correct the records, or group more coarsely with --by"
        )
    return sides


def _check(train: Path, eval_: Path, by: GroupBy) -> int:
    """Print what is on both sides; return 1 when anything is."""
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

    groups = shared_groups(sides[TRAIN], sides[EVAL])
    images = [
        leak
        for leak in shared_images(sides[TRAIN], sides[EVAL], again)
        if not _differ(_root(train) / leak.what, _root(eval_) / leak.what)
    ]
    for kind, leaks in ((str(by), groups), ("image", images)):
        _show(kind, leaks, str(train), str(eval_))
    print(
        f"{len(groups)} groups by {by} and {len(images)} images are on both sides",
        file=sys.stderr,
    )
    counts = {side: {"groups": len(of.rows), "rows": of.rows.total()} for side, of in sides.items()}
    shared = {"shared_groups": len(groups), "shared_images": len(images)}
    print(json.dumps({"by": str(by)} | counts | shared))
    return 1 if groups or images else 0


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    # disable=None: quiet when stderr is not a terminal
    return iter(tqdm(read_rows(path), unit="row", disable=None, delay=2, file=sys.stderr))


def _root(path: Path, media_dir: str | None = None) -> Path:
    return Path(media_dir or (path if path.is_dir() else path.parent))


def _differ(first: Path, second: Path) -> bool:
    """Return whether two files are there and hold different pictures under one relative path."""
    if not (first.is_file() and second.is_file()):
        return False
    return not filecmp.cmp(first, second, shallow=False)


def _show(kind: str, leaks: list[Leak], train: str, eval_: str) -> None:
    if not leaks:
        return
    lines = [(kind, train, eval_), *((leak.what, leak.train, leak.eval) for leak in leaks[:_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=sys.stderr)
    if len(leaks) > _SHOWN:
        print(f"... and {len(leaks) - _SHOWN} more", file=sys.stderr)


def _listed(target: Path, side: Side) -> dict[str, Any]:
    groups = [
        {"group": list(group), "rows": rows, "first": side.first[group]}
        for group, rows in sorted(side.rows.items())
    ]
    return {"file": target.name, "rows": side.rows.total(), "groups": groups}


def _counts(side: Side, sides: dict[str, Side]) -> dict[str, float]:
    groups, rows = len(side.rows), side.rows.total()
    return {
        "groups": groups,
        "groups_share": groups / sum(len(of.rows) for of in sides.values()),
        "rows": rows,
        "rows_share": rows / sum(of.rows.total() for of in sides.values()),
    }
