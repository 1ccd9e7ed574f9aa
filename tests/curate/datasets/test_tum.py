"""TUM RGB-D against the scene that its fixtures show."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.handheld import FREIBURG, kinect_pose, write_tum
from support.scene import distance_at

ONE = ["--workers", 1]
DESK = "rgbd_dataset_freiburg1_desk"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of three sequences, and what their frames show."""
    root = tmp_path_factory.mktemp("tum") / "raw"
    return root, write_tum(root)


@pytest.fixture
def copied(written, tmp_path):
    """The same, to be broken."""
    shutil.copytree(written[0], tmp_path / "tum")
    return tmp_path / "tum", written[1]


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_without_opencv_the_sheet_says_so_and_records_are_whole(
    written, tmp_path, capsys, monkeypatch
):
    root, truth = written
    monkeypatch.setitem(sys.modules, "cv2", None)
    counts, _ = curate(capsys, "tum", root, tmp_path, *ONE)
    assert counts["records"] == len(truth)
    with Image.open(tmp_path / "tum" / "sheet.png") as sheet:
        assert len(set(sheet.crop((8, 8, 556, 296)).getdata())) == 1  # distorted: not drawn


def test_tum(written, tmp_path, capsys):
    root, truth = written
    out = tmp_path / "out"
    curate(capsys, "tum", root, out, "--points", 500, *ONE)
    records = read_records(out / "tum.jsonl")
    assert [record["id"] for record in records] == sorted(truth)
    assert_labels_the_scene(records, truth, out)
    assert_poses_agree([record for record in records if "pose" in record], truth)
    for record in records:
        sequence, time = record["id"].split("/")
        camera, pose = truth[record["id"]]
        assert record["scene"] == sequence
        assert record["camera"] == sequence.split("_")[2]
        assert record["timestamp"] == float(time)
        lens = {"model": "opencv", "coefficients": list(camera.lens)} if camera.lens else None
        assert record.get("distortion") == lens
        u, v = np.array(record["pixel_coords"]).T
        assert not ((u >= 100) & (u < 200) & (v >= 200) & (v < 230)).any()
        if time == max(truth)[-17:]:
            assert "pose" not in record  # tracking had stopped
        else:
            # Finer than the nearest of the tracked poses, which is millimetres away.
            np.testing.assert_allclose(record["pose"], pose, atol=2e-4)


def test_tum_distances_of_distorted_corners(copied, tmp_path, capsys):
    root, truth = copied
    path = min((root / DESK / "depth").iterdir())
    with Image.open(path) as image:
        depth = np.array(image)
    corners = np.zeros_like(depth)
    corners[::479, ::639] = depth[::479, ::639]
    Image.fromarray(corners).save(path)
    # The root may be a sequence.
    curate(capsys, "tum", root / DESK, tmp_path / "out", "--limit", 1, *ONE)
    [record] = read_records(tmp_path / "out" / "tum.jsonl")
    u, v = np.array(record["pixel_coords"]).T
    assert len(u) == 4
    np.testing.assert_allclose(record["depth"], distance_at(*truth[record["id"]], u, v), rtol=2e-4)


def test_tum_poses_near_in_time_only(copied, tmp_path, capsys):
    root, truth = copied
    path = root / DESK / "groundtruth.txt"
    lines = path.read_text().splitlines()
    start = float(min(truth).split("/")[1])
    gap = [line for line in lines if line[0] != "#" and abs(float(line[:15]) - start - 0.8) < 0.02]
    path.write_text("\n".join(line for line in lines if line not in gap[:-1]) + "\n")
    curate(capsys, "tum", root / DESK, tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "tum.jsonl")
    assert ["pose" in record for record in records] == [True, False, False]
    np.testing.assert_allclose(records[0]["pose"], kinect_pose(0), atol=2e-4)


def test_tum_without_tracking(copied, tmp_path, capsys):
    root, _ = copied
    (root / DESK / "groundtruth.txt").unlink()
    curate(capsys, "tum", root / DESK, tmp_path / "out", *ONE)
    assert not any("pose" in record for record in read_records(tmp_path / "out" / "tum.jsonl"))


def test_tum_damages_are_counted_and_the_others_done(copied, tmp_path, capsys):
    root, truth = copied
    first, second, third = FREIBURG
    (root / first / "depth.txt").unlink()
    depths = sorted((root / second / "depth").iterdir())
    cut(depths[0])
    depths[2].unlink()
    Image.new("L", (640, 480), 100).save(depths[3])
    path = root / third / "rgb" / f"{max(truth)[-17:]}.png"
    cut(path)
    counts, said = curate(capsys, "tum", root, tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == {
        "missing file": 1,
        "bad depth image": 2,
        "missing depth": 1,
        "unreadable image": 1,
    }
    assert "8-bit depth is a picture of depth, not metres" in said
    assert "depth.txt does not exist; is the download complete?" in said
    records = read_records(tmp_path / "out" / "tum.jsonl")
    done = {name: truth[name] for name in sorted(truth) if third in name and path.stem not in name}
    assert_labels_the_scene(records, done, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("groundtruth.txt", "1305031102.1 1 2 3 0 0", "expected lines of timestamp tx ty tz"),
        ("groundtruth.txt", "1305031102.1 1 2 3 0 0 0 2", "is not of unit length"),
        ("rgb.txt", "1305031102.175304 rgb/1.png\n1305031102.2", "rgb.txt:2: expected a timestamp"),
    ],
)
def test_tum_lists_that_are_cut_off(copied, tmp_path, capsys, name, text, found):
    root, _ = copied
    (root / DESK / name).write_text(text)
    _, said = curate(capsys, "tum", root / DESK, tmp_path / "out", *ONE, status=1)
    assert found in said
