"""nerfstudio's transforms.json: a recording of known geometry, and files that are none."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.robots import (
    FISHEYE,
    HOLE,
    OPENCV,
    edited,
    intrinsics,
    opengl,
    write_nerfstudio,
    z_values,
)
from support.scene import POSES

from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError

ONE = ["--workers", 1, "--points", 200]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One frame of a lens, and what it shows."""
    root = tmp_path_factory.mktemp("nerfstudio")
    return root, write_nerfstudio(root, poses=POSES[1:2])


@pytest.fixture
def recording(written, tmp_path):
    """The same, to be changed."""
    shutil.copytree(written[0], tmp_path / "raw")
    return tmp_path / "raw", written[1]


def frames(root, **options):
    reader = make_reader("nerfstudio", root, options=options)
    return {item.frame_id: reader.load(item) for item in reader.items()}


def refused(root, reason, said, **options):
    with pytest.raises(RecordError, match=re.escape(said)) as error:
        frames(root, **options)
    assert error.value.reason == reason


@pytest.mark.slow
def test_millimetres_of_a_lens_are_the_scene(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_nerfstudio(root)
    curate(capsys, "nerfstudio", root, out, *ONE)
    records = read_records(out / "nerfstudio.jsonl")
    assert [record["id"] for record in records] == sorted(truth)
    assert_labels_the_scene(records, truth, out)
    assert_poses_agree(records, truth)
    for record in records:
        np.testing.assert_allclose(record["pose"], truth[record["id"]][1], atol=1e-9)
        assert record["scene"] == "raw"
        k1, k2, k3, _ = OPENCV.k
        assert record["distortion"]["coefficients"] == [k1, k2, *OPENCV.p, k3]
        u, v = np.array(record["pixel_coords"]).T
        rows, columns = HOLE
        hole = (v >= rows.start) & (v < rows.stop) & (u >= columns.start) & (u < columns.stop)
        assert not hole.any()


@pytest.mark.slow
def test_fisheyes_of_their_own_in_folders_with_metres(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = {}
    for scene, fx in (("attic", 121.0), ("cellar", 117.5)):
        camera = type(FISHEYE)(**vars(FISHEYE) | {"fx": fx})
        found = write_nerfstudio(root / scene, camera, POSES[:2], depth="z/{}.npy", wh=(100, 75))
        own = intrinsics(camera)
        edited(root / scene, lambda top, own=own: [top.pop(key) for key in own])
        own.pop("camera_model")
        edited(root / scene, lambda frame, own=own: frame.update(own), frame=-1)
        edited(root / scene, lambda top: top.update(camera_model="OPENCV_FISHEYE"))
        truth |= {f"{scene}/{name}": shown for name, shown in found.items()}
    metres = ("--option", "depth_unit_scale_factor=1")
    curate(capsys, "nerfstudio", root, out, *ONE, *metres)
    records = read_records(out / "nerfstudio.jsonl")
    assert_labels_the_scene(records, truth, out, shift_px=1.0, worst=0.006)  # z is of the map's ray
    assert_poses_agree(records, truth)
    assert {record["scene"] for record in records} == {"attic", "cellar"}
    assert {record["distortion"]["model"] for record in records} == {"fisheye"}


def test_axes_and_pixel_centres(recording):
    root, truth = recording
    [(camera, pose)] = truth.values()
    [frame] = frames(root).values()
    np.testing.assert_allclose(frame.pose, pose, atol=1e-12)
    assert frame.camera.intrinsics == pytest.approx([camera.fx, camera.fy, camera.cx, camera.cy])


def test_masks_leave_out_what_is_black(recording):
    root, _ = recording
    mask = np.full((150, 200), 255, np.uint8)
    mask[:, :80] = 0
    Image.fromarray(mask).save(root / "mask.png")
    edited(root, lambda frame: frame.update(mask_path="mask.png"), frame=0)
    [frame] = frames(root).values()
    assert not np.isfinite(frame.depth_m[:, :80]).any()
    assert np.isfinite(frame.depth_m[:, 80:]).all()
    Image.new("I;16", (100, 75), 900).save(root / "depth" / "00000.png")
    [frame] = frames(root).values()
    assert not np.isfinite(frame.depth_m[:, :40]).any()
    assert (frame.depth_m[:, 40:] == 0.9).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_values_that_measure_nothing(recording, value):
    root, _ = recording
    z = z_values(OPENCV, POSES[1]).astype(np.float32)
    z[5, 7] = value
    np.save(root / "z.npy", z[:, :, None])
    edited(root, lambda frame: frame.update(depth_file_path="z.npy"), frame=0)
    [frame] = frames(root, depth_unit_scale_factor="1").values()
    assert np.isnan(frame.depth_m[5, 7])
    assert np.isnan(frame.depth_m[HOLE]).all()
    np.testing.assert_allclose(frame.depth_m[80:], z[80:])


def test_the_unit_of_floating_point_numbers_is_asked_for(recording):
    root, _ = recording
    np.save(root / "z.npy", z_values(OPENCV, POSES[1]))
    edited(root, lambda frame: frame.update(depth_file_path="z.npy"), frame=0)
    refused(root, "no depth unit", "give --option depth_unit_scale_factor=1 for metres")
    np.save(root / "z.npy", np.round(1000 * z_values(OPENCV, POSES[1])).astype(np.int32))
    [frame] = frames(root).values()  # whole numbers are millimetres, as those of images
    np.testing.assert_allclose(frame.depth_m[80:], z_values(OPENCV, POSES[1])[80:], atol=6e-4)


def test_a_model_of_colmap_is_asked_for_its_metres(recording):
    root, truth = recording
    [(_, pose)] = truth.values()
    applied = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]
    edited(root, lambda top: top.update(applied_transform=applied))
    edited(root, lambda frame: frame.update(transform_matrix=opengl(pose, 0.4)), frame=0)
    with pytest.raises(ConfigError, match="whose unit is arbitrary"):
        frames(root)
    [frame] = frames(root, depth_unit_scale_factor="0.001").values()
    assert frame.pose is None
    assert "--option pose_scale=METRES" in frame.lacking[0]
    [frame] = frames(root, depth_unit_scale_factor="0.0004", pose_scale="0.4").values()
    np.testing.assert_allclose(frame.pose, pose, atol=1e-12)
    np.testing.assert_allclose(frame.depth_m[80:], 0.4 * z_values(OPENCV, pose)[80:], atol=6e-4)
    edited(root, lambda top: top.pop("applied_transform"))
    (root / "colmap").mkdir()  # older versions wrote no applied_transform
    with pytest.raises(ConfigError, match="colmap/ beside it"):
        frames(root)


def test_applied_scale_is_taken_out_of_poses_and_not_of_depth(recording):
    root, truth = recording
    [(_, pose)] = truth.values()
    edited(root, lambda top: top.update(applied_scale=2.5))
    edited(root, lambda frame: frame.update(transform_matrix=opengl(pose, 1 / 2.5)), frame=0)
    [frame] = frames(root).values()
    np.testing.assert_allclose(frame.pose, pose, atol=1e-12)
    np.testing.assert_allclose(frame.depth_m[80:], z_values(OPENCV, pose)[80:], atol=6e-4)
    edited(root, lambda top: top.update(applied_scale="1"))
    with pytest.raises(DepthLMError, match="applied_scale is '1', expected a number over 0"):
        frames(root)


def test_instant_ngp_with_its_own_scale_and_names_without_a_suffix(recording):
    root, truth = recording
    [(_, pose)] = truth.values()
    tenth = np.round(z_values(OPENCV, pose) * 65535 / 10).astype(np.uint16)
    Image.fromarray(tenth).save(root / "images" / "0.depth.png")

    def ngp(frame):
        del frame["depth_file_path"]
        frame |= {"file_path": "images/frame_00000", "depth_path": "images/0.depth.png"}
        frame |= {"fl_x": 153.0}  # of the moving focus: the frame's counts

    edited(root, ngp, frame=0)
    refused(root, "no depth unit", "no integer_depth_scale")
    edited(root, lambda top: top.update(integer_depth_scale=10 / 65535))
    [frame] = frames(root).values()
    assert frame.image == root / "images" / "frame_00000.png"
    assert frame.camera.fx == 153
    np.testing.assert_allclose(frame.depth_m[80:], z_values(OPENCV, pose)[80:], atol=1e-4)


def test_distances_where_they_are_stated(recording):
    assert [frame.depth_kind for frame in frames(recording[0]).values()] == ["z"]
    [frame] = frames(recording[0], depth_kind="distance").values()
    assert frame.depth_kind == "distance"


BAD_FRAMES = {
    "bad intrinsics": ({"fl_x": 155.0}, "nerfstudio takes the first, Instant NGP the second"),
    "missing depth": ({"depth_file_path": "depth/9.png"}, "depth/9.png does not exist"),
    "missing image": ({"file_path": "images/9.png"}, "images/9.png"),
    "bad transforms": ({"mask_path": 3}, "mask_path is 3, expected a path"),
    "bad pose": ({"transform_matrix": [[1, 0, 0], "x"]}, "transform_matrix is not 4x4 numbers"),
    "file outside its root": ({"file_path": "../../x.png"}, "leads out of --root"),
}
BAD_TOPS = {
    "no focal length": ({"fl_x": None}, "bad intrinsics", "fl_x is missing"),
    "words": ({"cy": "75"}, "bad intrinsics", "cy is '75'"),
    "truth": ({"cx": True}, "bad intrinsics", "cx is True"),
    "other size": ({"w": 400}, "size differs from intrinsics", "is for 400x150"),
    "panorama": ({"camera_model": "EQUIRECTANGULAR"}, "unknown lens", "undistort the pictures"),
    "k4": ({"k4": 0.1}, "unknown lens", "k4"),
    "short": ({"distortion_params": [1, 2]}, "unknown lens", "distortion_params is [1, 2]"),
}


@pytest.mark.parametrize("reason", BAD_FRAMES)
def test_bad_frames(recording, reason):
    values, said = BAD_FRAMES[reason]
    edited(recording[0], lambda frame: frame.update(values), frame=0)
    refused(recording[0], reason, said)


@pytest.mark.parametrize("case", BAD_TOPS)
def test_bad_cameras(recording, case):
    values, reason, said = BAD_TOPS[case]
    edited(recording[0], lambda top: top.update(values))
    refused(recording[0], reason, said)


def test_depth_of_another_shape_or_kind(recording):
    path = recording[0] / "depth" / "00000.png"
    Image.new("I;16", (100, 100), 5).save(path)
    refused(recording[0], "other field of view", "depth is 100x100, the picture 200x150")
    Image.new("L", (200, 150), 5).save(path)
    refused(recording[0], "bad depth image", "8-bit depth is a picture of depth")
    np.save(recording[0] / "z.npy", np.ones(7))
    edited(recording[0], lambda frame: frame.update(depth_file_path="z.npy"), frame=0)
    refused(recording[0], "bad depth array", "has the shape (7,), expected (H, W)")
    (recording[0] / "z.npy").write_bytes(b"\x93NUMPY")
    refused(recording[0], "bad depth array", "cannot be read")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "expected nerfstudio's JSON"),
        ("[" * 5000, "expected nerfstudio's JSON"),
        ("[]", "expected nerfstudio's JSON"),
        ('{"frames": []}', "no list of frames"),
        ('{"frames": [{"file_path": 1}]}', "frames[0] has no file_path"),
        ('{"frames": [{"file_path": "a.png"}]}', "none of 1 frames has a depth_file_path"),
        (json.dumps({"frames": [{"file_path": "a", "depth_path": "b"}] * 2}), "of two frames"),
    ],
)
def test_files_that_are_no_transforms(tmp_path, text, said):
    (tmp_path / "transforms.json").write_text(text)
    with pytest.raises(DepthLMError, match=re.escape(said)):
        frames(tmp_path)


@pytest.mark.parametrize("option", ["depth_unit_scale_factor", "pose_scale"])
def test_lengths_that_are_none(recording, option):
    with pytest.raises(ConfigError, match="expected metres, over 0"):
        frames(recording[0], **{option: "-1"})
