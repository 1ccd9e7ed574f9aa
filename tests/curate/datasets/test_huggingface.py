"""Datasets of the hub and DepthVLM's records against the scene that their fixtures show."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.tables import (
    ROOM,
    encoded,
    image_column,
    lists,
    millimetres,
    rgbd_columns,
    truth_of,
    write_image_folder,
    write_shards,
    write_to_disk,
    z_map,
)
from support.scene import POSES, Pinhole, picture

Z, MM = "depth_kind=z", "depth_scale=1000"
K = f"intrinsics={ROOM.fx},{ROOM.fy},{ROOM.cx},{ROOM.cy}"


def given(*options):
    return [part for option in options for part in ("--option", option)] + ["--workers", 1]


def records_of(out, split="train"):
    return read_records(out / f"huggingface_{split}.jsonl")


def test_parquet_of_16_bits(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = truth_of(write_shards(root, rgbd_columns()))
    write_shards(root, rgbd_columns(poses=POSES[:1]), "test", shards=1)
    curate(capsys, "huggingface", root, out, *given(Z, MM, "pose=camera_to_world"))
    records = records_of(out)
    assert_labels_the_scene(records, truth, out)
    assert_poses_agree(records, truth)
    assert [record["scene"] for record in records] == ["room_0", "room_0", "room_1", "room_1"]
    assert [record["timestamp"] for record in records] == [10.5, 11.5, 12.5, 13.5]
    assert "intrinsics_source" not in records[0]
    for record, pose in zip(records, POSES, strict=True):  # the very bytes of the table
        assert (out / record["image"]).read_bytes() == encoded(picture(ROOM, pose), "JPEG")
    curate(capsys, "huggingface", root, out, *given(Z, MM), "--split", "test")
    assert [record["id"] for record in records_of(out, "test")] == [
        "data/test-00000-of-00001/000000"
    ]
    assert "pose" not in records_of(out, "test")[0]  # of no convention unless told


def _tiff(z):
    return image_column([encoded(values.astype(np.float32), "TIFF") for values in z])


def _npy(z):
    buffers = []
    for values in z:
        buffer = io.BytesIO()
        np.save(buffer, values.astype(np.float32))
        buffers.append({"bytes": buffer.getvalue(), "path": "depth.npy"})
    return pa.array(buffers, image_column([]).type)


@pytest.mark.parametrize(
    ("column", "options", "size_wh"),
    [
        (_tiff, (), None),
        (_tiff, (), (100, 75)),
        (_npy, (), None),
        (lambda z: _tiff(values * 4000 for values in z), ("depth_scale=4000",), None),
        (lambda z: lists([values.astype(np.float32) for values in z]), (), None),
        (lambda z: lists([values.T.astype(np.float32) for values in z]), ("axes=wh",), None),
        (lambda z: lists([values[None].astype(np.float32) for values in z]), (), (100, 75)),
        (lambda z: lists([np.round(values * 512).astype(np.uint16) for values in z]),
         ("depth_scale=512",), None),
        (lambda z: image_column([encoded(np.round(values * 30).astype(np.uint8)) for values in z]),
         ("depth_scale=30",), None),
    ],
    ids=["float image", "smaller", "npy", "scaled float", "array", "columns first",
         "with one channel", "integers", "8 bits, said to be depth"],
)  # fmt: skip
def test_forms_of_depth(tmp_path, capsys, column, options, size_wh):
    root, out = tmp_path / "raw", tmp_path / "out"
    columns = {"image": rgbd_columns()["image"]}
    columns["depth_map"] = column([z_map(ROOM, pose, size_wh) for pose in POSES])
    truth = truth_of(write_shards(root, columns, shards=1, group_rows=3))
    curate(capsys, "huggingface", root, out, *given(Z, K, *options))
    worst = 0.02 if "depth_scale=30" in options else 0.003
    shift_px = 0.5 if size_wh else 0
    assert_labels_the_scene(records_of(out), truth, out, worst=worst, shift_px=shift_px)


def _floats(pictures):
    return lists([np.moveaxis(one / np.float32(255), 2, 0) for one in pictures])


@pytest.mark.parametrize(
    "column",
    [lists, _floats, lambda pictures: image_column([encoded(one, "BMP") for one in pictures])],
    ids=["array", "floats, channels first", "BMP"],
)
def test_other_pictures_become_png_without_loss(tmp_path, capsys, column):
    root, out = tmp_path / "raw", tmp_path / "out"
    pictures = [picture(ROOM, pose) for pose in POSES]
    write_shards(root, rgbd_columns() | {"image": column(pictures)})
    curate(capsys, "huggingface", root, out, *given(Z, MM))
    for record, pixels in zip(records_of(out), pictures, strict=True):
        assert record["image"].endswith(".png")
        np.testing.assert_array_equal(np.asarray(Image.open(out / record["image"])), pixels)


def _matrices(count):
    matrix = [[ROOM.fx, 0, ROOM.cx], [0, ROOM.fy, ROOM.cy], [0, 0, 1]]
    return pa.array([matrix] * count, pa.list_(pa.list_(pa.float64())))


@pytest.mark.parametrize(
    ("name", "values", "options"),
    [
        ("K", _matrices(4), ()),
        ("cam", _matrices(4), ("intrinsics=cam",)),
        ("cam", pa.array([[ROOM.fx, ROOM.fy, ROOM.cx, ROOM.cy]] * 4), ("intrinsics=cam",)),
        ("note", pa.array(["none"] * 4), (K,)),
    ],
)
def test_intrinsics(tmp_path, capsys, name, values, options):
    root, out = tmp_path / "raw", tmp_path / "out"
    columns = {key: rgbd_columns()[key] for key in ("image", "depth")} | {name: values}
    truth = truth_of(write_shards(root, columns))
    curate(capsys, "huggingface", root, out, *given(Z, MM, *options))
    assert_labels_the_scene(records_of(out), truth, out)


def test_an_assumed_camera_says_so(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    write_shards(root, rgbd_columns())
    curate(capsys, "huggingface", root, out, *given(Z, MM, "fov=60"))
    record = records_of(out)[0]
    focal = 100 / np.tan(np.deg2rad(30))
    np.testing.assert_allclose(record["intrinsics"], [focal, focal, 99.5, 74.5, 200, 150])
    assert record["intrinsics_source"] == "assumed"


def test_save_to_disk(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    names = write_to_disk(root / "train", rgbd_columns())
    write_to_disk(root / "test", rgbd_columns(poses=POSES[:1]))
    (root / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    curate(capsys, "huggingface", root, out, *given(Z, MM))
    truth = truth_of([f"train/{name}" for name in names])
    assert_labels_the_scene(records_of(out), truth, out)  # and nothing of cache-*.arrow


def test_save_to_disk_of_one_split(tmp_path, capsys):
    names = write_to_disk(tmp_path / "raw", rgbd_columns(), "validation")
    out = tmp_path / "out"
    _, said = curate(capsys, "huggingface", tmp_path / "raw", out, *given(Z, MM), status=1)
    assert "no table of the split train; by their names there are 1 of validation" in said
    options = [*given(Z, MM), "--split", "validation"]
    curate(capsys, "huggingface", tmp_path / "raw", out, *options)
    assert_labels_the_scene(records_of(out, "validation"), truth_of(names), out)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_image_folder(tmp_path, capsys, form):
    root, out = tmp_path / "raw", tmp_path / "out"
    truth = truth_of(write_image_folder(root, form))
    curate(capsys, "huggingface", root, out, *given(Z, MM))
    assert_labels_the_scene(records_of(out), truth, out)
    assert records_of(out)[0]["image"] == "huggingface_train/raw/train/0000.jpg"  # where it is


@pytest.mark.parametrize("write", ["to_parquet", "save_to_disk"])
def test_what_the_datasets_library_writes(tmp_path, capsys, write):
    datasets = pytest.importorskip("datasets")
    root, out = tmp_path / "raw", tmp_path / "out"
    wide = datasets.Array2D((200, 150), "float32")
    features = {"image": datasets.Image(), "depth": wide, "label": datasets.Image()}
    table = datasets.Dataset.from_dict(
        {
            "image": [Image.fromarray(picture(ROOM, pose)) for pose in POSES],
            "depth": [z_map(ROOM, pose).T.astype(np.float32) for pose in POSES],
            "label": [Image.fromarray(z_map(ROOM, pose).astype(np.float32)) for pose in POSES],
        },
        features=datasets.Features(features),
    )
    root.mkdir()
    name = "data-00000-of-00001" if write == "save_to_disk" else "all"
    getattr(table, write)(str(root if write == "save_to_disk" else root / "all.parquet"))
    capsys.readouterr()
    truth = truth_of([f"{name}/{row:06d}" for row in range(len(POSES))])
    for options in (("axes=wh",), ("depth=label",)):
        place = out / options[0]
        curate(capsys, "huggingface", root, place, *given(Z, K, *options))
        assert_labels_the_scene(records_of(place), truth, place)


def test_a_damaged_row_is_counted_and_the_others_are_done(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    columns = rgbd_columns()
    data = [cell["bytes"] for cell in columns["image"].to_pylist()]
    depth = [cell["bytes"] for cell in columns["depth"].to_pylist()]
    data[0] = data[0][:900]
    depth[1] = depth[1][:-200]
    columns |= {"image": image_column(data), "depth": image_column(depth)}
    names = write_shards(root, columns)
    counts, said = curate(capsys, "huggingface", root, out, *given(Z, MM), status=1)
    assert counts["left_out"] == {"bad depth image": 1, "unreadable image": 1}
    assert "data/train-00000-of-00002.parquet row 1: its depth cannot be decoded" in said
    assert_labels_the_scene(records_of(out), dict([*truth_of(names).items()][2:]), out)


def _with(**changed):
    return lambda: rgbd_columns() | changed


def _depths(values):
    return image_column([encoded(values)] * len(POSES))


BYTES = np.arange(150 * 200, dtype=np.uint8).reshape(150, 200)
TALL = lists([z_map(ROOM, pose).T.astype(np.float32) for pose in POSES])
RELATIVE = np.linspace(0, 1, 150 * 200, dtype=np.float32).reshape(150, 200)
CROPPED = _depths(millimetres(z_map(Pinhole(152, 152, 95, 75, 190, 150), POSES[0])))
TURNED = Image.Exif()
TURNED[274] = 6


@pytest.mark.parametrize(
    ("columns", "options", "found"),
    [
        (rgbd_columns, (Z,), "its depth is uint16: give --option depth_scale="),
        (rgbd_columns, (MM,), "give --option depth_kind="),
        (rgbd_columns, (Z, "depth_scale=0"), "expected values a metre"),
        (_with(depth=_depths(BYTES)), (Z,), "its depth is uint8: give --option depth_scale="),
        (_with(depth=_depths(picture(ROOM, POSES[0]))), (Z, MM), "4 bad depth image"),
        (_with(depth=TALL), (Z,), "an array (200, 150), its picture 200x150: columns first, it"),
        (
            _with(depth=image_column([encoded(RELATIVE, "TIFF")] * 4)),
            (Z,),
            "runs from exactly 0 to exactly 1: relative, it seems",
        ),
        (_with(depth=CROPPED), (Z, MM), "4 other field of view"),
        (_with(depth_map=rgbd_columns()["depth"]), (Z, MM), "has depth and depth_map; say which"),
        (rgbd_columns, (Z, MM, "depth=dept"), "no column 'dept'; did you mean 'depth'?"),
        (rgbd_columns, (Z, MM, "intrinsics=152,148,95"), "expected FX,FY,CX,CY or a column"),
        (rgbd_columns, (Z, MM, "intrinsics=304,296,190,160"), "another resolution?"),
        (rgbd_columns, (Z, MM, "axes=xy"), "unknown axes 'xy'"),
        (rgbd_columns, (Z, MM, "pose=caption"), "pose must hold numbers, found 'a room'"),
        (lambda: {"picture": pa.array(["x"])}, (Z, MM, K), "there are picture (string)"),
        (
            lambda: {name: rgbd_columns()[name] for name in ("image", "depth")},
            (Z, MM),
            "give --option intrinsics=COLUMN or FX,FY,CX,CY, or assume one with fov=60",
        ),
        (_with(depth=pa.array([7] * 4)), (Z, MM), "column 'depth' holds int, expected an encoded"),
        (_with(depth=pa.nulls(4, pa.string())), (Z, MM), "column 'depth' holds NoneType"),
        (_with(image=pa.array(["a.jpg"] * 4)), (Z, MM), "data/a.jpg does not exist"),
        (_with(image=pa.array(["../../a.jpg"] * 4)), (Z, MM), "4 file outside its root"),
        (
            _with(image=lists([np.full((150, 200, 3), 4.0, np.float32)] * 4)),
            (Z, MM),
            "float32 from 4 to 4, expected 0 to 1; is it normalised for a network?",
        ),
        (
            _with(image=image_column(
                [encoded(picture(ROOM, pose), "JPEG", exif=TURNED) for pose in POSES])),
            (Z, MM),
            "turned by the EXIF orientation 6",
        ),
    ],
)  # fmt: skip
def test_problems(tmp_path, capsys, columns, options, found):
    write_shards(tmp_path / "raw", columns(), shards=1)
    _, said = curate(
        capsys, "huggingface", tmp_path / "raw", tmp_path / "out", *given(*options), status=1
    )
    assert found in said
    assert not (tmp_path / "out" / "huggingface_train.jsonl").exists()


def test_a_missing_option_is_asked_for_before_a_long_run(tmp_path, capsys):
    write_shards(tmp_path / "raw", rgbd_columns() | {"depth": TALL}, shards=1)
    _, said = curate(capsys, "huggingface", tmp_path / "raw", tmp_path / "out", *given(Z), status=1)
    assert "data/train-00000-of-00001.parquet row 0: its depth is an array" in said
    assert "frames" not in said
    assert not (tmp_path / "out").exists()


def test_a_value_of_no_depth(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    holes = [encoded(millimetres(z_map(ROOM, pose), hole=65535)) for pose in POSES]
    truth = truth_of(write_shards(root, rgbd_columns() | {"depth": image_column(holes)}))
    curate(capsys, "huggingface", root, out, *given(Z, MM, "invalid=65535"))
    assert_labels_the_scene(records_of(out), truth, out)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-400])


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (lambda path: path.unlink(), "has 1 of 2 shards train-*-of-00002, not number 1"),
        (_cut, "is the file complete?"),
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"),
            "is a pointer of Git LFS, not the file; fetch it with git lfs pull",
        ),
    ],
)
def test_half_a_download(tmp_path, capsys, break_it, found):
    root = tmp_path / "raw"
    write_shards(root, rgbd_columns())
    break_it(root / "data" / "train-00001-of-00002.parquet")
    _, said = curate(capsys, "huggingface", root, tmp_path / "out", *given(Z, MM), status=1)
    assert found in said
    assert not (tmp_path / "out").exists()


def test_half_an_arrow_file(tmp_path, capsys):
    names = write_to_disk(tmp_path / "raw", rgbd_columns())
    _cut(tmp_path / "raw" / f"{names[0].partition('/')[0]}.arrow")
    _, said = curate(
        capsys, "huggingface", tmp_path / "raw", tmp_path / "out", *given(Z, MM), status=1
    )
    assert "is the file complete, and written by save_to_disk?" in said


def test_splits_are_named_by_files_or_folders(tmp_path):
    from depthlm_plugin.curate.datasets.huggingface.tables import split_of

    for name, split in {
        "data/train-00000-of-00002.parquet": "train",
        "default/partial-train/0000.parquet": "train",
        "val/0000.parquet": "validation",
        "test_scenes/train/0000.parquet": "train",
        "dev.parquet": "validation",
        "training_evaluation.parquet": None,
        "latest/restrained.parquet": None,
    }.items():
        assert split_of(tmp_path / name, tmp_path) == split, name


def test_files_that_name_no_split_are_train(tmp_path, capsys):
    root, out = tmp_path / "raw", tmp_path / "out"
    write_shards(root, rgbd_columns(), "chunk")
    curate(capsys, "huggingface", root, out, *given(Z, MM))
    curate(capsys, "huggingface", root, out, *given(Z, MM), "--split", "all")
    assert len(records_of(out)) == len(records_of(out, "all")) == 4
    write_shards(root, rgbd_columns(), "test", shards=1)
    _, said = curate(capsys, "huggingface", root, tmp_path / "two", *given(Z, MM), status=1)
    assert "by their names there are 2 of no split, 1 of test" in said


@pytest.mark.slow  # starts processes
def test_workers_do_not_matter(tmp_path, capsys):
    root = tmp_path / "raw"
    write_shards(root, rgbd_columns(poses=POSES * 20), shards=3, group_rows=7)
    for workers in (1, 2):
        options = [*given(Z, MM)[:-1], workers]
        curate(capsys, "huggingface", root, tmp_path / str(workers), *options)
    one, two = (tmp_path / name / "huggingface_train.jsonl" for name in "12")
    assert one.read_bytes() == two.read_bytes()
    assert len(json.loads(one.read_text().splitlines()[-1])["depth"]) == 100
