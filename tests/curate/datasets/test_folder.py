"""RGB-D folders in the layouts of other datasets, with the options that the reader documents."""

import json

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.folders import (
    SCANNET,
    write_replica,
    write_scannet,
    write_seven_scenes,
    write_stray,
)
from support.scene import POSES, Pinhole, distance_at, picture

from depthlm_plugin.curate.frames import same_field

OURS = ("depth_kind=z", "depth_scale=1000")
IN_SCANNET = (
    *OURS,
    "intrinsics=intrinsic/intrinsic_color.txt",
    "depth_intrinsics=intrinsic/intrinsic_depth.txt",
    "pose=pose/*.txt",
)
IN_REPLICA = (
    *("depth_kind=z", "depth_scale=6553.5", "rgb=results/frame*.jpg", "depth=results/depth*.png"),
    *("intrinsics=cam_params.json", "pose=traj.txt"),
)


def given(*options):
    return [part for option in options for part in ("--option", option)] + ["--workers", 1]


def records_of(out):
    return read_records(out / "folder.jsonl")


def test_scannet(tmp_path, capsys):
    root, out = tmp_path / "scene0000_00", tmp_path / "out"
    truth = write_scannet(root, poses=POSES[:2])
    curate(capsys, "folder", root, out, *given(*IN_SCANNET))
    records = records_of(out)
    assert_labels_the_scene(records, truth, out, shift_px=0.5)
    assert {record["scene"] for record in records} == {"scene0000_00"}
    assert ["pose" in record for record in records] == [True, False]  # tracking was lost


def test_scannet_depth_has_a_camera_of_its_own(tmp_path, capsys):
    """Much more than ScanNet's four rows are cut here: 30 of 180, at the top."""
    root, out = tmp_path / "raw", tmp_path / "out"
    colour = Pinhole(200.0, 200.0, 119.5, 59.5, 240, 150)
    truth = write_scannet(root, colour, Pinhole(100.0, 100.0, 59.5, 44.5, 120, 90), POSES[:3])
    counts, _ = curate(capsys, "folder", root, out, *given(*IN_SCANNET), "--points", 500)
    assert_labels_the_scene(records_of(out), truth, out, worst=0.004, shift_px=0.5)
    assert counts["dropped"] == {"outside the picture": 3 * 120 * 15}
    [_, said] = curate(
        capsys, "folder", root, tmp_path / "two", *given(*IN_SCANNET), "--sampling", "edges",
        status=1,
    )  # fmt: skip
    assert "needs a depth map" in said


def test_scannet_depth_is_not_its_pictures_made_smaller(tmp_path, capsys):
    root = tmp_path / "raw"
    write_scannet(root, poses=POSES[:1])
    options = [option for option in IN_SCANNET if not option.startswith("depth_i")]
    _, said = curate(capsys, "folder", root, tmp_path / "out", *given(*options), status=1)
    assert "1 other field of view" in said
    assert "depth is 640x480, the picture 1296x968" in said
    assert "--option depth_intrinsics=FILE" in said


@pytest.mark.parametrize(
    ("map_wh", "same"),
    [((1296, 968), True), ((640, 480), False), ((648, 484), True), ((324, 242), True)],
)
def test_same_field(map_wh, same):
    assert same_field((1296, 968), map_wh) is same


def test_small_maps_of_odd_sizes_are_pictures_made_smaller():
    assert same_field((1241, 376), (310, 94))
    assert same_field((1920, 1440), (256, 192))
    assert not same_field((640, 480), (1280, 960))


def test_scannet_scans_of_a_room_are_one_scene(tmp_path, capsys):
    root, out = tmp_path / "scans", tmp_path / "out"
    truth = {}
    for scan in ("0000_00", "0000_01", "0001_00"):
        colour, depth = (Pinhole(*(150.0, 150.0, 99.5, 74.5), 200, 150),) * 2
        for name, seen in write_scannet(root / f"scene{scan}", colour, depth, POSES[:1]).items():
            truth[f"{scan.replace('_', '/')}/{name}"] = seen
    base = "scene*_*"
    options = (
        *OURS,
        f"rgb={base}/color/*.jpg",
        f"depth={base}/depth/*.png",
        f"intrinsics={base}/intrinsic/intrinsic_color.txt",
        f"depth_intrinsics={base}/intrinsic/intrinsic_depth.txt",
        f"pose={base}/pose/*.txt",
    )
    curate(capsys, "folder", root, out, *given(*options, "scene_stars=1"))
    records = records_of(out)
    assert_labels_the_scene(records, truth, out)
    assert [record["scene"] for record in records] == ["0000", "0000", "0001"]
    _, said = curate(
        capsys, "folder", root, tmp_path / "two", *given(*options, "scene_stars=3"), status=1
    )
    assert "expected 0 to 2, as scene*_*/color/*.jpg has 3 stars" in said


def test_replica(tmp_path, capsys):
    root, out = tmp_path / "room0", tmp_path / "out"
    truth = write_replica(root)
    curate(capsys, "folder", root, out, *given(*IN_REPLICA))
    assert_labels_the_scene(records_of(out), truth, out)
    assert_poses_agree(records_of(out), truth)


