"""Damaged and unfinished downloads of Argoverse 2, nuScenes and DDAD."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather
from support.curate_checks import curate
from support.raw.driving import AV2_LOG, AV2_START_NS, write_argoverse2, write_ddad, write_nuscenes

ONE = ["--workers", 1]
FRONT = ["--option", "cameras=ring_front_center", *ONE]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    base = tmp_path_factory.mktemp("raw")
    front = write_argoverse2(base / "argoverse2", cameras=["ring_front_center"])
    return base, {
        "argoverse2": front,
        "nuscenes": write_nuscenes(base / "nuscenes"),
        "ddad": write_ddad(base / "ddad")["val"],
    }


@pytest.fixture
def raw(written, tmp_path):
    """Return a function that copies a dataset, to be damaged; it returns root and truth."""
    base, truth = written

    def copied(dataset):
        return shutil.copytree(base / dataset, tmp_path / "raw"), truth[dataset]

    return copied


def _rename(root, old, new):
    path = root / old
    table = feather.read_table(path, memory_map=False)
    feather.write_feather(table.rename_columns(new), path)


SWEEP = f"sensors/lidar/{AV2_START_NS}.feather"
SECOND = f"sensors/lidar/{AV2_START_NS + 100_000_000}.feather"


@pytest.mark.parametrize(
    ("break_it", "left_out", "found"),
    [
        (
            lambda log: (log / SECOND).unlink(),
            {"no sweep near in time": 1},
            "none of the 1 sweeps",
        ),
        (
            lambda log: (log / SWEEP).write_bytes((log / SWEEP).read_bytes()[:5000]),
            {"damaged file": 1},
            "fetch it again",
        ),
        (
            lambda log: _rename(log, SWEEP, ["lon", "lat", "z", "i", "l", "o"]),
            {"bad file": 1},
            "has no column x, y; it has lon, lat",
        ),
        (
            lambda log: _rename(log, SWEEP, ["a", "b", "c", "x", "y", "z"]),
            {"bad file": 1},
            "expected float16 metres",
        ),
        (
            lambda log: _without_pose(log, AV2_START_NS + 45_000_000),
            {"no pose at its time": 1},
            "has no row of time",
        ),
        (
            lambda log: (
                log / f"sensors/cameras/ring_front_center/{AV2_START_NS + 45_000_000}.jpg"
            ).write_bytes(b"\xff\xd8\xff"),
            {"unreadable image": 1},
            "ring_front_center",
        ),
    ],
    ids=["sweep", "truncated", "columns", "units", "pose", "picture"],
)
def test_argoverse2_with_one_damaged_frame(raw, tmp_path, capsys, break_it, left_out, found):
    root, _ = raw("argoverse2")
    break_it(root / "train" / AV2_LOG)
    counts, said = curate(capsys, "argoverse2", root, tmp_path / "out", *FRONT, status=1)
    assert counts["left_out"] == left_out
    assert counts["records"] == 1
    assert found in said


def _without_pose(log, time):
    """Remove a row; others are a few milliseconds away."""
    path = log / "city_SE3_egovehicle.feather"
    table = feather.read_table(path, memory_map=False)
    rows = pa.array([one != time for one in table["timestamp_ns"].to_pylist()])
    feather.write_feather(table.filter(rows), path)


def test_argoverse2_half_downloaded(raw, tmp_path, capsys):
    root, _ = raw("argoverse2")
    log = root / "train" / AV2_LOG
    shutil.copytree(log, root / "train" / "1", ignore=shutil.ignore_patterns("sensors"))
    shutil.copytree(log, root / "train" / "2", ignore=shutil.ignore_patterns("calibration"))
    counts, said = curate(capsys, "argoverse2", root, tmp_path / "out", *FRONT, status=1)
    assert (counts["records"], counts["left_out"]) == (2, {"missing file": 2, "no pictures": 1})
    assert "ring_front_center has no <timestamp_ns>.jpg; is the download complete?" in said
    assert "intrinsics.feather does not exist; is the download complete?" in said


def _edit(path, change):
    rows = json.loads(path.read_text())
    path.write_text(json.dumps(change(rows)))


def _without(key, text):
    return lambda rows: [row for row in rows if text not in row[key]]


FIRST_SAMPLE = "scene-0061 sample 0"


@pytest.mark.parametrize(
    ("table", "change", "left_out", "found"),
    [
        (
            "sample_data",
            _without("token", f"{FIRST_SAMPLE} LIDAR_TOP"),
            {"no sweep near in time": 6},
            "its sample has no keyframe of LIDAR_TOP within 100 ms",
        ),
        (
            "ego_pose",
            _without("token", f"{FIRST_SAMPLE} CAM_BACK_LEFT True"),
            {"no pose at its time": 1},
            "ego_pose.json has no row for samples/CAM_BACK_LEFT/",
        ),
    ],
)
def test_nuscenes_with_rows_missing(raw, tmp_path, capsys, table, change, left_out, found):
    root, truth = raw("nuscenes")
    _edit(root / "v1.0-mini" / f"{table}.json", change)
    counts, said = curate(capsys, "nuscenes", root, tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == left_out
    assert counts["records"] == len(truth) - sum(left_out.values())
    assert found in said


def test_nuscenes_with_damaged_sweeps(raw, tmp_path, capsys):
    root, truth = raw("nuscenes")
    first, second, *_ = sorted((root / "samples" / "LIDAR_TOP").iterdir())
    first.write_bytes(first.read_bytes()[:20_010])
    second.unlink()
    counts, said = curate(capsys, "nuscenes", root, tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == {"damaged file": 6, "missing file": 6}
    assert counts["records"] == len(truth) - 12
    assert "has 20010 bytes, expected 20 a point" in said
    assert "are all blobs unpacked?" in said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "cannot be read"),
        ('[{"token": "a"}', "is cut off or damaged"),
        ('[{"token": "a"}, {"tok', "is cut off or damaged"),
        ("", "is cut off or damaged"),
        ('[{"tokn": "a"}]', "a row lacks what is expected of nuScenes v1.0 (KeyError('token'))"),
    ],
)
def test_nuscenes_with_a_damaged_table(raw, tmp_path, capsys, text, found):
    root, _ = raw("nuscenes")
    path = root / "v1.0-mini" / "ego_pose.json"
    path.unlink() if text is None else path.write_text(text)
    _, said = curate(capsys, "nuscenes", root, tmp_path / "out", *ONE, status=1)
    assert found in said
    assert not (tmp_path / "out").exists()


def _damage_npz(root):
    path = sorted((root / "000150/point_cloud/LIDAR").iterdir())[0]
    path.write_bytes(path.read_bytes()[:5000])


def _remove_npz(root):
    sorted((root / "000150/point_cloud/LIDAR").iterdir())[0].unlink()


def _other_npz(root):
    path = sorted((root / "000150/point_cloud/LIDAR").iterdir())[0]
    np.savez(path, data=np.ones((50, 4), np.int16))


def _drop_lidar(root):
    [path] = (root / "000150").glob("scene_*.json")
    scene = json.loads(path.read_text())
    scene["samples"][0]["datum_keys"].remove("LIDAR 0")
    path.write_text(json.dumps(scene))


@pytest.mark.parametrize(
    ("break_it", "left_out", "found"),
    [
        (_damage_npz, "damaged file", "unpack it again"),
        (_remove_npz, "missing file", "is all of it unpacked?"),
        (_other_npz, "bad file", "holds int16 of the shape (50, 4), expected floating-point"),
        (_drop_lidar, "no sweep", "its sample has no datum LIDAR"),
    ],
)
def test_ddad_with_one_damaged_sweep(raw, tmp_path, capsys, break_it, left_out, found):
    root, _ = raw("ddad")
    break_it(root)
    counts, said = curate(capsys, "ddad", root, tmp_path / "out", *ONE, status=1)
    assert counts["left_out"] == {left_out: 2}
    assert counts["records"] == 2
    assert found in said


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("scene_*.json", '"X", "Y"', '"Y", "X"', "points are ['Y', 'X', 'Z', 'INTENSITY']"),
        ("scene_*.json", '"samples"', '"sample"', "KeyError('samples')"),
        ("scene_*.json", "}", "", "cannot be read"),
        ("calibration/ab12.json", '"fx"', '"skew": 3.0, "fx"', "CAMERA_01 has a skew of 3.0 px"),
        ("calibration/ab12.json", "CAMERA_05", "CAMERA_06", "KeyError('CAMERA_05')"),
    ],
)
def test_ddad_with_a_damaged_scene(raw, tmp_path, capsys, file, old, new, found):
    root, _ = raw("ddad")
    [path] = (root / "000150").glob(file)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    _, said = curate(capsys, "ddad", root, tmp_path / "out", *ONE, status=1)
    assert found in said
    assert "000150" in said


def test_ddad_of_another_split(raw, tmp_path, capsys):
    root, _ = raw("ddad")
    (root / "ddad.json").write_text('{"scene_splits": {"0": {"filenames": ["x.json"]}}}')
    _, said = curate(capsys, "ddad", root, tmp_path / "out", *ONE, status=1)
    assert "lists no scenes of val (scene_splits, '1', filenames)" in said
