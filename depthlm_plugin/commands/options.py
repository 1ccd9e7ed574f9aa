"""The options that several commands share, and what they ask of the library."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..host.inference.ways import WAYS

if TYPE_CHECKING:
    from ..cameras.source import CameraSource
    from ..predict.predictor import Predictor
    from ..records.stated import Stated
    from ..sampling.planner import Planner

_MOST_WORKERS = 32


def add_records(parser: argparse.ArgumentParser) -> None:
    """Add the records that a command reads, and how it reads them."""
    parser.add_argument("records", help="a .jsonl, .json or .parquet file, or a folder of them")
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how records and their images are read."""
    parser.add_argument(
        "--depth-kind",
        metavar="KIND",
        help="what `depth` is where records do not say: distance or z",
    )
    add_unusual(parser)
    parser.add_argument("--media-dir", metavar="DIR", help="folder that image paths start from")
    parser.add_argument(
        "--exif-rotation",
        metavar="RULE",
        default="refuse",
        help="turned images: refuse (default), apply or ignore",
    )


def add_unusual(parser: argparse.ArgumentParser) -> None:
    """Add what `stated_of` reads."""
    parser.add_argument(
        "--unusual",
        metavar="WHAT",
        help="what is rare in this data, but right: camera, depth, or camera,depth",
    )


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add what the model is shown and asked, as keys of the `depthlm:` block say it."""
    parser.add_argument(
        "--focal",
        type=float,
        metavar="PX",
        default=1000.0,
        help="focal length that every picture is resampled to, pixels (focal_px; default: 1000)",
    )
    parser.add_argument("--label", default="distance", help="distance (default) or z")
    parser.add_argument(
        "--prompt", default="official", help="template: a name or a .yaml file (default: official)"
    )
    parser.add_argument("--reference", default="marker", help="marker (default), text or numbered")
    parser.add_argument(
        "--size-multiple",
        type=int,
        metavar="PX",
        default=28,
        help="patch x merge size of the model, pixels (default: 28)",
    )


def add_view(parser: argparse.ArgumentParser) -> None:
    """Add what `add_look` does, and what distinguishes a sample of training."""
    add_look(parser)
    parser.add_argument("--train", action="store_true", help="with the training crop")
    parser.add_argument("--task", default="depth", help="what is asked (default: depth)")
    parser.add_argument(
        "--questions", type=int, default=1, metavar="K", help="packed into a sample, with --train"
    )


def view_block(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keys of the `depthlm:` block for what `add_view` has over `add_look`."""
    return {"tasks": {args.task: 1.0}, "questions_per_image": args.questions}


def stated_of(args: argparse.Namespace) -> Stated:
    """Return what the command line states of records."""
    from ..records.stated import Stated

    return Stated.of(vars(args), "--unusual")


def make_planner(
    args: argparse.Namespace, records: str, block: dict[str, Any], *, train: bool = False
) -> Planner:
    """Return what decides the samples of a records file.

    Args:
        args: Values of `add_look` and `add_reading`.
        records: The file, or a folder.
        block: Further keys of the `depthlm:` block.
        train: Whether to crop for training.
    """
    from ..config.block import DepthLMConfig
    from ..sampling.of_records import planner_of

    look = {
        "focal_px": args.focal,
        "label": args.label,
        "prompt": args.prompt,
        "reference": args.reference,
        "exif_rotation": args.exif_rotation,
    }
    return planner_of(
        records,
        DepthLMConfig.from_block(look | block),
        train=train,
        size_multiple=args.size_multiple,
        stated=stated_of(args),
        media_dir=args.media_dir,
    )


def add_untold(parser: argparse.ArgumentParser) -> None:
    """Add what LLaMA-Factory's own prediction files do not tell of their questions."""
    parser.add_argument(
        "--task", default="depth", help="of LLaMA-Factory's files, which do not say it"
    )
    parser.add_argument("--prompt", default="official", help="of those files, likewise")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model that a command asks."""
    parser.add_argument("--model", required=True, help="merged model, or base of --adapter")
    parser.add_argument("--adapter", help="LoRA adapter folder")
    parser.add_argument("--template", help="chat template, if not the one saved with the weights")


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add the server that is asked in place of the weights of `add_model`."""
    group = parser.add_argument_group(
        "server", "asked in place of weights; --model, or --adapter, then gives depthlm_config.json"
    )
    group.add_argument(
        "--server", metavar="URL", help="OpenAI-style, as llamafactory-cli api, vLLM, SGLang"
    )
    group.add_argument("--server-model", metavar="NAME", help="its name, if several are served")
    group.add_argument(
        "--processor", metavar="DIR", help="model with the image processor, if --model has none"
    )


