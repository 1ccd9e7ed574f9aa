"""Files that are written whole: what others put in the way stays as it is, links or not."""

import errno
import fcntl
import os
import resource
import stat

import pytest

from depthlm_plugin.bench.results import RESULTS, write_results
from depthlm_plugin.cli import full_parser
from depthlm_plugin.errors import DepthLMError
from depthlm_plugin.records.atomic import recover, whole_file, whole_folder
from depthlm_plugin.scoring.prediction import write_jsonl_atomically

TARGET = "out.html"
PREDICTION = '{"dataset":"d","row":0,"task":"depth","prompt":"plain","target":2.0,"text":"2"}\n'


def write_text(path, error=None):
    with whole_file(path) as file:
        file.write("new")
        if error is not None:
            raise error


def write_folder(path, error=None):
    with whole_folder(path) as folder:
        (folder / "a").write_text("new")
        if error is not None:
            raise error


def write_report(path):
    (path.parent / "p.jsonl").write_text(PREDICTION)
    command(["report", str(path.parent / "p.jsonl"), "--out", str(path)])


def command(arguments):
    args = full_parser(arguments[:1]).parse_args(arguments)
    assert args.run(args) == 0


WRITERS = {
    "text": (write_text, TARGET),
    "folder": (write_folder, "tasks"),
    "JSON lines": (lambda path: write_jsonl_atomically(path, [{"a": 1}]), "a.jsonl"),
    "results": (lambda path: write_results(path.parent, {"format": 1}), RESULTS),
    "report": (write_report, TARGET),
}


def contents(folder):
    """Return every file below a folder, and what links say, not following them."""
    found = {}
    for path in sorted(folder.rglob("*")):
        said = os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes()
        found[str(path.relative_to(folder))] = said
    return found


def planted(name):
    """Return names that a file or folder of this name might be written under at first."""
    stem = name.partition(".")[0]
    ends = ("part", "partial", "tmp", "old", "depthlm.partial", "0123456789abcdef.depthlm.partial")
    return {f"{start}{base}.{end}" for start in ("", ".") for base in (name, stem) for end in ends}


@pytest.mark.parametrize("what", ["link to a file", "link to a folder", "loose link", "folder"])
@pytest.mark.parametrize(("write", "name"), WRITERS.values(), ids=WRITERS)
def test_what_stands_beside_stays(tmp_path, write, name, what):
    work, other = tmp_path / "work", tmp_path / "other"
    work.mkdir()
    (other / "deep").mkdir(parents=True)
    (other / "mine.txt").write_text("mine")
    targets = {"link to a file": other / "mine.txt", "link to a folder": other}
    for beside in planted(name):
        if what == "folder":
            (work / beside).mkdir()
            (work / beside / "mine.txt").write_text("mine")
        else:
            (work / beside).symlink_to(targets.get(what, other / "loose"))
    before = contents(other), contents(work)
    write(work / name)
    added = {name, f"{name}/a", "p.jsonl"}
    assert contents(other) == before[0]
    after = contents(work)
    assert {key: after[key] for key in after.keys() - added} == before[1]
    assert after[name] or (work / name / "a").read_text() == "new"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error, old):
    if old:
        (tmp_path / TARGET).write_text(old)
        (tmp_path / "tasks").mkdir()
    before = contents(tmp_path)
    for write in (write_text, write_folder):
        with pytest.raises(type(error)):
            write(tmp_path / (TARGET if write is write_text else "tasks"), error)
    assert contents(tmp_path) == before


def leftover(path, **files):
    """Make what a process leaves that was killed while it wrote `path`."""
    work = path.parent / f".{path.name}.0123456789abcdef.depthlm.partial"
    work.mkdir()
    (work / "unfinished.lock").write_text(f"depthlm has not finished {path.name}\n")
    for name, text in files.items():
        (work / name).write_text(text)
    return work


@pytest.mark.parametrize(("write", "name"), WRITERS.values(), ids=WRITERS)
def test_what_a_killed_run_left_for_the_same_place_is_removed(tmp_path, write, name):
    leftover(tmp_path / name, new="half")
    other = leftover(tmp_path / "another", new="half")
    write(tmp_path / name)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == [other]


@pytest.mark.parametrize(
    "change",
    [
        lambda work: (work / "thesis.txt").write_text("mine"),
        lambda work: (work / "unfinished.lock").write_text("depthlm has not finished a thesis\n"),
        lambda work: (work / "unfinished.lock").write_text(""),
        lambda work: (work / "unfinished.lock").unlink(),
    ],
    ids=["something else in it", "of something else", "says nothing", "no lock"],
)
def test_what_only_looks_like_it_stays(tmp_path, change):
    work = leftover(tmp_path / "tasks", new="half")
    change(work)
    before = contents(work)
    write_folder(tmp_path / "tasks")
    assert contents(work) == before


