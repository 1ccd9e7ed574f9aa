"""`depthlm score`: the metrics of finished predictions."""

from __future__ import annotations

import argparse
import json
import sys

from ..finished import read_finished
from ..predictions import score_rows, table


def run(args: argparse.Namespace) -> int:
    """Print the scores; return 1 when a row could not be scored."""
    found = read_finished(args.predictions, args.task, args.prompt)
    for problem in found.problems:
        print(problem, file=sys.stderr)
    left_out = sum(found.counts.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in found.counts.most_common())
    said = f"{len(found.rows)} of {found.looked_at} rows scored"
    said += f"; INCOMPLETE: {left_out} left out ({reasons})" if left_out else ""
    if not found.rows:
        print(f"depthlm score: {said}", file=sys.stderr)
        return 1
    if args.json:
        counts = {"rows": len(found.rows), "left_out": dict(found.counts)}
        print(json.dumps({"metrics": score_rows(found.rows)} | counts))
    else:
        print(table(found.rows))
        print(said)
    return 1 if left_out else 0
