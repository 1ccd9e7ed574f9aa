"""Taskonomy and HM3D against the room that their fixture shows."""

import json

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.indoor import HM3D, SIDE, TASKONOMY, write_omnidata

ONE = ["--workers", 1]
ALL = ["--split", "all", *ONE]


def of(truth, *scenes):
    return {name: seen for name, seen in truth.items() if name.startswith(scenes)}


def pixels_of(record):
    return np.array(record["pixel_coords"]).T


@pytest.fixture
def taskonomy(tmp_path):
    return tmp_path / "raw", write_omnidata(tmp_path / "raw", "taskonomy", TASKONOMY)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("depth", ["zbuffer", "euclidean"])
def test_taskonomy(taskonomy, tmp_path, capsys, split, depth):
    root, truth = taskonomy
    options = ["--split", split, "--option", f"depth={depth}", *ONE]
    curate(capsys, "taskonomy", root, tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / f"taskonomy_{split}.jsonl")
    truth = of(truth, *TASKONOMY[split])
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert_poses_agree(records, truth)
    assert {record["scene"] for record in records} == set(TASKONOMY[split])
    assert [record["id"] for record in records] == sorted(truth)


def test_taskonomy_takes_no_pixel_without_depth_or_that_the_mask_excludes(
    taskonomy, tmp_path, capsys
):
    root, _ = taskonomy
    curate(capsys, "taskonomy", root, tmp_path / "out", *ALL, "--points", SIDE**2)
    for record in read_records(tmp_path / "out" / "taskonomy_all.jsonl"):
        u, v = pixels_of(record)
        assert len(u) == SIDE**2 - 12 * SIDE - 100  # holes, zeros, and a patch that is wrong
        assert max(record["depth"]) < 12
        assert not ((v >= 60) & (v < 70) & (u >= 40) & (u < 50)).any()


@pytest.mark.parametrize(
    "layout",
    [
        "{domain}/{building}",
        "{building}/{domain}",
        "{building}_{domain}/{domain}",
        "{building}_{domain}",
    ],
)
def test_taskonomy_in_older_archives(taskonomy, tmp_path, capsys, layout):
    root, truth = taskonomy
    for path in sorted(root.glob("*/taskonomy/*/*")):
        domain, _, building, name = path.relative_to(root).parts
        folder = layout.format(domain=domain.replace("point_info", "points"), building=building)
        (tmp_path / "old" / folder).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "old" / folder / name.replace("point_info", "fixatedpose"))
    curate(capsys, "taskonomy", tmp_path / "old", tmp_path / "out", *ALL)
    records = read_records(tmp_path / "out" / "taskonomy_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")


def test_taskonomy_without_its_splits(taskonomy, tmp_path, capsys):
    root, _ = taskonomy
    (root / "train_val_test_fullplus.csv").rename(root / "mine.csv")
    _, said = curate(capsys, "taskonomy", root, tmp_path / "out", status=1)
    assert "looked for train_val_test_fullplus.csv (from splits_taskonomy.zip of" in said
    _, said = curate(
        capsys, "taskonomy", root, tmp_path / "out", "--option", "splits=mine.csv", *ONE
    )
    assert "4 frames: 4 records" in said
    (root / "mine.csv").write_text("id,train,val,test\nwiconisco,1,0,0\n")
    options = ["--option", "splits=mine.csv", "--name", "other"]
    _, said = curate(capsys, "taskonomy", root, tmp_path / "out", *options, status=1)
    assert "has 4 buildings (almena, ...), none of the 1 of the split train" in said
    (root / "mine.csv").write_text("building,split\nalmena,train\n")
    _, said = curate(capsys, "taskonomy", root, tmp_path / "out", *options, status=1)
    assert "expected id, train, val, test among them" in said


