"""`depthlm demo` does the whole job offline: scenes, training, evaluation before and after."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm demo`."""
    parser.description = (
        "Synthetic scenes and a tiny base model: evaluate, train, evaluate, compare."
    )
    parser.add_argument(
        "--out", default="depthlm-demo", help="folder to write (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of scenes, weights and training (default: 0)"
    )
    parser.add_argument(
        "--reference",
        choices=("marker", "text"),
        default="marker",
        help="how a question refers to its pixel: a drawn mark (default), or coordinates in the"
        " text, which answers many pixels of one picture at once",
    )


def run(args: argparse.Namespace) -> int:
    """Run the demonstration and print its table; return 1 when nothing was learnt."""
    from ..demo.demonstration import demonstrate

    table, learnt = demonstrate(Path(args.out), args.seed, args.reference)
    print(table)
    return 0 if learnt else 1