def test_replica_poses_go_by_number_not_by_position(tmp_path, capsys):
    root, out = tmp_path / "room0", tmp_path / "out"
    truth = write_replica(root)
    for kind in ("frame000001.jpg", "depth000001.png"):
        (root / "results" / kind).unlink()
    curate(capsys, "folder", root, out, *given(*IN_REPLICA))
    records = records_of(out)
    assert [record["id"] for record in records] == ["000000", "000002", "000003"]
    for record in records:
        np.testing.assert_allclose(record["pose"], truth[record["id"]][1], atol=1e-12)


def test_replica_scenes_in_one_folder(tmp_path, capsys):
    root, out = tmp_path / "Replica", tmp_path / "out"
    for scene in ("room0", "office1"):
        write_replica(root / scene, POSES[:1])
    (root / "room0" / "cam_params.json").rename(root / "cam_params.json")
    options = ("rgb=*/results/frame*.jpg", "depth=*/results/depth*.png", "pose=*/traj.txt")
    curate(capsys, "folder", root, out, *given(*IN_REPLICA[:2], *options, IN_REPLICA[4]))
    assert [record["scene"] for record in records_of(out)] == ["office1", "room0"]
    np.testing.assert_allclose(records_of(out)[0]["pose"], POSES[0])


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (lambda text: text.splitlines()[0], "1 lines, none for this picture"),
        (lambda text: text.replace("\n", " 1\n"), "holds no 4x4 matrix"),
    ],
)
def test_replica_trajectory_of_another_recording(tmp_path, capsys, break_it, found):
    root = tmp_path / "room0"
    write_replica(root, POSES[:2])
    (root / "traj.txt").write_text(break_it((root / "traj.txt").read_text()))
    _, said = curate(capsys, "folder", root, tmp_path / "out", *given(*IN_REPLICA), status=1)
    assert found in said
    assert "bad pose" in said


def test_replica_scale_is_held_against_the_one_stated(tmp_path, capsys):
    root = tmp_path / "room0"
    write_replica(root, POSES[:1])
    options = [option.replace("6553.5", "1000") for option in IN_REPLICA]
    _, said = curate(capsys, "folder", root, tmp_path / "out", *given(*options), status=1)
    assert "1 other depth scale" in said
    assert "says scale 6553.5, --option depth_scale=1000" in said


def test_seven_scenes(tmp_path, capsys):
    root, out = tmp_path / "chess", tmp_path / "out"
    truth = write_seven_scenes(root)
    options = (
        *(*OURS, "invalid=65535", "scene_stars=0", "intrinsics=152,148,95,80"),
        *("rgb=seq-*/frame-*.color.png", "depth=seq-*/frame-*.depth.png"),
        "pose=seq-*/frame-*.pose.txt",
    )
    curate(capsys, "folder", root, out, *given(*options))
    records = records_of(out)
    assert_labels_the_scene(records, truth, out)  # 65535 would be 65 m
    assert_poses_agree(records, truth)
    assert {record["scene"] for record in records} == {"chess"}  # not its sequences


def test_stray_scanner_asks_for_its_pictures(tmp_path, capsys):
    root, out = tmp_path / "71de12f9", tmp_path / "out"
    truth = write_stray(root)
    options = given(*OURS, "intrinsics=camera_matrix.csv")
    _, said = curate(capsys, "folder", root, out, *options, status=1)
    assert "rgb.mp4 is a video; `depthlm curate strayscanner` reads" in said
    assert "ffmpeg -ignore_editlist 1 -i rgb.mp4 -fps_mode passthrough -start_number 0" in said
    (root / "rgb").mkdir()
    for name, seen in truth.items():
        Image.fromarray(picture(*seen)).save(root / "rgb" / f"{name}.png")
    curate(capsys, "folder", root, out, *options)
    assert_labels_the_scene(records_of(out), truth, out, worst=0.006, shift_px=0.5)


def test_depth_camera_that_sees_more_finely_gives_no_pixel_twice(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    colour = Pinhole(100.0, 100.0, 59.5, 44.5, 120, 90)
    truth = write_scannet(root, colour, Pinhole(130.0, 130.0, 59.5, 44.5, 120, 90), POSES[:1])
    curate(capsys, "folder", root, out, *given(*IN_SCANNET), "--points", 20_000)
    [record] = records_of(out)
    pixels = np.array(record["pixel_coords"])
    assert len(np.unique(pixels, axis=0)) == len(pixels)
    exact = distance_at(*truth["0"], *pixels.T)
    assert np.median(np.abs(np.array(record["depth"]) / exact - 1)) < 0.002


def test_intrinsics_that_are_a_list(tmp_path, capsys):
    root = tmp_path / "room0"
    write_replica(root, POSES[:1])
    (root / "cam_params.json").write_text(json.dumps([SCANNET[0].fx]))
    _, said = curate(capsys, "folder", root, tmp_path / "out", *given(*IN_REPLICA), status=1)
    assert "1 bad intrinsics" in said
    assert "expected fx, fy, cx, cy" in said
