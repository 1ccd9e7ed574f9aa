"""`depthlm predict` asks a trained model about points of pictures, or of records."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import ConfigError
from .options import (
    add_camera,
    add_model,
    add_server,
    add_unusual,
    add_ways,
    camera_of,
    check_server,
    numbers_of,
    predictor_of,
    stated_of,
)

if TYPE_CHECKING:
    from ..cameras.source import CameraSource
    from ..predict.answer import Answer
    from ..predict.many import Item, Outcome, Survey
    from ..predict.predictor import Predictor
    from ..predict.questions import Asked

_SHOWN = 10  # problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `depthlm predict`."""
    parser.description = (
        "Asks about the pixels --at of a picture, or of every picture of a folder; or about all"
        " points of --records. Prints one JSON object an answer, or adds it to --out: pixel, value,"
        " unit, reason (why the answer cannot be read, or null), text, the camera and where it"
        " comes from, and the value for a focal length 10 % shorter and longer. What --out holds"
        " is not asked again: stopped and started again it goes on. Of records it is what"
        " `depthlm score` reads. Fails when something was not answered, or printed answers cannot"
        " be read."
    )
    parser.add_argument(
        "image",
        nargs="*",
        help="a picture (two for a task about two), or a folder; of --records the folder that image"
        " paths start from",
    )
    parser.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="X,Y",
        help="pixel, from 0,0 in the upper left corner of the picture as --exif-rotation has it;"
        " repeat",
    )
    parser.add_argument("--records", metavar="R", help="records file or folder")
    parser.add_argument("--out", metavar="FILE", help="predictions file, JSON lines")
    parser.add_argument(
        "--task",
        action="append",
        metavar="TASK",
        help="what is asked (default: depth; of records all that the model learnt)",
    )
    parser.add_argument("--time-s", type=float, metavar="S", help="that --task speed states")
    parser.add_argument("--speed-m-s", type=float, metavar="M/S", help="that --task time states")
    parser.add_argument(
        "--exif-rotation",
        metavar="RULE",
        help="pixels and cameras are of turned pictures as viewers show them (apply), or as they"
        " are stored (ignore); by default as the model was trained, which mostly is: refuse them",
    )
    parser.add_argument(
        "--depth-kind", metavar="KIND", help="of records that do not say: distance or z"
    )
    add_unusual(parser)
    add_camera(parser)
    add_model(parser)
    add_ways(parser)
    parser.add_argument(
        "--interval",
        action="store_true",
        help="add what else the model could have said as `distribution`: median, mean, mode,"
        " delta1_optimal, interval_90 and mass, the probability of all numbers; none where it had"
        " no number",
    )
    add_server(parser)


def run(args: argparse.Namespace) -> int:
    """Answer everything that is not answered yet; return 1 when something could not be."""
    _check(args)
    at = [(x, y) for x, y in (numbers_of("--at", text, 2) for text in args.at)]
    camera = camera_of(args)  # before the model is loaded, which takes a while
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):  # LLaMA-Factory logs to stdout
        predictor = predictor_of(args, args.way, args.constrained)
        if args.records:
            return _answer(args, predictor, _records(args, predictor), stdout)
        return _answer(args, predictor, _pictures(args, predictor, camera, at), stdout)


def _check(args: argparse.Namespace) -> None:
    """Refuse what contradicts itself.

    Raises:
        ConfigError: Says what to leave out.
    """
    check_server(args)
    if args.server and (args.way != "auto" or args.constrained or args.interval):
        raise ConfigError("--way, --constrained and --interval need the weights, not a --server")
    if args.records:
        for option in ("at", "intrinsics", "focal_px", "fov", "cameras", "time_s", "speed_m_s"):
            if getattr(args, option) not in (None, []):
                name = option.replace("_", "-")
                raise ConfigError(f"--{name} is of pictures; records say it themselves")
        if len(args.image) > 1 or not all(map(os.path.isdir, args.image)):
            raise ConfigError("of --records give the folder that image paths start from, or none")
        if not args.out:
            raise ConfigError("--records needs --out, a file of predictions")
    elif not args.image:
        raise ConfigError("give a picture, a folder of pictures or --records")
    elif len(args.task or []) > 1:
        raise ConfigError("of pictures give one --task")


