"""`depthlm curate`: a raw dataset to records, a data card and a contact sheet."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path

from ..config.block import DepthLMConfig
from ..curate.pipeline.curation import Settings, curate
from ..curate.pipeline.labelling import Job
from ..curate.pipeline.output import Output
from ..curate.registry import dataset_name, dataset_names, make_reader, reader_class
from ..errors import ConfigError

_MOST_WORKERS = 32


def run(args: argparse.Namespace) -> int:
    """Curate, or list the datasets; return 1 when a frame was left out."""
    if args.list:
        _list()
        return 0
    if not (args.dataset and args.root and args.out):
        raise ConfigError("expected DATASET --root RAW --out OUT, or --list")
    if args.compat not in (None, "official"):
        raise ConfigError(f"--compat is official or left out, found {args.compat!r}")
    root, out = Path(args.root), Path(args.out)
    if args.engine == "ray":  # its workers may have been started elsewhere
        root, out = root.resolve(), out.resolve()
    reader = make_reader(
        args.dataset,
        root,
        split=args.split,
        compat=args.compat is not None,
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
        args.sampling,
        _jpeg_focal_px(args),
    )
    workers = _default_workers() if args.workers is None else args.workers
    settings = Settings(workers, args.engine, args.confirm_unit)
    counts = curate(job, output, args.limit, settings)
    left_out = counts["left_out"]
    print(
        f"{counts['frames']} frames: {counts['records']} records with {counts['points']} points,"
        f" {counts['short']} of them with fewer than {args.points}, {sum(left_out.values())} frames"
        f" left out: {output.records}",
        file=sys.stderr,
    )
    for reason, count in left_out.items():
        print(f"  {count:7d}  {reason}", file=sys.stderr)
    places = {key: str(getattr(output, key)) for key in ("records", "card", "sheet")}
    print(json.dumps({"name": name, "places": places} | counts))
    return 1 if left_out else 0


def _jpeg_focal_px(args: argparse.Namespace) -> float | None:
    """Return the focal length of pictures to write, pixels; None where they stay as they are."""
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
    for dataset in dataset_names():
        reader = reader_class(dataset)
        title, facts = reader.card()
        print(f"{dataset:12s}  {title}")
        for key, text in facts.items():
            print(f"{'':12s}    {key}: {text}")
        for what, names in (("splits", reader.SPLITS), ("options", reader.options())):
            if names:
                print(f"{'':12s}    {what}: {', '.join(names)}")


def _default_workers() -> int:
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
