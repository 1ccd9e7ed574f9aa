"""RGB-D folders of one picture, and cameras in arrays of numpy."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.curate_checks import FOLDER, assert_labels_the_scene, curate, read_records
from support.raw.small import write_folder
from support.scene import POSES, Pinhole

from depthlm_plugin.curate.formats.folder_camera import find_camera
from depthlm_plugin.errors import RecordError

PINHOLE = Pinhole(300.0, 301.0, 160.4, 119.2, 320, 240)
K = np.array([(300.0, 0, 160.4), (0, 301.0, 119.2), (0, 0, 1)])
ONE = (*FOLDER, "--workers", 1, "--points", 20)


def one_pair(root, scene="."):
    """Write `rgb.png` beside `depth.png`; return the truth."""
    truth = write_folder(root / "all", PINHOLE, POSES[:1])
    folder = root / scene
    folder.mkdir(exist_ok=True)
    for kind in ("rgb", "depth"):
        next((root / "all" / kind).iterdir()).rename(folder / f"{kind}.png")
        (root / "all" / kind).rmdir()
    (root / "all" / "intrinsics.json").rename(folder / "intrinsics.json")
    (root / "all").rmdir()
    return truth


@pytest.mark.parametrize(("scene", "name"), [(".", "rgb"), ("kitchen", "kitchen")])
def test_one_picture_beside_one_depth_map(tmp_path, capsys, scene, name):
    root, out = tmp_path / "raw", tmp_path / "out"
    [seen] = one_pair(root, scene).values()
    curate(capsys, "folder", root, out, *ONE)
    records = read_records(out / "folder.jsonl")
    assert_labels_the_scene(records, {name: seen}, out)
    assert records[0]["scene"] == "raw"


def test_one_picture_by_its_name_with_its_pose(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    [seen] = one_pair(root).values()
    (root / "rgb.png").rename(root / "IMG_1.png")
    np.savetxt(root / "pose.txt", seen[1])
    files = (
        "--option",
        "rgb=IMG_1.png",
        "--option",
        "depth=depth.png",
        "--option",
        "pose=pose.txt",
    )
    curate(capsys, "folder", root, out, *ONE, *files)
    records = read_records(out / "folder.jsonl")
    assert_labels_the_scene(records, {"IMG_1": seen}, out)
    np.testing.assert_allclose(records[0]["pose"], seen[1], atol=1e-6)
    star = (*files[:3], "depth=d*.png")
    _, said = curate(capsys, "folder", root, tmp_path / "b", *ONE, *star, status=1)
    assert "the pattern 'IMG_1.png' has no star for what differs" in said


@pytest.mark.parametrize("lacking", ["rgb.png", "depth.png", "intrinsics.json"])
def test_what_is_missing_of_one_pair_is_named(tmp_path, capsys, lacking):
    root = tmp_path / "raw"
    one_pair(root)
    (root / lacking).unlink()
    _, said = curate(capsys, "folder", root, tmp_path / "out", *ONE, status=1)
    expected = "or one rgb.png beside one depth.png (--option " + lacking.partition(".")[0]
    assert (
        ("K.npy" in said and "1 no intrinsics" in said) if "json" in lacking else expected in said
    )


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claims(shape):
    """Return a `.npy` file that says it has a shape, and has 128 bytes."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("K.npy", bytes(1 << 26))
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("K.npy", npy(K)),
        ("K.npy", npy(np.float32([300, 301, 160.4, 119.2]))),
        (
            "K.npy",
            npy(np.asfortranarray(np.eye(4)) * 0 + np.pad(K, (0, 1)) + np.diag([0, 0, 0, 1.0])),
        ),
        ("intrinsics.npy", npy(K)),
        ("intrinsics.npz", npz(anything=K)),
        ("intrinsics.npz", npz(K=K, distortion=np.zeros(5))),
    ],
)
def test_cameras_in_arrays(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    camera, assumed = camera_in(tmp_path)
    np.testing.assert_allclose(camera.intrinsics, (300, 301, 160.4, 119.2), atol=1e-5)
    assert not assumed


def camera_in(root):
    return find_camera(root, [Path()], ("0",), None, None, root / "0.png", (320, 240), "folder 0")


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("K.npy", b"", "K.npy cannot be read"),
        ("K.npy", b"\x93NUMPY\x01\x00\xff\xff", "K.npy cannot be read"),
        ("K.npy", claims((1 << 40,)), "K.npy cannot be read"),
        ("K.npy", npy(K)[:-9], "K.npy cannot be read"),
        ("K.npy", npy(np.zeros((480, 640))), "an array of the shape (480, 640)"),
        ("K.npy", npy(np.array([["a"] * 3] * 3)), "expected numbers"),
        ("K.npy", npy(np.array([K, None], object)), "K.npy cannot be read"),
        ("K.npy", npz(K=K), "it is an archive of arrays"),
        ("intrinsics.npz", npz(a=K, b=K), "it has the arrays a.npy, b.npy, none of them K"),
        ("intrinsics.npz", bomb(), "its array K.npy is large"),
        ("intrinsics.npz", b"PK\x05\x06", "intrinsics.npz cannot be read"),
    ],
)
def test_arrays_that_are_no_cameras(tmp_path, name, content, found):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordError, match=re.escape(found)) as error:
        camera_in(tmp_path)
    assert error.value.reason == "bad intrinsics"
