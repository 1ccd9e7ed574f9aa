"""Every dataset against the scene that its fixture shows, not against the reader's arithmetic."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, curate, read_records
from support.raw.small import (
    ibims1_is_bad,
    write_diode,
    write_folder,
    write_ibims1,
    write_nyuv2,
    write_published,
)
from support.scene import POSES, Pinhole, z_at

from depthlm_plugin.cli import main

WIDE = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)


def test_ibims1(tmp_path, capsys):
    root, out = tmp_path / "ibims1_core_raw", tmp_path / "out"
    truth = write_ibims1(root)
    counts, said = curate(capsys, "ibims1", root, out, "--workers", 1)
    records = read_records(out / "ibims1.jsonl")
    assert_labels_the_scene(records, truth, out)
    for record in records:
        assert len(record["depth"]) == 100
        u, v = np.array(record["pixel_coords"]).T
        assert not ibims1_is_bad(u, v).any()
    assert [record["scene"] for record in records] == ["corridor", "corridor", "office"]
    assert (counts["frames"], counts["records"], counts["points"], counts["short"]) == (
        3,
        3,
        300,
        0,
    )
    assert counts["left_out"] == counts["dropped"] == {}
    assert "3 frames: 3 records with 300 points" in said
    assert main(["validate", str(out / "ibims1.jsonl")]) == 0  # finds pictures by itself
    info = json.loads((out / "dataset_info.json").read_text())
    entry = {"file_name": "ibims1.jsonl", "formatting": "depthlm"}
    assert info == {"ibims1": entry | {"depthlm": {"depth_kind": "distance"}}}
    # One folder above, as the archive unpacks, gives the same.
    curate(capsys, "ibims1", tmp_path, tmp_path / "other", "--workers", 1)
    again = read_records(tmp_path / "other" / "ibims1.jsonl")
    assert [record["depth"] for record in again] == [record["depth"] for record in records]


def test_ibims1_as_published(tmp_path, capsys):
    truth = write_ibims1(tmp_path / "raw", holes=False)
    out = tmp_path / "out"
    curate(capsys, "ibims1", tmp_path / "raw", out, "--compat", "official", "--workers", 1)
    for record in read_records(out / "ibims1.jsonl"):
        u, v = np.array(record["pixel_coords"]).T
        assert (u.min() >= 10, u.max() <= 629, v.min() >= 10, v.max() <= 469) == (True,) * 4
        depth = np.array(record["depth"])
        assert record["depth_kind"] == "z"
        np.testing.assert_allclose(depth, z_at(*truth[record["id"]], u, v), atol=0.51 * 50 / 65535)
        steps = depth * 65535 / 50
        np.testing.assert_allclose(steps, np.round(steps), rtol=0, atol=1e-9 * steps.max())
    assert "--compat official" in (out / "ibims1" / "README.md").read_text()


def test_labels_that_were_never_published_cannot_be_asked_for(tmp_path, capsys):
    _, said = curate(capsys, "diode", tmp_path, tmp_path / "out", "--compat", "official", status=1)
    assert "published no labels of diode" in said


def test_ibims1_masks_the_other_way_round_are_noticed(tmp_path, capsys):
    write_ibims1(tmp_path / "raw")
    for path in (tmp_path / "raw" / "mask_transp").glob("*.png"):
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    _, said = curate(capsys, "ibims1", tmp_path / "raw", tmp_path / "out", status=1)
    assert "3 bad mask" in said
    assert "the other way round?" in said


def test_ibims1_depth_is_that_of_the_published_points(ibims, tmp_path, capsys):
    """The pictures and points of the workshop's subset, through its own depth, put in raw form."""
    published = read_records(ibims / "ibims1_dev.jsonl")[:3]
    root, out = tmp_path / "raw", tmp_path / "out"
    for folder in ("rgb", "depth", "calib", "mask_invalid", "mask_transp"):
        (root / folder).mkdir(parents=True)
    for record in published:
        name = record["image"].split("/")[-1]
        width, height = record["intrinsics"][4:]
        depth = np.zeros((height, width), np.uint16)
        u, v = np.array(record["pixel_coords"]).T
        depth[v, u] = np.round(np.array(record["depth"]) * 65535 / 50)
        shutil.copyfile(ibims / record["image"], root / "rgb" / name)
        Image.fromarray(depth).save(root / "depth" / name)
        for folder in ("mask_invalid", "mask_transp"):
            Image.new("L", (width, height), 255).save(root / folder / name)
        calib = ",".join(f"{value:g}" for value in record["intrinsics"][:4])
        (root / "calib" / name).with_suffix(".txt").write_text(calib)
    curate(capsys, "ibims1", root, out, "--compat", "official", "--points", 1000, "--workers", 1)
    for theirs, ours in zip(published, read_records(out / "ibims1.jsonl"), strict=True):
        assert ours["intrinsics"] == theirs["intrinsics"]
        labels = dict(zip(map(tuple, theirs["pixel_coords"]), theirs["depth"], strict=True))
        found = dict(zip(map(tuple, ours["pixel_coords"]), ours["depth"], strict=True))
        assert found.keys() == labels.keys()
        np.testing.assert_allclose([found[at] for at in labels], list(labels.values()), rtol=1e-12)


