"""Argoverse 2, nuScenes and DDAD against the street that their fixtures show."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import feather
from support import street
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.driving import (
    AV2_LOG,
    AV2_START_NS,
    AV2_YAWS,
    body_top,
    write_argoverse2,
    write_ddad,
    write_nuscenes,
)

from depthlm_plugin.curate.datasets import argoverse2, ddad, nuscenes
from depthlm_plugin.curate.datasets.nuscenes import table_rows
from depthlm_plugin.curate.formats import lidar
from depthlm_plugin.errors import DepthLMError

ALL = ["--points", 4000, "--workers", 1]
ONE = ["--workers", 1]
FRONT = ["--option", "cameras=ring_front_center", *ONE]
MODULES = {"argoverse2": argoverse2, "nuscenes": nuscenes, "ddad": ddad}
FORWARD_CAMERAS = ("ring_front_center", "ring_front_right", "CAM_FRONT", "CAMERA_01")
FORWARD = {
    "argoverse2": ["--option", "cameras=ring_front_center,ring_front_right"],
    "nuscenes": [],
    "ddad": [],
}
FIRST = {"argoverse2": "train", "nuscenes": "mini", "ddad": "val"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return {dataset: (root, truth of its first split)}."""
    base = tmp_path_factory.mktemp("raw")
    return {
        "argoverse2": (base / "av2", write_argoverse2(base / "av2")),
        "nuscenes": (base / "nuscenes", write_nuscenes(base / "nuscenes")),
        "ddad": (base / "ddad", write_ddad(base / "ddad")["val"]),
    }


def labels(record):
    return np.array(record["pixel_coords"]), np.array(record["depth"])


def count_off(records, truth):
    """Return how many labels are nothing near what their pixels see."""
    count, steps = 0, (-0.5, 0, 0.5)
    for record in records:
        pixels, depth = labels(record)
        u, v = pixels.T
        seen = [
            street.distance_at(*truth[record["id"]], u + x, v + y) for x in steps for y in steps
        ]
        count += (np.min([np.abs(depth / one - 1) for one in seen], axis=0) > 0.05).sum()
    return count


@pytest.mark.parametrize("dataset", list(MODULES))
def test_labels_and_poses(written, tmp_path, capsys, dataset):
    root, truth = written[dataset]
    counts, _ = curate(capsys, dataset, root, tmp_path, "--points", 400, *ONE)
    records = read_records(tmp_path / f"{dataset}_{FIRST[dataset]}.jsonl")
    assert_labels_the_scene(
        records, truth, tmp_path, worst=0.01, shift_px=0.5, distance_at=street.distance_at
    )
    assert_poses_agree(records, truth)
    assert min(len(record["depth"]) for record in records) > 300
    assert counts["dropped"]["hidden from the camera"] > 100
    assert count_off(records, truth) < 0.002 * counts["points"]
    for record in records:
        camera = record["id"].split("/")[1]
        assert record["camera"] == camera
        assert record["scene"] == record["id"].split("/")[0]
        assert "distortion" not in record


@pytest.mark.parametrize("dataset", list(MODULES))
def test_what_is_left_out_would_be_wrong(written, tmp_path, capsys, monkeypatch, dataset):
    root, truth = written[dataset]
    off, nearest = {}, {}
    for name in ("right", "hidden", "vehicle"):
        with monkeypatch.context() as change:
            if name == "hidden":
                change.setattr(
                    lidar, "hidden_points", lambda pixels, *_: np.zeros(len(pixels), bool)
                )
            elif name == "vehicle":
                change.setattr(MODULES[dataset], "off_vehicle", lambda points_m: points_m)
            curate(capsys, dataset, root, tmp_path, *ALL, *FORWARD[dataset], "--name", name)
        records = read_records(tmp_path / f"{name}.jsonl")
        records = [record for record in records if record["camera"] in FORWARD_CAMERAS]
        off[name] = count_off(records, truth)
        nearest[name] = min(min(record["depth"]) for record in records)
    # Sideways the lidar sees past things that hide more from the camera, where it measures nothing.
    assert off["right"] < 0.35 * off["hidden"]
    assert off["hidden"] > 90
    assert nearest["vehicle"] < 2 < nearest["right"]


@pytest.mark.parametrize(
    ("dataset", "kind"), [("argoverse2", "distance"), ("nuscenes", "z"), ("ddad", "z")]
)
def test_as_published(written, tmp_path, capsys, dataset, kind):
    root, truth = written[dataset]
    curate(capsys, dataset, root, tmp_path, *ONE, "--compat", "official")
    records = read_records(tmp_path / f"{dataset}_{FIRST[dataset]}.jsonl")
    if dataset == "nuscenes":  # the last 5 % of 4 samples
        assert {record["id"].split("/")[0] for record in records} == {"scene-0103"}
        assert len(records) == 6
    else:
        assert len(records) == len(truth)
    for record in records:
        camera, pose = truth[record["id"]]
        pixels, depth = labels(record)
        exact = street.distance_at(camera, pose, *pixels.T)
        if kind == "z":
            exact = exact / np.linalg.norm(camera.rays(*pixels.T), axis=1)
        assert record["depth_kind"] == kind
        assert np.median(np.abs(depth / exact - 1)) < 0.01
    assert "this is repeated" in (tmp_path / f"{dataset}_{FIRST[dataset]}/README.md").read_text()


