"""Stereo pairs of a painted room: depths within the stated error, and pairs that are none."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import curate, read_records
from support.raw.stereo import (
    BASELINE_M,
    LEFT,
    beside,
    projections,
    seen,
    write_kitti,
    write_pairs,
    write_unrectified,
)
from support.scene import POSES, distance_at, grid, hits, z_at

from depthlm_plugin.curate.registry import make_reader
from depthlm_plugin.errors import ConfigError, RecordError

cv2 = pytest.importorskip("cv2")

GIVEN = {"f": "220", "baseline": "0.2", "cx": "121.3", "cy": "88.6"}
ERROR_PX = 0.5  # the card's


@pytest.fixture(scope="module")
def rectified(tmp_path_factory):
    """A folder with left/ and right/ of one pair, without a calibration, and the truth."""
    root = tmp_path_factory.mktemp("rectified")
    return root, write_pairs(root, POSES[1:2])


@pytest.fixture
def pair(rectified, tmp_path):
    shutil.copytree(rectified[0], tmp_path / "raw")
    return tmp_path / "raw"


def flags(options):
    return [text for key, value in options.items() for text in ("--option", f"{key}={value}")]


def frames(root, options):
    reader = make_reader("stereo", root, options=options)
    return {item.frame_id: reader.load(item) for item in reader.items()}


def errors_px(frame, pinhole, pose):
    """Return by how much disparities are off, in pixels, and how many labels a pixel there are."""
    v, u = np.nonzero(np.isfinite(frame.depth_m))
    exact_m = z_at(pinhole, pose, u, v)
    off_px = (frame.depth_m[v, u] / exact_m - 1) / exact_m * pinhole.fx * BASELINE_M
    return off_px, len(u) / frame.depth_m.size


def assert_within_the_stated_error(frame, pinhole, pose, share=0.985):
    off_px, labelled = errors_px(frame, pinhole, pose)
    assert labelled > 0.2
    assert np.mean(np.abs(off_px) <= ERROR_PX) > share
    assert abs(np.median(off_px)) < 0.08  # a wrong pixel centre would be half a pixel


def test_depths_are_within_the_stated_error(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_kitti(root)
    curate(capsys, "stereo", root, out, "--workers", 1, "--points", 200)
    records = read_records(out / "stereo.jsonl")
    assert {record["id"] for record in records} == truth.keys()
    for record in records:
        pinhole, pose = truth[record["id"]]
        np.testing.assert_allclose(record["intrinsics"], [220, 220, 121.3, 88.6, 240, 180])
        assert record["image"] == f"stereo/raw/image_2/{record['id']}.png"
        assert record["scene"] == "raw"
        assert "intrinsics_source" not in record
        u, v = np.array(record["pixel_coords"]).T
        exact, z = distance_at(pinhole, pose, u, v), z_at(pinhole, pose, u, v)
        stated = z / (pinhole.fx * BASELINE_M) * ERROR_PX
        assert np.mean(np.abs(np.array(record["depth"]) / exact - 1) <= stated) > 0.97
        assert z.max() < pinhole.fx * BASELINE_M / 10 * 1.06  # max_error
    for pose, frame in zip(POSES, frames(root, {}).values(), strict=False):
        assert_within_the_stated_error(frame, LEFT, pose)
    card = (out / "stereo" / "README.md").read_text()
    assert "z^2 / (f B) * 0.5 px" in card
    assert "of a larger error than max_error" in card


def test_max_error_is_where_labels_end(rectified):
    root, truth = rectified
    [(pinhole, pose)] = truth.values()
    for max_error in (0.03, 0.05):
        [frame] = frames(root, GIVEN | {"max_error": str(max_error)}).values()
        farthest = np.nanmax(frame.depth_m) * ERROR_PX / (pinhole.fx * BASELINE_M)
        assert 0.9 * max_error < farthest <= max_error
        assert np.mean(np.abs(errors_px(frame, pinhole, pose)[0]) <= ERROR_PX) > 0.985


def test_what_the_right_camera_does_not_see_has_no_labels(tmp_path):
    [(pinhole, pose)] = write_pairs(tmp_path, POSES[1:2]).values()
    rng = np.random.default_rng(0)
    for path in tmp_path.glob("*/*.png"):  # of a cheap camera: noise, and little contrast
        with Image.open(path) as image:
            pixels = 100 + 0.15 * np.asarray(image) + rng.normal(0, 2.5, (180, 240, 1))
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    [frame] = frames(tmp_path, GIVEN | {"max_error": "0.2"}).values()
    points, _ = hits(pinhole, pose, *grid(pinhole.width, pinhole.height))
    right = beside(pose)
    x, y, z = np.moveaxis((points - right[:3, 3]) @ right[:3, :3], -1, 0)
    u, v = x / z * pinhole.fx + pinhole.cx, y / z * pinhole.fy + pinhole.cy
    hidden = (z > z_at(pinhole, right, u, v) * 1.05) | (u < 0)
    labelled = np.isfinite(frame.depth_m)
    assert hidden.mean() > 0.05
    assert labelled[~hidden].mean() > 0.5
    assert labelled[hidden].mean() < 0.01


def opencv_file(path, **matrices):
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, matrix in matrices.items():
        file.write(name, np.array(matrix, float))
    file.release()


def q_matrix():
    fx, cx, cy = LEFT.fx, LEFT.cx, LEFT.cy
    return [(1, 0, 0, -cx), (0, 1, 0, -cy), (0, 0, 0, fx), (0, 0, 1 / BASELINE_M, 0)]


def test_calibrations_of_rectified_pairs_say_the_same(pair):
    [given] = frames(pair, GIVEN).values()
    left, right = projections()
    opencv_file(pair / "stereo.yml", P1=left, P2=right)
    opencv_file(pair / "q.xml", Q=q_matrix())
    opencv_file(pair / "p.xml", P1=left, P2=right)
    lines = [f"P_rect_0{n}: {' '.join(map(str, m.ravel()))}" for n, m in ((0, left), (1, right))]
    (pair / "two.txt").write_text("\n".join(lines))
    for calib in (None, "q.xml", "p.xml", "two.txt"):
        [frame] = frames(pair, {} if calib is None else {"calib": calib}).values()
        assert frame.camera == given.camera
        np.testing.assert_allclose(frame.depth_m, given.depth_m, rtol=1e-9)


@pytest.mark.parametrize(
    "right_cx", [pytest.param(130.6, id="doffs"), pytest.param(112.1, id="less")]
)
def test_middlebury_with_another_principal_point(tmp_path, right_cx):
    [(pinhole, pose)] = write_pairs(
        tmp_path, POSES[:1], "piano/im0.png", "piano/im1.png", right_cx
    ).values()
    (tmp_path / "piano" / "calib.txt").write_text(
        f"cam0=[220 0 121.3; 0 220 88.6; 0 0 1]\ncam1=[220 0 {right_cx}; 0 220 88.6; 0 0 1]\n"
        f"doffs={right_cx - 121.3}\nbaseline=200\nwidth=240\nheight=180\nndisp=60\n"
    )
    [(name, frame)] = frames(tmp_path, {}).items()
    assert (name, frame.scene) == ("piano", "piano")
    assert_within_the_stated_error(frame, pinhole, pose)


def test_calibrated_pairs_are_rectified_and_the_left_picture_written(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    root.mkdir()
    [(pinhole, pose)] = write_unrectified(root).values()
    [frame] = frames(root, {}).values()
    assert_within_the_stated_error(frame, pinhole, pose)
    curate(capsys, "stereo", root, out, "--workers", 1)
    [record] = read_records(out / "stereo.jsonl")
    expected = [pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy, 240, 180]
    np.testing.assert_allclose(record["intrinsics"], expected, atol=1e-6)
    with Image.open(out / record["image"]) as image:
        assert image.size == (240, 180)
        pixels = np.asarray(image).astype(float)
    assert pixels.min() > 0  # alpha=0: nothing black at the border
    off = np.abs(pixels - seen(pinhole, pose, *grid(240, 180)))
    assert np.mean(off) < 6
    # Their calibration left out, they are no rectified pair.
    with pytest.raises(RecordError, match="rows away in the right one") as error:
        frames(root, GIVEN | {"baseline": "0.2"})
    assert error.value.reason == "not rectified"


def test_the_baseline_of_a_calibration_in_millimetres(tmp_path):
    [(pinhole, pose)] = write_unrectified(tmp_path).values()
    file = tmp_path / "stereo.yml"
    nodes = cv2.FileStorage(str(file), cv2.FILE_STORAGE_READ)
    found = {name: nodes.getNode(name).mat() for name in ("M1", "D1", "M2", "D2", "R", "T")}
    nodes.release()
    length_m = np.linalg.norm(found["T"])
    opencv_file(file, **found | {"T": found["T"] * 1000})
    with pytest.raises(RecordError, match="is it in millimetres") as error:
        frames(tmp_path, {})
    assert error.value.reason == "implausible baseline"
    [frame] = frames(tmp_path, {"baseline": repr(float(length_m))}).values()
    assert_within_the_stated_error(frame, pinhole, pose)


def test_exchanged_sides_are_found(pair):
    with pytest.raises(RecordError, match="the left picture is the right one") as error:
        frames(pair, GIVEN | {"left": "right/*", "right": "left/*"})
    assert error.value.reason == "swapped pair"
    left, right = projections()
    opencv_file(pair / "stereo.yml", P1=right, P2=left)
    with pytest.raises(RecordError, match=r"stands 0\.2 to the right of the other") as error:
        frames(pair, {})
    assert error.value.reason == "swapped pair"


def test_rows_that_differ_are_found(pair):
    path = pair / "right" / "000000.png"
    with Image.open(path) as image:
        moved = np.roll(np.asarray(image), 3, axis=0)
    Image.fromarray(moved).save(path)
    with pytest.raises(RecordError, match=r"is 3\.0 rows away"):
        frames(pair, GIVEN)


def test_a_surface_without_texture_has_no_labels(pair):
    faint = np.random.default_rng(0).integers(0, 3, (60, 80, 1))
    labelled = []
    for contrast in (20, 1):
        for side, at in (("left", 60), ("right", 48)):
            path = pair / side / "000000.png"
            with Image.open(path) as image:
                pixels = np.array(image)
            pixels[50:110, at : at + 80] = 120 + contrast * faint
            Image.fromarray(pixels).save(path)
        [frame] = frames(pair, GIVEN).values()
        labelled.append(np.isfinite(frame.depth_m[62:98, 72:128]).mean())
    assert labelled[0] > 0.9  # it is 12 px away in the other picture, whatever its contrast
    assert labelled[1] == 0


def test_what_cannot_be_checked_is_noted(tmp_path):
    for side in ("left", "right"):
        (tmp_path / side).mkdir()
        Image.new("RGB", (240, 180), (90, 90, 90)).save(tmp_path / side / "a.png")
    [frame] = frames(tmp_path, GIVEN).values()
    assert frame.noted == ("too few features to tell whether rows and sides agree",)


def test_halves_alone_and_of_other_sizes_are_counted(pair, tmp_path, capsys):
    with Image.open(pair / "left" / "000000.png") as image:
        for name in ("alone", "other"):
            image.save(pair / "left" / f"{name}.png")
        image.save(pair / "right" / "right_only.png")
        image.resize((120, 90)).save(pair / "right" / "other.png")
    out = tmp_path / "out"
    arguments = ("--workers", 1, *flags(GIVEN))
    _, said = curate(capsys, "stereo", pair, out, *arguments, status=1)
    counts = json.loads((out / "stereo" / "curation.json").read_text())["counts"]
    assert counts["left_out"] == {"missing half": 2, "sizes differ": 1}
    assert "left/alone.png has no other of its name" in said
    assert "right/right_only.png has no other of its name" in said
    assert "240x180, the right one 120x90" in said
    assert [record["id"] for record in read_records(out / "stereo.jsonl")] == ["000000"]


def test_the_middle_is_assumed_and_said(pair):
    [frame] = frames(pair, {"f": "220", "baseline": "0.2"}).values()
    assert (frame.camera.cx, frame.camera.cy) == (119.5, 89.5)
    assert frame.extra == {"intrinsics_source": "assumed"}


M1 = "M1: !!opencv-matrix\n rows: 3\n cols: 3\n dt: d\n data: [ {} ]"
CAM0 = "cam0=[220 0 121.3; 0 220 88.6; 0 0 1]"
CALIBRATIONS = {
    "empty": ("", "none of their names"),
    "M1 alone": (M1.format("1," * 9), "no D1"),
    "short": (M1.format("1., 2."), "M1 has 2 numbers, not 9"),
    "words": ("cam0=[f 0 cx; 0 f cy; 0 0 1]\ndoffs=1\nbaseline=2", "could not convert"),
    "four": ("\n".join(f"P{n}:{' 1' * 12}" for n in range(4)), "image_2 and image_3"),
    "other rows": ("P0: 9 0 1 0 0 9 1 0 0 0 1 0\nP1: 9 0 1 -2 0 9 9 0 0 0 1 0", "rectified"),
    "no length": (f"{CAM0}\ndoffs=0\nbaseline=nan", "baseline is nan"),
    "doffs": (f"{CAM0}\ndoffs=1e12\nbaseline=200", "doffs=1e+12"),
    "ndisp": (f"{CAM0}\ndoffs=0\nbaseline=200\nndisp=9999999", "ndisp=9999999"),
}  # fmt: skip


@pytest.mark.parametrize("case", CALIBRATIONS)
def test_bad_calibrations(pair, case):
    text, said = CALIBRATIONS[case]
    (pair / "calib.txt").write_text(text)
    with pytest.raises(RecordError, match=re.escape(said)) as error:
        frames(pair, {})
    assert error.value.reason == "bad calibration"


def test_matrices_of_one_row_as_opencv_5_writes_them(pair):
    eye, bent = np.eye(3) * (220, 220, 1), np.zeros(5)
    eye[:2, 2] = LEFT.cx, LEFT.cy
    [given] = frames(pair, GIVEN).values()
    shift = np.array([-BASELINE_M, 0, 0])
    for name in ("stereo.yml", "stereo.xml"):
        opencv_file(pair / name, M1=eye, D1=bent, M2=eye, D2=bent, R=np.eye(3), T=shift)
        [frame] = frames(pair, {"calib": name}).values()
        assert frame.camera.size_wh == given.camera.size_wh
        assert abs(frame.camera.fx - 220) < 3  # alpha=0 of no distortion
        assert isinstance(frame.image, bytes)
        (pair / name).unlink()
    opencv_file(pair / "intrinsics.yml", M1=eye, D1=bent, M2=eye, D2=bent)
    opencv_file(pair / "extrinsics.yml", R=np.eye(3), T=shift)  # as OpenCV's sample names them
    [both] = frames(pair, {}).values()
    np.testing.assert_array_equal(both.depth_m, frame.depth_m)


def test_no_calibration_names_the_places(pair):
    with pytest.raises(
        RecordError, match=r"stereo\.yml.* exists; give --option calib=FILE"
    ) as error:
        frames(pair, {})
    assert error.value.reason == "no calibration"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"left": "a*"}, "give both --option left= and right="),
        ({"f": "220"}, "it needs --option baseline="),
        ({"f": "220", "baseline": "0.2", "calib": "calib.txt"}, "and no calib="),
        ({"cx": "2"}, "belong to --option f="),
        ({"baseline": "-1"}, "expected metres, over 0"),
        ({"max_error": "5"}, "at most 0.5"),
    ],
)
def test_options_that_do_not_fit(pair, options, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        frames(pair, options)


def test_without_opencv_the_extra_is_named(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r'pip install "depthlm-plugin\[lens\]"'):
        frames(pair, GIVEN)
