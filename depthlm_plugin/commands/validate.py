"""`depthlm validate` checks every row of a records file, and counts problems by reason."""

from __future__ import annotations

import argparse
import json
import sys

from ..errors import ConfigError
from .options import add_records, add_workers, stated_of, workers_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm validate`."""
    parser.description = (
        "Checks schema and ranges of every row, decodes every image, and prints the first problems"
        " by file and line, and how many there are of each kind. Fails when there is one."
    )
    add_records(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    add_workers(parser)


def run(args: argparse.Namespace) -> int:
    """Check schema, ranges and images of all rows; return 1 when anything is wrong."""
    from tqdm import tqdm

    from ..records import storage
    from ..records.units import open_dataset
    from ..sampling.validation import MOST_MESSAGES, Checks, Findings, check_rows

    if args.workers is not None and args.workers < 1:
        raise ConfigError(f"--workers must be 1 or more, found {args.workers}")
    stated = stated_of(args)
    rows = open_dataset(args.records, stated)
    checks = Checks(args.media_dir or storage.folder_of(args.records), stated, args.exif_rotation)
    total = Findings()
    # disable=None: quiet when stderr is not a terminal
    with tqdm(total=len(rows), unit="row", disable=None, delay=2, file=sys.stderr) as progress:
        for findings in check_rows(rows, checks, workers_of(args)):
            shown = len(total.messages)
            total.add(findings)
            for message in total.messages[shown:]:
                print(message, file=sys.stderr)
            progress.update(findings.rows)
    count = total.problems.total()
    if count > MOST_MESSAGES:
        print(f"... and {count - MOST_MESSAGES} more", file=sys.stderr)
    print(f"{total.rows} records, {total.points} usable points, {count} problems", file=sys.stderr)
    for reason, number in total.problems.most_common():
        print(f"  {number:7d}  {reason}", file=sys.stderr)
    if args.json:
        problems = dict(total.problems)
        print(json.dumps({"records": total.rows, "points": total.points, "problems": problems}))
    return 1 if count else 0