def test_what_another_process_writes_stays(tmp_path):
    work = leftover(tmp_path / "tasks", new="half")
    before = contents(work)
    with (work / "unfinished.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DepthLMError, match="tasks is being written by another process"):
            write_folder(tmp_path / "tasks")
    assert contents(work) == before
    assert [path.name for path in tmp_path.iterdir()] == [work.name]


@pytest.mark.parametrize("changed", [False, True])
def test_of_several_files_those_that_a_killed_run_had_placed_are_taken_back(tmp_path, changed):
    """Unless somebody has changed them since."""
    paths = [tmp_path / "a", tmp_path / "b"]
    work = leftover(paths[-1])
    (work / "new").mkdir()
    (work / "new" / "b").write_text("half")
    paths[0].write_text("half")
    seen = paths[0].stat()
    (work / "placed").write_text(f"{seen.st_size} {seen.st_mtime_ns} a\n4 0 b\n")
    if changed:
        paths[0].write_text("mine")
        os.utime(paths[0], ns=(0, seen.st_mtime_ns + 1))
    assert recover(paths[-1])
    assert contents(tmp_path) == ({"a": b"mine"} if changed else {})


def test_permissions_are_those_of_new_files(tmp_path):
    (tmp_path / "plain").write_text("")
    (tmp_path / "folder").mkdir()
    write_text(tmp_path / TARGET)
    write_folder(tmp_path / "tasks")
    for own, plain in ((TARGET, "plain"), ("tasks", "folder")):
        modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (own, plain)]
        assert modes[0] == modes[1]


def test_a_link_is_replaced_not_written_through(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / TARGET).symlink_to("mine.txt")
    write_text(tmp_path / TARGET)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / TARGET).read_text() == "new"


@pytest.mark.parametrize("out", ["absent/a.html", "folder.html", "a" * 300 + ".html"])
def test_a_report_that_cannot_be_written(tmp_path, out):
    (tmp_path / "p.jsonl").write_text(PREDICTION)
    (tmp_path / "folder.html").mkdir()
    before = contents(tmp_path)
    with pytest.raises(DepthLMError, match="cannot write"):
        command(["report", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / out)])
    assert contents(tmp_path) == before


@pytest.mark.parametrize("limit", [0, 100, 5000, 20_000])
def test_a_harness_folder_without_room(record_folder, make_record, tmp_path, limit):
    """Files beyond the limit fail as on a full disk, in the middle of a picture or of a table."""
    records = str(record_folder([make_record()]))
    before = contents(tmp_path)
    arguments = ["harness", records, "--out", str(tmp_path / "t"), "--points", "1"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DepthLMError, match=r"cannot write .*/t \(.*; nothing was kept"):
            command([*arguments, "--focal", "200"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("limit", [0, 100, 1000])
@pytest.mark.parametrize("name", ["shard", "shard again", "split", "report"])
def test_other_commands_without_room(record_folder, make_record, tmp_path, name, limit):
    rows = [make_record(scene=scene, image=f"{scene}.png") for scene in "abcdefgh"]
    records = str(record_folder(rows))
    (tmp_path / "p.jsonl").write_text(PREDICTION)
    arguments = {
        "shard": ["shard", records, "--out", str(tmp_path / "s")],
        "shard again": ["shard", records, "--out", str(tmp_path / "s"), "--overwrite"],
        "split": ["split", records, "--out", str(tmp_path), "--eval", "0.4"],
        "report": ["report", str(tmp_path / "p.jsonl"), "--out", str(tmp_path / "r.md")],
    }[name]
    if name == "shard again":
        command(arguments)
    before = contents(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DepthLMError, match=r"cannot (write|split) .*too large"):
            command(arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == before


@pytest.mark.parametrize("what", ["link", "folder"])
def test_a_harness_leaves_other_folders_alone(record_folder, make_record, tmp_path, what):
    records = str(record_folder([make_record()]))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    if what == "link":
        (tmp_path / "t.partial").symlink_to("mine")
    else:
        (tmp_path / "mine").rename(tmp_path / "t.partial")
    before = contents(tmp_path)
    command(["harness", records, "--out", str(tmp_path / "t"), "--points", "1", "--focal", "200"])
    after = contents(tmp_path)
    assert {key: after[key] for key in before} == before
    assert {key.split("/")[0] for key in after.keys() - before.keys()} == {"t"}
