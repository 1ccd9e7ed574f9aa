"""Record3D's recordings against the scene that its fixtures show."""

import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.phones import HOLE_R3D, UNSURE_R3D, write_record3d

pytestmark = pytest.mark.slow  # seconds each

NAME = "2024-06-01--10-30-00"
SOME = ["--workers", 1, "--points", 300]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of one recording, and what its tenth frames show."""
    root = tmp_path_factory.mktemp("record3d") / "raw"
    return root, write_record3d(root)


def labelled(record, place):
    """Return how many labels of a record are within rows and columns of its depth."""
    columns, rows = np.floor((np.array(record["pixel_coords"]) + 0.5) / 3.75).astype(int).T
    inside = (rows >= place[0].start) & (rows < place[0].stop)
    return int((inside & (columns >= place[1].start) & (columns < place[1].stop)).sum())


def test_record3d(written, tmp_path, capsys):
    root, truth = written
    counts, _ = curate(capsys, "record3d", root, tmp_path, "--points", 5000, "--workers", 1)
    records = read_records(tmp_path / "record3d.jsonl")
    assert [record["id"] for record in records] == [f"{NAME}/0", f"{NAME}/10"]
    assert_labels_the_scene(records, truth, tmp_path, shift_px=0.5)
    assert_poses_agree(records, truth)
    np.testing.assert_allclose(records[0]["pose"], np.diag([1, -1, -1, 1]), atol=1e-6)
    assert counts["dropped"].keys() == {"low confidence", "far", "depth edge"}
    for record, number in zip(records, (0, 10), strict=True):
        assert (record["scene"], record["timestamp"]) == (NAME, pytest.approx(number / 30))
        assert labelled(record, UNSURE_R3D) == labelled(record, HOLE_R3D) == 0
        with zipfile.ZipFile(root / f"{NAME}.r3d") as archive:  # the picture is not coded again
            assert (tmp_path / record["image"]).read_bytes() == archive.read(f"rgbd/{number}.jpg")


def test_what_is_left_out_is_a_choice(written, tmp_path, capsys):
    given = [("--option", one) for one in ("edges=keep", "farthest_m=9", "confidence=0")]
    options = [word for pair in given for word in pair]
    sheer = ["--points", 50000, "--limit", 1, "--workers", 1]
    counts, _ = curate(capsys, "record3d", written[0], tmp_path, *options, *sheer)
    assert (counts["points"], counts["dropped"]) == (256 * 192 - 20 * 40, {})


def rewritten(source, place, changes):
    """Write an archive anew with other files: name to bytes, None to leave one out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(place, "w") as new:
        for name in old.namelist():
            data = changes.get(name, old.read(name))
            if data is not None:
                new.writestr(name, data)


def described(source, **changes):
    """Return the bytes of changed `metadata`."""
    with zipfile.ZipFile(source) as archive:
        return json.dumps(json.loads(archive.read("metadata")) | changes).encode()


def test_older_recordings_have_less(written, tmp_path, capsys):
    source = written[0] / f"{NAME}.r3d"
    (tmp_path / "raw").mkdir()
    untracked = [[0, 0, 0, 1, 0, 0, 0]] * 11
    less = {"perFrameIntrinsicCoeffs": [], "poses": untracked, "frameTimestamps": None}
    metadata = described(source, **less)
    rewritten(source, tmp_path / "raw" / "old.r3d", {"metadata": metadata})
    curate(capsys, "record3d", tmp_path / "raw", tmp_path, *SOME)
    first, last = read_records(tmp_path / "record3d.jsonl")
    assert first["intrinsics"] == last["intrinsics"] == [680, 680, 359.2, 480.7, 720, 960]
    assert not {"pose", "timestamp"} & (first.keys() | last.keys())
    assert_labels_the_scene([first], {"old/0": written[1][f"{NAME}/0"]}, tmp_path, shift_px=0.5)
    card = (tmp_path / "record3d" / "README.md").read_text()
    assert "intrinsics of the recording's first frame" in card


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"rgbd/0.depth": None}, "has no rgbd/0.depth; export the recording again"),
        ({"rgbd/0.conf": None}, "has no rgbd/0.conf"),
        ({"rgbd/0.depth": b"bvx2" + bytes(99)}, "rgbd/0.depth cannot be decompressed"),
        ({"rgbd/0.jpg": b"\xff\xd8"}, "rgbd/0.jpg cannot be decoded: it is damaged"),
        ({"rgbd/10.jpg": None}, "it has 10 pictures, but perFrameIntrinsicCoeffs of metadata has"),
        ({"metadata": b"{"}, "cannot be read (Expecting property name"),
        ({"metadata": None}, "There is no item named 'metadata' in the archive"),
        ({"metadata": {"poses": [[1, 2]] * 11}}, "expected 7 finite ones of each"),
        ({"metadata": {"poses": [[0, 0, 0, 9, 0, 0, 0]] * 11}}, "expected a unit quaternion"),
        ({"metadata": {"K": [1, 2]}}, "cannot be read (cannot reshape array of size 2"),
        (
            {"metadata": {"perFrameIntrinsicCoeffs": [[170, 170, 96, 128]] * 11}},
            "fx, fy, cx, cy = [170.0, 170.0, 96.0, 128.0]; expected those of a picture of 720x960",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(written, tmp_path, capsys, changes, found):
    source = written[0] / f"{NAME}.r3d"
    (tmp_path / "raw").mkdir()
    if isinstance(changes.get("metadata"), dict):
        changes = {"metadata": described(source, **changes["metadata"])}
    rewritten(source, tmp_path / "raw" / f"{NAME}.r3d", changes)
    given = ["--limit", 1, *SOME]
    _, said = curate(capsys, "record3d", tmp_path / "raw", tmp_path, *given, status=1)
    assert found in said


def test_recordings_of_the_front_camera_are_refused(written, tmp_path, capsys):
    import lzfse

    source = written[0] / f"{NAME}.r3d"
    (tmp_path / "raw").mkdir()
    front = {"rgbd/0.depth": lzfse.compress(bytes(4 * 640 * 480))}
    rewritten(source, tmp_path / "raw" / "front.r3d", front)
    given = ["--limit", 1, *SOME]
    _, said = curate(capsys, "record3d", tmp_path / "raw", tmp_path, *given, status=1)
    assert "has 307200 values, expected the 192x256 of the lidar" in said


def test_a_damaged_archive_is_counted_and_the_others_are_done(written, tmp_path, capsys):
    root = tmp_path / "raw"
    shutil.copytree(written[0], root)
    data = (root / f"{NAME}.r3d").read_bytes()
    (root / "cut.r3d").write_bytes(data[: len(data) // 2])
    counts, said = curate(capsys, "record3d", root, tmp_path, "--workers", 2, status=1)
    assert counts["left_out"] == {"bad file": 1}
    assert "cut.r3d cannot be read (File is not a zip file); export the recording again" in said
    assert counts["records"] == 2


def test_without_lzfse_it_says_what_to_install(written, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "lzfse", None)
    _, said = curate(capsys, "record3d", written[0], tmp_path, *SOME, status=1)
    assert 'pip install "depthlm-plugin[record3d]"' in said
    _, said = curate(capsys, "record3d", tmp_path, tmp_path / "out", status=1)
    assert "is not a folder of recordings of Record3D: looked for *.r3d" in said
