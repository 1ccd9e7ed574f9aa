"""`depthlm validate`: every row of a records file, with counts by reason."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from ..errors import DepthLMError, RecordError
from ..images import check_size, load_rgb
from ..records import check_record, find_image, parse_row, read_rows

_SHOWN = 20  # problems printed in full; all are counted


def run(args: argparse.Namespace) -> int:
    """Check schema, ranges and images of all rows; return 1 when anything is wrong."""
    path = Path(args.records)
    root = str(args.media_dir or (path if path.is_dir() else path.parent))
    counts: Counter[str] = Counter()
    records = points = shown = 0
    # disable=None: quiet when stderr is not a terminal
    for row, (where, text) in enumerate(
        tqdm(read_rows(path), unit="row", disable=None, delay=2, file=sys.stderr)
    ):
        records += 1
        usable, problems = _check(text, where, row, root, args)
        points += usable
        for problem in problems:
            counts[problem.reason] += 1
            shown += 1
            if shown <= _SHOWN:
                print(problem, file=sys.stderr)
    if not records:
        raise DepthLMError(f"{path} holds no record")
    if shown > _SHOWN:
        print(f"... and {shown - _SHOWN} more", file=sys.stderr)
    bad = sum(counts.values())
    print(f"{records} records, {points} usable points, {bad} problems", file=sys.stderr)
    for reason, count in counts.most_common():
        print(f"  {count:7d}  {reason}", file=sys.stderr)
    if args.json:
        print(json.dumps({"records": records, "points": points, "problems": dict(counts)}))
    return 1 if bad else 0


def _check(
    text: str, where: str, row: int, root: str, args: argparse.Namespace
) -> tuple[int, list[RecordError]]:
    """Return how many points of a row are usable, and what is wrong with it."""
    problems: list[RecordError] = []
    try:
        record, problems = check_record(parse_row(text, where), where, row, args.depth_kind)
        image = find_image(record.image, [root], where)
        size_wh = load_rgb(image, where, args.exif_rotation).size
        check_size(size_wh, record.camera, image, where)
    except RecordError as error:
        return 0, [*problems, error]
    return len(record.points), problems
