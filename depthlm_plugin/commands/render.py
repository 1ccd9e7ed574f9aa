"""`depthlm render`: one sample as the model sees it."""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from ..config import DepthLMConfig
from ..errors import DepthLMError
from ..planning import Planner
from ..records import read_rows


def run(args: argparse.Namespace) -> int:
    """Write the image to `--out` and print its JSON object."""
    if args.row < 0 or args.point < 0:
        raise DepthLMError("--row and --point count from 0")
    if args.size_multiple < 1:
        raise DepthLMError("--size-multiple must be 1 or more")
    path = Path(args.records)
    config = DepthLMConfig.from_block(
        {
            "focal_px": args.focal,
            "label": args.label,
            "prompt": args.prompt,
            "exif_rotation": args.exif_rotation,
        }
    )
    root = args.media_dir or (path if path.is_dir() else path.parent)
    planner = Planner(
        config, path.stem, (str(root),), args.train, args.size_multiple, args.depth_kind
    )
    found = next(islice(read_rows(path), args.row, None), None)
    if found is None:
        raise DepthLMError(f"{path} has fewer than {args.row + 1} records; rows count from 0")
    where, text = found
    sample = planner.plan_point(text, where, args.row, args.point)
    try:
        sample.image.save(args.out)
    except (OSError, ValueError) as error:
        raise DepthLMError(f"cannot write {args.out}: {error}") from error
    user, assistant = sample.messages
    result = {
        "size_wh": list(sample.view.size_wh),
        "camera": sample.camera.intrinsics,
        "pixel": list(sample.pixels[0]),
        "target": sample.target,
        "unit": sample.unit,
        "question": user["content"].removeprefix("<image>"),
        "answer": assistant["content"],
    }
    print(json.dumps(result))
    return 0
