"""Which datasets there are, what their readers declare, and what a wrong name or root says."""

import subprocess
import sys

import pytest
from support.curate_checks import FOLDER, curate
from support.raw.every import EVERY

from depthlm_plugin.cli import main
from depthlm_plugin.curate.reading import CARD_KEYS
from depthlm_plugin.curate.registry import dataset_names, make_reader, reader_class
from depthlm_plugin.curate.table import BEGIN, END, README, datasets_table, with_table

NAMES = dataset_names()
MOTION = {"pose", "timestamp", "speed_m_s"}


def test_every_dataset_has_a_fixture():
    assert list(EVERY) == NAMES


@pytest.mark.parametrize("dataset", NAMES)
def test_every_reader_is_a_data_card(dataset):
    title, facts = reader_class(dataset).card()
    assert title
    assert list(facts) == list(CARD_KEYS)
    assert reader_class(dataset).STORED_DEPTH


@pytest.mark.parametrize("dataset", NAMES)
def test_a_wrong_root_is_told_what_was_looked_for_and_what_is_there(tmp_path, capsys, dataset):
    root = tmp_path / "raw"
    (root / "holiday").mkdir(parents=True)
    (root / "archive.zip").write_bytes(b"")
    options = FOLDER if dataset == "folder" else []
    _, said = curate(capsys, dataset, root, tmp_path / "out", *options, status=1)
    assert "looked for" in said
    assert "there is archive.zip, holiday/; unpack archive.zip first?" in said
    assert not (tmp_path / "out").exists()
    _, said = curate(capsys, dataset, tmp_path / "nowhere", tmp_path / "out", *options, status=1)
    assert "nowhere is not a folder" in said


def test_names_are_suggested(tmp_path, capsys):
    _, said = curate(capsys, "ibims", tmp_path, tmp_path / "out", status=1)
    assert "did you mean 'ibims1'" in said
    _, said = curate(capsys, "nyuv2", tmp_path, tmp_path / "out", "--split", "tset", status=1)
    assert "did you mean 'test'" in said
    _, said = curate(capsys, "ibims1", tmp_path, tmp_path / "out", "--split", "test", status=1)
    assert "it has none" in said


def test_list(capsys):
    assert main(["curate", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n{dataset} " in f"\n{printed}" for dataset in NAMES)
    assert "options: depth_scale, depth_kind" in printed


def test_readers_open_nothing_when_made(tmp_path):
    for dataset in NAMES:
        assert make_reader(dataset, tmp_path / "nowhere").root == tmp_path / "nowhere"


@pytest.mark.slow  # writes every fixture again
@pytest.mark.parametrize("dataset", NAMES)
def test_frames_have_the_motion_that_is_declared(dataset, tmp_path):
    write, arguments = EVERY[dataset]
    write(tmp_path)
    flags = list(zip(arguments[::2], arguments[1::2], strict=True))
    options = dict(value.split("=", 1) for flag, value in flags if flag == "--option")
    reader = make_reader(dataset, tmp_path, split=dict(flags).get("--split"), options=options)
    frame = reader.load(next(iter(reader.items())))
    has = {key for key in ("pose", "timestamp") if getattr(frame, key) is not None}
    has |= frame.extra.keys() & MOTION
    # Those of what users bring are there when they are in it, or an option names them.
    brought = {"folder": {"pose"}, "huggingface": {"pose", "timestamp"}, "depthlm": MOTION}
    assert has <= set(reader.MOTION) <= MOTION
    assert set(reader.MOTION) - has <= brought.get(dataset, set())


def test_the_table_of_the_readme_is_that_of_the_readers():
    text = README.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert with_table(text) == text, "run python -m depthlm_plugin.curate.table --write"
    rows = datasets_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == NAMES
    kitti, ibims1 = (rows[NAMES.index(name)] for name in ("kitti", "ibims1"))
    assert "| z, 1/256 m | poses, times, speed | `files=`, `crop=` | - |" in kitti
    assert ibims1.endswith("| - | z, 50/65535 m | - | - | z, 10 px border |")


def test_a_stale_table_is_replaced_and_the_rest_stays():
    text = README.read_text(encoding="utf-8")
    stale = text.replace("| `ddad` |", "| `dddad` |", 1)
    assert stale != text
    assert with_table(stale) == text


def test_names_are_known_without_importing_a_reader():
    code = (
        "import sys; from depthlm_plugin.curate.registry import dataset_names\n"
        "assert 'kitti' in dataset_names()\n"
        "assert not {'numpy', 'PIL', 'torch', 'depthlm_plugin.curate.reading'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
