"""The `depthlm` command. Human text goes to stderr, machine output to stdout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status, non-zero on any problem."""
    args = _parser().parse_args(argv)
    from .errors import DepthLMError

    # Heavy imports happen inside the commands, so that --help answers at once.
    command = import_module(f".{args.module}", __package__)
    try:
        return int(command.run(args))
    except DepthLMError as error:
        print(f"depthlm {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"depthlm {args.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="depthlm",
        description="Train vision-language models to see metric depth, with LLaMA-Factory.",
    )
    parser.add_argument("--version", action="version", version=f"depthlm-plugin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="train and evaluate a tiny model offline, on the CPU, in minutes",
        description="Synthetic scenes and a tiny base model: evaluate, train, evaluate, compare.",
    )
    demo.add_argument(
        "--out", default="depthlm-demo", help="folder to write (default: %(default)s)"
    )
    demo.add_argument("--seed", type=int, default=0, help="of scenes, weights and training")
    demo.set_defaults(module="demo.demonstration")

    doctor = commands.add_parser("doctor", help="can this environment train; what to change")
    doctor.add_argument("--json", action="store_true", help="print the checks as JSON")
    doctor.set_defaults(module="commands.doctor")

    curate = commands.add_parser(
        "curate",
        help="a raw dataset to records, with a data card and a contact sheet",
        description="Writes OUT/NAME.jsonl, its entry in OUT/dataset_info.json, and beside them"
        " OUT/NAME/ with the data card, the contact sheet and a link to the raw pictures, which"
        " stay where they are. Killed and started again, it goes on, to the same bytes. Prints one"
        " JSON object: name, places and counts. Fails when a frame was left out; the rest is"
        " written.",
    )
    curate.add_argument("dataset", nargs="?", help="see --list")
    curate.add_argument(
        "--list", action="store_true", help="describe the datasets and their options"
    )
    curate.add_argument("--root", metavar="RAW", help="folder of the raw download")
    curate.add_argument("--out", help="folder to write; several curations may share it")
    curate.add_argument("--name", help="of the records (default: the dataset and split)")
    curate.add_argument("--split", help="one of the dataset's (default: see --list)")
    curate.add_argument("--points", type=int, default=100, help="a frame (default: %(default)s)")
    curate.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as cores, up to 32)"
    )
    curate.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    curate.add_argument("--limit", type=int, metavar="N", help="the first N frames only")
    curate.add_argument(
        "--sampling", default="uniform", help="uniform (default), log (by distance) or edges (none)"
    )
    curate.add_argument(
        "--compat", metavar="official", help="labels as DepthLM published them, mistakes included"
    )
    curate.add_argument(
        "--option", action="append", default=[], metavar="KEY=VALUE", help="of the dataset; repeat"
    )
    curate.add_argument(
        "--images",
        default="keep",
        help="keep (default): use pictures where they are; jpeg: write them undistorted, at the"
        " focal length of training (quality 95, 4:4:4), to be read faster",
    )
    curate.add_argument(
        "--focal-px",
        type=float,
        metavar="F",
        help="of --images jpeg; smaller pictures are not enlarged (default: the recipe's, 1000)",
    )
    curate.add_argument(
        "--engine",
        default="processes",
        help="processes (default) of this machine, or ray: tasks of a cluster that sees the same"
        " paths; --workers of them at a time",
    )
    curate.add_argument(
        "--confirm-unit", action="store_true", help="the metres are right, implausible as they are"
    )
    curate.set_defaults(module="commands.curate")

    validate = commands.add_parser(
        "validate", help="check every row of a records file, images included"
    )
    _add_records(validate)
    validate.add_argument("--json", action="store_true", help="print the counts as JSON")
    validate.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: as many as cores, up to 32)"
    )
    validate.set_defaults(module="commands.validate")

    render = commands.add_parser(
        "render",
        help="write one sample as the model sees it",
        description="Writes the image and prints one JSON object: size_wh, camera [fx, fy, cx, cy],"
        " pixel [x, y] of the marked point, target, unit, question, answer.",
    )
    _add_records(render)
    render.add_argument("--row", type=int, required=True, help="record, from 0")
    render.add_argument("--point", type=int, required=True, help="point of the record, from 0")
    render.add_argument("--out", required=True, help="image file to write (.png)")
    _add_view(render)
    render.set_defaults(module="commands.render")

    preview = commands.add_parser(
        "preview",
        help="write a contact sheet of what the model sees",
        description="Each tile shows one sample: the view made small, its mark in full size and"
        " enlarged, question and answer. Prints one JSON object: out, size_wh, and of each tile"
        " row, where, image, point, size_wh, pixel, target, unit, question, answer and the box"
        " [left, top, right, bottom] of the small view in the sheet.",
    )
    _add_records(preview)
    preview.add_argument("--out", required=True, help="image file to write (.png)")
    preview.add_argument(
        "--count", type=int, default=12, help="rows, evenly spaced (default: %(default)s)"
    )
    preview.add_argument("--rows", metavar="I,J,...", help="these records instead, from 0")
    preview.add_argument("--seed", type=int, default=0, help="of points and training crops")
    _add_view(preview)
    preview.set_defaults(module="commands.preview")

    split = commands.add_parser(
        "split",
        help="divide records into train and eval, no scene on both sides; or check that",
        description="Writes NAME_train.jsonl, NAME_eval.jsonl and NAME_split.json (the groups of"
        " each side) and prints one JSON object. The side of a group depends on its name and the"
        " seed only: further records or files move nothing. --check prints what two finished files"
        " share, and fails when they share anything.",
    )
    split.add_argument(
        "records", nargs="?", help="a .jsonl, .json or .parquet file, or a folder of them"
    )
    split.add_argument("--out", help="folder to write; nothing in it is overwritten")
    split.add_argument(
        "--eval", type=float, default=0.1, metavar="SHARE", help="of the groups (default: 0.1)"
    )
    split.add_argument("--seed", type=int, default=0, help="of the choice (default: 0)")
    split.add_argument("--name", help="how the files' names begin (default: that of the records)")
    split.add_argument("--media-dir", help="folder that image paths start from")
    split.add_argument(
        "--check", nargs=2, metavar=("TRAIN", "EVAL"), help="two records files to compare instead"
    )
    group = split.add_mutually_exclusive_group()
    group.add_argument(
        "--by",
        default="scene",
        metavar="KEY[,KEY]",
        help="keys of the record that make a group (default: scene); of several, a combination",
    )
    group.add_argument(
        "--by-folder", action="store_true", help="the image's folder makes the group"
    )
    group.add_argument(
        "--by-path", metavar="REGEX", help="what its parentheses catch in the image path does"
    )
    split.set_defaults(module="commands.split")

    shard = commands.add_parser(
        "shard",
        help="write records as Parquet shards: for millions of rows, read lazily",
        description="Writes a folder of Parquet files with an index, whose single rows are quick to"
        " reach, and prints one JSON object: out, rows, shards, bytes, removed_unfinished. Records"
        " come back as they were.",
    )
    shard.add_argument("records", help="a .jsonl, .json or .parquet file, or a folder of them")
    shard.add_argument("--out", required=True, help="folder to make")
    shard.add_argument(
        "--rows-per-shard", type=int, metavar="N", help="at most so many a file (default: 100000)"
    )
    shard.add_argument("--overwrite", action="store_true", help="replace a folder of shards")
    shard.set_defaults(module="commands.shard")

    predict = commands.add_parser("predict", help="ask a trained model for the metres at points")
    predict.add_argument("image", help="a picture")
    predict.add_argument(
        "--at", action="append", required=True, metavar="X,Y", help="pixel; repeat"
    )
    predict.add_argument(
        "--intrinsics", required=True, metavar="FX,FY,CX,CY", help="camera of the picture, pixels"
    )
    predict.add_argument("--model", required=True, help="merged model, or base of --adapter")
    predict.add_argument("--adapter", help="LoRA adapter folder")
    predict.add_argument("--template", help="chat template, if not the one saved with the weights")
    predict.set_defaults(module="commands.predict")

    score = commands.add_parser(
        "score",
        help="metrics of finished predictions",
        description="Reads depth_predictions.jsonl, LLaMA-Factory's generated_predictions.jsonl,"
        " the output of its scripts/vllm_infer.py or lmms-eval's samples; prints a table with 95 %%"
        " intervals (bootstrap over pictures), or with --json one object: rows, missing, left_out,"
        " complete, metrics, intervals, parts. Fails when a row could not be scored or is missing;"
        " every line says so.",
    )
    score.add_argument("predictions", nargs="+", metavar="FILE", help="JSON lines")
    score.add_argument(
        "--parts",
        action="store_true",
        help="also by distance, beside depth edges, with answers read as distance and as z, and how"
        " answers repeat",
    )
    _add_unsaid(score)
    score.add_argument("--expect", type=int, metavar="N", help="rows that there should be")
    score.add_argument("--json", action="store_true", help="print everything as JSON")
    score.set_defaults(module="commands.score")

    report = commands.add_parser(
        "report",
        help="scores, plots and pictures of finished runs, as one file",
        description="Writes one self-contained HTML file, or Markdown (tables and texts only) where"
        " --out ends with .md, and prints one JSON object: out, runs, pictures_not_shown,"
        " pictures_left_out. Fails when a run is not whole; the report is written and says so.",
    )
    report.add_argument(
        "runs",
        nargs="+",
        metavar="RUN",
        help="a prediction file, the output_dir of an evaluation, or the folder of depthlm bench",
    )
    report.add_argument(
        "--out",
        action="append",
        required=True,
        metavar="FILE",
        help=".html or .md; repeat for both",
    )
    report.add_argument(
        "--media-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="where image paths start; repeat: the first that has the picture counts (default: the"
        " bench's data, else the folder of the prediction file)",
    )
    report.add_argument(
        "--samples",
        type=int,
        default=6,
        metavar="N",
        help="worst and random samples of each dataset (default: %(default)s)",
    )
    report.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    _add_unsaid(report)
    report.set_defaults(module="commands.report")

    bench = commands.add_parser(
        "bench",
        help="DepthLMBench: the evaluation sets that are there, next to published numbers",
        description="Draws the points of each set, asks the model through llamafactory-cli (on all"
        " GPUs that it finds), scores. Stopped and started again it goes on. Writes"
        " OUT/results.json and OUT/depth_predictions.jsonl, of which `depthlm report OUT` makes a"
        " page.",
    )
    bench.add_argument(
        "--data", required=True, metavar="DIR", help="dataset_info.json of depthlm curate; pictures"
    )
    bench.add_argument("--model", required=True, help="merged model, or base of --adapter")
    bench.add_argument("--adapter", help="LoRA adapter folder")
    bench.add_argument("--out", required=True, help="folder to write, or to go on with")
    bench.add_argument(
        "--sets", metavar="SET,...", help="some of the eight; SET=DATASET for one of another name"
    )
    bench.add_argument(
        "--points", default="8192", metavar="N", help="random ones a set (default: 8192), or all"
    )
    bench.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    bench.add_argument("--template", help="chat template, if not the one saved with the weights")
    bench.add_argument("--json", action="store_true", help="print results.json")
    bench.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help="of llamafactory-cli, over recipes/depthlm_qwen_eval.yaml",
    )
    bench.set_defaults(module="commands.bench")

    harness = commands.add_parser(
        "harness",
        help="a task folder with which lmms-eval asks any served model",
        description="Writes pictures as the model would see them, questions and the YAML files of"
        " lmms-eval: one task for each records file and kind of question, and the group depthlm of"
        " all. The folder can be moved. Prints one JSON object: out, group, tasks, pictures,"
        " left_out.",
    )
    harness.add_argument("records", nargs="+", help="records files; each is a dataset")
    harness.add_argument("--out", required=True, help="folder to make")
    harness.add_argument(
        "--points", default="10", metavar="N", help="a record (default: 10), or all"
    )
    harness.add_argument("--seed", type=int, default=0, help="of the points (default: 0)")
    _add_reading(harness)
    _add_look(harness)
    harness.add_argument("--task", action="append", help="what is asked; repeat (default: depth)")
    harness.set_defaults(module="commands.harness")

    recipe = commands.add_parser("recipe", help="the shipped recipes: list them, or print one")
    recipe.add_argument("action", choices=["list", "show"])
    recipe.add_argument("name", nargs="?", help="of the recipe to show")
    recipe.set_defaults(module="commands.recipe")
    return parser


