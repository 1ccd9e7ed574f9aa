"""Stray Scanner's recordings against the scene that its fixtures show."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.handheld import HOLE, number_in, write_video
from support.raw.phones import APP_START_S, UNSURE, write_strayscanner

pytestmark = pytest.mark.slow  # videos of the app's size

NAME = "71de12f9"
FIRST, TENTH = f"{NAME}/000000", f"{NAME}/000010"
SOME = ["--workers", 1, "--points", 300]
FIRST_ONLY = ["--limit", 1, *SOME]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of one recording, and what its tenth frames show."""
    root = tmp_path_factory.mktemp("strayscanner") / "raw"
    return root, write_strayscanner(root)


@pytest.fixture
def copied(written, tmp_path):
    """The same, to be broken."""
    shutil.copytree(written[0], tmp_path / "raw")
    return tmp_path / "raw", written[1]


def cells(record):
    """Return the depth pixels (N,) as rows and (N,) columns of a record's labels."""
    return np.floor((np.array(record["pixel_coords"])[:, ::-1] + 0.5) / 7.5).astype(int).T


def within(record, place):
    rows, columns = cells(record)
    inside = (rows >= place[0].start) & (rows < place[0].stop)
    return inside & (columns >= place[1].start) & (columns < place[1].stop)


def test_strayscanner(written, tmp_path, capsys):
    root, truth = written
    counts, _ = curate(capsys, "strayscanner", root, tmp_path, "--points", 20000, "--workers", 1)
    records = read_records(tmp_path / "strayscanner.jsonl")
    assert [record["id"] for record in records] == [FIRST, TENTH]
    assert_labels_the_scene(records, truth, tmp_path, shift_px=0.5)
    assert_poses_agree(records, truth)
    assert counts["dropped"].keys() == {"low confidence", "far", "depth edge"}
    for record, number in zip(records, (0, 10), strict=True):
        with Image.open(tmp_path / record["image"]) as image:
            assert number_in(np.asarray(image)) == number  # not the next one, as players count
        assert record["timestamp"] == pytest.approx(APP_START_S + number / 60, abs=1e-6)
        assert record["scene"] == NAME
        assert len(record["depth"]) > 10000  # all: what is left out is not by chance
        assert not (within(record, UNSURE) | within(record, HOLE)).any()
        assert np.array(record["pose"])[1] @ [0, -1, 0, 0] > 0.9  # the world's y is up


def test_older_recordings_have_the_intrinsics_of_their_last_frame(copied, tmp_path, capsys):
    root, truth = copied
    path = root / NAME / "odometry.csv"
    lines = [line.split(", ")[:9] for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(", ".join, lines)) + "\n")
    curate(capsys, "strayscanner", root / NAME, tmp_path, *SOME)  # the recording itself
    first, last = read_records(tmp_path / "strayscanner.jsonl")
    assert first["intrinsics"] == last["intrinsics"]
    assert_labels_the_scene([last], {TENTH: truth[TENTH]}, tmp_path, shift_px=0.5)
    card = (tmp_path / "strayscanner" / "README.md").read_text()
    assert "intrinsics of the recording's last frame" in card


def test_what_is_left_out_is_a_choice(copied, tmp_path, capsys):
    root, _ = copied
    everywhere = ["--option", "edges=keep", "--option", "farthest_m=9", "--points", 50000]
    sheer = [*everywhere, "--limit", 1, "--workers", 1]
    given = ["--option", "confidence=1", *sheer]
    curate(capsys, "strayscanner", root, tmp_path / "medium", *given)
    [medium] = read_records(tmp_path / "medium" / "strayscanner.jsonl")
    shutil.rmtree(root / NAME / "confidence")
    given = ["--option", "confidence=0", *sheer]
    curate(capsys, "strayscanner", root, tmp_path / "all", *given)
    [everything] = read_records(tmp_path / "all" / "strayscanner.jsonl")
    assert within(medium, np.s_[110:150, 150:200]).sum() == 40 * 50
    assert within(medium, np.s_[110:150, 100:150]).sum() == 0
    assert within(everything, np.s_[110:150, 100:150]).sum() == 40 * 50
    hole = (HOLE[0].stop - HOLE[0].start) * (HOLE[1].stop - HOLE[1].start)
    assert len(everything["depth"]) == 256 * 192 - hole


