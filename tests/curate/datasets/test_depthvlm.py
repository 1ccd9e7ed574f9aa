"""Records as DepthVLM's scripts make them, against the scene that their fixtures show."""

import json

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import curate, read_records
from support.raw.tables import CENTRED, encoded, read_lines, write_depthvlm, write_lines, z_map
from support.scene import POSES, z_at

FILE = "annotations/scannetpp/scannetpp_val.jsonl"
ARGOVERSE = "argoverse2/argoverse_pixel_depth_test.jsonl"
SAME = CENTRED.width, CENTRED.height


def given(*options, file=FILE):
    options = (f"file={file}", "media_dir=datasets", *options)
    return [part for option in options for part in ("--option", option)] + ["--workers", 1]


def curated(capsys, root, out, *options, status=0, file=FILE):
    counts, said = curate(capsys, "depthvlm", root, out, *given(*options, file=file), status=status)
    path = out / "depthvlm.jsonl"
    return counts, said, read_records(path) if path.exists() else []


def change(path, **keys):
    write_lines(path, [record | keys for record in read_lines(path)])


def assert_z_of_the_scene(records, truth, out, shift_px=0.0, worst=0.002):
    assert {record["id"] for record in records} == truth.keys()
    for record in records:
        pinhole, pose = truth[record["id"]]
        np.testing.assert_allclose(
            record["intrinsics"], [190.25, 190.25, 119.5, 89.5, 240, 180], atol=1e-9
        )
        with Image.open(out / record["image"]) as image:
            assert image.size == SAME
        assert record["depth_kind"] == "z"
        u, v = np.array(record["pixel_coords"]).T
        depth = np.array(record["depth"])
        steps = np.linspace(-shift_px, shift_px, 5 if shift_px else 1)
        near = [z_at(pinhole, pose, u + x, v + y) for x in steps for y in steps]
        error = np.min([np.abs(depth / one - 1) for one in near], axis=0)
        assert np.median(error) < worst / 2
        assert np.quantile(error, 0.98) < worst


def test_points_are_pixels_of_the_depth_map(tmp_path, capsys):
    """As in the repository's examples: 1920x1440 pictures, coordinates below 256x192."""
    truth = write_depthvlm(tmp_path / "raw", points=40)
    _, said, records = curated(capsys, tmp_path / "raw", tmp_path / "out")
    assert_z_of_the_scene(records, truth, tmp_path / "out", shift_px=0.5)
    for record, raw in zip(records, read_lines(tmp_path / "raw" / FILE), strict=True):
        assert record["depth"] == raw["depth"]  # all digits, in order
        centres = (np.array(raw["pixel_coords"]) + 0.5) * 4 - 0.5
        assert np.abs(np.array(record["pixel_coords"]) - centres).max() <= 0.5
        assert record["intrinsics_source"] == "assumed"
    assert [record["scene"] for record in records] == ["scene_0", "scene_0", "scene_1", "scene_1"]
    assert "4 records with 160 points" in said


@pytest.mark.parametrize("depth_wh", [SAME, (60, 45)])
def test_maps_are_sampled(tmp_path, capsys, depth_wh):
    truth = write_depthvlm(tmp_path / "raw", depth_wh=depth_wh)
    counts, _, records = curated(capsys, tmp_path / "raw", tmp_path / "out")
    shift_px = 0 if depth_wh == SAME else 0.5
    assert_z_of_the_scene(records, truth, tmp_path / "out", shift_px)
    assert counts["points"] == 400


def test_binary_maps_and_masks(tmp_path, capsys):
    """float32, row by row, infinite where there is none; masks are not 0 where it is good."""
    root = tmp_path / "raw"
    keys = {"depth_format": "binary_float32", "depth_scale": 1.0}
    keys |= {"mask_valid_path": "valid.png", "mask_transp_path": "opaque.png"}
    truth = write_depthvlm(root, depth_wh=SAME, keys=keys)
    masks = np.full((2, *SAME[::-1]), 255, np.uint8)
    masks[0, :60], masks[1, :, :80] = 0, 0
    for name, mask in zip(("valid.png", "opaque.png"), masks, strict=True):
        (root / "datasets" / name).write_bytes(encoded(mask))
    for number, pose in enumerate(POSES):
        z = z_map(CENTRED, pose).astype("<f4")
        z[:, 200:] = np.inf
        z[:60] = 1
        z.tofile(root / "datasets" / f"depth/frame_{number:06d}.png")
    _, _, records = curated(capsys, root, tmp_path / "out")
    assert_z_of_the_scene(records, truth, tmp_path / "out")
    for record in records:
        u, v = np.array(record["pixel_coords"]).T
        assert ((u >= 80) & (u < 200) & (v >= 60)).all()


