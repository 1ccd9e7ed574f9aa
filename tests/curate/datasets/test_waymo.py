"""The Waymo Open Dataset against the street that its fixture shows."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from scipy.spatial.transform import Rotation
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.waymo import LENS, NAMES, SCHEMAS, SEGMENTS, distance_at, write_waymo

from depthlm_plugin.curate.datasets.waymo.range_image import (
    cell_points,
    moved_each,
    row_inclinations,
)
from depthlm_plugin.curate.datasets.waymo.rows import rows_of_frame
from depthlm_plugin.errors import GeometryError

ONE = ["--workers", 1]
LONG, SHORT = SEGMENTS
FIRST = f"{SHORT}/1507143330050000"
ALL = ["--points", 20000, *ONE]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("waymo")
    return root, write_waymo(root)


@pytest.fixture
def short(written, tmp_path):
    """A root of one's own with the three pictures of the short segment."""
    root = tmp_path / "raw"
    for path in written[0].glob(f"training/*/{SHORT}.parquet"):
        place = root / path.relative_to(written[0])
        place.parent.mkdir(parents=True)
        shutil.copy(path, place)
    return root


def part(root, component):
    return root / "training" / component / f"{SHORT}.parquet"


def change(root, component, field, value, *, where=None):
    """Rewrite a column of a component, in all rows or those with `where` = (key, value)."""
    path = part(root, component)
    table = pq.read_table(path)
    name = next(name for name in table.column_names if name.endswith(field))
    old = table.column(name).to_pylist()
    keys = table.column(where[0]).to_pylist() if where else [None] * len(old)
    wanted = where[1] if where else None
    new = [value(one) if key == wanted else one for one, key in zip(old, keys, strict=True)]
    index = table.column_names.index(name)
    table = table.set_column(index, name, pa.array(new, table.schema.field(name).type))
    pq.write_table(table, path)


def run(capsys, root, out, *options, status=0):
    counts, said = curate(capsys, "waymo", root, out, *options, status=status)
    path = out / "waymo_training.jsonl"
    return (read_records(path) if path.exists() else []), counts, said


def given(root, segment, laser, camera, slot):
    """Return the pixels (N, 2) and ranges (N,) of cells whose first (0) or second camera it is."""
    found = []
    for component in ("lidar_camera_projection", "lidar"):
        table = pq.read_table(root / "training" / component / f"{segment}.parquet")
        table = table.filter(pc.field("key.laser_name") == laser)
        table = table.sort_by("key.frame_timestamp_micros")
        values, shape = (
            next(name for name in table.column_names if name.endswith(f"return1.{end}"))
            for end in ("values", "shape")
        )
        found.append(np.reshape(table.column(values)[0].as_py(), table.column(shape)[0].as_py()))
    cells, ranges = found[0][..., 3 * slot : 3 * slot + 3], found[1][..., 0]
    seen = (cells[..., 0] == camera) & (ranges > 0)
    return cells[seen][:, 1:].astype(int), ranges[seen]


def test_every_label_is_what_its_pixel_saw(written, tmp_path, capsys):
    root, truth = written
    records, counts, _ = run(capsys, root, tmp_path, "--points", 2000, *ONE)
    assert_labels_the_scene(
        records, truth, tmp_path, worst=0.005, shift_px=0.5, distance_at=distance_at
    )
    assert_poses_agree(records, truth, within_px=0.1)
    assert [record["id"] for record in records] == sorted(truth)
    assert [record["camera"] for record in records] == list(NAMES.values()) * 3
    assert [record["scene"] for record in records] == [LONG] * 6 + [SHORT] * 3
    lens = {"model": "opencv", "coefficients": list(LENS)}
    assert all(record["distortion"] == lens for record in records)
    shots = [truth[record["id"]][0] for record in records]
    assert [record["timestamp"] for record in records] == [shot.pose_s for shot in shots]
    assert {record["speed_m_s"] for record in records} == {25.0}
    assert set(counts["dropped"]) == {"behind another point", "hidden from the camera"}