@pytest.mark.parametrize("split", ["test", "train"])
def test_nyuv2(tmp_path, capsys, split):
    truth = write_nyuv2(tmp_path / "raw")
    chosen = {"test": ("0002", "0004"), "train": ("0001", "0003")}[split]
    out = tmp_path / "out"
    curate(capsys, "nyuv2", tmp_path / "raw", out, "--split", split, "--workers", 1)
    records = read_records(out / f"nyuv2_{split}.jsonl")
    assert_labels_the_scene(records, {name: truth[name] for name in chosen}, out)
    scenes = {"test": ["kitchen_0000", "kitchen_0001"], "train": ["kitchen_0000", "kitchen_0001"]}
    assert [record["scene"] for record in records] == scenes[split]
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        assert (u.min() >= 41, u.max() <= 600, v.min() >= 45, v.max() <= 470) == (True,) * 4
        with Image.open(out / record["image"]) as image:
            assert image.getpixel((0, 0)) == (255, 255, 255)
            assert image.getpixel((320, 240)) != (255, 255, 255)
    assert main(["validate", str(out / f"nyuv2_{split}.jsonl")]) == 0


def test_nyuv2_pictures_are_not_turned(tmp_path, capsys):
    from support.scene import picture

    truth = write_nyuv2(tmp_path / "raw", count=1, test=(1,))
    curate(capsys, "nyuv2", tmp_path / "raw", tmp_path / "out", "--workers", 1)
    [record] = read_records(tmp_path / "out" / "nyuv2_test.jsonl")
    with Image.open(tmp_path / "out" / record["image"]) as image:
        inside = np.s_[8:-8, 8:-8]
        np.testing.assert_array_equal(np.asarray(image)[inside], picture(*truth["0001"])[inside])


def test_nyuv2_raw_depth_has_holes(tmp_path, capsys):
    write_nyuv2(tmp_path / "raw", count=1, test=(1,))
    options = ["--option", "depth=raw", "--option", "crop=none", "--points", 2000, "--workers", 1]
    curate(capsys, "nyuv2", tmp_path / "raw", tmp_path / "out", *options)
    [record] = read_records(tmp_path / "out" / "nyuv2_test.jsonl")
    rows = np.array(record["pixel_coords"])[:, 1]
    assert len(rows) == 2000
    assert not ((rows > 200) & (rows < 260)).any()
    assert rows.min() < 45


def test_nyuv2_half_downloaded(tmp_path, capsys):
    write_nyuv2(tmp_path / "raw", count=1, test=(1,))
    path = tmp_path / "raw" / "nyu_depth_v2_labeled.mat"
    path.write_bytes(path.read_bytes()[:100_000])
    _, said = curate(capsys, "nyuv2", tmp_path / "raw", tmp_path / "out", status=1)
    assert "cannot be opened" in said
    assert "is the download complete" in said


def test_diode(tmp_path, capsys):
    truth = write_diode(tmp_path / "raw")
    out = tmp_path / "out"
    curate(capsys, "diode", tmp_path / "raw", out, "--workers", 1)
    records = read_records(out / "diode_val.jsonl")
    assert_labels_the_scene(records, truth, out)
    assert [record["scene"] for record in records] == ["scene_00019", "scene_00020"]
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        assert ((u > 100) & (v > 50)).all()
    options = ["--option", "place=outdoor", "--option", "depth_kind=distance", "--name", "outside"]
    curate(capsys, "diode", tmp_path / "raw", out, *options, "--workers", 1)
    [record] = read_records(out / "outside.jsonl")
    u, v = np.array(record["pixel_coords"]).T
    z = z_at(*truth[record["id"]], u, v)
    np.testing.assert_allclose(record["depth"], z, atol=1e-5)  # what was stored, said to be this
    assert json.loads((out / "dataset_info.json").read_text()).keys() == {"diode_val", "outside"}


