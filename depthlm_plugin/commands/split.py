"""`depthlm split` divides records into train and eval, or checks that two files share nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DepthLMError

if TYPE_CHECKING:
    from ..records.splits import GroupBy, Leak, Side

_SHOWN = 20  # leaks printed in full; all are counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm split`."""
    parser.description = (
        "Writes NAME_train.jsonl, NAME_eval.jsonl and NAME_split.json (the groups of each side) and"
        " prints one JSON object. The side of a group depends on its name and the seed only:"
        " further records or files move nothing. --check prints what two finished files share, and"
        " fails when they share anything."
    )
    parser.add_argument(
        "records", nargs="?", help="a .jsonl, .json or .parquet file, or a folder of them"
    )
    parser.add_argument("--out", help="folder to write; nothing in it is overwritten")
    parser.add_argument(
        "--eval", type=float, default=0.1, metavar="SHARE", help="of the groups (default: 0.1)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    parser.add_argument("--name", help="how the files' names begin (default: that of the records)")
    parser.add_argument("--media-dir", help="folder that image paths start from")
    parser.add_argument(
        "--check", nargs=2, metavar=("TRAIN", "EVAL"), help="two records files to compare instead"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--by",
        default="scene",
        metavar="KEY[,KEY]",
        help="keys of the record that make a group (default: scene); of several, a combination",
    )
    group.add_argument(
        "--by-folder", action="store_true", help="the image's folder makes the group"
    )
    group.add_argument(
        "--by-path", metavar="REGEX", help="what its parentheses catch in the image path does"
    )


def run(args: argparse.Namespace) -> int:
    """Write the two sides and the list of their groups, or check two files for leaks."""
    from ..records.splits import FOLDER, GroupBy

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
    from ..records.split_files import LeakError, SplitFiles, folder_of
    from ..records.splits import values_on_both_sides

    path, out = Path(args.records), Path(args.out)
    name = args.name or (path.resolve().name if path.is_dir() else path.stem)
    if name in (".", "..") or Path(name).name != name:
        raise DepthLMError(f"--name is how the file names begin, without folders; found {name!r}")
    if path.is_dir() and out.resolve() == path.resolve():
        raise DepthLMError(f"{out} is the folder of the records themselves; choose another --out")
    files = SplitFiles(out, name)
    root = Path(args.media_dir or folder_of(path))
    try:
        sides = files.write(path, root, by, args.eval, args.seed)
    except LeakError as error:
        _show("image", error.images, "train", "eval")
        raise
    media_dir = None if root.resolve() == out.resolve() else str(root)
    described = {}
    for side, target in files.sides.items():
        count = _counts(sides[side], [*sides.values()])
        described[side] = {"file": str(target)} | count
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
    result = {"split": str(files.report), "by": str(by), "seed": args.seed, "media_dir": media_dir}
    print(json.dumps(result | described))
    return 0


def _check(train: Path, eval_: Path, by: GroupBy) -> int:
    """Print what is on both sides; return 1 when anything is."""
    from ..records.split_files import compare_files

    shared = compare_files(train, eval_, by)
    groups, images = len(shared.groups), len(shared.images)
    for kind, leaks in ((str(by), shared.groups), ("image", shared.images)):
        _show(kind, leaks, str(train), str(eval_))
    print(f"{groups} groups by {by} and {images} images are on both sides", file=sys.stderr)
    counts = {
        name: {"groups": len(side.rows), "rows": side.rows.total()}
        for name, side in shared.sides.items()
    }
    result = {"by": str(by)} | counts | {"shared_groups": groups, "shared_images": images}
    print(json.dumps(result))
    return 1 if groups or images else 0


def _show(kind: str, leaks: list[Leak], train: str, eval_: str) -> None:
    """Print leaks as a table: what is on both sides, and where on each."""
    if not leaks:
        return
    lines = [(kind, train, eval_), *((leak.what, leak.train, leak.eval) for leak in leaks[:_SHOWN])]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip(), file=sys.stderr)
    if len(leaks) > _SHOWN:
        print(f"... and {len(leaks) - _SHOWN} more", file=sys.stderr)


def _counts(side: Side, sides: Sequence[Side]) -> dict[str, float]:
    """Return how much is on a side, and which share of all sides that is."""
    groups, rows = len(side.rows), side.rows.total()
    return {
        "groups": groups,
        "groups_share": groups / sum(len(each.rows) for each in sides),
        "rows": rows,
        "rows_share": rows / sum(each.rows.total() for each in sides),
    }
