"""`depthlm harness`: a task folder with which lmms-eval asks any served model."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from ..errors import DepthLMError
from ..harness.folder import GROUP, write_folder
from ..records.rows import open_rows
from ..sampling.planner import Planner
from .render import make_planner


def run(args: argparse.Namespace) -> int:
    """Write the folder to `--out` and print one JSON object: what was written."""
    planners = [_planner(args, path) for path in args.records]
    sources = [
        (planner, open_rows(path)) for planner, path in zip(planners, args.records, strict=True)
    ]
    out = Path(args.out)
    total = sum(len(rows) for _, rows in sources)
    with tqdm(total=total, unit="record", disable=None, delay=2, file=sys.stderr) as bar:
        written = write_folder(sources, out, bar.update)
    print(
        f"{sum(task.questions for task in written.tasks)} questions, {written.pictures} pictures."
        " Ask a model behind an OpenAI-compatible server, where lmms-eval is installed:\n"
        f"python -m lmms_eval --model openai --model_args model=NAME,base_url=URL,api_key=KEY"
        f" --tasks {GROUP} --include_path {out} --output_path results --log_samples",
        file=sys.stderr,
    )
    print(json.dumps({"out": str(out), "group": GROUP, **asdict(written)}))
    return 0


def _planner(args: argparse.Namespace, path: str) -> Planner:
    if not args.points.isdecimal() and args.points != "all":
        raise DepthLMError(f"--points is a number, or all; found {args.points!r}")
    tasks = dict.fromkeys(args.task or ["depth"], 1.0)
    own = {"records": path, "task": "depth", "train": False, "questions": 1}
    return make_planner(
        argparse.Namespace(**(vars(args) | own)),
        seed=args.seed,
        tasks=tasks,
        points_per_record="all" if args.points == "all" else int(args.points),
    )
