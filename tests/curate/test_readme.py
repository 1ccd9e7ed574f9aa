"""curate/README.md tells the truth: its commands parse, its reader is run by its command."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, read_records
from support.scene import POSES, Pinhole, distance_at, grid, picture

from depthlm_plugin.cli import full_parser, main
from depthlm_plugin.curate.registry import dataset_names, reader_class
from depthlm_plugin.curate.table import README

TEXT = README.read_text(encoding="utf-8")
COMMANDS = [
    shlex.split(line.partition("  #")[0])[1:]
    for line in re.findall(r"^    (depthlm .*)$", TEXT, re.MULTILINE)
]
[OWN] = [command for command in COMMANDS if command[1].endswith(".py")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands_are_accepted(command):
    args = full_parser().parse_args(command)
    if args.dataset in dataset_names():
        reader = reader_class(args.dataset)
        assert args.split in (None, *reader.SPLITS)
        assert {option.partition("=")[0] for option in args.option} <= reader.options().keys()
    else:
        assert args.list or command is OWN


def test_the_option_table_is_of_options_that_exist():
    section = TEXT.partition("| option |")[2].partition("\n\n")[0]
    flags = re.findall(r"--[a-z-]+(?=[ `])", section)
    parser = full_parser()
    curate = parser._subparsers._group_actions[0].choices["curate"]
    assert len(flags) > 9
    assert set(flags) <= curate._option_string_actions.keys()


def test_the_reader_of_ones_own(tmp_path, capsys, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    args = full_parser().parse_args(OWN)
    reader, raw = tmp_path / args.dataset, tmp_path / args.root
    reader.parent.mkdir()
    reader.write_text(code, encoding="utf-8")
    raw.mkdir()
    focal_px = float(dict(option.split("=") for option in args.option)["focal_px"])
    pinhole = Pinhole(focal_px, focal_px, 319.5, 239.5, 640, 480)
    truth = {}
    for number, pose in enumerate(POSES):
        truth[f"{number:04d}"] = pinhole, pose
        Image.fromarray(picture(pinhole, pose)).save(raw / f"{number:04d}.jpg")
        np.save(raw / f"{number:04d}.npy", distance_at(pinhole, pose, *grid(640, 480)))
    monkeypatch.chdir(tmp_path)
    assert main(OWN) == 0
    records = read_records(tmp_path / args.out / f"{reader.stem}.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / args.out)
    assert {record["scene"] for record in records} == {"garage"}
    (raw / "0000.npy").write_bytes(b"")
    (raw / "0001.npy").unlink()
    capsys.readouterr()
    assert main([*OWN, "--name", "damaged"]) == 1
    assert len(read_records(tmp_path / args.out / "damaged.jsonl")) == len(POSES) - 2
    for path in raw.glob("*.jpg"):
        path.unlink()
    assert main([*OWN, "--name", "empty"]) == 1
    assert "is not my garage: looked for *.jpg; there is 0000.npy" in capsys.readouterr().err


def test_the_guides_name_what_is_there():
    from support import curate_checks, raw

    from depthlm_plugin.curate import reading

    folder = README.parent
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (folder / link).exists(), link
    for name in ("assert_labels_the_scene", "assert_poses_agree"):
        assert f"`{name}`" in TEXT
        assert hasattr(curate_checks, name)
    assert "`reading.CARD_KEYS`" in TEXT
    assert reading.CARD_KEYS
    assert "`tests/support/raw/NAME.py`" in TEXT
    assert "`FIXTURES" in TEXT
    assert "FIXTURES" in raw.__doc__
    for path in re.findall(r"tests/[\w/]+\.py", TEXT):
        assert "NAME" in path or (folder.parents[1] / path).is_file(), path
