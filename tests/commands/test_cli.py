"""The command line as a whole: every command is listed, helps at once, and ends quietly."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from depthlm_plugin import __version__, cli
from depthlm_plugin.cli import COMMANDS, full_parser, main

HEAVY = {
    "numpy",
    "torch",
    "PIL",
    "transformers",
    "llamafactory",
    "yaml",
    "pyarrow",
    "tqdm",
    "fsspec",
}


@pytest.mark.parametrize(
    "code",
    [
        "import depthlm_plugin",
        *(
            f"from depthlm_plugin.cli import main; main({arguments})"
            for arguments in (["--help"], ["--version"], *([name, "--help"] for name in COMMANDS))
        ),
    ],
)
def test_importing_and_help_load_nothing_heavy(run_python, code):
    result = run_python(
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded', sorted({HEAVY!r} & sys.modules.keys())))\n{code}"
    )
    assert result.stdout.splitlines()[-1] == "loaded []"


def test_every_module_of_commands_is_listed():
    folder = Path(cli.__file__).parent / "commands"
    assert {path.stem for path in folder.glob("*.py")} - {"__init__", "options"} == COMMANDS.keys()


def test_the_full_parser_knows_the_options_of_every_command():
    text = full_parser().format_help()
    assert all(re.search(rf"^    {name}\s", text, re.MULTILINE) for name in COMMANDS)
    args = full_parser().parse_args(["score", "a.jsonl", "--expect", "3"])
    assert (args.command, args.predictions, args.expect) == ("score", ["a.jsonl"], 3)


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"depthlm-plugin {__version__}\n"


def test_nothing_said_is_answered_with_the_list_of_commands(capsys):
    assert main([]) == 2
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", full_parser().format_help())


def test_an_unknown_command_is_guessed(capsys):
    assert main(["previw", "records.jsonl"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("depthlm: unknown command 'previw'; did you mean 'preview'?")


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [("--help", ""), ("recipe list", ""), ("curate --list", ""), ("curate --list", "1")],
)
def test_a_reader_that_is_gone_ends_a_command_quietly(command, unbuffered):
    assert run_unread(command.split(), "stdout", unbuffered) == (141, b"")


def test_messages_that_nobody_reads_end_a_command_quietly(tmp_path):
    assert run_unread(["validate", str(tmp_path / "none.jsonl")], "stderr") == (141, b"")


def run_unread(arguments, stream, unbuffered=""):
    """Run a command with a stream that nobody reads; return its status and the other stream."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "depthlm_plugin.cli", *arguments],
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: write},
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)
    return done.returncode, done.stderr if stream == "stdout" else done.stdout
