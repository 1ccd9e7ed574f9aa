"""ETH3D and COLMAP's sparse models against the scene that their fixtures show."""

import shutil
import struct

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.sfm import COLMAP_CAMERAS, ETH3D_CAMERAS, METRES, write_colmap, write_eth3d
from support.scene import POSES, distance_at, z_at

from depthlm_plugin import Camera
from depthlm_plugin.cameras.colmap import StoredCamera
from depthlm_plugin.cli import main

ONE = ["--workers", 1]
SCALED = ["--option", f"scale={METRES}", "--points", 1000, *ONE]
LENSES = {  # of ours, and how many coefficients
    "SIMPLE_PINHOLE": None,
    "PINHOLE": None,
    "SIMPLE_RADIAL": "opencv",
    "RADIAL": "opencv",
    "OPENCV": "opencv",
    "THIN_PRISM_FISHEYE": "thin_prism_fisheye",
}


def test_eth3d(tmp_path, capsys):
    truth = write_eth3d(tmp_path / "raw")
    out = tmp_path / "out"
    counts, _ = curate(capsys, "eth3d", tmp_path / "raw", out, "--points", 2000, *ONE)
    records = read_records(out / "eth3d.jsonl")
    # Every frame with the camera of its own, though the first of a file is another's.
    assert_labels_the_scene(records, truth, out, worst=1e-5, few=0)
    assert_poses_agree(records, truth)
    assert [record["id"] for record in records] == [
        "courtyard/DSC_0286",
        "courtyard/DSC_0287",
        "office/DSC_0219",
        "office/DSC_0286",
    ]
    assert [record["scene"] for record in records] == ["courtyard"] * 2 + ["office"] * 2
    assert [record["camera"] for record in records] == ["0", "3", "3", "3"]
    for record in records:
        camera, pose = truth[record["id"]]
        np.testing.assert_allclose(record["pose"], pose, atol=1e-12)
        assert record["distortion"]["model"] == "thin_prism_fisheye"
        k, p, s = camera.k, camera.p, camera.s
        assert record["distortion"]["coefficients"] == [*k[:2], *p, *k[2:], *s]
        u, v = np.array(record["pixel_coords"]).T
        assert ((u * 7919 + v * 104729) % 5 == 0).all()  # where there was a point
    assert (counts["frames"], counts["left_out"]) == (4, {})
    assert main(["validate", str(out / "eth3d.jsonl")]) == 0


def test_eth3d_distances_need_every_coefficient_of_the_lens():
    """What the published labels left out is more than the scene's test would let pass."""
    u, v = np.meshgrid(np.arange(0, 240, 3), np.arange(0, 160, 3))
    for camera in ETH3D_CAMERAS.values():
        exact = distance_at(camera, POSES[0], u, v)
        z = z_at(camera, POSES[0], u, v)
        for part in (camera.p, camera.s):
            cut = type(camera)(
                *(camera.fx, camera.fy, camera.cx, camera.cy, 240, 160, camera.k),
                (0, 0) if part is camera.p else camera.p,
                (0, 0) if part is camera.s else camera.s,
                True,
            )
            wrong = z * np.linalg.norm(cut.rays(u, v), axis=-1)
            assert np.quantile(np.abs(wrong / exact - 1), 0.5) > 1e-4


def test_eth3d_as_published_keeps_to_the_middle(tmp_path, capsys):
    truth = write_eth3d(tmp_path / "raw")
    options = ["--compat", "official", "--points", 2000, *ONE]
    curate(capsys, "eth3d", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "eth3d.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out", worst=1e-5)
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        assert (u.min() >= 10, u.max() <= 229, v.min() >= 10, v.max() <= 149) == (True,) * 4
    card = (tmp_path / "out" / "eth3d" / "README.md").read_text()
    assert "left out four of" in card


