"""`depthlm render` writes one sample as the model sees it."""

from __future__ import annotations

import argparse
import json

from ..errors import DepthLMError
from .options import add_records, add_view, make_planner, view_block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm render`."""
    parser.description = (
        "Writes the image and prints one JSON object: size_wh, camera [fx, fy, cx, cy],"
        " pixel [x, y] of the marked point, target, unit, question, answer."
    )
    add_records(parser)
    parser.add_argument("--row", type=int, required=True, metavar="N", help="record, from 0")
    parser.add_argument(
        "--point", type=int, required=True, metavar="N", help="point of the record, from 0"
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="image file to write, as sample.png"
    )
    add_view(parser)


def run(args: argparse.Namespace) -> int:
    """Write the image to `--out` and print its JSON object."""
    from ..records.units import open_dataset
    from ..sampling.given import point_sample

    if args.row < 0 or args.point < 0:
        raise DepthLMError("--row and --point count from 0")
    planner = make_planner(args, args.records, view_block(args), train=args.train)
    rows = open_dataset(args.records, planner.stated)
    if args.row >= len(rows):
        raise DepthLMError(
            f"{args.records} has fewer than {args.row + 1} records; rows count from 0"
        )
    where, raw = rows[args.row]
    sample = point_sample(planner, raw, where, args.row, args.point)
    try:
        sample.image.save(args.out)
    except (OSError, ValueError) as error:
        raise DepthLMError(f"cannot write {args.out}: {error}") from error
    question, answer = sample.turns[0]
    result = {
        "size_wh": list(sample.view.size_wh),
        "camera": sample.camera.intrinsics,
        "pixel": list(sample.pixels[0]),
        "target": sample.target,
        "unit": sample.unit,
        "question": question,
        "answer": answer,
    }
    print(json.dumps(result))
    return 0