def test_a_map_before_undistortion_is_not_that_of_a_picture_after_it(tmp_path, capsys):
    """ETH3D: pictures of 6205x4135 beside depth maps of 6048x4032."""
    keys = {"depth_format": "binary_float32", "depth_scale": 1.0}
    for points in (0, 10):
        root = tmp_path / str(points)
        write_depthvlm(root, depth_wh=(234, 176), points=points, keys=keys)
        _, said, _ = curated(capsys, root, tmp_path / "out", status=1)
        assert "4 depth of another picture" in said
        assert "use depthlm curate eth3d" in said


@pytest.mark.parametrize("points", [0, 10])
@pytest.mark.parametrize("keys", [{}, {"image": "rgb/frame_000000.jpg", "depth_type": "z"}])
def test_lidar_maps_called_z_are_asked_about(tmp_path, capsys, points, keys):
    root = tmp_path / "raw"
    write_depthvlm(root, name=ARGOVERSE, points=points, keys=keys)
    file = f"annotations/{ARGOVERSE}"
    _, said, _ = curated(capsys, root, tmp_path / "out", status=1, file=file)
    assert "4 no depth kind" in said
    assert "scripts store distances though their records say z_depth" in said
    _, _, records = curated(capsys, root, tmp_path / "out", "depth_kind=distance", file=file)
    assert {record["depth_kind"] for record in records} == {"distance"}


@pytest.mark.parametrize("folder", ["waymo_v2", "argoverse_v2/train", "av2/log_ring_side_left"])
def test_lidar_maps_are_known_by_any_path(tmp_path, capsys, folder):
    root = tmp_path / "raw"
    write_depthvlm(root, poses=POSES[:1])
    place = root / "datasets" / folder
    place.mkdir(parents=True)
    (root / "datasets/depth/frame_000000.png").rename(place / "0.png")
    change(root / FILE, depth_path=f"{folder}/0.png")
    _, said, _ = curated(capsys, root, tmp_path / "out", status=1)
    assert "1 no depth kind" in said


def test_a_stated_kind_speaks_for_one_file(tmp_path, capsys):
    root = tmp_path / "raw"
    write_depthvlm(root)
    for name in ("a.jsonl", "b.jsonl"):
        (root / name).write_bytes((root / FILE).read_bytes())
    _, said = curate(
        capsys, "depthvlm", root, tmp_path / "out", "--option", "depth_kind=z", status=1
    )
    assert "say which with --option file=..., one of a.jsonl, b.jsonl" in said


@pytest.mark.parametrize(
    ("scale", "bad"),
    [(8000, (8193 << 3 | 8193 >> 13) & 0xFFFF), (512, 65535), (8000, 65535)],
    ids=["SUN RGB-D: 8.193 m is stored as 0.001 m", "Taskonomy: not 128 m", "full"],
)
def test_stored_values_that_are_no_depth(tmp_path, capsys, scale, bad):
    root = tmp_path / "raw"
    write_depthvlm(root, poses=POSES[:1], depth_wh=SAME, keys={"depth_scale": scale})
    stored = np.full(SAME[::-1], 2 * scale, np.uint16)
    stored[:, :120] = bad
    (root / "datasets/depth/frame_000000.png").write_bytes(encoded(stored))
    _, _, [record] = curated(capsys, root, tmp_path / "out")
    assert set(record["depth"]) == {2.0}
    assert (np.array(record["pixel_coords"])[:, 0] >= 120).all()


@pytest.mark.parametrize(("scale", "bad"), [(8000, 9), (512, 65535), (4000, 0)])
def test_labels_that_are_no_depth(tmp_path, capsys, scale, bad):
    root = tmp_path / "raw"
    points = {
        "pixel_coords": [[1, 1], [2, 2], [3, 3], [240, 4]],
        "depth": [2.0, round(bad / scale, 4), 0.5, 2.0],
    }
    keys = {"depth_scale": scale} | points
    write_depthvlm(root, poses=POSES[:1], depth_wh=SAME, keys=keys)
    counts, _, [record] = curated(capsys, root, tmp_path / "out")
    assert (record["pixel_coords"], record["depth"]) == ([[1, 1], [3, 3]], [2.0, 0.5])
    assert counts["dropped"] == {"bad depth": 1, "pixel outside the depth map": 1}