FOLDER = ["--option", "depth_scale=1000", "--option", "depth_kind=z", "--workers", 1]


@pytest.mark.parametrize(
    ("kind", "depth_wh", "shift_px"),
    [("z", None, 0), ("distance", None, 0), ("z", (100, 75), 0.5), ("z", (40, 30), 0.5)],
    ids=["z", "distance", "half the size", "a fifth of the size"],
)
def test_folder(tmp_path, capsys, kind, depth_wh, shift_px):
    root, out = tmp_path / "desk", tmp_path / "out"
    truth = write_folder(root, WIDE, POSES, scale=5000, kind=kind, depth_wh=depth_wh)
    options = ["--option", "depth_scale=5000", "--option", f"depth_kind={kind}", "--workers", 1]
    curate(capsys, "folder", root, out, *options)
    records = read_records(out / "folder.jsonl")
    assert_labels_the_scene(records, truth, out, shift_px=shift_px)
    assert {record["scene"] for record in records} == {"desk"}
    assert "intrinsics_source" not in records[0]


def test_folder_of_scenes_with_cameras_and_poses_of_their_own(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = {}
    for number, scene in enumerate(("attic", "cellar")):
        camera = Pinhole(150.0 + 20 * number, 150.0, 95.0, 80.0, 200, 150)
        written = write_folder(root / scene, camera, POSES[:2])
        (root / scene / "intrinsics.json").unlink()
        rows = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
        np.savetxt(root / scene / "K.txt", rows)
        (root / scene / "pose").mkdir()
        for name, (_, pose) in written.items():
            np.savetxt(root / scene / "pose" / f"{name}.txt", pose)
            truth[f"{scene}/{name}"] = camera, pose
    np.savetxt(root / "attic" / "pose" / "0001.txt", np.full((4, 4), -np.inf))  # tracking lost
    curate(capsys, "folder", root, out, *FOLDER, "--option", "pose=*/pose/*.txt")
    records = read_records(out / "folder.jsonl")
    assert_labels_the_scene(records, truth, out)
    assert [record["scene"] for record in records] == ["attic"] * 2 + ["cellar"] * 2
    assert ["pose" in record for record in records] == [True, False, True, True]
    np.testing.assert_allclose(records[0]["pose"], truth["attic/0000"][1])


def test_folder_pairs_by_name_and_counts_what_has_no_partner(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_folder(root, WIDE, POSES)
    (root / "depth" / "0001.png").unlink()
    (root / "rgb" / "0002.png").unlink()
    counts, said = curate(capsys, "folder", root, out, *FOLDER, status=1)
    assert counts["left_out"] == {"missing depth": 1}
    assert "folder 0001: rgb/0001.png has no depth image of its name" in said
    assert_labels_the_scene(
        read_records(out / "folder.jsonl"), {n: truth[n] for n in ("0000", "0003")}, out
    )


def test_folder_with_patterns(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = write_folder(root, WIDE, POSES[:2])
    (root / "results").mkdir()
    for kind, folder in (("frame", "rgb"), ("depth", "depth")):
        for path in (root / folder).iterdir():
            path.rename(root / "results" / f"{kind}{path.name}")
    patterns = ["--option", "rgb=results/frame*.png", "--option", "depth=results/depth*.png"]
    curate(capsys, "folder", root, out, *FOLDER, *patterns)
    assert_labels_the_scene(read_records(out / "folder.jsonl"), truth, out)


def test_folder_with_an_assumed_camera_says_so(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    write_folder(root, WIDE, POSES[:1])
    curate(capsys, "folder", root, out, *FOLDER, "--option", "fov=60")
    [record] = read_records(out / "folder.jsonl")
    assert record["intrinsics_source"] == "assumed"
    focal = 100 / np.tan(np.deg2rad(30))
    np.testing.assert_allclose(record["intrinsics"], [focal, focal, 99.5, 74.5, 200, 150])


@pytest.mark.parametrize(
    ("break_it", "options", "found"),
    [
        (None, ["depth_kind=z"], "give --option depth_scale="),
        (None, ["depth_scale=1000"], "give --option depth_kind="),
        (None, ["depth_scale=1000", "depth_kind=zz"], "did you mean 'z'"),
        (None, ["depth_scale=one", "depth_kind=z"], "expected a number (float)"),
        (None, ["depth_scal=1", "depth_kind=z"], "did you mean 'depth_scale'"),
        (None, ["depth_scale"], "expected KEY=VALUE"),
        (lambda root: (root / "intrinsics.json").unlink(), FOLDER[1::2], "2 no intrinsics"),
        (
            lambda root: (root / "intrinsics.json").write_text('{"fx": 152}'),
            FOLDER[1::2],
            "2 bad intrinsics",
        ),
        (
            lambda root: (root / "intrinsics.json").write_text(
                '{"fx": 304, "fy": 304, "cx": 190, "cy": 160, "width": 400, "height": 300}'
            ),
            FOLDER[1::2],
            "is for 400x300, the picture is 200x150",
        ),
        (None, [*FOLDER[1::2], "intrinsics=304,296,190,160"], "another resolution?"),
        (lambda root: (root / "depth").rename(root / "dpth"), FOLDER[1::2], "there is dpth/"),
    ],
)
def test_folder_problems(tmp_path, capsys, break_it, options, found):
    root = tmp_path / "raw"
    write_folder(root, WIDE, POSES[:2])
    if break_it:
        break_it(root)
    given = [part for option in options for part in ("--option", str(option)) if option != 1]
    _, said = curate(capsys, "folder", root, tmp_path / "out", *given, status=1)
    assert found in said


def test_published_files_pass_unchanged(tmp_path, capsys):
    published = write_published(tmp_path / "raw")
    options = ["--option", "depth_kind=z", "--workers", 1]
    curate(capsys, "depthlm", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "depthlm.jsonl")
    for key in ("intrinsics", "pixel_coords", "depth"):
        assert [record[key] for record in records] == [record[key] for record in published]
    assert {record["depth_kind"] for record in records} == {"z"}
    assert main(["validate", str(tmp_path / "out" / "depthlm.jsonl")]) == 0


def test_published_ibims1_passes_unchanged(ibims, tmp_path, capsys):
    options = ["--option", "depth_kind=z", "--workers", 1, "--limit", 5]
    curate(capsys, "depthlm", ibims, tmp_path / "out", *options)
    published = read_records(ibims / "ibims1_dev.jsonl")[:5]
    records = read_records(tmp_path / "out" / "depthlm.jsonl")
    for key in ("pixel_coords", "depth", "intrinsics"):
        assert [record[key] for record in records] == [record[key] for record in published]


def test_published_files_are_checked(tmp_path, capsys):
    published = write_published(tmp_path / "raw", count=4)
    published[0]["depth"][3] = 0
    published[0]["pixel_coords"][4] = [160, 5]
    published[1]["intrinsics"][0] = 0
    (tmp_path / "raw" / "rgb" / "2.png").unlink()
    published[3] |= {"note": "kept", "pose": np.eye(4).ravel().tolist()}
    (tmp_path / "raw" / "set_val.jsonl").write_text("\n".join(map(json.dumps, published)) + "\n")
    options = ["--option", "depth_kind=z", "--workers", 1]
    counts, _ = curate(capsys, "depthlm", tmp_path / "raw", tmp_path / "out", *options, status=1)
    assert counts["left_out"] == {"bad intrinsics": 1, "missing image": 1}
    assert counts["dropped"] == {"bad depth": 1, "pixel outside the image": 1}
    assert (counts["records"], counts["points"], counts["short"]) == (2, 198, 1)
    record = read_records(tmp_path / "out" / "depthlm.jsonl")[1]
    assert (record["note"], record["pose"]) == ("kept", np.eye(4).tolist())


def test_published_files_that_do_not_say_what_they_hold(tmp_path, capsys):
    write_published(tmp_path / "raw")
    _, said = curate(capsys, "depthlm", tmp_path / "raw", tmp_path / "out", status=1)
    assert "6 no depth kind" in said
    assert not (tmp_path / "out" / "depthlm").exists()
