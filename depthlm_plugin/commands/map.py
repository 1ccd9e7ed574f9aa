"""`depthlm map` makes a depth map and a point cloud of a picture, by asking a trained model."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DepthLMError
from .options import add_camera, add_model, add_ways, camera_of

if TYPE_CHECKING:
    from ..cameras.source import CameraSource
    from ..maps.depth_map import DepthMap
    from ..predict.predictor import Predictor

_GRID = "96x72"
_ENDINGS = {
    "out": (".png",),
    "npz": (".npz",),
    "tiff": (".tiff", ".tif"),
    "ply": (".ply",),
    "glb": (".glb",),
    "preview": (".png", ".jpg", ".jpeg"),
    "rerun": (".rrd",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm map`."""
    parser.description = (
        "Asks about a grid of pixels, and perhaps about more where depth jumps, and fills in"
        " between along the picture's edges. Of several pictures each output option names a"
        " folder, and what is there already is not made again. Prints one JSON object a picture:"
        " picture, camera and where it comes from, answers, unread (answers without a number),"
        " files."
    )
    parser.add_argument("image", nargs="+", help="pictures, or folders of them")
    parser.add_argument(
        "--grid", default=_GRID, metavar="WxH", help=f"pixels asked about (default: {_GRID})"
    )
    parser.add_argument(
        "--adaptive", type=int, default=0, metavar="N", help="ask about N more where depth jumps"
    )
    parser.add_argument("--full", action="store_true", help="ask about every pixel instead")
    parser.add_argument("--task", help="depth or principal_axis_distance (default: what it learnt)")
    outputs = parser.add_argument_group("outputs", "at least one")
    outputs.add_argument("--out", metavar="PNG", help="16 bits, millimetres; 0: no depth")
    outputs.add_argument(
        "--npz", metavar="F", help="z_m, distance_m, rays, K, confidence, answers: see the README"
    )
    outputs.add_argument("--tiff", metavar="F", help="32-bit floating point, metres")
    outputs.add_argument("--ply", metavar="F", help="coloured points, camera frame (y down)")
    outputs.add_argument("--glb", metavar="F", help="coloured points for viewers (y up)")
    outputs.add_argument("--preview", metavar="F", help="PNG or JPEG in colours, bar in metres")
    outputs.add_argument(
        "--rerun", metavar="F", help=".rrd, for the viewer: rerun F shows camera, z and points"
    )
    outputs.add_argument(
        "--quantity",
        default="z",
        choices=("z", "distance"),
        help="of --out and --tiff: along the principal axis (z, default), or from the camera",
    )
    parser.add_argument(
        "--exif-rotation", metavar="RULE", help="apply or ignore, as depthlm predict has it"
    )
    add_camera(parser)
    add_model(parser)
    add_ways(parser)


def run(args: argparse.Namespace) -> int:
    """Make the maps that are not there yet; return 1 when one could not be made."""
    grid = None if args.full else _grid(args.grid)
    camera = camera_of(args)
    pictures = _pictures(args.image)
    several = len(pictures) > 1 or os.path.isdir(args.image[0])
    plans = {path: _files(args, name if several else None) for path, name in pictures.items()}
    waiting = {
        path: files
        for path, files in plans.items()
        if not (several and all(file.exists() for file in files.values()))
    }
    if len(waiting) < len(plans):
        print(f"{len(plans) - len(waiting)} of {len(plans)} are there already", file=sys.stderr)
    if not waiting:
        return 0
    stdout, failed = sys.stdout, 0
    print("starting LLaMA-Factory ...", file=sys.stderr)
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        from ..predict.predictor import Predictor

        predictor = Predictor.load(
            args.model,
            args.adapter,
            args.template,
            args.way,
            args.constrained,
            calibrated=not args.uncalibrated,
        )
        for path, files in waiting.items():
            try:
                note = {"picture": path, **_map(args, predictor, camera, path, grid, files)}
            except DepthLMError as error:
                if not several:
                    raise
                failed += 1
                print(f"depthlm map: {error}", file=sys.stderr)
                continue
            print(json.dumps(note, ensure_ascii=False), file=stdout, flush=True)
    if failed:
        print(f"depthlm map: {failed} of {len(waiting)} pictures have no map", file=sys.stderr)
    return 1 if failed else 0


def _grid(text: str) -> tuple[int, int]:
    columns, _, rows = text.partition("x")
    if not (columns.isdecimal() and rows.isdecimal()):
        raise ConfigError(f"--grid takes columns and rows, as in {_GRID}; found {text!r}")
    return int(columns), int(rows)


