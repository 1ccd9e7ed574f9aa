"""SUN RGB-D (with its NYU part) and KITTI against the scene that their fixtures show."""

import numpy as np
import pytest
from curate_fixtures.checks import assert_labels_the_scene, curate, read_records
from curate_fixtures.raw_sun_kitti import SUN_FRAMES, write_kitti, write_sunrgbd
from curate_fixtures.scene import distance_at
from PIL import Image

NYU = "kv1/NYUdata/NYU0001"
ONE = ["--workers", 1]


def test_sunrgbd(tmp_path, capsys):
    truth = write_sunrgbd(tmp_path / "raw")
    out = tmp_path / "out"
    curate(capsys, "sunrgbd", tmp_path / "raw", out, "--split", "all", *ONE)
    records = read_records(out / "sunrgbd_all.jsonl")
    assert_labels_the_scene(records, {name: truth[name] for name in truth if name != NYU}, out)
    assert [record["id"] for record in records] == [name for name in SUN_FRAMES if name != NYU]
    assert [record["camera"] for record in records] == ["kv2", "realsense", "xtion", "xtion"]
    assert records[2]["scene"] == records[3]["scene"] == "xtion/sun3ddata/hotel"
    rows = np.concatenate([np.array(record["pixel_coords"])[:, 1] for record in records])
    assert ((rows > 100) & (rows < 160)).any()  # the filled depth


@pytest.mark.parametrize(
    ("split", "frames"), [("test", ["realsense/sa/2014_10-1"]), ("train", list(SUN_FRAMES)[1::2])]
)
def test_sunrgbd_splits(tmp_path, capsys, split, frames):
    write_sunrgbd(tmp_path / "raw")
    if split == "train":
        frames = [name for name in SUN_FRAMES if name not in (NYU, "realsense/sa/2014_10-1")]
    # The folder that the archive makes, its toolbox beside it.
    curate(capsys, "sunrgbd", tmp_path / "raw" / "SUNRGBD", tmp_path / "out", "--split", split)
    records = read_records(tmp_path / "out" / f"sunrgbd_{split}.jsonl")
    assert [record["id"] for record in records] == frames


def test_nyuv2_of_sunrgbd_has_the_holes_of_its_raw_depth(tmp_path, capsys):
    truth = write_sunrgbd(tmp_path / "raw")
    curate(capsys, "nyuv2_sunrgbd", tmp_path / "raw", tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "nyuv2_sunrgbd_test.jsonl")
    assert_labels_the_scene(records, {NYU: truth[NYU]}, tmp_path / "out")
    rows = np.array(records[0]["pixel_coords"])[:, 1]
    assert not ((rows > 100) & (rows < 160)).any()


def test_sunrgbd_as_published_is_too_near_by_a_fifth_and_says_so(tmp_path, capsys):
    truth = write_sunrgbd(tmp_path / "raw")
    curate(capsys, "sunrgbd", tmp_path / "raw", tmp_path / "out", "--compat", "official", *ONE)
    records = read_records(tmp_path / "out" / "sunrgbd_all.jsonl")
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        ratio = np.array(record["depth"]) / distance_at(*truth[record["id"]], u, v)
        assert np.median(ratio) == pytest.approx(0.8, abs=0.001)
        assert record["depth_kind"] == "distance"
    assert "0.8 times the true ones" in (tmp_path / "out/sunrgbd_all/README.md").read_text()


@pytest.mark.parametrize(
    ("metres", "kept"), [(1.0, True), (7.999, True), (8.191, False), (8.192, False), (9.5, False)]
)
def test_sunrgbd_far_depths_are_not_wrapped_to_near_ones(tmp_path, capsys, metres, kept):
    write_sunrgbd(tmp_path / "raw")
    path = tmp_path / "raw/SUNRGBD/realsense/sa/2014_10-1/depth_bfx/0000028.png"
    millimetres = round(metres * 1000)
    rotated = ((millimetres << 3) | (millimetres >> 13)) & 0xFFFF
    with Image.open(path) as image:
        depth = np.array(image)
    depth[:] = 0
    depth[265, 362] = rotated
    depth[10, 10] = 1000 << 3
    Image.fromarray(depth).save(path)
    curate(capsys, "sunrgbd", tmp_path / "raw", tmp_path / "out", *ONE)
    [record] = read_records(tmp_path / "out" / "sunrgbd_test.jsonl")
    labels = dict(zip(map(tuple, record["pixel_coords"]), record["depth"], strict=True))
    assert labels.keys() == ({(10, 10), (362, 265)} if kept else {(10, 10)})
    if kept:
        assert labels[362, 265] == pytest.approx(metres, rel=1e-5)


def test_sunrgbd_without_its_split_file(tmp_path, capsys):
    write_sunrgbd(tmp_path / "raw")
    (tmp_path / "raw/SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat").unlink()
    _, said = curate(capsys, "sunrgbd", tmp_path / "raw", tmp_path / "out", status=1)
    assert "looked for SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat" in said


def test_kitti_eigen_test(tmp_path, capsys):
    truth = write_kitti(tmp_path / "raw")
    out = tmp_path / "out"
    curate(capsys, "kitti", tmp_path / "raw", out, *ONE)
    records = read_records(out / "kitti_eigen_test.jsonl")
    left = {name: seen for name, seen in truth.items() if "image_02" in name}
    assert_labels_the_scene(records, left, out)
    assert {record["scene"] for record in records} == {"2011_09_26_drive_0002_sync"}
    assert all((np.array(record["pixel_coords"])[:, 1] > 20).all() for record in records)


def test_kitti_train_has_both_cameras(tmp_path, capsys):
    truth = write_kitti(tmp_path / "raw")
    options = ["--split", "train", "--sampling", "edges", *ONE]
    curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "kitti_train.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert [record["camera"] for record in records] == ["image_02"] * 2 + ["image_03"] * 2


def test_kitti_with_calibration_of_another_release(tmp_path, capsys):
    write_kitti(tmp_path / "raw")
    path = tmp_path / "raw" / "2011_09_26" / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace("180.5 0 152.4", "200.5 0 152.4"))
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", status=1)
    assert "the calibration says fx = 200.5 px, the list 180.5" in said
    path.unlink()
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", status=1)
    assert "it comes with the raw drives" in said