def test_pictures_are_the_bytes_of_the_file(written, tmp_path, capsys):
    root, _ = written
    records, _, _ = run(capsys, root, tmp_path, "--limit", 3, *ONE)
    table = pq.read_table(root / "training" / "camera_image" / f"{LONG}.parquet")
    stored = table.column("[CameraImageComponent].image").to_pylist()
    for record in records:
        assert record["image"] == f"waymo_training/images/{record['id']}.jpg"
        assert (tmp_path / record["image"]).read_bytes() in stored


def test_points_hidden_from_the_camera_are_rejected(written, tmp_path, capsys):
    root, truth = written
    records, counts, _ = run(capsys, root, tmp_path, *ALL)
    pixels, range_m = given(root, LONG, 1, 1, 0)
    shot, pose = truth[records[0]["id"]]
    u, v = pixels.T
    steps = np.linspace(-0.5, 0.5, 5)
    seen_m = np.max([distance_at(shot, pose, u + x, v + y) for x in steps for y in steps], axis=0)
    hidden = range_m > 1.2 * seen_m  # the lidar is 70 cm away from the camera
    assert hidden.sum() > 200
    depths = dict(zip(map(tuple, records[0]["pixel_coords"]), records[0]["depth"], strict=True))
    labels = np.array([depths.get(tuple(pixel), 0) for pixel in pixels.tolist()])
    assert (labels > 1.2 * seen_m).sum() < 0.02 * hidden.sum()
    assert counts["dropped"]["hidden from the camera"] > 200


def test_cells_count_for_both_cameras_and_all_lidars(written, tmp_path, capsys):
    root, _ = written
    records, _, _ = run(capsys, root, tmp_path, *ALL)
    front, left, side = ({*map(tuple, record["pixel_coords"])} for record in records[:3])
    for labelled, laser, camera, slot in (
        (front, 1, 1, 0),
        (front, 2, 1, 0),
        (left, 1, 2, 1),
        (side, 3, 4, 0),
    ):
        others = [
            given(root, LONG, one, camera, which)[0]
            for one in (1, 2, 3)
            for which in (0, 1)
            if (one, which) != (laser, slot)
        ]
        own = {*map(tuple, given(root, LONG, laser, camera, slot)[0])}
        own -= {*map(tuple, np.concatenate(others))}
        assert len(own & labelled) > 0.6 * len(own) > 30


def test_every_other_frame(written, tmp_path, capsys):
    root, truth = written
    records, _, _ = run(capsys, root, tmp_path, "--option", "every=2", *ONE)
    first = "1553735853412000"
    assert [record["id"] for record in records] == [
        name for name in sorted(truth) if first in name or SHORT in name
    ]
    _, said = curate(capsys, "waymo", root, tmp_path / "no", "--option", "every=0", status=1)
    assert "--option every=0: expected 1 or more" in said


def test_as_published_is_the_training_split_and_says_what_differs(short, tmp_path, capsys):
    (short / "training").rename(short / "validation")
    records, _, said = run(capsys, short, tmp_path, "--compat", "official", *ONE, status=1)
    assert "looked for training/camera_image/*.parquet; there is validation/" in said
    (short / "validation").rename(short / "training")
    records, _, _ = run(capsys, short, tmp_path, "--compat", "official", *ONE)
    assert {record["depth_kind"] for record in records} == {"distance"}
    assert "27 to 62 pixels away" in (tmp_path / "waymo_training/README.md").read_text()


@pytest.mark.parametrize(
    ("component", "field", "value"),
    [
        ("camera_calibration", "extrinsic.transform", lambda old: np.eye(4).ravel().tolist()),
        ("camera_calibration", "intrinsic.f_u", lambda old: old * 1.2),
        ("camera_calibration", "intrinsic.k1", lambda old: -old),
        ("lidar_calibration", "extrinsic.transform", lambda old: np.eye(4).ravel().tolist()),
        ("camera_image", "pose.transform", lambda old: np.eye(4).ravel().tolist()),
    ],
    ids=["mounting", "focal length", "sign of the lens", "lidar", "pose"],
)
def test_calibration_of_another_vehicle_is_refused(
    short, tmp_path, capsys, component, field, value
):
    change(short, component, field, value)
    _, _, said = run(capsys, short, tmp_path, *ONE, status=1)
    assert "none of 3 frames gave a record: 3 projection disagrees" in said
    assert "more pixels away from where lidar_camera_projection puts them" in said


