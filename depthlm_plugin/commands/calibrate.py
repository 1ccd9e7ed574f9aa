"""`depthlm calibrate` learns from answers with truths what a model's metres are to be mapped to."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm calibrate`."""
    parser.description = (
        "Fits a line in logarithms and a monotone curve to a model's answers about pictures of a"
        " VALIDATION set (never the one that scores are reported of), and saves the better beside"
        " the weights, as depthlm_calibration.json, if delta1 of pictures that it was not fitted to"
        " gets better by more than chance. depthlm predict, map and app then say calibrated metres"
        " too, or use them; training, benchmarks and depthlm score do not. Exits 1 when nothing"
        " was saved."
    )
    parser.add_argument(
        "predictions",
        nargs="+",
        help="answers of this model: depthlm predict --records R --out FILE",
    )
    parser.add_argument("--model", required=True, metavar="DIR", help="trained model, or adapter")
    parser.add_argument("--task", default="depth", help="depth or principal_axis_distance")
    parser.add_argument(
        "--prompt", default="official", help="the template of the answers, if it is a file"
    )


def run(args: argparse.Namespace) -> int:
    """Print how both fits do and save the better; return 1 when neither helps."""
    import numpy as np

    from ..config.saved import load_config
    from ..predict.calibration import judged, save_calibration
    from ..predict.mapping import DEPTH_TASKS
    from ..scoring.files import Finished, said_of

    if args.task not in DEPTH_TASKS:
        raise ConfigError(f"only {' and '.join(DEPTH_TASKS)} are calibrated, not {args.task}")
    config = load_config(args.model)
    if config is None:
        raise ConfigError(f"{args.model} has no depthlm_config.json; give the trained folder")
    if args.task not in config.tasks:
        raise ConfigError(f"the model did not learn {args.task}")
    found = Finished(args.predictions, args.task, args.prompt)
    rows = [row for row in found if row["task"] == args.task]
    for problem in found.problems:
        print(problem, file=sys.stderr)
    if found.counts or found.missing:
        raise ConfigError(f"{said_of(found)}; a calibration is learnt from whole files only")
    for key, what in (("depth_kind", "kinds of depth"), ("run", "runs")):
        different = sorted({str(row.get(key)) for row in rows})
        if len(different) > 1:
            raise ConfigError(f"answers of different {what}: {', '.join(different)}; give one's")
    pairs = [
        (value, target, f"{row['dataset']} {row.get('image')}")
        for row in rows
        if isinstance(value := row["value"], float | int)
        and isinstance(target := row["target"], float | int)
        and value > 0
    ]
    values, truths, pictures = zip(*pairs, strict=True) if pairs else ((), (), ())
    fits = judged(np.array(values, float), np.array(truths, float), pictures)
    best = fits[0]
    print(
        f"{best.points} answers about {best.pictures} pictures; {len(rows) - len(pairs)} that hold"
        f" no number were not used. delta1 as answered {best.raw_delta1:.3f}"
    )
    for fit in fits:
        low, high = fit.gain
        print(
            f"  {fit.calibration.kind:10}  held-out delta1 {fit.delta1:.3f}"
            f"  gain [{low:+.3f}, {high:+.3f}]"
        )
    if not best.helps:
        print("nothing saved: held-out delta1 does not get better by more than chance")
        return 1
    digests = [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in args.predictions]
    source = ", ".join(
        f"{Path(one).name} sha256 {digest[:16]}"
        for one, digest in zip(args.predictions, digests, strict=True)
    )
    path = save_calibration(args.model, args.task, best, source)
    print(f"saved {best.calibration.kind}, learnt from all of them: {path}")
    return 0
