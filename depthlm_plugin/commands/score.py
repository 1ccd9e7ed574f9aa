"""`depthlm score` prints the metrics of finished predictions."""

from __future__ import annotations

import argparse
import json
import sys

from .options import add_untold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm score`."""
    parser.description = (
        "Reads depth_predictions.jsonl, LLaMA-Factory's generated_predictions.jsonl, the output of"
        " its scripts/vllm_infer.py or lmms-eval's samples; prints a table with 95 % intervals"
        " (bootstrap over pictures), or with --json one object: rows, missing, left_out, complete,"
        " metrics, intervals, parts. Fails when a row could not be scored or is missing; every line"
        " says so."
    )
    parser.add_argument("predictions", nargs="+", metavar="FILE", help="JSON lines")
    parser.add_argument(
        "--parts",
        action="store_true",
        help="also by distance, beside depth edges, with answers read as distance and as z, and how"
        " answers repeat",
    )
    add_untold(parser)
    parser.add_argument("--expect", type=int, metavar="N", help="rows that there should be")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the scores; return 1 when they are not of a whole run."""
    from ..scoring.files import Finished, said_of
    from ..scoring.scores import Scores, finite
    from ..scoring.table import slices_of, table_of

    found = Finished(args.predictions, args.task, args.prompt, args.expect)
    scores = Scores(found)
    for problem in found.problems:
        print(problem, file=sys.stderr)
    said = said_of(found)
    if not found.good:
        print(f"depthlm score: {said}", file=sys.stderr)
        return 1
    complete = not (found.counts or found.missing)
    if args.json:
        counts = {
            "rows": found.good,
            "missing": found.missing,
            "left_out": dict(found.counts),
            "complete": complete,
        }
        print(json.dumps(counts | finite(scores.summary())))
    else:
        print(table_of(scores, complete=complete))
        if args.parts:
            print(f"\n{slices_of(scores, complete=complete)}\n")
        print(said)
    return 0 if complete else 1
