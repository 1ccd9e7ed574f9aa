"""SUN RGB-D (with its NYU part) and KITTI against the scene that their fixtures show."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.sun_kitti import SUN_FRAMES, write_kitti, write_sunrgbd
from support.scene import distance_at

from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import DepthLMError

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
    more_of_sun3d(tmp_path / "raw/SUNRGBD")
    truth["xtion/sun3ddata/mit/lab/frame_1"] = truth["xtion/sun3ddata/hotel/room_1/frame_7"]
    curate(capsys, "sunrgbd", tmp_path / "raw", tmp_path / "out", "--compat", "official", *ONE)
    records = read_records(tmp_path / "out" / "sunrgbd_all.jsonl")
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        ratio = np.array(record["depth"]) / distance_at(*truth[record["id"]], u, v)
        assert np.median(ratio) == pytest.approx(0.8, abs=0.001)
        assert record["depth_kind"] == "distance"
    card = (tmp_path / "out/sunrgbd_all/README.md").read_text()
    assert "0.8 times the true ones" in card
    assert "of each place of SUN3D one" in card
    frames = ["kv2/kinect2data/000002_2014-05-26", "realsense/sa/2014_10-1"]
    assert [record["id"] for record in records] == [
        *frames, "xtion/sun3ddata/hotel/room_1/frame_7", "xtion/sun3ddata/mit/lab/frame_1",
    ]  # fmt: skip


def test_sunrgbd_takes_every_frame_of_a_place_where_labels_are_correct(tmp_path, capsys):
    write_sunrgbd(tmp_path / "raw")
    more_of_sun3d(tmp_path / "raw/SUNRGBD")
    options = ("--split", "all", *ONE)
    counts, _ = curate(capsys, "sunrgbd", tmp_path / "raw", tmp_path / "out", *options)
    assert counts["records"] == 8


def more_of_sun3d(base):
    """Make further frames of the place that is there, and a second place."""
    base = base / "xtion/sun3ddata"
    for name in (
        "hotel/room_1/frame_9",
        "hotel/room_2/frame_1",
        "mit/lab/frame_1",
        "mit/lab/frame_2",
    ):
        shutil.copytree(base / "hotel/room_1/frame_7", base / name)


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


def test_kitti_eigen_list_without_the_folder_of_the_date(tmp_path, capsys):
    truth = write_kitti(tmp_path / "raw")
    path = tmp_path / "raw" / "eigen_test_files_with_gt.txt"
    path.write_text(path.read_text().replace("2011_09_26/2011", "2011"))
    out = tmp_path / "out"
    curate(capsys, "kitti", tmp_path / "raw", out, *ONE)
    left = {name: seen for name, seen in truth.items() if "image_02" in name}
    assert_labels_the_scene(read_records(out / "kitti_eigen_test.jsonl"), left, out)


@pytest.mark.parametrize("old", ["image_02/data/", "0000000005.png 2011", " 180.5", "_sync/image"])
def test_kitti_eigen_list_of_another_form(tmp_path, old):
    write_kitti(tmp_path / "raw")
    path = tmp_path / "raw" / "eigen_test_files_with_gt.txt"
    path.write_text(path.read_text().replace(old, old.replace("0", "a").replace("_sync", ""), 1))
    with pytest.raises(DepthLMError, match=r"gt.txt:1: expected \[date/\]drive/camera/data"):
        list(make_reader("kitti", tmp_path / "raw").items())


def test_kitti_train_has_both_cameras(tmp_path, capsys):
    truth = write_kitti(tmp_path / "raw")
    options = ["--split", "train", "--sampling", "edges", *ONE]
    curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "kitti_train.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert [record["camera"] for record in records] == ["image_02"] * 2 + ["image_03"] * 2
    assert_poses_agree(records, truth, within_px=0.1)
    # 13:02:25.964389445, and 103 ms for each picture before
    taken = 1317042145.964389445 + 0.103 * np.array([5, 6, 5, 6])
    np.testing.assert_allclose([record["timestamp"] for record in records], taken, 0, 1e-6)
    assert [record["speed_m_s"] for record in records] == [12.25, 13.25] * 2


def test_kitti_poses_are_metres_east_and_north_of_the_first_packet(tmp_path, capsys):
    truth = write_kitti(tmp_path / "raw")
    curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *ONE)
    for record in read_records(tmp_path / "out" / "kitti_eigen_test.jsonl"):
        pose = truth[record["id"]][1]
        to_enu = np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0)])
        np.testing.assert_allclose(
            np.array(record["pose"])[:3, :3], to_enu @ pose[:3, :3], atol=1e-7
        )
        np.testing.assert_allclose(np.array(record["pose"])[:3, 3], to_enu @ pose[:3, 3], atol=1e-3)


def test_kitti_without_packets_has_no_poses(tmp_path, capsys):
    write_kitti(tmp_path / "raw", oxts=False)
    curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *ONE)
    for record in read_records(tmp_path / "out" / "kitti_eigen_test.jsonl"):
        assert not {"pose", "timestamp", "speed_m_s"} & record.keys()


def test_kitti_packet_of_another_time_gives_no_pose(tmp_path, capsys):
    write_kitti(tmp_path / "raw")
    path = tmp_path / "raw/2011_09_26/2011_09_26_drive_0002_sync/oxts/timestamps.txt"
    lines = path.read_text().splitlines()
    lines[6] = lines[7]
    path.write_text("\n".join(lines))
    curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "kitti_eigen_test.jsonl")
    assert ["pose" in record for record in records] == [True, False]
    assert all("timestamp" in record for record in records)


def test_kitti_damaged_packets(tmp_path, capsys):
    write_kitti(tmp_path / "raw")
    folder = tmp_path / "raw/2011_09_26/2011_09_26_drive_0002_sync"
    packet = folder / "oxts/data/0000000005.txt"
    numbers = packet.read_text().split()
    packet.write_text(" ".join(numbers[:20]))
    times = folder / "image_03" / "timestamps.txt"
    times.write_text("\n".join(times.read_text().splitlines()[:6]))
    other = folder / "oxts/data/0000000006.txt"
    words = other.read_text().split()
    words[8], words[10] = words[10], words[8]
    other.write_text(" ".join(words))
    options = ["--split", "train", *ONE]
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert "holds 20 numbers, expected the 30" in said
    assert "none of 4 frames gave a record: 4 bad file" in said


def test_kitti_crop_of_garg(tmp_path, capsys):
    write_kitti(tmp_path / "raw")
    for path in (tmp_path / "raw").glob("train/*/*/*/image_02/*.png"):
        Image.fromarray(np.full((94, 310), 5 * 256, np.uint16)).save(path)
    options = ["--option", "crop=garg", "--points", 30000, *ONE]
    counts, _ = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", *options)
    for record in read_records(tmp_path / "out" / "kitti_eigen_test.jsonl"):
        u, v = np.array(record["pixel_coords"]).T
        assert (u.min(), u.max()) == (11, 297)  # of 310: 11.14 to 298.86
        assert (v.min(), v.max()) == (38, 92)  # of 94: 38.36 to 93.24
    assert counts["dropped"] == {"outside the crop": 2 * (310 * 94 - 287 * 55)}
    options[1] = "crop=eigen"
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "no", *options, status=1)
    assert "unknown crop 'eigen'; known: none, garg" in said


def test_kitti_with_calibration_of_another_release(tmp_path, capsys):
    write_kitti(tmp_path / "raw")
    path = tmp_path / "raw" / "2011_09_26" / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace("180.5 0 152.4", "200.5 0 152.4"))
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", status=1)
    assert "the calibration says fx = 200.5 px, the list 180.5" in said
    path.unlink()
    _, said = curate(capsys, "kitti", tmp_path / "raw", tmp_path / "out", status=1)
    assert "it comes with the raw drives" in said
