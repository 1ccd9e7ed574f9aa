"""`depthlm preview`: a contact sheet of what the model sees, is asked and shall answer."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from ..errors import DepthLMError
from ..pictures.preview import draw_sheet, not_too_many, spread
from ..records.rows import open_rows
from .render import make_planner


def run(args: argparse.Namespace) -> int:
    """Write the sheet to `--out` and print one JSON object: what each tile shows, and where."""
    path, out = args.records, Path(args.out)
    planner = make_planner(args, seed=args.seed)
    if out.suffix.lower() not in Image.registered_extensions():
        raise DepthLMError(f"cannot write {out}: expected the name of an image file, as sheet.png")
    rows = open_rows(path)
    chosen = _rows_of(args.rows) if args.rows else spread(path, rows, args.count)
    if max(chosen) >= len(rows):
        raise DepthLMError(f"{path} has fewer than {max(chosen) + 1} records; rows count from 0")
    sheet, shown = draw_sheet(
        planner, rows, tqdm(chosen, unit="tile", disable=None, delay=2, file=sys.stderr)
    )
    try:
        sheet.save(out)
    except (OSError, ValueError) as error:
        raise DepthLMError(f"cannot write {out}: {error}") from error
    print(f"{len(shown)} of the rows of {path}: {out}", file=sys.stderr)
    print(json.dumps({"out": str(out), "size_wh": list(sheet.size), "tiles": shown}))
    return 0


def _rows_of(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise DepthLMError(f"--rows are numbers from 0 with commas, as 0,5,9; found {text!r}")
    return not_too_many([int(part) for part in parts])
