"""Maps as files, read back by other readers than those that wrote them."""

from __future__ import annotations

import json
import struct

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from depthlm_plugin import Camera
from depthlm_plugin.cameras.source import FoundCamera
from depthlm_plugin.maps import files
from depthlm_plugin.maps.depth_map import FRAME, DepthMap
from depthlm_plugin.maps.preview import save_preview

CAMERA = Camera(50.0, 40.0, 19.0, 14.0, (40, 30))


@pytest.fixture
def depth() -> DepthMap:
    """A wall that recedes to the right, 2.5 m and more away; one pixel is out of the lens."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(40), np.arange(30))
    z_m = (2.5 + 0.1 * x + 0.01 * y).astype(np.float32)
    z_m[3, 5] = np.nan
    picture = rng.integers(0, 256, (30, 40, 3)).astype(np.uint8)
    pixels = np.array([[0.0, 0.0], [39.0, 29.0]])
    found = FoundCamera(CAMERA, "camera", "given")
    return DepthMap(found, picture, z_m, np.full_like(z_m, 0.1), pixels, np.array([2.5, 6.69]))


@pytest.mark.parametrize("quantity", ["z", "distance"])
def test_png_is_millimetres(depth, tmp_path, quantity) -> None:
    path = tmp_path / "d.png"
    assert files.save_png(depth, path, quantity) == 0
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    wanted = depth.z_m if quantity == "z" else depth.distance_m
    assert stored[3, 5] == 0
    assert np.abs(stored / 1000 - np.nan_to_num(wanted)).max() <= 0.00051
    with Image.open(path) as image:
        note = json.loads(image.text["depthlm"])
    assert (note["quantity"], note["metres_per_unit"], note["no_depth"]) == (quantity, 0.001, 0)
    assert note["intrinsics"] == [50, 40, 19, 14, 40, 30]


def test_what_a_png_cannot_hold_is_no_depth_and_counted(depth, tmp_path) -> None:
    depth.z_m[0, :3] = [65.5354, 65.5361, 300.0]
    assert files.save_png(depth, tmp_path / "d.png") == 2
    stored = np.asarray(Image.open(tmp_path / "d.png"))
    assert stored[0, :4].tolist() == [65535, 0, 0, 2800]


@pytest.mark.parametrize("quantity", ["z", "distance"])
def test_tiff_is_metres(depth, tmp_path, quantity) -> None:
    files.save_tiff(depth, tmp_path / "d.tiff", quantity)
    stored = cv2.imread(str(tmp_path / "d.tiff"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.float32
    wanted = depth.z_m if quantity == "z" else depth.distance_m
    assert np.array_equal(stored, wanted, equal_nan=True)
    with Image.open(tmp_path / "d.tiff") as image:
        note = json.loads(image.tag_v2[270])
    assert (note["quantity"], note["unit"]) == (quantity, "metre")


def test_npz_has_everything(depth, tmp_path) -> None:
    files.save_npz(depth, tmp_path / "d.npz")
    with np.load(tmp_path / "d.npz", allow_pickle=False) as arrays:
        stored = dict(arrays)
    assert np.array_equal(stored["z_m"], depth.z_m, equal_nan=True)
    assert str(stored["frame"]) == FRAME
    assert json.loads(str(stored["lens"])) is None
    # By hand: K takes a point back to its pixel, and its length is the distance.
    point = stored["rays"][20, 10] * stored["z_m"][20, 10]
    u, v, w = stored["K"] @ point
    assert (u / w, v / w) == pytest.approx((10, 20), abs=1e-3)
    assert np.linalg.norm(point) == pytest.approx(stored["distance_m"][20, 10], rel=1e-5)
    assert stored["confidence"][0, 0] == pytest.approx(1 / (1 + (0.1 / np.log(1.25)) ** 2))
    assert stored["answers_z_m"] == pytest.approx([2.5, 6.69])
    assert stored["pixels"].tolist() == [[0, 0], [39, 29]]


def test_ply_is_in_the_cameras_frame(depth, tmp_path) -> None:
    files.save_cloud(depth, tmp_path / "d.ply")
    data = (tmp_path / "d.ply").read_bytes()
    head, body = data.split(b"end_header\n")
    names = [line.split()[1:] for line in head.decode().splitlines() if line[:8] == "property"]
    assert [name for _, name in names[:3]] == ["x", "y", "z"]
    assert f"element vertex {40 * 30 - 1}" in head.decode()
    assert b"binary_little_endian" in head
    sizes = {"float": 4, "double": 8, "uchar": 1}
    size = sum(sizes[kind] for kind, _ in names)
    first = struct.unpack(
        "<3f" if names[0][0] == "float" else "<3d", body[: 3 * sizes[names[0][0]]]
    )
    assert first == pytest.approx(depth.points_m[0, 0], rel=1e-6)
    assert list(body[size - 4 : size - 1]) == depth.picture[0, 0].tolist()
    assert len(body) == size * (40 * 30 - 1)


def test_glb_has_y_up(depth, tmp_path) -> None:
    files.save_cloud(depth, tmp_path / "d.glb")
    [cloud] = trimesh.load(tmp_path / "d.glb").geometry.values()
    first = depth.points_m[0, 0]
    assert cloud.vertices[0] == pytest.approx(first * [1, -1, -1], rel=1e-6)
    assert cloud.vertices[0][1] > 0 > cloud.vertices[0][2]  # up in the picture, ahead
    assert cloud.colors[0][:3].tolist() == depth.picture[0, 0].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_preview_shows_the_picture_and_the_map(depth, tmp_path, ending) -> None:
    save_preview(depth, tmp_path / f"p.{ending}")
    with Image.open(tmp_path / f"p.{ending}") as image:
        assert image.format == {"png": "PNG", "jpg": "JPEG"}[ending]
        shown = np.asarray(image.convert("RGB"))
    middle = shown.shape[1] // 2
    assert len(np.unique(shown[:, :middle].reshape(-1, 3), axis=0)) > 500  # random pixels
    assert len(np.unique(shown[:, middle:].reshape(-1, 3), axis=0)) > 30  # colours of depth


def test_a_map_of_one_depth_has_a_preview(depth, tmp_path) -> None:
    depth.z_m[:] = 3.0
    save_preview(depth, tmp_path / "p.png")


def test_files_appear_whole(depth, tmp_path) -> None:
    (tmp_path / "d.png").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.save_png(depth, tmp_path / "d.png")
    assert [path.name for path in tmp_path.iterdir()] == ["d.png"]