def _records(args: argparse.Namespace, predictor: Predictor) -> Iterable[Item]:
    from ..predict.many import RecordQuestions

    tasks = args.task or list(predictor.config.tasks)
    media_dir = args.image[0] if args.image else None
    return RecordQuestions(
        predictor, args.records, tasks, stated_of(args), media_dir, args.exif_rotation
    )


def _pictures(
    args: argparse.Namespace,
    predictor: Predictor,
    camera: CameraSource,
    at: list[tuple[float, float]],
) -> Iterable[Item]:
    from ..predict.many import PictureQuestions, pictures_in
    from ..tasks import TASKS

    [task] = args.task or ["depth"]
    pictures: list[str] = []
    for path in args.image:
        pictures += pictures_in(path) if os.path.isdir(path) else [path]
        camera = camera.within(path)
    pairs = task in TASKS and TASKS[task].images == 2
    options = {
        "task": task,
        "time_s": args.time_s,
        "speed_m_s": args.speed_m_s,
        "exif_rotation": args.exif_rotation,
    }
    return PictureQuestions(predictor, [pictures] if pairs else pictures, camera, at, options)


def _answer(
    args: argparse.Namespace, predictor: Predictor, items: Iterable[Item], stdout: TextIO
) -> int:
    from tqdm import tqdm

    from ..predict.answer_file import AnswerFile
    from ..predict.many import Outcome, Survey, answer_all, asked_of
    from ..predict.rows import row_of

    survey = Survey.of(items, _teller())
    for warning, questions in survey.warnings.most_common(_SHOWN):
        print(f"WARNING ({questions} questions): {warning}", file=sys.stderr)
    run = _run_of(args, predictor, survey.questions)
    of = {"of": survey.questions} if args.records else {}
    outcome = Outcome()
    with (
        AnswerFile(Path(args.out), run) if args.out else nullcontext() as file,
        tqdm(total=survey.questions, unit="point", disable=None, file=sys.stderr) as progress,
    ):
        there = 0

        def waiting() -> Iterator[Asked]:
            nonlocal there
            for asked in asked_of(items):
                if file is not None and file.has(row_of(asked.answered(""))):
                    there += 1
                    progress.update()
                else:
                    yield asked

        def keep(answers: list[Answer]) -> None:
            rows = [row_of(answer) | of for answer in answers]
            if file is not None:
                file.add(rows)
            else:
                for row in rows:
                    print(json.dumps(row, ensure_ascii=False), file=stdout, flush=True)
            progress.update(len(rows))

        try:
            answer_all(predictor, waiting(), keep, _teller(), outcome, distribution=args.interval)
        finally:
            progress.close()
            print(_said(outcome, survey, there), file=sys.stderr)
    failed = survey.problems or outcome.problems or outcome.unanswered
    return 1 if failed or (outcome.unread and not args.out) else 0


def _teller() -> Callable[[Exception], None]:
    """Return what prints the first few problems."""
    told = 0

    def tell(problem: Exception) -> None:
        nonlocal told
        told += 1
        if told <= _SHOWN:
            print(problem, file=sys.stderr)

    return tell


def _said(outcome: Outcome, survey: Survey, there: int) -> str:
    def counts(what: str, reasons: Counter[str]) -> list[str]:
        listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        return [f"{reasons.total()} {what} ({listed})"] if reasons else []

    return "; ".join(
        [
            f"{outcome.answered} answered",
            *([f"{there} answered before"] if there else []),
            *counts("of them cannot be read", outcome.unread),
            *([f"{outcome.unanswered} UNANSWERED, ask again"] if outcome.unanswered else []),
            *counts("NOT ASKED", survey.problems + outcome.problems),
            *counts("left out", survey.left_out),
        ]
    )


def _run_of(args: argparse.Namespace, predictor: Predictor, questions: int) -> str:
    """Return a name for the run: that of the weights, and a digest of all that decides answers."""
    from ..predict.answer_file import run_of

    weights = [path for path in (args.model, args.adapter) if path]
    asked: list[Any] = [bool(args.server), args.server_model, args.constrained, args.interval]
    asked += [args.exif_rotation, args.task, args.time_s, args.speed_m_s]
    asked += [{task: str(one) for task, one in predictor.calibrations.items()}]
    if args.records:
        asked += [os.path.realpath(args.records), questions]
    else:
        asked += [args.intrinsics, args.focal_px, args.fov, args.cameras, args.distortion]
    name = Path(os.path.realpath(weights[-1])).name
    return f"{name}-{run_of(weights, predictor.config, asked)}"