def test_eth3d_pairs_by_scene_and_name(tmp_path, capsys):
    truth = write_eth3d(tmp_path / "raw")
    depth = "ground_truth_depth/dslr_images"
    (tmp_path / "raw/courtyard" / depth / "DSC_0286.JPG").unlink()
    (tmp_path / "raw/courtyard/images/dslr_images/DSC_0287.JPG").unlink()
    truncated = tmp_path / "raw/office" / depth / "DSC_0219.JPG"
    truncated.write_bytes(truncated.read_bytes()[:100_000])
    counts, said = curate(capsys, "eth3d", tmp_path / "raw", tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == {"bad depth file": 1, "missing depth": 1, "missing image": 1}
    assert "unpack courtyard_dslr_depth.7z into the same folder" in said
    assert "has 100000 bytes, expected the 153600 of 240x160 32-bit" in said
    left = {"office/DSC_0286": truth["office/DSC_0286"]}
    records = read_records(tmp_path / "out" / "eth3d.jsonl")
    assert_labels_the_scene(records, left, tmp_path / "out")


def test_eth3d_with_the_pictures_where_the_depth_belongs(tmp_path, capsys):
    write_eth3d(tmp_path / "raw")
    for scene in ("courtyard", "office"):
        shutil.rmtree(tmp_path / "raw" / scene / "ground_truth_depth")
        shutil.copytree(
            tmp_path / "raw" / scene / "images", tmp_path / "raw" / scene / "ground_truth_depth"
        )
    _, said = curate(capsys, "eth3d", tmp_path / "raw", tmp_path / "out", status=1)
    assert "4 bad depth file" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("cameras.txt", "3 THIN", "5 THIN", "is of camera 3, which cameras.txt does not have"),
        ("cameras.txt", " 240 160", " 240", "its cameras cannot be read"),
        ("images.txt", "\n\n", "\n", "the line after that of dslr_images/DSC_02"),
        ("images.txt", "4 0.", "4 x", "its images cannot be read"),
    ],
)
def test_eth3d_with_damaged_calibration(tmp_path, capsys, file, old, new, found):
    write_eth3d(tmp_path / "raw")
    path = tmp_path / "raw/courtyard/dslr_calibration_jpg" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    _, said = curate(capsys, "eth3d", tmp_path / "raw", tmp_path / "out", status=1)
    assert found in said
    path.unlink()
    _, said = curate(capsys, "eth3d", tmp_path / "raw", tmp_path / "out", status=1)
    assert f"{file} does not exist; is the download complete?" in said


@pytest.mark.parametrize("model", COLMAP_CAMERAS)
def test_colmap(tmp_path, capsys, model):
    assert_colmap(tmp_path, capsys, model, ".bin")


@pytest.mark.parametrize("model", ["OPENCV", "THIN_PRISM_FISHEYE"])
def test_colmap_as_text(tmp_path, capsys, model):
    assert_colmap(tmp_path, capsys, model, ".txt")


def assert_colmap(tmp_path, capsys, model, suffix):
    """The labels are those of the good points, all of them, exactly, and of no others."""
    truth, labels, dropped = write_colmap(tmp_path / "raw", model, suffix)
    out = tmp_path / "out"
    counts, _ = curate(capsys, "colmap", tmp_path / "raw", out, *SCALED)
    records = read_records(out / "colmap.jsonl")
    assert_labels_the_scene(records, truth, out, worst=0.005, shift_px=0.5)
    assert_poses_agree(records, truth)
    assert [record["id"] for record in records] == sorted(truth)
    for record in records:
        found = dict(zip(map(tuple, record["pixel_coords"]), record["depth"], strict=True))
        exact = labels[record["id"]]
        assert found.keys() == exact.keys()
        assert [found[at] for at in exact] == pytest.approx(list(exact.values()), abs=2e-6)
        right = record["image"].split("/")[-2] == "right"
        assert record["camera"] == ("2" if right else "7")
        assert record["scene"] == "raw"
        lens = None if right else LENSES.get(model, "fisheye")
        assert record.get("distortion", {}).get("model") == lens
    assert counts["dropped"] == dropped
    assert main(["validate", str(out / "colmap.jsonl")]) == 0


def test_colmap_prefers_binary_and_sparse_0_and_takes_what_it_is_given(tmp_path, capsys):
    root = tmp_path / "raw"
    write_colmap(root, "PINHOLE", ".txt", "sparse/0")
    (root / "images").rename(root / "photos")
    write_colmap(root, "PINHOLE", ".bin", "other")
    shutil.rmtree(root / "images")
    for name in ("rigs.bin", "frames.bin"):
        (root / "other" / name).write_bytes(b"of newer versions")
    for name in ("cameras.txt", "images.txt", "points3D.txt"):
        (root / "other" / name).write_text("not to be read")
    options = [*SCALED, "--option", "images=photos"]
    curate(capsys, "colmap", root, tmp_path / "out", *options)
    options += ["--option", "model=other", "--name", "again"]
    curate(capsys, "colmap", root, tmp_path / "out", *options)
    first, again = (read_records(tmp_path / "out" / f"{n}.jsonl") for n in ("colmap", "again"))
    assert [record["depth"] for record in first] == [record["depth"] for record in again]
    assert first[0]["image"] == "colmap/raw/photos/left/b.png"


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("min_track=1", "short track"),
        ("max_error_px=20", "reprojection error"),
        ("min_angle_deg=0", "small triangulation angle"),
    ],
)
def test_colmap_filters_are_options(tmp_path, capsys, option, reason):
    _, _, dropped = write_colmap(tmp_path / "raw")
    options = ["--option", option, *SCALED]
    counts, _ = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *options)
    assert counts["dropped"].get(reason, 0) == 0
    assert dropped[reason] > 10