def check_server(args: argparse.Namespace) -> None:
    """Refuse options of a server without one, and of weights with one.

    Raises:
        ConfigError: Says what to leave out.
    """
    for option in ("server_model", "processor"):
        if getattr(args, option) and not args.server:
            raise ConfigError(f"--{option.replace('_', '-')} is of a --server")
    if args.server and args.uncalibrated:
        raise ConfigError("--uncalibrated is of weights: answers of a --server never are")


def predictor_of(
    args: argparse.Namespace, way: str = "auto", constrained: bool = False
) -> Predictor:
    """Return the model that the command line names, which says so where loading takes a while.

    Args:
        args: Values of `add_server`, `add_model` and `add_uncalibrated`.
        way: As `Predictor.load` takes it.
        constrained: As `Predictor.load` takes it.

    Raises:
        ConfigError: As `Predictor.load` and `Predictor.served`.
        HostError: As they.
        ServerError: When the server does not answer.
    """
    if not args.server:
        print("starting LLaMA-Factory ...", file=sys.stderr)
    from ..predict.predictor import Predictor

    if not args.server:
        return Predictor.load(
            args.model,
            args.adapter,
            args.template,
            way,
            constrained,
            calibrated=not args.uncalibrated,
        )
    return Predictor.served(
        args.server,
        args.adapter or args.model,
        processor=args.processor or (args.model if args.adapter else None),
        name=args.server_model,
    )


def add_camera(parser: argparse.ArgumentParser) -> None:
    """Add what `camera_of` reads."""
    group = parser.add_argument_group(
        "camera",
        "One of the first four; else the picture's EXIF block; else 60 degrees are assumed, with a"
        " warning. All are of the picture as --exif-rotation has it.",
    )
    group.add_argument("--intrinsics", metavar="FX,FY,CX,CY", help="pixels")
    group.add_argument("--focal-px", type=float, metavar="PX", help="focal length, pixels")
    group.add_argument("--fov", type=float, metavar="DEG", help="horizontal field of view, degrees")
    group.add_argument(
        "--cameras", metavar="PATH", help="cameras.json (picture: camera), or a COLMAP model"
    )
    group.add_argument(
        "--distortion", metavar="K1,K2,P1,P2[,K3]", help="lens; or JSON, as records state it"
    )
    group.add_argument(
        "--sensor-width-mm", type=float, metavar="MM", help="longer side, for EXIF's FocalLength"
    )


def camera_of(args: argparse.Namespace) -> CameraSource:
    """Return the source of cameras that the command line states.

    Raises:
        ConfigError: For two at once, or what is no number.
    """
    from ..cameras.source import CameraSource

    return CameraSource(
        intrinsics=args.intrinsics and numbers_of("--intrinsics", args.intrinsics, 4),
        focal_px=args.focal_px,
        fov_deg=args.fov,
        file=args.cameras,
        distortion=args.distortion and _distortion(args.distortion),
        sensor_width_mm=args.sensor_width_mm,
    )


def _distortion(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return numbers_of("--distortion", text)


def numbers_of(option: str, text: str, count: int | None = None) -> list[float]:
    """Return the numbers of an option, with commas between.

    Raises:
        ConfigError: For another text, or another count.
    """
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or (count is not None and len(numbers) != count):
        number = "numbers" if count is None else f"{count} numbers"
        raise ConfigError(f"{option} takes {number} with commas between, found {text!r}")
    return numbers


def add_ways(parser: argparse.ArgumentParser) -> None:
    """Add how a loaded model is asked."""
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
    add_uncalibrated(parser)


def add_uncalibrated(parser: argparse.ArgumentParser) -> None:
    """Add that answers stay as the model gave them."""
    parser.add_argument(
        "--uncalibrated",
        action="store_true",
        help="leave out what depthlm calibrate saved beside the weights",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the number of processes, of which `workers_of` makes a number."""
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"processes (default: as many as cores, up to {_MOST_WORKERS})",
    )


def workers_of(args: argparse.Namespace) -> int:
    """Return how many processes to start."""
    if args.workers is not None:
        return int(args.workers)
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def refuse_other_encodings(words: Iterable[str | None]) -> None:
    """Refuse names of the command line that are not UTF-8, and would be written as text.

    Raises:
        ConfigError: Names the first of them.
    """
    for word in words:
        try:
            (word or "").encode()
        except UnicodeEncodeError as error:
            shown = os.fsencode(word or "").decode("utf-8", "backslashreplace")
            raise ConfigError(
                f"'{shown}' is not UTF-8, which what is written is; choose another name"
            ) from error