def test_a_stated_principal_point_is_used(tmp_path, capsys):
    root = tmp_path / "raw"
    stated = {"original_fy": 188.0, "original_cx": 115.0, "original_cy": 92.5}
    write_depthvlm(root, keys=stated)
    _, _, records = curated(capsys, root, tmp_path / "out")
    assert records[0]["intrinsics"] == [190.25, 188.0, 115.0, 92.5, 240, 180]
    assert "intrinsics_source" not in records[0]


def test_a_list_and_folders_of_their_own(tmp_path, capsys):
    """As the repository's examples: bare names, pictures in rgb/, maps in depth/."""
    root = tmp_path / "raw"
    write_depthvlm(root)
    records = read_lines(root / FILE)
    for record in records:
        for key in ("image", "depth_path"):
            record[key] = "/" + record[key].rpartition("/")[2]
    (root / "examples.json").write_text(json.dumps(records))
    options = ("file=examples.json", "media_dir=datasets/rgb", "depth_dir=datasets/depth")
    given_options = [part for option in options for part in ("--option", option)]
    curate(capsys, "depthvlm", root, tmp_path / "out", *given_options, "--workers", 1)
    [first, *_] = read_records(tmp_path / "out" / "depthvlm.jsonl")
    assert first["id"] == "examples.json:0"
    assert first["image"] == "depthvlm/raw/datasets/rgb/frame_000000.jpg"


def _without(key):
    return lambda record: record.pop(key)


def _cut(root):
    path = root / "datasets/depth/frame_000000.png"
    path.write_bytes(path.read_bytes()[:-300])


@pytest.mark.parametrize(
    ("points", "edit", "found"),
    [
        (5, _without("original_depth_size"), "key 'original_depth_size' must be [width, height]"),
        (5, _without("original_rgb_size"), "key 'original_rgb_size' must be [width, height]"),
        (5, _without("depth_scale"), "'depth_scale' must be the values a metre, found None"),
        (5, _without("depth"), "expected pixel_coords [[x, y], ...] and depth"),
        (5, lambda record: record["depth"].pop(), "5 pixel_coords but depths (4,)"),
        (5, lambda record: record.update(original_fx=None), "original_fx': None"),
        (5, lambda record: record.update(depth_type="inverse"), "depth_type is 'inverse'"),
        (5, lambda record: record.update(original_depth_size=[60, 60]), "its depth map is 60x60"),
        (5, lambda record: record.update(original_rgb_size=[480, 360]), "is 240x180 but its"),
        (5, lambda record: record.update(image="../../x.jpg"), "leads out of --root"),
        (0, _without("depth_path"), "key 'depth_path' must hold a path, found None"),
        (0, lambda record: record.update(depth_path="x.png"), "set --option depth_dir=..."),
        (0, lambda record: record.update(image="x.jpg"), "set --option media_dir=..."),
        (0, lambda record: record.update(mask_valid_path="x.png"), "mask_valid_path 'x.png' is"),
        (0, lambda record: record.update(depth_format="npy"), "expected 'binary_float32' or none"),
        (0, lambda record: record.update(original_depth_size=[120, 90]), "is 60x45, expected"),
        (0, lambda record: record.update(depth_path=record["image"]), "is 240x180, expected 60x45"),
        (0, _cut, "frame_000000.png cannot be decoded"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_counted_and_the_others_are_done(tmp_path, capsys, points, edit, found):
    root = tmp_path / "raw"
    write_depthvlm(root, points=points, poses=POSES[:2])
    if edit is _cut:
        edit(root)
    else:
        first, *others = read_lines(root / FILE)
        edit(first)
        write_lines(root / FILE, [first, *others])
    counts, said, records = curated(capsys, root, tmp_path / "out", status=1)
    assert found in said
    assert "scannetpp_val.jsonl:1: " in said
    assert (counts["records"], len(records), sum(counts["left_out"].values())) == (1, 1, 1)


def test_a_binary_map_that_was_cut_off(tmp_path, capsys):
    root = tmp_path / "raw"
    write_depthvlm(root, depth_wh=SAME, keys={"depth_format": "binary_float32"}, poses=POSES[:1])
    _, said, _ = curated(capsys, root, tmp_path / "out", status=1)
    assert "bytes, expected 240x180 float32; is the download complete?" in said


def test_a_line_that_is_no_record(tmp_path, capsys):
    root = tmp_path / "raw"
    write_depthvlm(root, poses=POSES[:2])
    text = (root / FILE).read_text()
    (root / FILE).write_text(text[:-30] + "\n")
    counts, said, _ = curated(capsys, root, tmp_path / "out", status=1)
    assert counts["left_out"] == {"malformed record": 1}
    assert "scannetpp_val.jsonl:2: not valid JSON" in said
