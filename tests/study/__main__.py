"""The one command of the study: `PYTHONPATH=tests python -m study OUT`. It goes on where it was."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from .arms import arms, content
from .data import write_data
from .page import HERE, write_page
from .real import write_real
from .runs import Study, run_all
from .yardsticks import measure_regressors

SEEDS = 3


def main() -> None:
    """Write data, train and ask all arms, then results, figure and page.

    They go beside this module; of some arms, fewer seeds or the full form to OUT.
    """
    parser = argparse.ArgumentParser(prog="python -m study", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of data and runs, 2 GB")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each arm (default: 3)")
    parser.add_argument("--jobs", type=int, default=2, help="arms at a time (default: 2)")
    parser.add_argument("--full", action="store_true", help="the form for a GPU")
    parser.add_argument("--only", nargs="+", default=[], choices=list(arms()), metavar="ARM")
    parser.add_argument("--ibims", type=Path, metavar="DIR", help="with ibims1_dev.jsonl, rgb/")
    parser.add_argument(
        "--pairs", type=Path, metavar="DIR", help="datasets/oak-d of the package stereodemo 0.7"
    )
    parser.add_argument("--page", action="store_true", help="write the page of what is there")
    args = parser.parse_args()
    size = content()["sizes"]["full" if args.full else "reduced"]
    if (args.ibims is None) != (args.pairs is None):
        parser.error("give both --ibims and --pairs, or neither")
    study = Study(args.out.resolve(), size["steps"], size["model"], size["use_cpu"])
    began = time.monotonic()
    if not args.page:
        write_data(study.data, size["scenes"], size["held_out"])
        if args.ibims is not None:
            write_real(study.real, args.ibims, args.pairs)
        run_all(study, args.seeds, args.jobs, args.only)
        if not args.only:
            measure_regressors(study, args.seeds)
    whole = not (args.only or args.full or args.seeds < SEEDS)
    place = HERE if whole else study.out
    write_page(study, args.seeds, place)
    print(f"written: {place / 'README.md'}", file=sys.stderr)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes", file=sys.stderr)


if __name__ == "__main__":
    main()