def test_argoverse2_items(written, tmp_path, capsys):
    root, _ = written["argoverse2"]
    curate(capsys, "argoverse2", root, tmp_path, "--option", "cameras=ring_side_left", *ONE)
    records = read_records(tmp_path / "argoverse2_train.jsonl")
    times = [AV2_START_NS + ms * 1_000_000 for ms in (45, 60)]
    assert [record["timestamp"] for record in records] == times
    assert [record["id"] for record in records] == [
        f"{AV2_LOG}/ring_side_left/{time}" for time in times
    ]
    _, said = curate(
        capsys, "argoverse2", root, tmp_path, "--option", "cameras=ring_sideleft", status=1
    )
    assert "unknown cameras 'ring_sideleft'; did you mean 'ring_side_left'" in said


def test_argoverse2_without_a_stereo_camera(tmp_path, capsys):
    truth = write_argoverse2(tmp_path / "raw", "val", cameras=tuple(AV2_YAWS)[-2:])
    for name in ("intrinsics", "egovehicle_SE3_sensor"):
        path = tmp_path / "raw" / "val" / AV2_LOG / "calibration" / f"{name}.feather"
        table = feather.read_table(path)
        rows = pa.array([not name.endswith("_left") for name in table["sensor_name"].to_pylist()])
        feather.write_feather(table.filter(rows), path)
    options = ["--split", "val", "--option", "cameras=stereo", *ONE]
    counts, said = curate(
        capsys, "argoverse2", tmp_path / "raw", tmp_path / "out", *options, status=1
    )
    assert counts["left_out"] == {"camera without calibration": 2}
    assert "has no row of stereo_front_left; some logs lack the stereo cameras" in said
    records = read_records(tmp_path / "out" / "argoverse2_val.jsonl")
    right = {name: seen for name, seen in truth.items() if "_right" in name}
    assert_labels_the_scene(
        records,
        right,
        tmp_path / "out",
        worst=0.01,
        shift_px=1,
        few=0.04,  # the road near the horizon, where half a pixel is metres
        distance_at=street.distance_at,
    )


def test_nuscenes_train_has_no_scene_of_mini(tmp_path, capsys):
    scenes = ("scene-0001", "scene-0061", "scene-0103", "scene-0800")
    truth = write_nuscenes(tmp_path / "raw", "v1.0-trainval", scenes, samples=1)
    curate(capsys, "nuscenes", tmp_path / "raw", tmp_path / "out", "--split", "train", *ONE)
    records = read_records(tmp_path / "out" / "nuscenes_train.jsonl")
    wanted = [name for name in truth if name[:10] in ("scene-0001", "scene-0800")]
    assert sorted(record["id"] for record in records) == sorted(wanted)
    assert len(records) == 12
    assert records[0]["timestamp"] == int(records[0]["id"].split("/")[2])
    _, said = curate(capsys, "nuscenes", tmp_path / "raw", tmp_path / "out", status=1)
    assert "looked for v1.0-mini/scene.json; there is samples/, v1.0-trainval/" in said


@pytest.mark.parametrize("chunk", [1, 7, 100, 100_000])
def test_tables_are_read_in_pieces(tmp_path, chunk):
    rows = [{"token": "a}{[", "k": [[1.5, 0], []]}, {"token": 'ü\\"{', "of": {"x": None}}] * 5
    for text in (json.dumps(rows, indent=0), json.dumps(rows, ensure_ascii=False) + "\n"):
        (tmp_path / "table.json").write_text(text, encoding="utf-8")
        assert list(table_rows(tmp_path / "table.json", chunk)) == rows
        (tmp_path / "table.json").write_text(text.rstrip()[:-1], encoding="utf-8")
        with pytest.raises(DepthLMError, match="cut off"):
            list(table_rows(tmp_path / "table.json", chunk))


def test_ddad_train_is_another_scene(written, tmp_path, capsys):
    root, _ = written["ddad"]
    (tmp_path / "up").mkdir()
    shutil.copytree(root, tmp_path / "up" / "ddad_train_val")
    curate(capsys, "ddad", tmp_path / "up", tmp_path / "out", "--split", "train", *ONE)
    records = read_records(tmp_path / "out" / "ddad_train.jsonl")
    assert [record["scene"] for record in records] == ["000007"] * 4
    assert [record["camera"] for record in records] == ["CAMERA_01", "CAMERA_05"] * 2
    assert [record["timestamp"] for record in records[1:3]] == [
        1556731600_083456,
        1556731600_183456,
    ]
    stamps = [int(record["id"].split("/")[2]) for record in records]
    assert stamps == [10 * record["timestamp"] for record in records]


