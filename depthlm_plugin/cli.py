"""The `depthlm` command: the list of its commands, each a module of `commands/`.

A command's module is imported when that command is asked for, and none of them imports anything
heavy before it runs, so that `--help` answers at once. Human text goes to stderr, machine output to
stdout.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from collections.abc import Collection, Sequence
from importlib import import_module

from . import __version__
from .errors import DepthLMError, did_you_mean

COMMANDS = {
    "scenes": "write synthetic scenes with exact depth, pose and camera",
    "demo": "train and evaluate a tiny model offline, on the CPU, in minutes",
    "doctor": "can this environment train; what to change",
    "curate": "a raw dataset to records, with a data card and a contact sheet",
    "validate": "check every row of a records file, images included",
    "render": "write one sample as the model sees it",
    "preview": "write a contact sheet of what the model sees",
    "split": "divide records into train and eval, no scene on both sides; or check that",
    "shard": "write records as Parquet shards: for millions of rows, read lazily",
    "predict": "ask a trained model for the metres at points",
    "map": "a depth map and a point cloud of a picture, from a trained model",
    "app": "a page to click on: metres, maps and clouds of your pictures",
    "calibrate": "map a trained model's metres to true ones, where that helps",
    "score": "metrics of finished predictions",
    "report": "scores, plots and pictures of finished runs, as one file",
    "bench": "DepthLMBench: the evaluation sets that are there, next to published numbers",
    "harness": "a task folder with which lmms-eval asks any served model",
    "recipe": "the shipped recipes: list, print, write one for a base and a card, check one",
}
"""Every command with its one-line help. `commands/NAME.py` has `add_arguments` and `run`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status, non-zero on any problem."""
    try:
        try:
            status = _run(sys.argv[1:] if argv is None else list(argv))
        except SystemExit:  # argparse's, after --help
            print(end="", flush=True)
            raise
        print(end="", flush=True)  # here, because at the interpreter's end nobody can catch it
        return status
    except BrokenPipeError:
        unread = _unread_streams()
        if not unread:
            raise
        # As `depthlm curate --list | head` ends it. What is left to write goes nowhere, quietly.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in unread:
            os.dup2(nowhere, stream)
        return 128 + signal.SIGPIPE


def full_parser(names: Collection[str] = COMMANDS.keys()) -> argparse.ArgumentParser:
    """Return the parser of the command line, with the options of the named commands (default: all).

    The other commands are listed with their help, and have no options.
    """
    parser = argparse.ArgumentParser(
        prog="depthlm",
        description="Train vision-language models to see metric depth, with LLaMA-Factory.",
    )
    parser.add_argument("--version", action="version", version=f"depthlm-plugin {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        sentence = f"{text[0].upper()}{text[1:]}."
        command = commands.add_parser(name, help=text, description=sentence)
        if name in names:
            module = import_module(f".commands.{name}", __package__)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _run(argv: list[str]) -> int:
    if argv and not argv[0].startswith("-") and argv[0] not in COMMANDS:
        guess = did_you_mean(argv[0], list(COMMANDS))
        print(f"depthlm: unknown command {argv[0]!r}{guess}", file=sys.stderr)
        return 2
    parser = full_parser(argv)
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except DepthLMError as error:
        print(f"depthlm {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"depthlm {args.command}: interrupted", file=sys.stderr)
        return 130


def _unread_streams() -> list[int]:
    """Return which of stdout (1) and stderr (2) are pipes whose reader is gone."""
    poll = select.poll()
    for stream in (1, 2):
        poll.register(stream, 0)
    return [stream for stream, event in poll.poll(0) if event & select.POLLERR]


if __name__ == "__main__":
    sys.exit(main())
