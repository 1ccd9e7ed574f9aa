"""`depthlm score` prints the metrics of finished predictions."""

from __future__ import annotations

import argparse
import json
import sys

from ..errors import ConfigError
from .options import add_untold


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm score`."""
    parser.description = (
        "Reads depth_predictions.jsonl, LLaMA-Factory's generated_predictions.jsonl, the output of"
        " its scripts/vllm_infer.py or lmms-eval's samples; prints a table with 95 % intervals"
        " (bootstrap over pictures), or with --json one object: rows, missing, left_out, complete,"
        " metrics, intervals, parts. Fails when a row could not be scored or is missing; every line"
        " says so. With --truth FILE and the given one are depth maps, or folders of them."
    )
    parser.add_argument("predictions", nargs="+", metavar="FILE", help="JSON lines, or maps")
    maps = parser.add_argument_group("depth maps")
    maps.add_argument(
        "--truth", metavar="PATH", help="the true map, or a folder with those of the same names"
    )
    maps.add_argument(
        "--quantity", choices=("z", "distance"), help="what maps hold that do not say it"
    )
    maps.add_argument(
        "--scale",
        type=float,
        metavar="M",
        help="metres of one unit of maps that do not say it; floating point is metres otherwise",
    )
    maps.add_argument("--truth-scale", type=float, metavar="M", help="the same of the true maps")
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
    if args.truth is not None:
        return _of_maps(args)
    for option in ("quantity", "scale", "truth_scale"):
        if getattr(args, option) is not None:
            raise ConfigError(f"--{option.replace('_', '-')} is of depth maps, which need --truth")
    from ..scoring.files import Finished, said_of
    from ..scoring.scores import Scores, finite
    from ..scoring.table import coverage_of, slices_of, table_of

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
        if covered := coverage_of(scores):
            print(covered)
        if args.parts:
            print(f"\n{slices_of(scores, complete=complete)}\n")
        print(said)
    return 0 if complete else 1


def _of_maps(args: argparse.Namespace) -> int:
    """Print the scores of depth maps."""
    from ..scoring.map_files import score_files
    from ..scoring.maps import METRICS, mean_of
    from ..scoring.table import aligned

    if len(args.predictions) != 1:
        raise ConfigError("with --truth give one map, or one folder of maps")
    scores = score_files(
        args.predictions[0], args.truth, args.quantity, args.scale, args.truth_scale
    )
    means, intervals = mean_of(scores)
    if args.json:
        print(json.dumps({"maps": scores, "mean": means, "intervals": intervals}))
        return 0
    lines = [("metric", "value", "95 %", "")]
    for name, value in means.items():
        low, high = intervals.get(name, (None, None))
        span = "" if low is None else f"{low:.3f}-{high:.3f}"
        lines.append((name, f"{value:.3f}", span, METRICS[name]))
    print(aligned(lines))
    print(f"mean of {len(scores)} maps; --json has each")
    return 0
