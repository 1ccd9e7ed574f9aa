"""`depthlm bench`: DepthLMBench with one model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..bench.benchmark import RESULTS, Bench
from ..errors import ConfigError
from ..scoring.published import PUBLISHED, SETS
from ..scoring.table import aligned, table_of


def run(args: argparse.Namespace) -> int:
    """Run the sets that are there and print their scores; the missing ones are named."""
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
    results, scores = bench.run()
    asked_for = len(results["sets"]) + len(results["missing"])
    label = "mean" if not results["missing"] else f"mean of {len(results['sets'])} of {asked_for}"
    if args.json:
        print(json.dumps(results))
    else:
        print(table_of(scores, mean=label))
        print(f"\npublished delta1\n{_published(list(results['sets']))}")
    for name, own in results["sets"].items():
        if own["not_asked"]:
            print(
                f"{SETS[name]}: {own['not_asked']} of {own['drawn']} points not asked: their mark"
                " would cross the border, or they are out of the depth range",
                file=sys.stderr,
            )
    if results["missing"]:
        missing = ", ".join(SETS[name] for name in results["missing"])
        print(f"missing, in no mean: {missing}", file=sys.stderr)
    print(f"{bench.out / RESULTS}", file=sys.stderr)
    return 0


def _published(names: list[str]) -> str:
    """Return the published rows for the same sets; their means are over all eight."""
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