def damage_taskonomy(root, kind):
    """Damage one view of the building almena."""
    stem = "point_9_view_0_domain_"
    zbuffer, euclidean, mask, info = (
        root / domain / "taskonomy/almena" / f"{stem}{domain}{suffix}"
        for domain, suffix in (
            ("depth_zbuffer", ".png"),
            ("depth_euclidean", ".png"),
            ("mask_valid", ".png"),
            ("point_info", ".json"),
        )
    )
    values = json.loads(info.read_text())
    if kind == "missing depth":
        zbuffer.unlink()
    elif kind == "missing file":
        info.unlink()
    elif kind == "truncated depth":
        zbuffer.write_bytes(zbuffer.read_bytes()[:2000])
    elif kind == "8-bit depth":
        Image.new("L", (SIDE, SIDE), 90).save(zbuffer)
    elif kind == "truncated JSON":
        info.write_text(info.read_text()[:80])
    elif kind == "mask the other way round":
        Image.fromarray(255 - np.array(Image.open(mask))).save(mask)
    elif kind == "another field of view":
        values["field_of_view_rads"] *= 1.05
        info.write_text(json.dumps(values))
    elif kind == "a field of view in degrees":
        values["field_of_view_rads"] = 61.2
        info.write_text(json.dumps(values))
    elif kind == "z called distance":
        euclidean.write_bytes(zbuffer.read_bytes())
    elif kind == "a cropped picture":
        values["resolution"] = 512
        info.write_text(json.dumps(values))
    elif kind == "no pose of numbers":
        values["camera_location"] = ["x", 1, 2]
        info.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("kind", "reason", "found"),
    [
        ("missing depth", "missing depth", "is the download complete?"),
        ("missing file", "missing file", "(or ..._fixatedpose.json) does not exist"),
        ("truncated depth", "bad depth image", "fetch it again"),
        ("8-bit depth", "bad depth image", "8-bit depth is a picture of depth, not metres"),
        ("truncated JSON", "bad file", "is not JSON"),
        ("mask the other way round", "bad mask", "or the other way round?"),
        ("another field of view", "bad intrinsics", "is that of a focal length of 140.5 px, but"),
        ("a field of view in degrees", "bad intrinsics", "61.2, expected an angle in radians"),
        ("z called distance", "bad intrinsics", "is that of a focal length of infinity"),
        ("a cropped picture", "bad intrinsics", "is 128x128, expected 512x512"),
        ("no pose of numbers", "bad file", "is not of numbers"),
    ],
)
def test_taskonomy_leaves_out_a_damaged_view(taskonomy, tmp_path, capsys, kind, reason, found):
    root, truth = taskonomy
    damage_taskonomy(root, kind)
    counts, said = curate(capsys, "taskonomy", root, tmp_path / "out", *ALL, status=1)
    assert counts["left_out"] == {reason: 1}
    assert found in said
    truth.pop("almena/point_9_view_0")
    records = read_records(tmp_path / "out" / "taskonomy_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")


def test_taskonomy_has_views_of_pictures_only(taskonomy, tmp_path, capsys):
    root, truth = taskonomy
    (root / "rgb/taskonomy/almena/point_9_view_0_domain_rgb.png").unlink()
    truth.pop("almena/point_9_view_0")
    for folder in ("depth_euclidean", "mask_valid"):  # neither is needed
        for path in root.glob(f"{folder}/taskonomy/cauthron/*"):
            path.unlink()
    curate(capsys, "taskonomy", root, tmp_path / "out", *ALL)
    records = read_records(tmp_path / "out" / "taskonomy_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")


ROTATION, QUATERNION = "camera_rotation_final", "camera_rotation_final_quaternion"


