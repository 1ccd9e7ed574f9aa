"""`depthlm harness` writes a task folder with which lmms-eval asks any served model."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ..errors import DepthLMError
from .options import add_look, add_reading, make_planner, refuse_other_encodings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm harness`."""
    parser.description = (
        "Writes pictures as the model would see them, questions and the YAML files of lmms-eval:"
        " one task for each records file and kind of question, and the group depthlm of all. The"
        " folder can be moved. Prints one JSON object: out, group, tasks, pictures, left_out."
    )
    parser.add_argument("records", nargs="+", help="records files; each is a dataset")
    parser.add_argument("--out", required=True, help="folder to make")
    parser.add_argument(
        "--points", default="10", metavar="N", help="a record (default: 10), or all"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    add_reading(parser)
    add_look(parser)
    parser.add_argument("--task", action="append", help="what is asked; repeat (default: depth)")


def run(args: argparse.Namespace) -> int:
    """Write the folder to `--out` and print one JSON object: what was written."""
    from tqdm import tqdm

    from ..harness.folder import GROUP, write_folder
    from ..records.units import open_dataset

    refuse_other_encodings(args.records)
    if not args.points.isdecimal() and args.points != "all":
        raise DepthLMError(f"--points is a number, or all; found {args.points!r}")
    block = {
        "seed": args.seed,
        "tasks": dict.fromkeys(args.task or ["depth"], 1.0),
        "points_per_record": "all" if args.points == "all" else int(args.points),
    }
    planners = [make_planner(args, path, block) for path in args.records]
    sources = [
        (planner, open_dataset(path, planner.stated))
        for planner, path in zip(planners, args.records, strict=True)
    ]
    out = Path(args.out)
    total = sum(len(rows) for _, rows in sources)
    with tqdm(total=total, unit="record", disable=None, delay=2, file=sys.stderr) as bar:
        summary = write_folder(sources, out, bar.update)
    print(
        f"{sum(task.questions for task in summary.tasks)} questions, {summary.pictures} pictures."
        " Ask a model behind an OpenAI-compatible server, where lmms-eval is installed:\n"
        f"python -m lmms_eval --model openai --model_args model=NAME,base_url=URL,api_key=KEY"
        f" --tasks {GROUP} --include_path {out} --output_path results --log_samples",
        file=sys.stderr,
    )
    print(json.dumps({"out": str(out), "group": GROUP, **asdict(summary)}))
    return 0
