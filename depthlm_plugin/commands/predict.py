"""`depthlm predict` asks a trained model for the metres at points of a picture."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict

from ..errors import ConfigError
from ..host.inference.ways import WAYS
from .options import add_model


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
    parser.add_argument(
        "--intrinsics", required=True, metavar="FX,FY,CX,CY", help="camera of the picture, pixels"
    )
    add_model(parser)
    parser.add_argument(
        "--way",
        choices=list(WAYS),
        default="auto",
        help="; ".join(f"{way}: {what}" for way, what in WAYS.items()),
    )
    parser.add_argument(
        "--constrained",
        action="store_true",
        help="let the model say nothing but a number in its template's form",
    )
    parser.add_argument(
        "--interval",
        action="store_true",
        help="also print what else the model could have said: median, mean, mode, delta1_optimal,"
        " interval_90 and mass, the probability of all numbers; null where it had no number",
    )


def run(args: argparse.Namespace) -> int:
    """Print one JSON object for each point; return 1 when an answer cannot be parsed."""
    from ..geometry.camera import Camera
    from ..predict.predictor import Predictor
    from ..views.decode import image_size

    width, height = image_size(args.image, args.image)
    camera = Camera.from_intrinsics([*_numbers("--intrinsics", args.intrinsics, 4), width, height])
    pixels = []
    for text in args.at:
        x, y = _numbers("--at", text, 2)
        pixels.append((x, y))
    print("starting LLaMA-Factory ...", file=sys.stderr)
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        predictor = Predictor.load(
            args.model, args.adapter, args.template, args.way, args.constrained
        )
        answers = predictor.ask(args.image, camera, pixels, distribution=args.interval)
    for answer in answers:
        result: dict[str, object] = {
            "pixel": list(answer.pixel),
            "value": answer.value,
            "unit": answer.unit,
            "reason": answer.reason,
            "text": answer.text,
        }
        if args.interval:
            found = answer.distribution
            result["distribution"] = None if found is None else asdict(found)
        print(json.dumps(result, ensure_ascii=False))
    return 1 if any(answer.value is None for answer in answers) else 0


def _numbers(option: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise ConfigError(f"{option} takes {count} numbers with commas between, found {text!r}")
    return numbers
