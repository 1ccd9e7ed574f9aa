"""The `depthlm` command. Human text goes to stderr, machine output to stdout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status, non-zero on any problem."""
    args = _parser().parse_args(argv)
    from .errors import DepthLMError

    # Heavy imports happen inside the commands, so that --help answers at once.
    command = import_module(f".{args.module}", __package__)
    try:
        return int(command.run(args))
    except DepthLMError as error:
        print(f"depthlm {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"depthlm {args.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="depthlm",
        description="Train vision-language models to see metric depth, with LLaMA-Factory.",
    )
    parser.add_argument("--version", action="version", version=f"depthlm-plugin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="train and evaluate a tiny model offline, on the CPU, in minutes",
        description="Synthetic scenes and a tiny base model: evaluate, train, evaluate, compare.",
    )
    demo.add_argument(
        "--out", default="depthlm-demo", help="folder to write (default: %(default)s)"
    )
    demo.add_argument("--seed", type=int, default=0, help="of scenes, weights and training")
    demo.set_defaults(module="demo.run")

    doctor = commands.add_parser("doctor", help="can this environment train; what to change")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    doctor.set_defaults(module="commands.doctor")

    validate = commands.add_parser(
        "validate", help="check every row of a records file, images included"
    )
    _add_records(validate)
    validate.add_argument("--json", action="store_true", help="print the counts as JSON")
    validate.set_defaults(module="commands.validate")

    render = commands.add_parser(
        "render",
        help="write one sample as the model sees it",
        description="Writes the image and prints one JSON object: size_wh, camera [fx, fy, cx, cy],"
        " pixel [x, y] of the marked point, target, unit, question, answer.",
    )
    _add_records(render)
    render.add_argument("--row", type=int, required=True, help="record, from 0")
    render.add_argument("--point", type=int, required=True, help="point of the record, from 0")
    render.add_argument("--out", required=True, help="image file to write (.png)")
    render.add_argument("--focal", type=float, default=1000.0, help="focal_px (default: 1000)")
    render.add_argument("--train", action="store_true", help="with the training crop")
    render.add_argument("--label", default="distance", help="distance (default) or z")
    render.add_argument("--prompt", default="official", help="template (default: official)")
    render.add_argument(
        "--size-multiple", type=int, default=28, help="patch x merge size of the model, pixels"
    )
    render.set_defaults(module="commands.render")

    predict = commands.add_parser("predict", help="ask a trained model for the metres at points")
    predict.add_argument("image", help="a picture")
    predict.add_argument(
        "--at", action="append", required=True, metavar="X,Y", help="pixel; repeat"
    )
    predict.add_argument(
        "--intrinsics", required=True, metavar="FX,FY,CX,CY", help="camera of the picture, pixels"
    )
    predict.add_argument("--model", required=True, help="merged model, or base of --adapter")
    predict.add_argument("--adapter", help="LoRA adapter folder")
    predict.add_argument("--template", help="chat template, if not the one saved with the weights")
    predict.set_defaults(module="commands.predict")

    recipe = commands.add_parser("recipe", help="the shipped recipes: list them, or print one")
    recipe.add_argument("action", choices=["list", "show"])
    recipe.add_argument("name", nargs="?", help="of the recipe to show")
    recipe.set_defaults(module="commands.recipe")
    return parser


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", help="a .jsonl, .json or .parquet file, or a folder of them")
    parser.add_argument("--depth-kind", help="what `depth` is where records do not say: distance|z")
    parser.add_argument("--media-dir", help="folder that image paths start from")
    parser.add_argument(
        "--exif-rotation", default="refuse", help="turned images: refuse (default), apply, ignore"
    )


if __name__ == "__main__":
    sys.exit(main())
