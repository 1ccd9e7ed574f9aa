"""`depthlm curate` makes a raw dataset into records, a data card and a contact sheet."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from ..errors import ConfigError
from .options import add_unusual, add_workers, refuse_other_encodings, stated_of, workers_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm curate`."""
    parser.description = (
        "Writes OUT/NAME.jsonl, its entry in OUT/dataset_info.json, and beside them OUT/NAME/ with"
        " the data card, the contact sheet and a link to the raw pictures, which stay where they"
        " are. Killed and started again, it goes on, to the same bytes. Prints one JSON object:"
        " name, places and counts. Fails when a frame was left out for another reason than those"
        " that the dataset's card announces (--list names them); the rest is written."
    )
    parser.add_argument(
        "dataset", nargs="?", help="a dataset (see --list), or the .py file of a reader of your own"
    )
    parser.add_argument(
        "--list", action="store_true", help="describe the datasets and their options"
    )
    parser.add_argument("--root", metavar="RAW", help="folder of the raw download")
    parser.add_argument("--out", help="folder to write; several curations may share it")
    parser.add_argument("--name", help="of the records (default: the dataset and split)")
    parser.add_argument("--split", help="one of the dataset's (default: see --list)")
    parser.add_argument("--points", type=int, default=100, help="a frame (default: %(default)s)")
    add_workers(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N frames only")
    parser.add_argument(
        "--sampling",
        help="uniform (default; expert: edges), log (by distance) or edges (none)",
    )
    parser.add_argument(
        "--compat", metavar="official", help="labels as DepthLM published them, mistakes included"
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the dataset; repeat"
    )
    parser.add_argument(
        "--images",
        default="keep",
        help="keep (default): use pictures where they are; jpeg: write them undistorted, at the"
        " focal length of training (quality 95, 4:4:4), to be read faster",
    )
    parser.add_argument(
        "--focal-px",
        type=float,
        metavar="F",
        help="of --images jpeg; smaller pictures are not enlarged (default: the recipe's, 1000)",
    )
    parser.add_argument(
        "--near-duplicates",
        default="keep",
        help="keep (default): count them for the card; drop: leave out frames like one before in"
        " their scene (the card has the rule)",
    )
    parser.add_argument(
        "--engine",
        default="processes",
        help="processes (default) of this machine, or ray: tasks of a cluster that sees the same"
        " paths; --workers of them at a time",
    )
    add_unusual(parser)


def run(args: argparse.Namespace) -> int:
    """Curate, or list the datasets; return 1 when frames were left out without being announced."""
    from ..curate.pipeline.curation import Settings, curate
    from ..curate.pipeline.duplicates import REASON
    from ..curate.pipeline.labelling import Job
    from ..curate.pipeline.output import Output
    from ..curate.registry import dataset_name, make_reader

    if args.list:
        _list()
        return 0
    if not (args.dataset and args.root and args.out):
        raise ConfigError("expected DATASET --root RAW --out OUT, or --list")
    if args.compat not in (None, "official"):
        raise ConfigError(f"--compat is official or left out, found {args.compat!r}")
    if args.near_duplicates not in ("keep", "drop"):
        raise ConfigError(f"--near-duplicates is keep or drop, found {args.near_duplicates!r}")
    refuse_other_encodings([args.dataset, args.name, *args.option])
    root, out = Path(args.root), Path(args.out)
    if args.engine == "ray":  # its workers may have been started elsewhere
        root, out = root.resolve(), out.resolve()
    reader = make_reader(
        args.dataset,
        root,
        split=args.split,
        compat=args.compat is not None,
        unusual=stated_of(args).unusual,
        options=_options(args.option),
    )
    several = len(reader.SPLITS) > 1
    dataset = dataset_name(args.dataset)
    name = args.name or (f"{dataset}_{reader.split}" if several else dataset)
    output = Output(out, name)
    job = Job(
        reader,
        dataset,
        name,
        output.folder,
        args.points,
        args.seed,
        args.sampling or reader.SAMPLING,
        _jpeg_focal_px(args),
        args.near_duplicates == "drop",
    )
    if args.workers is None:
        args.workers = reader.WORKERS
    settings = Settings(workers_of(args), args.engine)
    counts = curate(job, output, args.limit, settings)
    left_out = counts["left_out"]
    announced = {*reader.ANNOUNCED, REASON}
    print(
        f"{counts['frames']} frames: {counts['records']} records with {counts['points']} points,"
        f" {counts['short']} of them with fewer than {args.points}, {sum(left_out.values())} frames"
        f" left out: {output.records}",
        file=sys.stderr,
    )
    for reason, count in left_out.items():
        known = " (as its card announces)" if reason in announced else ""
        print(f"  {count:7d}  {reason}{known}", file=sys.stderr)
    for what, count in counts["lacking"].items():
        print(f"  {count:7d}  records without {what}", file=sys.stderr)
    places = {key: str(getattr(output, key)) for key in ("records", "card", "sheet")}
    print(json.dumps({"name": name, "places": places} | counts))
    return 1 if left_out.keys() - announced else 0


def _jpeg_focal_px(args: argparse.Namespace) -> float | None:
    """Return the focal length of pictures to write, pixels; None where they stay as they are."""
    from ..config.block import DepthLMConfig

    if args.images not in ("keep", "jpeg"):
        raise ConfigError(f"--images is keep or jpeg, found {args.images!r}")
    if args.images == "keep":
        if args.focal_px is not None:
            raise ConfigError(
                "--focal-px is that of --images jpeg; other pictures stay as they are"
            )
        return None
    focal_px = DepthLMConfig().focal_px if args.focal_px is None else args.focal_px
    if not 0 < focal_px < math.inf:
        raise ConfigError(f"--focal-px must be a positive number of pixels, found {focal_px:g}")
    return float(focal_px)


def _options(given: list[str]) -> dict[str, str]:
    options = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--option {text}: expected KEY=VALUE")
        options[key] = value
    return options


def _list() -> None:
    from ..curate.registry import dataset_names, reader_class

    for dataset in dataset_names():
        reader = reader_class(dataset)
        title, facts = reader.card()
        print(f"{dataset:12s}  {title}")
        for key, text in facts.items():
            print(f"{'':12s}    {key}: {text}")
        for what, names in (
            ("splits", reader.SPLITS),
            ("options", reader.options()),
            ("frames left out without failing", reader.ANNOUNCED),
        ):
            if names:
                print(f"{'':12s}    {what}: {', '.join(names)}")