def test_one_camera_that_disagrees_leaves_the_others(short, written, tmp_path, capsys):
    def doubled(transform):
        return [*transform[:3], transform[3] + 4, *transform[4:]]

    change(
        short, "camera_calibration", "extrinsic.transform", doubled, where=("key.camera_name", 2)
    )
    records, counts, _ = run(capsys, short, tmp_path, *ONE, status=1)
    assert [record["camera"] for record in records] == ["FRONT", "SIDE_LEFT"]
    assert counts["left_out"] == {"projection disagrees": 1}
    truth = {record["id"]: written[1][record["id"]] for record in records}
    assert_labels_the_scene(
        records, truth, tmp_path, worst=0.005, shift_px=0.5, distance_at=distance_at
    )


def test_ranges_and_pixels_that_are_none(short, written, tmp_path, capsys):
    pixels, _ = given(short, SHORT, 1, 1, 0)
    bad = {*map(tuple, pixels[::2])}

    def unmeasured(values):
        cells = np.reshape(values, (-1, 4))
        cells[::2, 0] = (0, -1, -1000.5, np.nan) * (len(cells) // 8)
        return cells.ravel().tolist()

    def outside(values):
        cells = np.reshape(values, (-1, 6))
        cells[1::8, 2] = np.where(cells[1::8, 0] > 0, 2000, 0)
        return cells.ravel().tolist()

    change(short, "lidar", "return1.values", unmeasured)
    change(short, "lidar_camera_projection", "return1.values", outside)
    records, counts, _ = run(capsys, short, tmp_path, *ALL)
    assert_labels_the_scene(
        records,
        {one["id"]: written[1][one["id"]] for one in records},
        tmp_path,
        worst=0.005,
        shift_px=0.5,
        distance_at=distance_at,
    )
    assert len(records[0]["depth"]) < 0.6 * len(bad) * 2
    assert counts["dropped"]["outside the picture"] > 100


def test_wrong_roots(short, tmp_path, capsys):
    _, _, said = run(capsys, tmp_path, tmp_path / "out", status=1)
    assert "is not the Waymo Open Dataset, version 2: looked for training/camera_image/" in said
    shutil.rmtree(short / "training" / "lidar_pose")
    _, _, said = run(capsys, short, tmp_path / "out", status=1)
    assert "looked for training/lidar_pose/*.parquet; there is training/" in said


def test_pictures_that_cannot_be_listed(short, tmp_path, capsys):
    path = part(short, "camera_image")
    path.write_bytes(path.read_bytes()[:-5000])
    _, _, said = run(capsys, short, tmp_path, status=1)
    assert f"{path} cannot be read" in said
    path.unlink()
    shutil.copy(part(short, "vehicle_pose"), path)
    _, _, said = run(capsys, short, tmp_path, status=1)
    assert "has no column key.camera_name; is it of version 2 of the dataset?" in said


def test_half_a_download_is_counted_and_the_rest_is_done(written, tmp_path, capsys):
    root = tmp_path / "raw"
    shutil.copytree(written[0], root)
    part(root, "lidar_pose").unlink()
    records, counts, said = run(capsys, root, tmp_path / "one", *ONE, status=1)
    assert [record["scene"] for record in records] == [LONG] * 6
    assert counts["left_out"] == {"missing file": 3}
    assert f"lidar_pose/{SHORT}.parquet does not exist; is the download complete?" in said
    root = root.rename(tmp_path / "again")
    part(root, "lidar_pose").write_bytes(b"PAR1")
    _, counts, said = run(capsys, root, tmp_path / "two", *ONE, status=1)
    assert counts["left_out"] == {"damaged file": 3}
    assert f"lidar_pose/{SHORT}.parquet cannot be read" in said


@pytest.mark.parametrize(
    ("component", "field", "value", "reason", "message"),
    [
        (
            "lidar",
            "return1.shape",
            lambda old: [9, *old[1:]],
            "bad range image",
            "expected a range",
        ),
        ("lidar_pose", "return1.values", lambda old: None, "bad range image", "found none"),
        (
            "lidar_calibration",
            "nation.values",
            lambda old: old and old[:-1],
            "bad geometry",
            "63 beams",
        ),
        ("lidar", "key.laser_name", lambda old: old + 1, "missing lidar", "has no row"),
        ("vehicle_pose", "micros", lambda old: old + 1, "missing lidar", "vehicle_pose"),
        (
            "camera_calibration",
            "camera_name",
            lambda old: old + 5,
            "bad calibration",
            "no camera 1",
        ),
        ("camera_image", "pose_timestamp", lambda old: None, "damaged file", "is empty in a row"),
        ("lidar", "context_name", lambda old: LONG, "damaged file", "holds the segments"),
        ("camera_image", "].image", lambda old: old[:900], "unreadable image", "is damaged"),
        ("camera_calibration", "].height", lambda old: old * 2, "size differs", "stored image"),
    ],
)
def test_damaged_rows(short, tmp_path, capsys, component, field, value, reason, message):
    change(short, component, field, value)
    _, _, said = run(capsys, short, tmp_path, *ONE, status=1)
    assert f"none of 3 frames gave a record: 3 {reason}" in said
    assert message in said


def test_rows_are_found_in_whatever_order_frames_are_asked_for(written):
    root, truth = written
    keys = sorted({tuple(name.split("/")[:2]) for name in truth})
    seen = []
    for segment, frame in [*keys, *reversed(keys), *keys]:
        rows = rows_of_frame(root / "training", "lidar", segment, int(frame), "here")
        assert sorted(rows) == [1, 2, 3]
        seen.append({n: row["range_image_return1.values"].sum() for n, row in rows.items()})
    assert len({one[1] for one in seen}) == len(keys)
    assert seen[: len(keys)] == seen[len(keys) : 2 * len(keys)][::-1] == seen[-len(keys) :]


def test_each_cell_is_moved_by_its_own_pose():
    rng = np.random.default_rng(3)
    points, places, angles = rng.normal(size=(3, 6, 3))
    found = moved_each(np.concatenate([angles, places], 1), points)
    turns = Rotation.from_euler("ZYX", angles[:, ::-1])  # about the axes that turn with it
    np.testing.assert_allclose(found, turns.apply(points) + places, atol=1e-12)


def test_rows_count_from_the_highest_beam_and_columns_clockwise_from_behind():
    np.testing.assert_allclose(row_inclinations(None, -0.4, 0.4, 4), [0.3, 0.1, -0.1, -0.3])
    beams = np.array([-0.2, -0.1, 0.3])
    np.testing.assert_array_equal(row_inclinations(beams, 0, 0, 3), [0.3, -0.1, -0.2])
    with pytest.raises(GeometryError, match="3 beams, its range image 4 rows"):
        row_inclinations(beams, 0, 0, 4)
    mount = np.eye(4)
    mount[:3, :3] = Rotation.from_euler("z", 50, degrees=True).as_matrix()
    mount[:3, 3] = 1, 2, 3
    rows, columns = np.array([0, 0, 1, 0]), np.array([0, 1, 2, 3])
    points = cell_points(np.full(4, 10.0), rows, columns, np.array([0.0, 0.5]), 4, mount)
    behind, ahead = 10 * np.sqrt(0.5), 10 * np.sqrt(0.5) * np.cos(0.5)
    expected = [(-behind, behind, 0), (behind, behind, 0), (ahead, -ahead, 10 * np.sin(0.5))]
    expected.append((-behind, -behind, 0))
    np.testing.assert_allclose(points - (1, 2, 3), expected, atol=1e-9)


def test_the_fixture_has_the_columns_of_the_dataset(written):
    root, _ = written
    for component, fields in SCHEMAS.items():
        schema = pq.read_schema(root / "training" / component / f"{LONG}.parquet")
        assert schema.names[1:] == [name for name, _ in fields]