def test_colmap_images_without_points_are_left_out(tmp_path, capsys):
    truth, _, _ = write_colmap(tmp_path / "raw", suffix=".txt")
    path = tmp_path / "raw/sparse/0/images.txt"
    lines = path.read_text().splitlines()
    for at, line in enumerate(lines):
        if line.endswith("right/c.png"):
            lines[at + 1] = ""
        if line.endswith("left/b.png"):
            lines[at + 1] = "10.5 20.25 -1 30.0 40.0 -1"
    path.write_text("\n".join(lines) + "\n")
    (tmp_path / "raw/images/right/f.png").unlink()
    counts, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert counts["left_out"] == {"missing image": 1, "no points": 2}
    assert "right/c.png: no 3-D point of the model was observed in it" in said
    records = read_records(tmp_path / "out" / "colmap.jsonl")
    left = {name: truth[name] for name in truth if name[-5] not in "bcf"}
    assert_labels_the_scene(records, left, tmp_path / "out", worst=0.005, shift_px=0.5)


@pytest.mark.parametrize("model", ["FULL_OPENCV", "FOV"])
def test_colmap_lenses_that_we_have_not_are_refused_by_name(tmp_path, capsys, model):
    write_colmap(tmp_path / "raw", model)
    counts, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert counts["left_out"] == {"bad geometry": 3}  # the others have a pinhole
    assert f"its camera is a {model}, which depthlm cannot undistort" in said
    assert "colmap image_undistorter" in said


def test_colmap_models_of_the_future_are_refused(tmp_path, capsys):
    write_colmap(tmp_path / "raw", "FOV")
    path = tmp_path / "raw/sparse/0/cameras.bin"
    data = path.read_bytes()
    assert data[8:16] == struct.pack("<ii", 7, 7)
    path.write_bytes(data[:8] + struct.pack("<ii", 7, 99) + data[16:])
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert "camera model 99 is unknown to depthlm; undistort" in said


@pytest.mark.parametrize("scale", [None, "0", "-2", "nan", "inf"])
def test_colmap_wants_its_scale(tmp_path, capsys, scale):
    write_colmap(tmp_path / "raw", "PINHOLE")
    options = [] if scale is None else ["--option", f"scale={scale}"]
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert "give --option scale=METRES, the metres of one unit of the model" in said


def test_colmap_pictures_of_another_size_are_not_labelled(tmp_path, capsys):
    write_colmap(tmp_path / "raw", "PINHOLE")
    for path in (tmp_path / "raw/images").rglob("*.png"):
        Image.open(path).resize((80, 60)).save(path)
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert "6 size differs from intrinsics" in said


@pytest.mark.parametrize(
    ("file", "damage", "found"),
    [
        ("cameras.bin", lambda data: data[:-4], "its cameras cannot be read"),
        ("images.bin", lambda data: data[:-4], "it ends in the observations of right/f.png"),
        ("images.bin", lambda data: b"", "its images cannot be read"),
        ("points3D.bin", lambda data: data[:-4], "it ends in a track"),
        ("points3D.bin", lambda data: data[:9000], "its points cannot be read"),
        ("points3D.bin", lambda data: bytes(8), "has not all of the points"),
        ("points3D.txt", lambda data: data[:9000], "are its files of one reconstruction?"),
        ("points3D.txt", lambda data: b"x" + data[1:], "its points cannot be read"),
        ("images.txt", lambda data: data.replace(b" 2 right", b" 3 right"), "is of camera 3"),
    ],
)
def test_colmap_with_damaged_files(tmp_path, capsys, file, damage, found):
    path = tmp_path / "raw/sparse/0" / file
    write_colmap(tmp_path / "raw", "PINHOLE", path.suffix)
    path.write_bytes(damage(path.read_bytes()))
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert found in said
    assert not (tmp_path / "out" / "colmap.jsonl").exists()


def test_colmap_of_half_a_model(tmp_path, capsys):
    write_colmap(tmp_path / "raw", "PINHOLE", folder="model")
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *SCALED, status=1)
    assert "in sparse/0/ or sparse/ (--option model=FOLDER)" in said
    assert "there is images/, model/" in said
    (tmp_path / "raw/model/points3D.bin").unlink()
    options = [*SCALED, "--option", "model=model"]
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert "(.bin or .txt) in model/" in said


@pytest.mark.parametrize("images", ["../images", "{root}/../images"])
def test_colmap_pictures_are_below_the_root(tmp_path, capsys, images):
    write_colmap(tmp_path / "raw", "PINHOLE")
    (tmp_path / "images").mkdir()
    options = [*SCALED, "--option", f"images={images.format(root=tmp_path / 'raw')}"]
    _, said = curate(capsys, "colmap", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert "leads out of --root" in said


def test_a_colmap_camera_is_half_a_pixel_up_and_left():
    stored = StoredCamera("SIMPLE_PINHOLE", (640, 480), (500.0, 320.0, 240.0))
    assert stored.camera() == Camera(500.0, 500.0, 319.5, 239.5, (640, 480))