def test_ddad_masks(written, tmp_path, capsys):
    root, _ = written["ddad"]
    (tmp_path / "masks").mkdir()
    masks = np.full((304, 484), 255, np.uint8)
    masks[200:] = 0
    Image.fromarray(masks).save(tmp_path / "masks" / "CAMERA_05.png")
    options = ["--option", f"masks={tmp_path / 'masks'}", *ALL]
    counts, _ = curate(capsys, "ddad", root, tmp_path / "out", *options)
    lowest = {
        record["camera"]: labels(record)[0][:, 1].max()
        for record in read_records(tmp_path / "out" / "ddad_val.jsonl")
    }
    assert lowest["CAMERA_05"] < 200 < lowest["CAMERA_01"]
    assert counts["dropped"]["masked as the vehicle"] > 100
    Image.fromarray(masks[:100]).save(tmp_path / "masks" / "CAMERA_05.png")
    options = ["--option", f"masks={tmp_path / 'masks'}", "--name", "other", *ONE]
    counts, said = curate(capsys, "ddad", root, tmp_path / "out", *options, status=1)
    assert counts["left_out"] == {"bad mask": 2}
    assert "has the shape (100, 484), expected (304, 484)" in said
    options = ["--option", "masks=nowhere", "--name", "none"]
    _, said = curate(capsys, "ddad", root, tmp_path / "out", *options, status=1)
    assert "nowhere holds no <camera>.png" in said


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """Return the root of scenes that CAMERA_05 sees the vehicle in, and their truth."""
    root = tmp_path_factory.mktemp("painted")
    truth = write_ddad(root, samples=9, late_s=0.2117, start=(-45, 0, 0), painted=["CAMERA_05"])
    return root, truth["val"]


@pytest.mark.slow
def test_ddad_finds_the_vehicle_in_its_pictures(painted, tmp_path, capsys):
    root, truth = painted
    counts, _ = curate(capsys, "ddad", root, tmp_path, "--points", 20000, *ONE)
    records = read_records(tmp_path / "ddad_val.jsonl")
    exact = np.mgrid[:304, :484][0] < body_top()
    (tmp_path / "masks").mkdir()
    Image.fromarray(exact.astype(np.uint8)).save(tmp_path / "masks" / "CAMERA_05.png")
    options = ["--option", f"masks={tmp_path / 'masks'}", "--points", 20000, "--name", "m", *ONE]
    by_mask, _ = curate(capsys, "ddad", root, tmp_path, *options)
    for record, masked in zip(records, read_records(tmp_path / "m.jsonl"), strict=True):
        x, y = np.array(record["pixel_coords"]).T
        seen = {*map(tuple, masked["pixel_coords"])}
        assert {*map(tuple, record["pixel_coords"])} <= seen  # none on the body
        if record["camera"] == "CAMERA_05":
            assert (y < body_top()[x]).all()
            assert y.max() > 230  # beside the body, down to the road
            assert len(x) > 0.4 * len(seen)  # of a straight street too much is taken for it
        else:
            assert len(x) == len(seen)
    # The pictures lie further from the sweeps than DDAD's own samples do from each other.
    assert count_off(records, truth) < 0.002 * counts["points"]
    note = "CAMERA_05 without masks=, the vehicle found by edges that never move; "
    note += "masks of it are published with SurroundDepth, github.com/weiyithu/SurroundDepth"
    late = {"sweep 210 to 220 ms from the picture": 18}
    assert counts["noted"] == late | {note: 9}
    assert by_mask["noted"] == late
    card = (tmp_path / "ddad_val" / "README.md").read_text()
    assert f"| {note} | 9 |" in card
    assert "| sweep 210 to 220 ms from the picture | 18 |" in card


def test_ddad_labels_nothing_below_the_horizon_where_the_vehicle_is_not_found(
    written, tmp_path, capsys
):
    root, truth = written["ddad"]
    counts, _ = curate(capsys, "ddad", root, tmp_path, *ALL)
    for record in read_records(tmp_path / "ddad_val.jsonl"):
        camera, pose = truth[record["id"]]
        pixels, _ = labels(record)
        up = camera.rays(*pixels.T) @ pose[2, :3]
        assert (up >= -0.01).all() == (record["camera"] == "CAMERA_05")
    assert any(
        "fewer than 8 pictures of its scene 2 m apart: nothing" in n for n in counts["noted"]
    )
    assert counts["dropped"]["masked as the vehicle"] > 1000
