"""`depthlm bench` runs DepthLMBench with one model, and prints its scores beside published ones."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .options import add_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm bench`."""
    parser.description = (
        "Draws the points of each set, asks the model through llamafactory-cli (on all GPUs that it"
        " finds), scores. Stopped and started again it goes on. Writes OUT/results.json and"
        " OUT/depth_predictions.jsonl, of which `depthlm report OUT` makes a page."
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="dataset_info.json of depthlm curate; pictures"
    )
    add_model(parser)
    parser.add_argument("--out", required=True, help="folder to write, or to go on with")
    parser.add_argument(
        "--sets", metavar="SET,...", help="some of the eight; SET=DATASET for one of another name"
    )
    parser.add_argument(
        "--points", default="8192", metavar="N", help="random ones a set (default: 8192), or all"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    parser.add_argument("--json", action="store_true", help="print results.json")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="of llamafactory-cli, over the evaluation recipe of the model's family",
    )


def run(args: argparse.Namespace) -> int:
    """Ask and score the sets that are there, and print their scores; name the missing ones."""
    from ..bench.benchmark import Bench
    from ..bench.results import RESULTS
    from ..scoring.published import SETS
    from ..scoring.table import table_of

    bench = Bench(
        data=Path(args.data),
        model=args.model,
        adapter=args.adapter,
        out=Path(args.out),
        points=_points(args.points),
        seed=args.seed,
        sets=tuple(filter(None, (args.sets or "").split(","))),
        template=args.template,
        overrides=dict(_override(text) for text in args.overrides),
    )
    results, scores = bench.ask_and_score()
    asked_for = len(results["sets"]) + len(results["missing"])
    label = "mean" if not results["missing"] else f"mean of {len(results['sets'])} of {asked_for}"
    if args.json:
        print(json.dumps(results))
    else:
        print(table_of(scores, mean=label))
        print(f"\npublished delta1\n{_published(list(results['sets']))}")
    for name, counts in results["sets"].items():
        if counts["not_asked"]:
            print(
                f"{SETS[name]}: {counts['not_asked']} of {counts['drawn']} points not asked: their"
                " mark would cross the border, or they are out of the depth range",
                file=sys.stderr,
            )
    if results["missing"]:
        missing = ", ".join(SETS[name] for name in results["missing"])
        print(f"missing, in no mean: {missing}", file=sys.stderr)
    print(f"{bench.out / RESULTS}", file=sys.stderr)
    return 0


def _published(names: list[str]) -> str:
    """Return the published rows for the same sets; their means are over all eight."""
    from ..scoring.published import PUBLISHED
    from ..scoring.table import aligned

    lines = [("", *names, "mean of 8")]
    for row in PUBLISHED:
        cells = [f"{row.delta1[name]:.3f}" if name in row.delta1 else "" for name in names]
        lines.append((row.name, *cells, "" if row.mean is None else f"{row.mean:.3f}"))
    return aligned(lines)


def _points(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"--points is a whole number above 0 or all, found {text!r}")
    return int(text)


def _override(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"{text!r}: expected KEY=VALUE, as llamafactory-cli takes it")
    return key, yaml.safe_load(value)
