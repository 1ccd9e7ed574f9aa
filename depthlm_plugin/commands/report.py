"""`depthlm report` writes finished runs as one file to gathered."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import ConfigError, DepthLMError
from ..records.atomic import whole_file
from .options import add_untold

_MOST_SAMPLES = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm report`."""
    parser.description = (
        "Writes one self-contained HTML file, or Markdown (tables and texts only) where --out ends"
        " with .md, and prints one JSON object: out, runs, pictures_not_shown, pictures_left_out."
        " Fails when a run is not whole; the report is written and says so."
    )
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a prediction file, the output_dir of an evaluation, or the folder of depthlm bench",
    )
    parser.add_argument(
        "--out",
        action="append",
        required=True,
        metavar="FILE",
        help=".html or .md; repeat for both",
    )
    parser.add_argument(
        "--media-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="where image paths start; repeat: the first that has the picture counts (default: the"
        " bench's data, else the folder of the prediction file)",
    )
    parser.add_argument(
        "--samples",
        type=int,
        default=6,
        metavar="N",
        help="worst and random samples of each dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--maps",
        action="append",
        default=[],
        metavar="FILE",
        help="what `depthlm score MAPS --truth TRUTH --json` printed of whole depth maps; repeat",
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    add_untold(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report and print one JSON object; return 1 when a run is not whole."""
    from ..report.gather import gather
    from ..report.maps import read_maps
    from ..report.pictures import Album
    from ..report.render import TEMPLATES, render
    from ..report.sources import open_source

    outs = [Path(text) for text in args.out]
    for out in outs:
        if out.suffix.lower() not in TEMPLATES:
            raise ConfigError(f"--out {out}: expected a name that ends with {', '.join(TEMPLATES)}")
    if not 0 <= args.samples <= _MOST_SAMPLES:
        raise ConfigError(f"--samples must be 0 to {_MOST_SAMPLES}, found {args.samples}")
    maps = [read_maps(path) for path in args.maps]
    sources = [open_source(path, args.media_dir) for path in args.runs]
    options = {key: getattr(args, key) for key in ("samples", "seed", "task", "prompt")}
    numbers = range(1, len(sources) + 1) if len(sources) > 1 else [None]
    runs = [gather(source, n, **options) for source, n in zip(sources, numbers, strict=True)]
    not_found: dict[str, str] = {}
    left_out = 0
    for out in outs:
        album = Album()
        _write(out, render(runs, album, args.seed, out.suffix.lower(), maps))
        not_found |= album.not_found
        left_out = max(left_out, album.left_out)
    for one in runs:
        for problem in (*one.problems, *one.bad_rows):
            print(f"{one.label}: {problem}", file=sys.stderr)
    if not_found:
        first = next(iter(not_found.values()))
        print(f"{len(not_found)} pictures not shown; the first: {first}", file=sys.stderr)
    if left_out:
        print(f"{left_out} pictures left out: the report is large enough", file=sys.stderr)
    described = [
        {"run": str(one.source.path), "rows": one.scores.n, "complete": not one.problems}
        for one in runs
    ]
    counts = {"pictures_not_shown": len(not_found), "pictures_left_out": left_out}
    print(json.dumps({"out": list(map(str, outs)), "runs": described, **counts}))
    return 1 if any(one.problems for one in runs) else 0


def _write(out: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    try:
        with whole_file(out) as file:
            file.write(text)
    except OSError as error:
        raise DepthLMError(f"cannot write {out}: {error}") from error