@pytest.mark.parametrize(
    ("component", "change", "why"),
    [
        ("taskonomy", lambda info: {ROTATION: info[ROTATION][::-1]}, "its own point is not in the"),
        ("taskonomy", lambda info: {ROTATION: None}, "none in its JSON file"),
        ("taskonomy", lambda info: {"camera_location": None}, "none in its JSON file"),
        (
            "hm3d",
            lambda info: {QUATERNION: [0.5, 0.5, 0.5, 0.5]},
            "its two rotations dif",
        ),
        ("hm3d", lambda info: {QUATERNION: None}, None),
        ("hm3d", lambda info: {ROTATION: None}, None),
    ],
)
def test_a_view_without_a_pose_is_counted_and_said(tmp_path, capsys, component, change, why):
    truth = write_omnidata(
        tmp_path / "raw", component, {"taskonomy": TASKONOMY, "hm3d": HM3D}[component]
    )
    path = sorted((tmp_path / "raw/point_info").rglob("*.json"))[0]
    info = json.loads(path.read_text())
    path.write_text(json.dumps(info | change(info)))
    counts, said = curate(capsys, component, tmp_path / "raw", tmp_path / "out", *ALL)
    records = read_records(tmp_path / "out" / f"{component}_all.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    unposed = [record["id"] for record in records if "pose" not in record]
    card = (tmp_path / "out" / f"{component}_all" / "README.md").read_text()
    if why is None:
        assert unposed == []
        assert counts["lacking"] == {}
        assert_poses_agree(records, truth)
        return
    assert unposed == [f"{path.parent.name}/{path.stem.partition('_domain')[0]}"]
    [(what, count)] = counts["lacking"].items()
    assert what.startswith(f"pose ({why}")
    assert count == 1
    assert f"| of these without {what} | 1 |" in card
    assert f"1  records without {what}" in said


def test_the_pose_of_euler_angles_looks_at_its_own_point(taskonomy, tmp_path, capsys):
    root, _ = taskonomy
    curate(capsys, "taskonomy", root, tmp_path / "out", *ALL)
    for record in read_records(tmp_path / "out" / "taskonomy_all.jsonl"):
        building, view = record["id"].split("/")
        path = root / "point_info/taskonomy" / building / f"{view}_domain_point_info.json"
        info = json.loads(path.read_text())
        assert QUATERNION not in info
        pose = np.array(record["pose"])
        x, y, z = (np.array(info["point_location"]) - pose[:3, 3]) @ pose[:3, :3]
        fx, fy, cx, cy = record["intrinsics"][:4]
        assert (fx * x / z + cx, fy * y / z + cy) == pytest.approx((63.5, 63.5), abs=1e-6)
        assert np.hypot(np.hypot(x, y), z) == pytest.approx(info["camera_distance"])


@pytest.mark.parametrize("split", ["train", "val"])
def test_hm3d(tmp_path, capsys, split):
    truth = write_omnidata(tmp_path / "raw", "hm3d", HM3D, views=3)
    [scene] = HM3D[split]
    path = tmp_path / "raw/depth_zbuffer/hm3d" / scene / "point_10_view_1_domain_depth_zbuffer.png"
    mask = tmp_path / "raw/mask_valid/hm3d" / scene / "point_10_view_1_domain_mask_valid.png"
    with Image.open(path) as image:
        depth = np.array(image)
    depth[: SIDE // 2] = 65535
    Image.fromarray(depth).save(path)
    Image.fromarray(np.where(depth == 65535, 0, 255).astype(np.uint8)).save(mask)
    options = ["--split", split, *ONE]
    counts, said = curate(capsys, "hm3d", tmp_path / "raw", tmp_path / "out", *options)
    assert counts["left_out"] == {"mostly holes": 1}  # which does not fail: the card announces it
    assert "1  mostly holes (as its card announces)" in said
    assert "48 % of its pixels have a depth, expected 50 % or more" in said
    truth = of(truth, scene)
    truth.pop(f"{scene}/point_10_view_1")
    records = read_records(tmp_path / "out" / f"hm3d_{split}.jsonl")
    assert_labels_the_scene(records, truth, tmp_path / "out")
    assert_poses_agree(records, truth)


def test_hm3d_without_its_splits(tmp_path, capsys):
    write_omnidata(tmp_path / "raw", "hm3d", HM3D)
    (tmp_path / "raw" / "metadata.csv").unlink()
    _, said = curate(capsys, "hm3d", tmp_path / "raw", tmp_path / "out", status=1)
    assert "looked for metadata.csv (from https://github.com/matterport/" in said
    _, said = curate(capsys, "hm3d", tmp_path / "raw", tmp_path / "out", *ALL)
    assert "4 frames: 4 records" in said
