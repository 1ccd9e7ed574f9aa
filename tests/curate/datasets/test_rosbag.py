"""Bags of ROS: recordings of known geometry, written by the package rosbags, and bad ones."""

import io
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, curate, read_records
from support.raw.robots import FISHEYE, HOLE, z_values
from support.raw.ros import NAMES, START_NS, STEP_NS, Recording, arranged, write_bag, write_bags
from support.scene import POSES, picture

from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import ConfigError, DepthLMError

pytest.importorskip("rosbags")
pytestmark = pytest.mark.slow  # a bag is written for each

ONE = Recording(poses=POSES[1:2])


def frames(root, **options):
    reader = make_reader("rosbag", root, options=options)
    return {item.frame_id: reader.load(item) for item in reader.items()}


def only(tmp_path, recording, **options):
    """Return the frame of a recording of one picture, and what it shows."""
    [(name, (camera, pose))] = write_bag(tmp_path, "hall", recording).items()
    [(found, frame)] = frames(tmp_path, **options).items()
    assert found == name
    return frame, camera, pose


def refused(tmp_path, recording, said, **options):
    write_bag(tmp_path, "hall", recording)
    with pytest.raises(DepthLMError, match=re.escape(said)) as error:
        frames(tmp_path, **options)
    return getattr(error.value, "reason", None)


