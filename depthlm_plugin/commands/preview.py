"""`depthlm preview` writes a contact sheet of what the model sees, is asked and shall answer."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import DepthLMError
from .options import add_records, add_view, make_planner, view_block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm preview`."""
    parser.description = (
        "Each tile shows one sample: the view made small, its mark in full size and enlarged,"
        " question and answer. With --json, or where stdout is no terminal, prints one JSON object:"
        " out, size_wh, and of each tile row, where, image, point, size_wh, pixel, target, unit,"
        " question, answer and the box [left, top, right, bottom] of the small view in the sheet."
    )
    add_records(parser)
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="image file to write, as sheet.png"
    )
    parser.add_argument(
        "--count", type=int, default=12, metavar="N", help="rows, evenly spaced (default: 12)"
    )
    parser.add_argument("--rows", metavar="I,J,...", help="these records instead, from 0")
    parser.add_argument(
        "--seed", type=int, default=0, help="of points and training crops (default: 0)"
    )
    add_view(parser)
    parser.add_argument("--json", action="store_true", help="print the tiles as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the sheet to `--out`, and print what each of its tiles shows, and where."""
    from PIL import Image
    from tqdm import tqdm

    from ..pictures.preview import draw_sheet, not_too_many, spread
    from ..records.units import open_dataset

    path, out = args.records, Path(args.out)
    planner = make_planner(args, path, view_block(args) | {"seed": args.seed}, train=args.train)
    if out.suffix.lower() not in Image.registered_extensions():
        raise DepthLMError(f"cannot write {out}: expected the name of an image file, as sheet.png")
    rows = open_dataset(path, planner.stated)
    chosen = not_too_many(_rows_of(args.rows)) if args.rows else spread(path, rows, args.count)
    if max(chosen) >= len(rows):
        raise DepthLMError(f"{path} has fewer than {max(chosen) + 1} records; rows count from 0")
    sheet, shown = draw_sheet(
        planner, rows, tqdm(chosen, unit="tile", disable=None, delay=2, file=sys.stderr)
    )
    try:
        sheet.save(out)
    except (OSError, ValueError) as error:
        raise DepthLMError(f"cannot write {out}: {error}") from error
    print(f"{out}: {len(shown)} of the records of {path}", file=sys.stderr)
    if args.json or not sys.stdout.isatty():  # a person is not shown a page of it
        print(json.dumps({"out": str(out), "size_wh": list(sheet.size), "tiles": shown}))
    return 0


def _rows_of(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise DepthLMError(f"--rows are numbers from 0 with commas, as 0,5,9; found {text!r}")
    from ..pictures.preview import not_too_many

    return not_too_many([int(part) for part in parts])
