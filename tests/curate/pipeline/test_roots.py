"""A raw dataset reads nothing outside of its root, by names or by links; its messages say ROOT."""

import shutil
from pathlib import Path

import pytest
from support.curate_checks import FOLDER, contents, curate
from support.raw.small import write_folder, write_ibims1
from support.scene import POSES, Pinhole

from depthlm_plugin.curate.datasets.ibims1 import Ibims1
from depthlm_plugin.curate.pipeline.labelling import Job
from depthlm_plugin.errors import RecordError

SECRET = "AKIA5ECRET"
OUTSIDE = "file outside its root"
IBIMS_FOLDERS = ("rgb", "depth", "calib", "mask_invalid", "mask_transp")


def leave(path, target):
    """Move a file or folder away and leave a link to it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    path.symlink_to(target)


def ibims1(tmp_path):
    root = tmp_path / "raw"
    write_ibims1(root, ("good_1", "a_1"), holes=False)
    for folder in IBIMS_FOLDERS:  # of which a list may name frames
        shutil.copytree(root / folder, tmp_path / "other" / folder)
    return root


def named(root, name):
    (root / "imagelist.txt").write_text(f"good_1\n{name}\n")


def calibration_is_a_link(root, name):
    (root / name).write_text(SECRET)
    leave(root / name, root.parent / "credentials")


IBIMS = {
    "up": lambda root: named(root, "../../other/rgb/a_1"),
    "up and back in by name": lambda root: named(root, "../../raw/../other/rgb/a_1"),
    "absolute": lambda root: named(root, root.parent / "other" / "rgb" / "a_1"),
    "NUL": lambda root: named(root, "a\0_1"),
    **{
        f"link {folder}": lambda root, folder=folder: leave(
            next((root / folder).glob("a_1.*")), root.parent / "away" / folder
        )
        for folder in IBIMS_FOLDERS
    },
    "link to a secret": lambda root: calibration_is_a_link(root, "calib/a_1.txt"),
}


@pytest.mark.parametrize("change", IBIMS.values(), ids=IBIMS)
def test_ibims1_reads_below_its_root(tmp_path, capsys, change):
    root = ibims1(tmp_path)
    change(root)
    options = ("--workers", 1, "--points", 10)
    counts, said = curate(capsys, "ibims1", root, tmp_path / "out", *options, status=1)
    assert counts["left_out"] == {OUTSIDE: 1}
    assert counts["records"] == 1
    assert "leads out of --root" in said
    for path, content in contents(tmp_path / "out").items():
        assert SECRET.encode() not in content, path
    assert SECRET not in said


def write_room(root):
    """Write an RGB-D folder; return how many frames it has."""
    return len(write_folder(root, Pinhole(300.0, 301.0, 160.4, 119.2, 320, 240), POSES))


LINKS = ["rgb/0001.png", "depth/0001.png", "rgb", "depth", "intrinsics.json"]


@pytest.mark.parametrize("what", LINKS)
def test_an_rgbd_folder_is_read_below_its_root(tmp_path, capsys, what):
    root = tmp_path / "raw"
    frames = write_room(root)
    leave(root / what, tmp_path / "away" / what)
    whole = "." not in what or what.endswith("json")
    counts, said = curate(
        capsys, "folder", root, tmp_path / "out", *FOLDER, "--workers", 1, status=1
    )
    assert "leads out of --root" in said
    if whole:
        assert f"{frames} {OUTSIDE}" in said
    else:
        assert counts["left_out"] == {OUTSIDE: 1}


def test_links_that_stay_inside_and_a_root_that_is_a_link_are_followed(tmp_path, capsys):
    root = tmp_path / "raw"
    frames = write_room(root)
    leave(root / "depth", root / "store" / "depth")
    (tmp_path / "linked").symlink_to("raw")
    for place in (root, tmp_path / "linked"):
        counts, _ = curate(
            capsys, "folder", place, tmp_path / place.name / "out", *FOLDER, "--workers", 1
        )
        assert counts["records"] == frames


PATTERNS = ["/{root}/rgb/*.png", "../raw/rgb/*.png", "rgb/../rgb/*.png", "a**/*.png"]


@pytest.mark.parametrize("option", ["rgb", "depth"])
@pytest.mark.parametrize("pattern", PATTERNS, ids=ascii)
def test_patterns_are_below_the_root(tmp_path, capsys, option, pattern):
    root = tmp_path / "raw"
    write_room(root)
    own = f"{option}={pattern.format(root=root)}"
    _, said = curate(capsys, "folder", root, tmp_path / "out", *FOLDER, "--option", own, status=1)
    assert said.startswith(f"depthlm curate: the pattern {own.partition('=')[2]!r} ")


ROOTS = [
    ("ib", "ibims1 a: ib/x.png is bad", "ROOT/x.png is bad"),
    ("ib", "ibims1 a: rib/ib/x.png, ib/y.png or ./ib/z", "rib/ib/x.png, ROOT/y.png or ./ib/z"),
    ("ib", "ib/1: 'ib/x.png' of ib", "'ROOT/x.png' of ib"),
    (".", "a: no . is replaced (x.png).", "no . is replaced (x.png)."),
    ("a", "a: has a channel, a/b.png", "has a channel, ROOT/b.png"),
    ("/d/ib", "a: /d/ib/x.png, /d/ib2/y, /e/d/ib/z", "ROOT/x.png, /d/ib2/y, /e/d/ib/z"),
    ("/d/ib", "a: nothing in /d/ib. '/d/ib' (/d/ib.old)", "nothing in ROOT. 'ROOT' (/d/ib.old)"),
    ("/d/i+b", "a: /d/i+b/x", "ROOT/x"),
    ("/", "a: /etc/x and / are", "/etc/x and ROOT are"),
]


@pytest.mark.parametrize(("root", "said", "expected"), ROOTS)
def test_only_paths_that_begin_with_the_root_say_root(tmp_path, root, said, expected):
    where, _, message = said.partition(": ")
    job = Job(Ibims1(Path(root)), "ibims1", tmp_path, "ibims1", 1, 0, "spread", None)
    assert job._without_root(RecordError("bad file", where, message)) == f"{where}: {expected}"
