"""Open3D's and Redwood's layout: a recording of known geometry, and files that are none."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.robots import (
    HOLE,
    REDWOOD,
    write_log,
    write_open3d_camera,
    write_redwood,
    z_values,
)
from support.scene import POSES, Pinhole

from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError

ONE = ["--workers", 1, "--points", 200]
PRIMESENSE = Pinhole(525.0, 525.0, 319.5, 239.5, 640, 480)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One frame, and what it shows."""
    root = tmp_path_factory.mktemp("redwood")
    return root, write_redwood(root, poses=POSES[1:2])


@pytest.fixture
def recording(written, tmp_path):
    """The same, to be changed."""
    shutil.copytree(written[0], tmp_path / "raw")
    return tmp_path / "raw", written[1]


def frames(root, **options):
    reader = make_reader("redwood", root, options=options)
    return {item.frame_id: reader.load(item) for item in reader.items()}


def refused(root, said, **options):
    with pytest.raises(DepthLMError, match=re.escape(said)) as error:
        frames(root, **options)
    return getattr(error.value, "reason", None)


@pytest.mark.slow
def test_a_recording_is_the_scene(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_redwood(root)
    curate(capsys, "redwood", root, out, *ONE)
    records = read_records(out / "redwood.jsonl")
    assert [record["id"] for record in records] == sorted(truth)
    assert_labels_the_scene(records, truth, out)
    assert_poses_agree(records, truth)
    for record in records:
        np.testing.assert_allclose(record["pose"], truth[record["id"]][1], atol=1e-7)
        assert record["scene"] == "raw"
        assert "intrinsics_source" not in record


def test_a_frame(recording):
    root, truth = recording
    [(camera, pose)] = truth.values()
    [frame] = frames(root).values()
    assert frame.camera.intrinsics == [camera.fx, camera.fy, camera.cx, camera.cy]
    assert frame.depth_kind == "z"
    np.testing.assert_allclose(frame.pose, pose, atol=1e-7)
    assert np.isnan(frame.depth_m[HOLE]).all()
    np.testing.assert_allclose(frame.depth_m[80:], z_values(camera, pose)[80:], atol=6e-4)


@pytest.mark.slow
def test_names_in_the_order_of_their_numbers(tmp_path):
    truth = write_redwood(tmp_path, poses=POSES[:1] * 9 + POSES[1:3], colour="image/{}.jpg")
    for name, frame in frames(tmp_path).items():
        np.testing.assert_allclose(frame.pose, truth[name][1], atol=1e-7)


@pytest.mark.slow
def test_folders_of_redwood_with_the_default_of_open3d(tmp_path):
    for scene in ("chair", "table"):
        write_redwood(tmp_path / scene, PRIMESENSE, POSES[:1], colour="rgb/{:05d}.png")
        (tmp_path / scene / "camera_intrinsic.json").unlink()
    (tmp_path / "table" / "trajectory.log").unlink()
    assert "intrinsics=primesense for the 525 px" in refused_text(tmp_path)
    found = frames(tmp_path, intrinsics="primesense")
    assert {name: frame.pose is not None for name, frame in found.items()} == {
        "chair/00000": True,
        "table/00000": False,
    }
    for name, frame in found.items():
        assert frame.scene == name.split("/")[0]
        assert frame.camera.intrinsics == [525, 525, 319.5, 239.5]
        assert frame.extra == {"intrinsics_source": "assumed"}


def refused_text(root, **options):
    with pytest.raises(DepthLMError) as error:
        frames(root, **options)
    return str(error.value)


def test_the_unit_is_the_files_or_the_options(recording):
    root, truth = recording
    [(camera, pose)] = truth.values()
    write_redwood(root, camera, [pose], scale=4000)
    write_open3d_camera(root / "intrinsic.json", camera, depth_scale=4000.0)
    (root / "camera_intrinsic.json").unlink()
    for options in ({}, {"depth_scale": "4000"}):
        [frame] = frames(root, **options).values()
        np.testing.assert_allclose(frame.depth_m[80:], z_values(camera, pose)[80:], atol=2e-4)
    refused(root, "says depth_scale 4000, --option depth_scale=1000", depth_scale="1000")
    with pytest.raises(ConfigError, match="over 0"):
        frames(root, depth_scale="0")


BAD_CAMERAS = {
    "{": "expected Open3D's JSON",
    "[" * 5000: "expected Open3D's JSON",
    '{"width": 200, "height": 150}': "expected Open3D's JSON",
    '{"width": 200, "height": 150, "intrinsic_matrix": [1, 2]}': "expected Open3D's JSON",
    '{"width": 200, "height": 150, "intrinsic_matrix": [152, 0, 95, 0, 148, 80, 0, 0, 1]}': (
        "row by row; Open3D's goes column by column"
    ),
    '{"width": 400, "height": 300, "intrinsic_matrix": [152, 0, 0, 0, 148, 0, 95, 80, 1]}': (
        "the intrinsics are for 400x300, the picture is 200x150"
    ),
    '{"width": 200, "height": 150, "intrinsic_matrix": [152, 0, 0, 3, 148, 0, 95, 80, 1]}': (
        "expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
    ),
}


@pytest.mark.parametrize("case", range(len(BAD_CAMERAS)))
def test_bad_cameras(recording, case):
    text, said = [*BAD_CAMERAS.items()][case]
    (recording[0] / "camera_intrinsic.json").write_text(text)
    refused(recording[0], said)


BAD_LOGS = {
    "": "has 0 poses, there are 1 pictures",
    "0 0 1\n1 0 0 0\n": "2 lines, which is not 5 a frame",
    "0 1 1\n" + "1 0 0 0\n" * 4: "expected 0 0: is it of odometry",
    "0 0 1\n" + "1 0 0\n" * 4: "frame 0 is no 4x4 matrix",
    "0 0 1\n" + "1 0 0 x\n" * 4: "is no trajectory of camera poses",
}


@pytest.mark.parametrize("case", range(len(BAD_LOGS)))
def test_bad_trajectories(recording, case):
    text, said = [*BAD_LOGS.items()][case]
    (recording[0] / "trajectory.log").write_text(text)
    refused(recording[0], said)


def test_a_trajectory_of_other_frames(recording):
    write_log(recording[0] / "trajectory.log", POSES)
    refused(recording[0], "has 4 poses, there are 1 pictures")


def test_what_is_missing_or_of_another_size(recording):
    root, _ = recording
    path = root / "depth" / "000000.png"
    Image.new("I;16", (100, 75), 5).save(path)
    assert refused(root, "is 100x75, expected 200x150") == "bad depth image"
    path.rename(root / "depth" / "1.png")
    assert refused(root, "has a depth image of depth/* with the same name") is None
    Image.new("RGB", (200, 150)).save(root / "color" / "1.png")
    write_log(root / "trajectory.log", POSES[:2])
    reader = make_reader("redwood", root)
    first, second = reader.items()
    with pytest.raises(RecordError, match="has no depth image of its name"):
        reader.load({first.frame_id: first, second.frame_id: second}["000000"])
    refused(root, "no intrinsics: ", intrinsics="other.json")


def test_the_default_is_of_640x480(recording):
    said = "the intrinsics are for 640x480, the picture is 200x150"
    assert refused(recording[0], said, intrinsics="primesense") == "size differs from intrinsics"
    assert REDWOOD.width == 200