def test_bags_of_both_are_the_scene(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_bags(root)
    curate(capsys, "rosbag", root, out, "--points", 200, "--workers", 2)
    records = read_records(out / "rosbag.jsonl")
    assert_labels_the_scene(records, truth, out)
    for record in records:
        scene, time = record["id"].split("/")
        assert (record["scene"], record["timestamp"]) == (scene, int(time))
        assert record["distortion"]["model"] == "opencv"
        assert record["image"].endswith(".jpg" if scene == "yard" else ".png")
        u, v = np.array(record["pixel_coords"]).T
        rows, columns = HOLE
        assert not (
            (v >= rows.start) & (v < rows.stop) & (u >= columns.start) & (u < columns.stop)
        ).any()


FORMS = {
    "bag": ONE,
    "bag lz4": replace(ONE, compression="LZ4"),
    "bag bz2": replace(ONE, compression="BZ2"),
    "sqlite3": replace(ONE, form="sqlite3"),
    "sqlite3 messages": replace(ONE, form="sqlite3", compression="MESSAGE"),
    "sqlite3 file": replace(ONE, form="sqlite3", compression="FILE"),
    "mcap": replace(ONE, form="mcap"),
    "camera twice": replace(ONE, form="mcap", prefix="/camera/camera/"),
    "rows with padding": replace(ONE, padding=24),
    "big-endian": replace(ONE, big_endian=True),
    "metres": replace(ONE, depth="32FC1"),
    "metres big-endian": replace(ONE, depth="32FC1", big_endian=True),
    "png": replace(ONE, picture="png", depth="png 16UC1"),
    "compressedDepth": replace(ONE, depth="compressedDepth 16UC1"),
    "quantised": replace(ONE, depth="compressedDepth 32FC1"),
}


@pytest.mark.parametrize("case", FORMS)
def test_forms_of_bags_and_of_depth(tmp_path, case):
    frame, camera, pose = only(tmp_path, FORMS[case])
    z = z_values(camera, pose)
    assert frame.depth_kind == "z"
    assert np.isnan(frame.depth_m[HOLE]).all()
    closeness = 3e-3 if case == "quantised" else 6e-4
    np.testing.assert_allclose(frame.depth_m[80:], z[80:], atol=closeness)
    assert frame.camera.intrinsics == [camera.fx, camera.fy, camera.cx, camera.cy]
    k1, k2, k3, _ = camera.k
    assert frame.camera.lens.coefficients == (k1, k2, *camera.p, k3)
    with Image.open(io.BytesIO(frame.image)) as image:
        np.testing.assert_array_equal(np.asarray(image), picture(camera, pose))


@pytest.mark.parametrize("encoding", ["bgr8", "rgba8", "bgra8", "mono8"])
def test_encodings_of_pictures(tmp_path, encoding):
    frame, camera, pose = only(tmp_path, replace(ONE, picture=encoding))
    seen = picture(camera, pose)
    with Image.open(io.BytesIO(frame.image)) as image:
        pixels = np.asarray(image)
    expected = arranged(seen, encoding)[:, :, None].repeat(3, 2) if encoding == "mono8" else seen
    np.testing.assert_array_equal(pixels, expected)


def test_other_topics_by_their_names_without_the_transport(tmp_path):
    names = ("rgb/image", "depth_to_rgb/image", "rgb/camera_info")
    recording = replace(ONE, picture="jpeg", prefix="/kinect/", topics=names)
    only(tmp_path, recording, color="/kinect/rgb/image", depth="/kinect/depth_to_rgb/image")
    recorded = {"color": "/kinect/rgb/image/compressed", "depth": "/kinect/depth_to_rgb/image"}
    assert len(frames(tmp_path, **recorded)) == 1
    with pytest.raises(ConfigError, match="give both --option color= and depth="):
        frames(tmp_path, color="/kinect/rgb/image")


def test_a_missing_topic_lists_those_that_are_there(tmp_path):
    recording = replace(ONE, topics=(NAMES[0], "depth/image_rect_raw", NAMES[2]))
    write_bag(tmp_path, "hall", recording)
    with pytest.raises(DepthLMError) as error:
        frames(tmp_path)
    said = str(error.value)
    assert "hall.bag: looked for /camera/camera/color/image_raw with " in said
    assert "/camera/color/image_raw (sensor_msgs/msg/Image, 1)" in said
    assert "/camera/color/camera_info (sensor_msgs/msg/CameraInfo, 1)" in said
    assert "is not aligned to the pictures: start realsense2_camera with" in said
    wrong = {"color": "/camera/color/camera_info", "depth": "/camera/depth/image_rect_raw"}
    with pytest.raises(DepthLMError, match="looked for /camera/color/camera_info with"):
        frames(tmp_path, **wrong)


def test_depth_of_another_frame_is_not_aligned(tmp_path):
    recording = replace(ONE, depth_frame="camera_depth_optical_frame")
    said = "is in the frame 'camera_depth_optical_frame', the picture in 'camera_color_optical_fr"
    assert refused(tmp_path, recording, said) == "not aligned"


def test_recordings_of_librealsense_are_refused(tmp_path):
    names = ("sensor_1/Color_0/image/data", "sensor_0/Depth_0/image/data", "sensor_1/Color_0/info")
    recording = replace(ONE, prefix="/device_0/", topics=names)
    refused(tmp_path, recording, "it was recorded by librealsense itself")


def test_stamps_within_20_ms_of_the_headers(tmp_path):
    write_bag(tmp_path, "hall", replace(ONE, poses=POSES, late_ns=16_000_000))
    assert [*frames(tmp_path)] == [f"hall/{START_NS + n * STEP_NS}" for n in range(4)]
    for path in tmp_path.iterdir():
        path.unlink()
    far = replace(ONE, late_ns=21_000_000)
    refused(tmp_path, far, "none of 1 pictures of /camera/color/image_raw has depth")


def test_the_camera_of_the_moment(tmp_path):
    write_bag(tmp_path, "hall", replace(ONE, poses=POSES, refocus_px=2.0))
    assert [frame.camera.fx for frame in frames(tmp_path).values()] == [150.2, 152.2, 154.2, 156.2]


def test_headers_without_stamps(tmp_path):
    refused(tmp_path, replace(ONE, poses=POSES[:2], stamped=False), "have no stamps")


def test_fisheyes_and_rectified_images(tmp_path):
    frame, camera, _ = only(tmp_path / "a", replace(ONE, camera=FISHEYE))
    assert (frame.camera.lens.model, frame.camera.lens.coefficients) == ("fisheye", camera.k)
    names = ("rgb/image_rect_color", "depth/image", "rgb/camera_info")
    p = (141.0, 0, 97.5, -3.2, 0, 142.0, 70.5, 0, 0, 0, 1, 0)
    recording = replace(ONE, prefix="/zed/", topics=names, info=(("p", p),))
    topics = {"color": "/zed/rgb/image_rect_color", "depth": "/zed/depth/image"}
    frame, _, _ = only(tmp_path / "b", recording, **topics)
    assert frame.camera.lens is None
    assert frame.camera.intrinsics == [141.0, 142.0, 97.5, 70.5]


def test_lenses_without_distortion_and_rational_ones_that_are_plain(tmp_path):
    frame, _, _ = only(tmp_path / "a", replace(ONE, info=(("d", [0.0] * 5),)))
    assert frame.camera.lens is None
    plain = (("distortion_model", "rational_polynomial"), ("d", [0.1, 0.2, 0, 0, 0.3, 0, 0, 0]))
    frame, _, _ = only(tmp_path / "b", replace(ONE, info=plain))
    assert frame.camera.lens.coefficients == (0.1, 0.2, 0, 0, 0.3)


BAD_INFOS = {
    "size differs from intrinsics": ({"width": 400}, "camera_info is for 400x150"),
    "bad intrinsics": ({"k": [0.0] * 9}, "zeros are of an uncalibrated camera"),
    "unknown lens": (
        {"distortion_model": "rational_polynomial", "d": [0.1, 0.2, 0, 0, 0.3, 0.1, 0, 0]},
        "Record the rectified image with depth aligned to it",
    ),
}


@pytest.mark.parametrize("reason", BAD_INFOS)
def test_bad_cameras(tmp_path, reason):
    values, said = BAD_INFOS[reason]
    assert refused(tmp_path, replace(ONE, info=tuple(values.items())), said) == reason


BAD_IMAGES = {
    "picture": (replace(ONE, picture="bayer_rggb8"), "the picture is 'bayer_rggb8', expected one"),
    "depth": (replace(ONE, depth="mono16"), "depth is 'mono16', expected 16UC1"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_encodings_that_are_not_known(tmp_path, case):
    recording, said = BAD_IMAGES[case]
    assert refused(tmp_path, recording, said) == "unknown encoding"


def test_damaged_bags_are_counted_and_the_others_done(tmp_path, capsys):
    root = tmp_path / "raw"
    for name, form in (("cut", "bag"), ("whole", "mcap"), ("lost", "sqlite3")):
        write_bag(root, name, replace(ONE, form=form))
    data = (root / "cut.bag").read_bytes()
    (root / "cut.bag").write_bytes(data[: len(data) // 2])
    next((root / "lost").glob("*.db3")).write_bytes(b"SQLite format 3\0" + bytes(500))
    counts, said = curate(
        capsys, "rosbag", root, tmp_path / "out", "--workers", 1, "--limit", 9, status=1
    )
    assert counts["left_out"] == {"bad bag": 2}
    assert counts["records"] == 1
    assert "cut.bag: " in said
    for name in ("whole", "lost"):
        (root / name).rename(tmp_path / name)
    with pytest.raises(DepthLMError, match=r"cut\.bag: "):
        frames(root)


def test_two_bags_of_one_name_are_refused(tmp_path):
    write_bag(tmp_path, "hall", ONE)
    write_bag(tmp_path, "hall", replace(ONE, form="mcap"))
    with pytest.raises(DepthLMError, match="have one name; keep one of them"):
        frames(tmp_path)


def test_the_root_is_a_bag_or_holds_files_of_one(tmp_path):
    write_bag(tmp_path, "yard", replace(ONE, form="mcap"))
    assert [*frames(tmp_path / "yard")] == [f"yard/{START_NS}"]
    (tmp_path / "yard" / "metadata.yaml").unlink()
    assert [*frames(tmp_path / "yard")] == [f"yard/{START_NS}"]


def test_without_rosbags_the_extra_is_named(tmp_path, monkeypatch):
    write_bag(tmp_path, "hall", ONE)
    monkeypatch.setitem(sys.modules, "rosbags", None)
    with pytest.raises(ConfigError, match=r'pip install "depthlm-plugin\[rosbag\]"'):
        frames(tmp_path)
