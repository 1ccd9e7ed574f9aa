"""What all curations share: bytes, resuming, refusals, damage, units."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from support import killed
from support.curate_checks import FOLDER, assert_labels_the_scene, contents, curate, read_records
from support.raw.small import write_folder, write_ibims1
from support.scene import POSES, Pinhole

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.curate.pipeline import chunks
from depthlm_plugin.errors import DepthLMError

SMALL = Pinhole(62.0, 61.0, 30.5, 24.0, 64, 48)


@pytest.fixture
def room(tmp_path):
    """Five small frames as a folder dataset: its root and what they show."""
    root = tmp_path / "room"
    return root, write_folder(root, SMALL, [*POSES, POSES[0]])


def test_what_is_written(room, tmp_path, capsys):
    root, truth = room
    out = tmp_path / "out"
    counts, _ = curate(capsys, "folder", root, out, *FOLDER, "--name", "desk", "--workers", 1)
    assert contents(out).keys() == {
        "dataset_info.json", "desk.jsonl", "desk/README.md", "desk/curation.json", "desk/sheet.png"
    }  # fmt: skip
    assert counts["places"]["records"] == str(out / "desk.jsonl")
    records = read_records(out / "desk.jsonl")
    assert_labels_the_scene(records, truth, out)
    assert records[0].keys() == {
        "image", "intrinsics", "pixel_coords", "depth", "depth_kind", "at_edge", "scene", "source",
        "id",
    }  # fmt: skip
    assert (records[0]["image"], records[0]["source"]) == ("desk/raw/rgb/0000.png", "folder")
    assert not os.path.isabs((out / "desk" / "raw").readlink())
    with Image.open(out / "desk" / "sheet.png") as sheet:
        assert sheet.height > 2 * 288  # five tiles, three in a row
    samples = DepthSamples(out / "desk.jsonl", train=False, focal_px=62, size_multiple=1)
    assert samples[4].image.size == (64, 48)  # found without a media_dir


def test_the_sheet_shows_pictures_at_the_focal_length_of_training(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    write_folder(root / "far", Pinhole(1500.0, 1480.0, 320.0, 240.0, 640, 480), POSES[:1])
    write_folder(root / "tiny", Pinhole(50.0, 50.0, 31.5, 23.5, 64, 48), POSES[:1])  # 20 times
    write_folder(root / "wide", Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150), POSES[:1])
    curate(capsys, "folder", root, out, *FOLDER, "--workers", 1)
    records = [record for record in read_records(out / "folder.jsonl") if record["scene"] != "tiny"]
    assert len(records) == 2
    samples = DepthSamples(out / "folder.jsonl", train=False, on_error="skip")
    with Image.open(out / "folder" / "sheet.png") as sheet:
        rooms = [sheet.crop((8 + 556 * n, 8, 8 + 556 * n + 548, 8 + 288)) for n in range(3)]
    assert len(set(rooms[1].getdata())) == 1  # refused: says why instead
    for room, sample in zip((rooms[0], rooms[2]), samples, strict=True):
        assert sample.camera.fx == 1000
        (x, y), (width, height) = sample.pixels[0], sample.image.size
        left, top = np.clip((x - 70, y - 70), 0, (width - 140, height - 140)).tolist()
        native = sample.image.crop((left, top, left + 140, top + 140))
        assert room.crop((392, 0, 532, 140)).tobytes() == native.tobytes()


def test_card(room, tmp_path, capsys):
    root, _ = room
    curate(capsys, "folder", root, tmp_path / "out", *FOLDER, "--limit", 4, "--seed", 9)
    card = (tmp_path / "out" / "folder" / "README.md").read_text()
    depth = np.concatenate([r["depth"] for r in read_records(tmp_path / "out" / "folder.jsonl")])
    p1, p50, p99 = np.quantile(depth, [0.01, 0.5, 0.99], method="inverted_cdf")
    shown = card.split("p1 ")[1].split(" (to")[0]
    found = [float(part.split()[-2]) for part in shown.replace("p1 ", "").split(", ")]
    np.testing.assert_allclose(found, [p1, p50, p99], rtol=0.01)
    records = read_records(tmp_path / "out" / "folder.jsonl")
    beside = np.concatenate([record["at_edge"] for record in records])
    field_deg = np.degrees(np.arctan(31 / 62) + np.arctan(33 / 62))
    for text in (
        f"| Beside a depth edge | {100 * beside.mean():.1f} % of 400 points",
        f"| Horizontal field of view, degrees | {field_deg:.3g} |",
        "| Picture sizes (records) | 64x48 (4) |",
        "| Near-duplicates | 0 of 4 records",
        "| Camera above the floor | 1.",
        "| Depths of one scene, carried by poses | not known: no pairs of frames with poses",
        "4 records, 400 labelled pixels, 1 scenes",
        "| Licence | yours to state. |",
        "| Split here | all, first 4 frames |",
        "| Labels | Euclidean distance from the camera centre, metres |",
        "uniform over the valid pixels of a frame, seed 9 |",
        "| Option depth_scale | `1000.0` |",
        "| looked at | 4 |",
    ):
        assert text in card
    assert str(tmp_path) not in card


def test_workers_and_chunks_change_no_byte(room, tmp_path, capsys):
    root, _ = room
    killed.run(root, tmp_path / "parts")  # two frames a chunk
    options = [*FOLDER, "--points", 20, "--name", "room"]
    for workers in (1, 2):
        curate(capsys, "folder", root, tmp_path / str(workers), *options, "--workers", workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "parts")


def test_worker_processes(room, tmp_path):
    from depthlm_plugin.curate.pipeline.curation import Settings
    from depthlm_plugin.curate.pipeline.curation import curate as run

    root, _ = room
    for workers in (1, 2):
        job, output = killed.job_of(root, tmp_path / str(workers))
        run(job, output, None, Settings(workers=workers, chunk_frames=1))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_seeds_and_names_choose_the_points(room, tmp_path, capsys):
    root, _ = room
    seen = {}
    for name, options in {
        "a": [], "again": [], "seed": ["--seed", 1], "first": ["--limit", 2], "few": ["--points", 7]
    }.items():  # fmt: skip
        out = tmp_path / name
        curate(capsys, "folder", root, out, *FOLDER, "--workers", 1, *options)
        seen[name] = [record["pixel_coords"] for record in read_records(out / "folder.jsonl")]
    assert seen["a"] == seen["again"]
    assert seen["first"] == seen["a"][:2]  # others change nothing
    assert all(a != b for a, b in zip(seen["a"], seen["seed"], strict=True))
    assert [points[:7] for points in seen["a"]] == seen["few"]
    assert seen["a"][0] != seen["a"][4]  # the same picture under another name


@pytest.mark.slow
def test_killed_while_workers_run(room, tmp_path, capsys):
    root, _ = room
    many = tmp_path / "many"
    for folder in ("rgb", "depth"):
        (many / folder).mkdir(parents=True)
        for number in range(400):
            (many / folder / f"{number:04d}.png").hardlink_to(root / folder / "0001.png")
    shutil.copy(root / "intrinsics.json", many)
    command = [sys.executable, "-m", "depthlm_plugin.cli", "curate", "folder", "--root", str(many)]
    command += [*FOLDER, "--workers", "2", "--out"]
    process = subprocess.Popen([*command, str(tmp_path / "out")], stderr=subprocess.DEVNULL)
    parts = tmp_path / "out" / "folder" / "parts"
    deadline = time.monotonic() + 60
    while not list(parts.glob("0*.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "folder.jsonl").exists()
    _, said = curate(capsys, "folder", many, tmp_path / "out", *FOLDER, "--workers", 1)
    assert "going on: " in said
    curate(capsys, "folder", many, tmp_path / "whole", *FOLDER, "--workers", 1)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_finished_curation_is_left_alone(room, tmp_path, capsys):
    root, _ = room
    out = tmp_path / "out"
    first, _ = curate(capsys, "folder", root, out, *FOLDER)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    again, said = curate(capsys, "folder", root, out, *FOLDER)
    assert again == first
    assert "is finished already" in said
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_another_configuration_is_refused(room, tmp_path, capsys):
    root, _ = room
    out = tmp_path / "out"
    curate(capsys, "folder", root, out, *FOLDER)
    before = contents(out)
    for options, found in (
        (["--seed", 1], "seed: 0 there, 1 now"),
        (["--points", 50], "points: 100 there, 50 now"),
        (["--sampling", "log"], 'sampling: "uniform" there, "log" now'),
        (["--option", "invalid=65535"], 'options: {"depth_scale"'),
    ):
        _, said = curate(capsys, "folder", root, out, *FOLDER, *options, status=1)
        assert "belongs to another configuration" in said
        assert found in said
    shutil.copytree(root, tmp_path / "moved")
    _, said = curate(capsys, "folder", tmp_path / "moved", out, *FOLDER, status=1)
    assert "was the raw data moved?" in said
    assert contents(out) == before


def test_what_others_wrote_is_left_alone(room, tmp_path, capsys):
    root, _ = room
    out = tmp_path / "out"
    out.mkdir()
    (out / "folder.jsonl").write_text("mine")
    _, said = curate(capsys, "folder", root, out, *FOLDER, status=1)
    assert "was not made by depthlm curate" in said
    assert contents(out) == {"folder.jsonl": b"mine"}
    (out / "folder.jsonl").unlink()
    mine = {"other": {"file_name": "o.json"}, "folder": {"depthlm": {"weight": 2}}}
    (out / "dataset_info.json").write_text(json.dumps(mine))
    curate(capsys, "folder", root, out, *FOLDER)
    info = json.loads((out / "dataset_info.json").read_text())
    assert info["other"] == mine["other"]
    assert info["folder"]["depthlm"] == {"weight": 2, "depth_kind": "distance"}


def test_files_that_look_unfinished_are_left_alone(room, tmp_path, capsys):
    root, _ = room
    out = tmp_path / "out"
    out.mkdir()
    (out / ".mine.partial").write_text("mine")
    killed.run(root, out)
    (out / "room" / ".mine.partial").write_text("mine")
    (out / "room.jsonl").unlink()  # so that it is made again
    killed.run(root, out)
    for folder in (out, out / "room"):
        assert (folder / ".mine.partial").read_text() == "mine"


@pytest.mark.parametrize("what", ["a link", "a file in it", "a linked lock", "a linked chunk"])
def test_parts_of_someone_else_are_refused(room, tmp_path, what):
    root, _ = room
    out, mine = tmp_path / "out", tmp_path / "mine"
    killed.run(root, out)
    (out / "room.jsonl").unlink()
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    parts = out / "room" / "parts"
    if what == "a link":
        parts.symlink_to(mine)
    else:
        parts.mkdir()
        name = {"a linked lock": "lock", "a linked chunk": "0000000.jsonl"}.get(what)
        if name is None:
            (parts / "thesis.txt").write_text("mine")
        else:
            (parts / name).symlink_to(mine / "thesis.txt")
    before = contents(tmp_path)
    with pytest.raises(DepthLMError, match="depthlm curate"):
        killed.run(root, out)
    assert contents(tmp_path) == before


def test_pictures_are_not_written_through_a_link(room, tmp_path):
    root, _ = room
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / "room").mkdir(parents=True)
    job, _ = killed.job_of(root, tmp_path / "out", jpeg_focal_px=60.0)
    (tmp_path / "out" / "room" / "images").symlink_to(tmp_path / "mine")
    with pytest.raises(DepthLMError, match="leads out of"):
        job.label(list(job.reader.items())[:1])
    assert not list((tmp_path / "mine").iterdir())


def test_raw_data_that_changed_since_is_noticed(room, tmp_path, capsys):
    root, _ = room
    out = tmp_path / "out"
    (out / "room").mkdir(parents=True)
    job, output = killed.job_of(root, out)
    with output.chunks.opened():
        outcomes, _ = job.label(items := list(job.reader.items())[:3])
        output.chunks.write(0, items, outcomes, [])
        with pytest.raises(DepthLMError, match="raw data has changed since"):
            output.chunks.has(0, items[:2])
        assert output.chunks.has(0, items)
        older = '{"items": "' + chunks._digest(items) + '", "tally": {"frames": 3}}'
        output.chunks.write_whole(output.chunks.folder / "0000000.jsonl", f"{older}\n".encode())
        assert not output.chunks.has(0, items)  # it is made again
        with (
            pytest.raises(DepthLMError, match="being written by another process"),
            output.chunks.opened(),
        ):
            pass


def test_damaged_frames_are_counted_and_the_rest_is_done(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    names = ("a_1", "a_2", "a_3", "a_4", "a_5", "a_6", "a_7", "a_8")
    truth = write_ibims1(root, names, holes=False)
    whole = (root / "rgb" / "a_1.png").read_bytes()
    (root / "rgb" / "a_1.png").write_bytes(whole[: len(whole) // 2])
    (root / "depth" / "a_2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "calib" / "a_3.txt").write_text("559.6,558.1,361.9\n")
    (root / "mask_transp" / "a_4.png").unlink()
    Image.new("RGB", (320, 240)).save(root / "rgb" / "a_5.png")
    Image.fromarray(np.zeros((480, 640), np.uint16)).save(root / "depth" / "a_6.png")
    with Image.open(root / "depth" / "a_7.png") as depth:
        Image.fromarray((np.asarray(depth) >> 8).astype(np.uint8)).save(root / "depth" / "a_7.png")
    counts, said = curate(capsys, "ibims1", root, out, "--workers", 1, status=1)
    assert counts["left_out"] == {
        "bad depth image": 3,
        "bad file": 1,
        "missing mask": 1,
        "no valid depth": 1,
        "unreadable image": 1,
    }
    assert "ibims1 a_7: ROOT/depth/a_7.png has 1 channels of 8 bits (Pillow mode L)" in said
    assert "holds 3 numbers, expected the 4 of fx,fy,cx,cy" in said
    assert_labels_the_scene(read_records(out / "ibims1.jsonl"), {"a_8": truth["a_8"]}, out)
    card = (out / "ibims1" / "README.md").read_text()
    assert "| left out: bad depth image | 3 |" in card
    assert "- ibims1 a_7: ROOT/depth" in card
    again, _ = curate(capsys, "ibims1", root, out, status=1)  # finished, and still not all well
    assert again == counts


def test_frames_with_few_valid_points_are_kept_and_counted(room, tmp_path, capsys):
    root, _ = room
    path = root / "depth" / "0002.png"
    with Image.open(path) as image:
        depth = np.array(image)
    depth[:40] = depth[41:] = depth[:, 7:] = 0
    Image.fromarray(depth).save(path)
    counts, _ = curate(capsys, "folder", root, tmp_path / "out", *FOLDER)
    assert (counts["records"], counts["points"], counts["short"]) == (5, 407, 1)
    assert read_records(tmp_path / "out" / "folder.jsonl")[2]["pixel_coords"] == [
        [x, 40] for x in range(7)
    ]


@pytest.mark.parametrize(
    ("scale", "found"),
    [("1", "the median label of 500 is 4."), ("1000000", "the median label of 500 is 0.0046 m")],
    ids=["millimetres read as metres", "far too small"],
)
def test_an_implausible_unit_is_asked_about(room, tmp_path, capsys, scale, found):
    root, _ = room
    out = tmp_path / "out"
    options = ["--option", f"depth_scale={scale}", "--option", "depth_kind=z", "--workers", 1]
    _, said = curate(capsys, "folder", root, out, *options, status=1)
    assert "the unit looks wrong" in said
    assert "--unusual depth" in said
    assert f"correct --option depth_scale={float(scale):g}, which is 1000 (median 4." in said
    assert found in said
    assert contents(out) == {}
    curate(capsys, "folder", root, out, *options, "--unusual", "depth")
    median = np.median([r["depth"] for r in read_records(out / "folder.jsonl")])
    assert median == pytest.approx(4590 / float(scale), rel=0.02)
    # The right unit is another configuration.
    _, said = curate(capsys, "folder", root, out, *FOLDER, status=1)
    assert "another configuration" in said


def test_a_full_disk_leaves_nothing_that_looks_whole(room, tmp_path):
    root, _ = room
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        "from depthlm_plugin.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = ["curate", "folder", "--root", str(root), "--out", str(tmp_path / "out"), *FOLDER]
    result = subprocess.run(
        [sys.executable, "-c", code, *command, "--workers", "1"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "cannot write" in result.stderr
    assert "make room" in result.stderr
    assert contents(tmp_path / "out").keys() == {"folder/curation.json", "folder/parts/lock"}
    assert main([*command, "--workers", "1"]) == 0
    assert len(read_records(tmp_path / "out" / "folder.jsonl")) == 5


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--points", 0], "--points must be 1 or more"),
        (["--workers", 0], "--workers must be 1 or more"),
        (["--limit", 0], "--limit must be 1 or more"),
        (["--sampling", "logs"], "did you mean 'log'"),
        (["--compat", "offical"], "--compat is official or left out"),
        (["--name", "a/b"], "--name is a plain name"),
    ],
)
def test_bad_arguments(room, tmp_path, capsys, options, found):
    _, said = curate(capsys, "folder", room[0], tmp_path / "out", *FOLDER, *options, status=1)
    assert found in said
    assert not (tmp_path / "out").exists()


def test_nothing_asked_for(capsys):
    assert main(["curate", "ibims1"]) == 1
    assert "expected DATASET --root RAW --out OUT, or --list" in capsys.readouterr().err
