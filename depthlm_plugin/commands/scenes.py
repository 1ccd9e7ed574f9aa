"""`depthlm scenes` writes synthetic scenes with exact depth, pose and camera."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm scenes`."""
    parser.add_argument("--out", required=True, help="dataset folder; others in it stay")
    parser.add_argument("--n", type=int, required=True, help="number of scenes")
    parser.add_argument("--domain", required=True, help="indoor, street or warehouse")
    parser.add_argument("--seed", type=int, default=0, help="of the scenes (default: 0)")
    parser.add_argument(
        "--start",
        type=int,
        default=0,
        help="number of the first scene: others, held out, from where the last set ended",
    )
    parser.add_argument(
        "--size", type=int, default=200, metavar="PX", help="about the width (default: 200)"
    )
    parser.add_argument(
        "--points", type=int, default=10, help="labelled pixels a picture (default: 10)"
    )
    parser.add_argument(
        "--views", type=int, default=1, help="pictures a scene, 1 or 2: 2 for tasks of two pictures"
    )
    parser.add_argument(
        "--depth-maps", action="store_true", help="the distance of every pixel too, as .npy, metres"
    )
    for option, unit, what in (
        ("--fov", "DEG", "horizontal field of view (default: 30 110)"),
        ("--height", "M", "of the camera above the ground (default: the domain's)"),
        ("--pitch", "DEG", "upwards (default: -25 10)"),
        ("--roll", "DEG", "clockwise (default: -6 6)"),
    ):
        parser.add_argument(
            option, type=float, nargs=2, metavar=(unit, unit), help=f"least and most: {what}"
        )
    parser.add_argument("--workers", type=int, default=1, help="processes (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Write the scenes; print the path of the records."""
    from ..errors import ConfigError
    from ..scenes.view import Rig
    from ..scenes.write import Wanted, write_scenes

    if not 1 <= args.workers <= 64:
        raise ConfigError(f"--workers must be from 1 to 64, found {args.workers}")
    wanted = Wanted(
        domain=args.domain,
        scenes=args.n,
        seed=args.seed,
        start=args.start,
        size_px=args.size,
        points=args.points,
        views=args.views,
        depth_maps=args.depth_maps,
        rig=Rig(
            **{
                name: tuple(span)
                for name, span in (
                    ("field_deg", args.fov),
                    ("height_m", args.height),
                    ("pitch_deg", args.pitch),
                    ("roll_deg", args.roll),
                )
                if span is not None
            }
        ),
    )
    began = time.monotonic()
    records = write_scenes(Path(args.out), wanted, workers=args.workers)
    pictures = args.n * args.views
    print(f"{pictures} pictures in {time.monotonic() - began:.1f} s", file=sys.stderr)
    print(records)
    return 0
