"""`depthlm render`: one sample as the model sees it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..config.block import DepthLMConfig
from ..errors import DepthLMError
from ..records import storage
from ..records.rows import open_rows
from ..sampling.given import point_sample
from ..sampling.planner import Planner


def run(args: argparse.Namespace) -> int:
    """Write the image to `--out` and print its JSON object."""
    if args.row < 0 or args.point < 0:
        raise DepthLMError("--row and --point count from 0")
    planner = make_planner(args)
    rows = open_rows(args.records)
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


def make_planner(args: argparse.Namespace, **config: Any) -> Planner:
    """Return what decides the samples that a command's arguments (and `config`) ask for."""
    if args.size_multiple < 1:
        raise DepthLMError("--size-multiple must be 1 or more")
    block = {
        "focal_px": args.focal,
        "label": args.label,
        "prompt": args.prompt,
        "tasks": {args.task: 1.0},
        "reference": args.reference,
        "questions_per_image": args.questions,
        "exif_rotation": args.exif_rotation,
    }
    root = args.media_dir or storage.folder_of(args.records)
    return Planner(
        DepthLMConfig.from_block(block | config),
        storage.stem(args.records),
        (root,),
        args.train,
        args.size_multiple,
        args.depth_kind,
        records=args.records,
    )