def _add_unsaid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--task", default="depth", help="of LLaMA-Factory's files, which do not say it"
    )
    parser.add_argument("--prompt", default="official", help="of those files, likewise")


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("records", help="a .jsonl, .json or .parquet file, or a folder of them")
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--depth-kind", help="what `depth` is where records do not say: distance|z")
    parser.add_argument("--media-dir", help="folder that image paths start from")
    parser.add_argument(
        "--exif-rotation", default="refuse", help="turned images: refuse (default), apply, ignore"
    )


def _add_view(parser: argparse.ArgumentParser) -> None:
    _add_look(parser)
    parser.add_argument("--train", action="store_true", help="with the training crop")
    parser.add_argument("--task", default="depth", help="what is asked (default: depth)")
    parser.add_argument(
        "--questions", type=int, default=1, metavar="K", help="packed into a sample, with --train"
    )


def _add_look(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--focal", type=float, default=1000.0, help="focal_px (default: 1000)")
    parser.add_argument("--label", default="distance", help="distance (default) or z")
    parser.add_argument("--prompt", default="official", help="template (default: official)")
    parser.add_argument("--reference", default="marker", help="marker (default), text or numbered")
    parser.add_argument(
        "--size-multiple", type=int, default=28, help="patch x merge size of the model, pixels"
    )


if __name__ == "__main__":
    sys.exit(main())
