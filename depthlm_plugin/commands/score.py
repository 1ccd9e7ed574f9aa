"""`depthlm score`: the metrics of finished predictions."""

from __future__ import annotations

import argparse
import json
import sys

from ..scoring.files import Finished, said_of
from ..scoring.scores import Scores, finite
from ..scoring.table import slices_of, table_of


def run(args: argparse.Namespace) -> int:
    """Print the scores; return 1 when they are not of a whole run."""
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