def _pictures(given: list[str]) -> dict[str, Path]:
    """Return what each picture's files are called, without an ending, by its path.

    Raises:
        ConfigError: For two pictures of one name, or a folder without any.
    """
    from ..predict.many import pictures_in

    found: dict[str, Path] = {}
    owners: dict[Path, str] = {}
    for place in given:
        inside = os.path.isdir(place)
        for path in pictures_in(place) if inside else [place]:
            name = Path(os.path.relpath(path, place) if inside else Path(path).name)
            name = name.with_suffix("")
            if owners.setdefault(name, path) != path:
                raise ConfigError(
                    f"{owners[name]} and {path} would both be written as {name}; map them apart"
                )
            found[path] = name
    return found


def _files(args: argparse.Namespace, name: Path | None) -> dict[str, Path]:
    """Return the files of a picture by output option; of several pictures `name` says which.

    Raises:
        ConfigError: For none at all, or one of another ending.
    """
    files = {}
    for option, endings in _ENDINGS.items():
        given = getattr(args, option)
        if given is None:
            continue
        if name is not None:
            files[option] = Path(given) / f"{name}{endings[0]}"
        elif Path(given).suffix.lower() in endings:
            files[option] = Path(given)
        else:
            raise ConfigError(f"--{option} {given} must end in {' or '.join(endings)}")
    if not files:
        options = ", ".join(f"--{option}" for option in _ENDINGS)
        raise ConfigError(f"give at least one of {options}")
    if len({os.path.realpath(file) for file in files.values()}) < len(files):
        raise ConfigError("two outputs have one name; give each its own")
    return files


def _map(
    args: argparse.Namespace,
    predictor: Predictor,
    camera: CameraSource,
    path: str,
    grid: tuple[int, int] | None,
    files: dict[str, Path],
) -> dict[str, Any]:
    """Make a picture's map and write it; return what is printed of it.

    Until the files are whole, answers are kept beside them: stopped and started again, the same
    command goes on.
    """
    from tqdm import tqdm

    from ..predict.answer_file import AnswerFile

    try:
        for file in files.values():
            file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DepthLMError(f"{error.filename} cannot be made: {error.strerror}") from error
    first = next(iter(files.values()))
    run = _run_of(args, predictor, path)
    answers = first.with_name(f".{first.name}.{run}.answers.jsonl")
    with (
        AnswerFile(answers, run) as kept,
        tqdm(unit="answer", desc=Path(path).name, disable=None, file=sys.stderr) as bar,
    ):
        if kept:
            print(f"{path}: {len(kept)} answers are there already", file=sys.stderr)
        depth = predictor.map(
            path,
            camera,
            grid=grid,
            adaptive=args.adaptive,
            task=args.task,
            exif_rotation=args.exif_rotation,
            progress=bar.update,
            kept=kept,
        )
    try:
        note = _saved(depth, files, args.quantity)
    except OSError as error:
        raise DepthLMError(f"{error.filename or first} cannot be written: {error}") from error
    answers.unlink()
    kinds = {task: one.kind for task, one in predictor.calibrations.items()}
    return note | {"calibrated": kinds}


def _run_of(args: argparse.Namespace, predictor: Predictor, path: str) -> str:
    """Return a name for all that decides a picture's answers."""
    from ..predict.answer_file import run_of

    try:
        with open(path, "rb") as file:
            picture = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DepthLMError(f"{path} cannot be read: {error.strerror}") from error
    weights = [place for place in (args.model, args.adapter) if place]
    camera = [args.intrinsics, args.focal_px, args.fov, args.cameras, args.distortion]
    asked = [
        picture,
        args.constrained,
        args.exif_rotation,
        args.task,
        args.sensor_width_mm,
        *camera,
    ]
    return run_of(weights, predictor.config, asked)


def _saved(depth: DepthMap, files: dict[str, Path], quantity: str) -> dict[str, Any]:
    """Write the files of a map and return what is printed of it."""
    from ..maps import files as write
    from ..maps.preview import save_preview
    from ..maps.recording import save_recording

    too_far = 0

    def png(depth: DepthMap, file: Path) -> None:
        nonlocal too_far
        too_far = write.save_png(depth, file, quantity)

    writers: dict[str, Callable[[DepthMap, Path], object]] = {
        "out": png,
        "npz": write.save_npz,
        "tiff": lambda depth, file: write.save_tiff(depth, file, quantity),
        "ply": write.save_cloud,
        "glb": write.save_cloud,
        "preview": save_preview,
        "rerun": save_recording,
    }
    for option, file in files.items():
        writers[option](depth, file)
    if too_far:
        print(
            f"WARNING: {too_far} pixels are farther than the 65.535 m of a PNG in millimetres; they"
            f" are 0 (no depth) in {files['out']}. --tiff and --npz have them.",
            file=sys.stderr,
        )
    return {
        "camera": depth.found.to_json(),
        "answers": len(depth.pixels),
        "unread": depth.unread,
        "quantity": quantity,
        "farther_than_png": too_far,
        "files": {option: str(file) for option, file in files.items()},
    }
