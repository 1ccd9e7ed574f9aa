"""`depthlm report` writes finished runs as one file to gathered."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import ConfigError, DepthLMError
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
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    add_untold(parser)


def run(args: argparse.Namespace) -> int:
    """Write the report and print one JSON object; return 1 when a run is not whole."""
    from ..report.build import build
    from ..report.gathering import gather
    from ..report.html import to_html
    from ..report.markdown import to_markdown
    from ..report.pictures import Album
    from ..report.sources import open_source

    writers = {".html": to_html, ".htm": to_html, ".md": to_markdown}
    outs = [Path(text) for text in args.out]
    for out in outs:
        if out.suffix.lower() not in writers:
            raise ConfigError(f"--out {out}: expected a name that ends with {', '.join(writers)}")
    if not 0 <= args.samples <= _MOST_SAMPLES:
        raise ConfigError(f"--samples must be 0 to {_MOST_SAMPLES}, found {args.samples}")
    sources = [open_source(path, args.media_dir) for path in args.runs]
    runs = [
        gather(
            source,
            number,
            alone=len(sources) == 1,
            samples=args.samples,
            seed=args.seed,
            task=args.task,
            prompt=args.prompt,
        )
        for number, source in enumerate(sources, start=1)
    ]
    albums = [Album() for _ in outs]
    for out, album in zip(outs, albums, strict=True):
        _write(out, writers[out.suffix.lower()](build(runs, album, args.seed)))
    for one in runs:
        for problem in (*one.problems, *one.bad_rows):
            print(f"{one.label}: {problem}", file=sys.stderr)
    not_found = {key: text for album in albums for key, text in album.not_found.items()}
    left_out = max(album.left_out for album in albums)
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
    partial = out.with_name(f"{out.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(out)
    except OSError as error:
        raise DepthLMError(f"cannot write {out}: {error}") from error
