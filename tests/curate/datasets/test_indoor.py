"""Matterport3D and Hypersim against the room that their fixtures show."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.indoor import PLAIN, SKEWED, write_cameras, write_hypersim, write_matterport3d

ONE = ["--workers", 1]
ALL = ["--split", "all", *ONE]


def of(truth, *scenes):
    return {name: seen for name, seen in truth.items() if name.startswith(scenes)}


def pixels_of(record):
    return np.array(record["pixel_coords"]).T


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    root = tmp_path_factory.mktemp("houses")
    return root, write_matterport3d(root)


@pytest.fixture
def matterport3d(houses, tmp_path):
    root, truth = houses
    return shutil.copytree(root, tmp_path / "raw"), dict(truth)


def test_matterport3d(houses, tmp_path, capsys):
    root, truth = houses
    counts, _ = curate(capsys, "matterport3d", root, tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "matterport3d_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert_poses_agree(records, truth)
    assert [record["id"] for record in records] == list(truth)
    assert [record["camera"] for record in records] == ["i0", "i0", "i1", "i1", "i0", "i0"]
    assert [record["scene"] for record in records] == ["17DRP5sb8fy"] * 4 + ["2t7WUuJeko7"] * 2
    for record in records:
        rows = pixels_of(record)[1]
        assert not ((rows >= 200) & (rows < 300)).any()
    assert counts["points"] == 600


@pytest.mark.parametrize("folder", ["{house}/{kind}", "{kind}/{house}/{kind}", "{kind}/{house}"])
def test_matterport3d_unpacked_in_another_way(matterport3d, tmp_path, capsys, folder):
    root, truth = matterport3d
    for path in sorted(root.glob("*/*/undistorted_*")):
        house, kind = path.parts[-2:]
        place = tmp_path / "other" / folder.format(house=house, kind=kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    curate(capsys, "matterport3d", tmp_path / "other", tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "matterport3d_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")


def test_matterport3d_one_house_is_a_root_too(houses, tmp_path, capsys):
    root, truth = houses
    house = root / "2t7WUuJeko7/2t7WUuJeko7"
    curate(capsys, "matterport3d", house, tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "matterport3d_all.jsonl")
    assert_labels_the_scene(records, of(truth, "2t7WUuJeko7"), tmp_path / "out")


def test_matterport3d_splits(matterport3d, tmp_path, capsys):
    (root, truth), out = matterport3d, tmp_path / "out"
    _, said = curate(capsys, "matterport3d", root, out, "--split", "test", status=1)
    assert "looked for scenes_test.txt (from https://github.com/niessner/Matterport" in said
    (root / "scenes_test.txt").write_text("2t7WUuJeko7\n5ZKStnWn8Zo\n")
    (root / "scenes_val.txt").write_text("x8F5xyUWy9e\n")
    curate(capsys, "matterport3d", root, out, "--split", "test", *ONE)
    records = read_records(out / "matterport3d_test.jsonl")
    assert_labels_the_scene(records, of(truth, "2t7WUuJeko7"), out)
    _, said = curate(capsys, "matterport3d", root, out, "--split", "val", status=1)
    assert "has 2 houses (17DRP5sb8fy, ...), none of the 1 of the split val" in said


def test_matterport3d_pairs_by_the_scan_line(matterport3d, tmp_path, capsys):
    (root, truth), out = matterport3d, tmp_path / "out"
    curate(capsys, "matterport3d", root, out, *ONE)
    before = read_records(out / "matterport3d_all.jsonl")
    depths = sorted(root.glob("**/undistorted_depth_images/*.png"))
    depths[0].unlink()
    depths[-1].write_bytes(depths[-1].read_bytes()[:100_000])
    counts, said = curate(capsys, "matterport3d", root, tmp_path / "less", *ONE, status=1)
    assert counts["left_out"] == {"missing depth": 1, "bad depth image": 1}
    assert "is the download complete?" in said
    records = read_records(tmp_path / "less" / "matterport3d_all.jsonl")
    lost = {path.stem.replace("_d", "_i") for path in (depths[0], depths[-1])}
    assert records == [one for one in before if one["id"].split("/")[1] not in lost]
    assert len(records) == len(truth) - 2


@pytest.mark.parametrize("also", ["*_i0_0.jpg", "*_[id]0_0.*"], ids=["picture", "both"])
def test_matterport3d_of_another_size_is_refused(matterport3d, tmp_path, capsys, also):
    root, _ = matterport3d
    paths = sorted((root / "17DRP5sb8fy").glob(f"**/{also}"))
    for path in paths:
        with Image.open(path) as image:
            image.resize((640, 512), Image.Resampling.NEAREST).save(path)
    counts, said = curate(capsys, "matterport3d", root, tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == {"size differs from intrinsics": 1}
    depth = "640x512" if len(paths) == 2 else "1280x1024"
    assert f"is 640x512, depth {depth}; the intrinsics are for 1280x1024" in said


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("0 0 0 1\nscan", "0 0 0\nscan", ":7: expected 16 numbers"),
        ("_d0_1.png", "_d0_0.png", ":7: expected scan PANO_d0_0.png PANO_i0_0.jpg of one view"),
        ("intrinsics_matrix 1076.45", "# 1076.45", ":7: expected an intrinsics_matrix above"),
        ("1076.45 0 631", "1076.45 2 631", ":6: expected intrinsics_matrix fx 0 cx 0 fy cy 0 0 1"),
    ],
)
def test_matterport3d_with_a_damaged_conf(matterport3d, tmp_path, capsys, old, new, found):
    root, _ = matterport3d
    [path] = root.glob("**/17DRP5sb8fy.conf")
    path.write_text(path.read_text().replace(old, new, 1))
    _, said = curate(capsys, "matterport3d", root, tmp_path / "out", status=1)
    assert f"17DRP5sb8fy.conf{found}" in said


def test_matterport3d_as_published(matterport3d, tmp_path, capsys):
    root, truth = matterport3d
    path = sorted(root.glob("**/*_d0_0.png"))[0]
    with Image.open(path) as image:
        depth = np.array(image)
    depth[300:900] = 190  # z of 4.75 cm, which is a distance of more than 5 cm off the axis
    Image.fromarray(depth).save(path, compress_level=1)
    options = ["--compat", "official", "--points", 2000, *ONE]
    curate(capsys, "matterport3d", root, tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "matterport3d_all.jsonl")
    [near] = [record for record in records if record["id"].endswith("0_i0_0")]
    assert sum(np.array(near["depth"]) < 0.06) > 100
    assert all(min(record["depth"]) >= 0.05 for record in records)
    records.remove(near)
    truth.pop(near["id"])
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert all("image" in record and "image_path" not in record for record in records)
    card = (tmp_path / "out" / "matterport3d_all" / "README.md").read_text()
    assert "`cy` was not turned round" in card
    curate(capsys, "matterport3d", root, tmp_path / "all", *ONE)
    records = read_records(tmp_path / "all" / "matterport3d_all.jsonl")
    assert min(min(record["depth"]) for record in records) < 0.05


@pytest.mark.parametrize(("split", "scene"), [("train", "ai_001_001"), ("test", "ai_019_006")])
def test_hypersim(tmp_path, capsys, split, scene):
    truth = of(write_hypersim(tmp_path / "raw"), scene)
    curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", "--split", split, *ONE)
    records = read_records(tmp_path / "out" / f"hypersim_{split}.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert_poses_agree(records, truth, within_px=0.05)
    assert [record["id"][-4:] for record in records] == ["0000", "0003", "0007"]
    for record in records:
        u, v = pixels_of(record)
        assert not ((v >= 40) & (v < 60) & (u >= 100) & (u < 180)).any()
        assert (record["scene"], record["camera"]) == (scene, "cam_00")
        assert "intrinsics_source" not in record
        np.testing.assert_allclose(record["pose"], truth[record["id"]][1], atol=1e-6)


def test_hypersim_nominal_camera_is_that_of_sixty_degrees(tmp_path, capsys):
    truth = write_hypersim(tmp_path / "raw")
    path = tmp_path / "raw" / "metadata_camera_parameters.csv"
    path.unlink()
    _, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", status=1)
    assert "looked for metadata_camera_parameters.csv (from https://github.com/apple" in said
    options = ["--option", "cameras=nominal", *ONE]
    curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "hypersim_train.jsonl")
    assert_labels_the_scene(records, of(truth, "ai_001_001"), tmp_path / "out")
    assert {record["intrinsics_source"] for record in records} == {"assumed"}
    assert records[0]["intrinsics"][0] * 4 == pytest.approx(886.81, abs=0.005)  # at 1024


def test_hypersim_refuses_what_is_no_pinhole(tmp_path, capsys):
    truth = write_hypersim(tmp_path / "raw")
    write_cameras(tmp_path / "raw", {"ai_001_001": PLAIN, "ai_019_006": SKEWED})
    counts, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *ALL)
    assert counts["left_out"] == {"tilt-shift camera": 3}
    assert "no pinhole camera takes such a picture" in said
    records = read_records(tmp_path / "out" / "hypersim_all.jsonl")
    assert_labels_the_scene(records, of(truth, "ai_001_001"), tmp_path / "out")


def test_hypersim_without_a_row_of_the_scene(tmp_path, capsys):
    write_hypersim(tmp_path / "raw")
    write_cameras(tmp_path / "raw", {"ai_001_001": PLAIN})
    counts, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *ALL, status=1)
    assert counts["left_out"] == {"no intrinsics": 3}
    assert "metadata_camera_parameters.csv has no row of ai_019_006" in said


def test_hypersim_splits(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_hypersim(root)
    preview = root / "ai_001_001/images/scene_cam_00_final_preview"
    (preview / "frame.0001.tonemap.jpg").write_bytes(
        (preview / "frame.0000.tonemap.jpg").read_bytes()
    )
    curate(capsys, "hypersim", root, out, *ONE)  # without the picture that is excluded
    assert len(read_records(out / "hypersim_train.jsonl")) == 3
    _, said = curate(capsys, "hypersim", root, out, "--split", "val", status=1)
    assert "has no picture of the split val of metadata_images_split_scene_v1.csv" in said
    (root / "metadata_images_split_scene_v1.csv").unlink()
    _, said = curate(capsys, "hypersim", root, tmp_path / "other", status=1)
    assert "looked for metadata_images_split_scene_v1.csv (from" in said
    counts, _ = curate(capsys, "hypersim", root, out, *ALL, status=1)
    assert counts["left_out"] == {"missing depth": 1}
    assert len(read_records(out / "hypersim_all.jsonl")) == len(truth)


def test_hypersim_half_downloaded(tmp_path, capsys):
    import h5py

    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_hypersim(root)
    geometry = root / "ai_001_001/images/scene_cam_00_geometry_hdf5"
    path = geometry / "frame.0000.depth_meters.hdf5"
    path.write_bytes(path.read_bytes()[:20_000])
    with h5py.File(geometry / "frame.0003.depth_meters.hdf5", "w") as file:
        file["dataset"] = np.ones((192, 256), np.uint16)
    (root / "ai_019_006/_detail/metadata_scene.csv").unlink()
    counts, said = curate(capsys, "hypersim", root, out, *ALL, status=1)
    assert counts["left_out"] == {"damaged file": 1, "bad depth array": 1}
    assert "cannot be read" in said
    assert "holds uint16 of the shape (192, 256), expected floating-point metres" in said
    left = of(truth, "ai_001_001/cam_00/0007", "ai_019_006")
    records = read_records(out / "hypersim_all.jsonl")
    assert_labels_the_scene(records, left, out)
    assert {record["scene"] for record in records if "pose" in record} == {"ai_001_001"}


def test_hypersim_of_another_shape_is_refused(tmp_path, capsys):
    write_hypersim(tmp_path / "raw")
    path = tmp_path / "raw" / "metadata_camera_parameters.csv"
    path.write_text(path.read_text().replace("ai_019_006,768.0", "ai_019_006,1024.0"))
    counts, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *ALL, status=1)
    assert counts["left_out"] == {"bad intrinsics": 3}
    assert "the picture is 256x192, but its camera has sides of 1 to 1" in said


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("M_cam_from_uv_22", "M_cam_from_uv_33", "expected M_cam_from_uv_22 among them"),
        (",0.5773502691896", ",none", "row 2 is not of numbers"),
        (",-1.0\r\n", "\r\n", "row 2 is cut off; fetch the file again"),
    ],
)
def test_hypersim_with_damaged_cameras(tmp_path, capsys, old, new, found):
    write_hypersim(tmp_path / "raw")
    path = tmp_path / "raw" / "metadata_camera_parameters.csv"
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    _, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *ONE, status=1)
    assert found in said


@pytest.mark.parametrize("damaged", ["camera_keyframe_positions.hdf5", "metadata_scene.csv"])
def test_hypersim_with_damaged_poses(tmp_path, capsys, damaged):
    import h5py

    truth = write_hypersim(tmp_path / "raw")
    [path] = (tmp_path / "raw/ai_019_006/_detail").glob(f"**/{damaged}")
    if path.suffix == ".csv":
        path.write_text("parameter_name,parameter_value\nframes,3\n")
    else:
        with h5py.File(path, "w") as file:
            file["dataset"] = np.zeros((2, 3))
    counts, said = curate(capsys, "hypersim", tmp_path / "raw", tmp_path / "out", *ALL, status=1)
    assert counts["left_out"] == {"bad file": 3}
    assert "3 frame indices, positions (2, 3)" in said or "no number meters_per_asset_unit" in said
    records = read_records(tmp_path / "out" / "hypersim_all.jsonl")
    assert_labels_the_scene(records, of(truth, "ai_001_001"), tmp_path / "out")