def test_a_damaged_frame_is_counted_and_the_others_are_done(copied, tmp_path, capsys):
    root, truth = copied
    (root / NAME / "depth" / "000000.png").unlink()
    (root / "0a1b2c3d").mkdir()
    shutil.copy(root / NAME / "rgb.mp4", root / "0a1b2c3d")
    counts, said = curate(capsys, "strayscanner", root, tmp_path, *SOME, status=1)
    assert counts["left_out"] == {"missing depth": 1, "missing file": 1}
    assert "odometry.csv does not exist; export the recording again" in said
    records = read_records(tmp_path / "strayscanner.jsonl")
    assert_labels_the_scene(records, {TENTH: truth[TENTH]}, tmp_path, shift_px=0.5)


def edit(name, old, new):
    def change(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


def stray_confidence(folder):
    Image.new("L", (256, 192), 255).save(folder / "confidence" / "000000.png")


def without_confidence(folder):
    shutil.rmtree(folder / "confidence")


def eight_bits(folder):
    Image.new("L", (256, 192), 100).save(folder / "depth" / "000000.png")


def turned(folder):
    write_video(folder / "rgb.mp4", [np.zeros((640, 480, 3), np.uint8)] * 11)


def converted(folder):
    write_video(folder / "rgb.mp4", [np.zeros((480, 640, 3), np.uint8)] * 10)


def cut(folder):
    path = folder / "rgb.mp4"
    path.write_bytes(path.read_bytes()[:2000])


def without_video(folder):
    (folder / "rgb.mp4").unlink()


def other_matrix(folder):
    edit("odometry.csv", "fx, fy, cx, cy", "a, b, c, d")(folder)
    (folder / "camera_matrix.csv").write_text("200, 0, 128\n0, 200, 96\n0, 0, 1")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (edit("odometry.csv", "qw", "w"), "odometry.csv:1: expected the columns timestamp, frame"),
        (edit("odometry.csv", ", 000003, ", ", 000004, "), "odometry.csv:5: expected finite"),
        (edit("odometry.csv", ", 000003, ", ", "), "odometry.csv:5: expected"),
        (edit("odometry.csv", ", 000003, 0", ", 000003, no"), "odometry.csv:5: expected numbers"),
        (stray_confidence, "(Pillow mode L) has values up to 255; expected 0, 1 and 2"),
        (without_confidence, "unsure depth would be labelled, as it is with --option confidence=0"),
        (eight_bits, "8-bit depth is a picture of depth, not metres"),
        (turned, "is 480x640, its depth 256x192; expected the video as the app wrote it"),
        (converted, "rgb.mp4 has 10 frames but odometry.csv describes 11"),
        (cut, "cannot be read as a video"),
        (without_video, "rgb.mp4 does not exist; export the recording again"),
        (other_matrix, "camera_matrix.csv has fx, fy, cx, cy = [200.0, 200.0, 128.0, 96.0]"),
    ],
)
def test_what_cannot_be_right_is_refused(copied, tmp_path, capsys, change, found):
    root, _ = copied
    change(root / NAME)
    _, said = curate(capsys, "strayscanner", root, tmp_path, *FIRST_ONLY, status=1)
    assert found in said


def test_options_and_roots_that_cannot_be(written, tmp_path, capsys):
    for option, found in (
        ("confidence=3", "confidence must be 0, 1 or 2, found 3"),
        ("every=0", "every must be 1 or more"),
        ("edges=no", "unknown edges 'no'"),
    ):
        given = ["--option", option]
        _, said = curate(capsys, "strayscanner", written[0], tmp_path, *given, status=1)
        assert found in said
    place = written[0] / NAME / "depth"
    _, said = curate(capsys, "strayscanner", place, tmp_path, status=1)
    assert "is not a recording of Stray Scanner: looked for odometry.csv, rgb.mp4" in said


def test_without_pyav_it_says_what_to_install(copied, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    _, said = curate(capsys, "strayscanner", copied[0], tmp_path, *FIRST_ONLY, status=1)
    assert 'pip install "depthlm-plugin[video]", or extract its frames' in said
