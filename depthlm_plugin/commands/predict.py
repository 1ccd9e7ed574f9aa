"""`depthlm predict` asks a trained model for the metres at points of a picture."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout

from .options import add_camera, add_model, camera_of, numbers_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm predict`."""
    parser.description = (
        "Prints one JSON object a point, in the order of --at: pixel, value, unit, reason (why the"
        " answer cannot be read, or null), text. Fails when an answer cannot be read."
    )
    parser.add_argument("image", help="a picture")
    parser.add_argument(
        "--at",
        action="append",
        required=True,
        metavar="X,Y",
        help="pixel, from 0,0 in the upper left corner; repeat",
    )
    add_camera(parser)
    add_model(parser)


def run(args: argparse.Namespace) -> int:
    """Print one JSON object for each point; return 1 when an answer cannot be parsed."""
    from ..predict.predictor import Predictor

    camera = camera_of(args)
    pixels = []
    for text in args.at:
        x, y = numbers_of("--at", text, 2)
        pixels.append((x, y))
    print("starting LLaMA-Factory ...", file=sys.stderr)
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        predictor = Predictor.load(args.model, args.adapter, args.template)
        answers = predictor.ask(args.image, camera, pixels)
    for answer in answers:
        result = {
            "pixel": answer.pixel,
            "value": answer.value,
            "unit": answer.unit,
            "reason": answer.reason,
            "text": answer.text,
        }
        print(json.dumps(result, ensure_ascii=False))
    return 1 if any(answer.value is None for answer in answers) else 0
