import json
import math
from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from depthlm_plugin import Camera, DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.errors import RecordError
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.records.raw import parse_row
from depthlm_plugin.records.record import check_record
from depthlm_plugin.records.rows import read_rows
from depthlm_plugin.records.stated import NOTHING, Stated

MALFORMED, INTRINSICS = "malformed record", "bad intrinsics"
OUTSIDE, DEPTH = "pixel outside the image", "bad depth"
DISTORTION, LENS = "bad distortion", "pixel outside the lens model"
ROOT = "image outside its root"
SIZE = 200, 150
NAN, INF = math.nan, math.inf


def pixel(x, y):
    return {"pixel_coords": [[100, 75], [x, y], [150, 90]]}


def depth(value):
    return {"depth": [1.5, value, 3.5]}


def intrinsics(*values):
    return {"intrinsics": list(values)}


def distortion(model, *values):
    return {"distortion": {"model": model, "coefficients": list(values)}}


# id: (the line, or changes to a good record; reason; what the message must hold)
BAD_ROWS = {
    "not JSON": ('{"image": "a.p', MALFORMED, ["not valid JSON", "complete?"]),
    "nested without end": ("[" * 99_999, MALFORMED, ["not valid JSON"]),
    "not an object": ("[1, 2]", MALFORMED, ["expected a JSON object"]),
    "no image": ({"image": ...}, "no image", ["'image'", "path"]),
    "image is no text": ({"image": 7}, "no image", ["'image'", "path"]),
    "no intrinsics": ({"intrinsics": ...}, MALFORMED, ["'intrinsics' is missing"]),
    "intrinsics too short": (intrinsics(150, 148, 99, 76), INTRINSICS, ["[fx, fy, ", "4 numbers"]),
    "focal length negative": (intrinsics(-150, 148, 99, 76, *SIZE), INTRINSICS, ["fx=-150"]),
    "focal length zero": (intrinsics(150, 0, 99, 76, *SIZE), INTRINSICS, ["positive", "fy=0"]),
    "focal length NaN": (intrinsics(150, NAN, 99, 76, *SIZE), INTRINSICS, ["finite", "nan"]),
    "null in intrinsics": (intrinsics(150, None, 99, 76, *SIZE), INTRINSICS, ["finite", "nan"]),
    "intrinsics is a matrix": (
        intrinsics([150, 0, 99], [0, 148, 76], [0, 0, 1]), INTRINSICS, ["[fx, fy, ", "9 numbers"]
    ),
    "intrinsics of another size": (
        intrinsics(300, 296, 199, 151, 400, 300),
        "size differs from intrinsics",
        ["is 200x150", "for 400x300", "of the stored image"],
    ),
    "focal length far too long": (
        intrinsics(1e6, 1e6, 99, 76, *SIZE), "unusual camera", ["view is 0.0115 degrees", "pixels"]
    ),
    "focal length far too long, confirmed": (
        intrinsics(1e6, 1e6, 99, 76, *SIZE) | {"unusual": "camera"},
        "view too small",
        ["check its intrinsics", "1000000"],
    ),
    "no depth kind": ({"depth_kind": ...}, "no depth kind", ['"distance" or "z"', "--depth-kind"]),
    "unknown depth kind": (
        {"depth_kind": "distanze"}, "bad depth kind", ["'distanze'", "did you mean 'distance'"]
    ),
    "pixel right of the image": (pixel(199.5, 75), OUTSIDE, ["point 1", "(199.5, 75)", "200x150"]),
    "pixel below the image": (pixel(75, 150), OUTSIDE, ["(75, 150)", "(row, column)"]),
    "pixel negative": (pixel(-0.51, 75), OUTSIDE, ["(-0.51, 75)", "drop the point"]),
    "null pixel": (pixel(None, 75), OUTSIDE, ["point 1", "(nan, 75)"]),
    "depth zero": (depth(0), DEPTH, ["point 1: depth 0 is not", "drop the point"]),
    "depth negative": (depth(-2.5), DEPTH, ["point 1: depth -2.5 is not a positive"]),
    "depth NaN": (depth(NAN), DEPTH, ["point 1: depth nan is not a positive finite"]),
    "depth infinite": (depth(INF), DEPTH, ["point 1: depth inf is not a positive finite"]),
    "depth null": (depth(None), DEPTH, ["point 1: depth nan is not"]),
    "depth too large for a float": (depth(10**400), MALFORMED, ["'depth' must hold numbers only"]),
    "depth is text": (depth("near"), MALFORMED, ["'depth' must hold numbers only", "near"]),
    "one depth, no list": ({"depth": 2.5}, MALFORMED, ["depth must be [metres, ...]"]),
    "no depth": ({"depth": ...}, MALFORMED, ["'depth' is missing"]),
    "fewer depths": ({"depth": [1.5, 2.5]}, "lengths differ", ["3 pixel_coords but 2 depths"]),
    "no points": ({"pixel_coords": [], "depth": []}, "no points", ["labels no pixel", "drop"]),
    "one pixel, no list": ({"pixel_coords": [100, 75]}, MALFORMED, ["must be [[x, y], ...]"]),
    "pixel with three numbers": (
        {"pixel_coords": [[1, 2, 3]], "depth": [1]}, MALFORMED, ["must be [[x, y], ...]"]
    ),
    "pixels of nothing": (
        {"pixel_coords": [[[], []]], "depth": [1]}, MALFORMED, ["must be [[x, y], ...]"]
    ),
    "null for a pixel": (
        {"pixel_coords": [None, [1, 2], [3, 4]]}, MALFORMED, ["'pixel_coords' must hold numbers"]
    ),
    "distortion with three numbers": (
        {"distortion": [0.1, 0.2, 0.3]}, DISTORTION, ["[k1, k2, p1, p2]", "found 3 numbers"]
    ),
    "distortion of a rational model": (
        distortion("opencv", *[0.1] * 8), DISTORTION, ["found 8 numbers", "undistort the pictures"]
    ),
    "fisheye with five numbers": (
        distortion("fisheye", *[0.1] * 5), DISTORTION, ["[k1, k2, k3, k4]", "found 5 numbers"]
    ),
    "thin prism fisheye of COLMAP with its focal lengths": (
        distortion("thin_prism_fisheye", *[0.1] * 12), DISTORTION, ["sx1, sy1]", "found 12 numbers"]
    ),
    "unknown lens model": (
        distortion("fishey", *[0.1] * 4), DISTORTION, ["'fishey'", "did you mean 'fisheye'"]
    ),
    "null in distortion": (
        {"distortion": [0.1, None, 0, 0]}, DISTORTION, ["expected finite", "nan"]
    ),
    "distortion is text": ({"distortion": "none"}, DISTORTION, ["must be [k1, ", "none"]),
    "distortion is one number": ({"distortion": 0.1}, DISTORTION, ["found the coefficients 0.1"]),
    "distortion too large for a float": ({"distortion": [10**400] * 4}, DISTORTION, ["must be [k"]),
    "distortion without a model": (
        {"distortion": {"coefficients": [0.1] * 4}}, DISTORTION, ["model None", '"fisheye"']
    ),
    "distortion with other keys": (
        {"distortion": {"model": "opencv", "k": [0.1] * 4}}, DISTORTION, ["keys ['k', 'model']"]
    ),
    "pixel beyond the lens": (
        pixel(196, 5) | {"distortion": [-0.5, 0, 0, 0]},
        LENS,
        ["point 1: pixel (196, 5) has no ray", "drop the point", "'distortion'"],
    ),
    "image above its root": ({"image": "../a.png"}, ROOT, ["'../a.png' leaves"]),
    "image climbs out": ({"image": "/rgb/../../a.png"}, ROOT, ["leaves the image folder"]),
    "image missing": ({"image": "b.png"}, "missing image", ["'b.png'", "set media_dir"]),
    "image is a folder": ({"image": "rgb"}, "missing image", ["'rgb'"]),
}  # fmt: skip


@pytest.fixture
def one_bad(request, record_folder, make_record):
    """A file with a good record, a bad one (line 2) and another good one."""
    bad, reason, found = request.param
    bad = bad if isinstance(bad, str) else make_record(**bad)
    path = record_folder([make_record(), bad, make_record()])
    (path.parent / "rgb").mkdir()
    return path, reason, found


@pytest.mark.parametrize("one_bad", BAD_ROWS.values(), ids=BAD_ROWS, indirect=True)
def test_a_bad_record_gives_one_error_with_line_finding_and_advice(one_bad, capsys):
    path, reason, found = one_bad
    with pytest.raises(RecordError) as caught:
        list(DepthSamples(path))
    message = str(caught.value)
    assert message.startswith("records.jsonl:2: ")
    assert caught.value.reason == reason
    assert [words for words in found if words not in message] == []

    skipping = DepthSamples(path, on_error="skip")
    usable = (
        [0, 1, 2] if reason in (OUTSIDE, DEPTH, LENS) else [0, 2]
    )  # such a point is left out alone
    assert [sample.question.row for sample in skipping] == usable
    assert skipping.counts == {reason: 1}

    if reason != "view too small":  # what a focal_px makes of a record is not `validate`'s question
        assert main(["validate", str(path), "--json"]) == 1
        printed = capsys.readouterr()
        assert json.loads(printed.out)["problems"] == {reason: 1}
        assert message in printed.err


@pytest.mark.parametrize(
    ("own", "dataset", "kind"),
    [
        ("z", None, "z"),
        (None, "distance", "distance"),
        ("z", "z", "z"),
        ("z", "distance", "the record says depth_kind 'z', its dataset 'distance'"),
        (None, "depth", "unknown depth_kind 'depth'"),
        (None, None, "distance to the camera centre or z"),
    ],
)
def test_depth_kind_comes_from_the_record_or_its_dataset(make_record, own, dataset, kind):
    raw = make_record(depth_kind=own)
    if kind in ("z", "distance"):
        assert check_record(raw, "a:1", 0, Stated(dataset))[0].depth_kind == kind
    else:
        with pytest.raises(RecordError, match=f"^a:1: .*{kind}"):
            check_record(raw, "a:1", 0, Stated(dataset))


@pytest.mark.parametrize(
    ("given_distortion", "lens"),
    [
        (None, None),
        (..., None),
        ([0, 0, 0, 0], None),
        (distortion("opencv", 0, 0.0, -0.0, 0, 0)["distortion"], None),
        ([0.1, -0.2, 0.001, 0], Lens("opencv", (0.1, -0.2, 0.001, 0))),
        ([0.1, 0, 0, 0, 0.2], Lens("opencv", (0.1, 0, 0, 0, 0.2))),
        (distortion("opencv", 0.1, 0, 0, 0)["distortion"], Lens("opencv", (0.1, 0, 0, 0))),
        (distortion("fisheye", 0.1, 0, 0, 0)["distortion"], Lens("fisheye", (0.1, 0, 0, 0))),
        (
            distortion("thin_prism_fisheye", *[0.01] * 8)["distortion"],
            Lens("thin_prism_fisheye", (0.01,) * 8),
        ),
        # An equidistant fisheye, not a pinhole.
        (distortion("fisheye", 0, 0, 0, 0)["distortion"], Lens("fisheye", (0, 0, 0, 0))),
    ],
    ids=str,
)
def test_the_camera_of_a_record_has_its_lens(make_record, given_distortion, lens):
    record, problems = check_record(make_record(distortion=given_distortion), "a:1", 0, NOTHING)
    assert problems == []
    assert record.camera == Camera(150.0, 148.0, 99.0, 76.0, SIZE, lens)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_distortion_is_read_from_every_format(tmp_path, save_rows, make_record, suffix):
    path = tmp_path / f"r.{suffix}"
    rows = [distortion("fisheye", 0.1, 0.2, 0.3, 0.4), {"distortion": None}]
    save_rows(path, [make_record(**row) for row in rows])
    cameras = [
        check_record(parse_row(text, where), where, row, NOTHING)[0].camera
        for row, (where, text) in enumerate(read_rows(path))
    ]
    expected = [Lens("fisheye", (0.1, 0.2, 0.3, 0.4)), None]
    assert [camera.lens for camera in cameras] == expected


def test_the_whole_image_area_is_inside(make_record):
    corners = [[-0.5, -0.5], [199.49, 149.49], [0, 149], [199, 0]]
    raw = make_record(pixel_coords=corners, depth=[1, 2, 3, 4])
    record, problems = check_record(raw, "a:1", 0, NOTHING)
    assert problems == []
    assert record.pixels.tolist() == corners


def test_points_keep_their_place_when_others_are_left_out(make_record):
    record, problems = check_record(make_record(**depth(0)), "a:1", 0, NOTHING)
    assert (record.points.tolist(), record.depth_m.tolist()) == ([0, 2], [1.5, 3.5])
    assert [problem.reason for problem in problems] == [DEPTH]


def test_edge_flags_stay_with_their_points(make_record):
    record, _ = check_record(make_record(**depth(0), at_edge=[1, 1, 0]), "a:1", 0, NOTHING)
    assert record.at_edge.tolist() == [True, False]
    record, _ = check_record(make_record(), "a:1", 0, NOTHING)
    assert record.at_edge is None


@pytest.mark.parametrize("flags", [[1, 0], [1, 0, 2], [0, 0, None], "no", [[1], [0], [1]]], ids=str)
def test_edge_flags_that_are_none_are_refused(make_record, flags):
    with pytest.raises(RecordError, match="at_edge"):
        check_record(make_record(at_edge=flags), "a:1", 0, NOTHING)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image": "/a.png"},
        {"image": "rgb/../a.png"},
        {"image": "..a.png"},
        {"image": ..., "image_path": "/a.png"},
        {"scene": "kitchen", "weather": {"sun": None}, "pose": [*[*[1.0, 0, 0, 0, 0] * 3, 1.0]]},
        {"depth_kind": "distance"},
    ],
    ids=str,
)
@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_official_files_are_read_as_they_are(record_folder, make_record, changes, suffix):
    path = record_folder(
        [make_record(**changes)], f"r.{suffix}", [("a.png", SIZE), ("..a.png", SIZE)]
    )
    (path.parent / "rgb").mkdir()
    assert len(list(DepthSamples(path, points_per_record="all"))) == 3


def test_other_parquet_columns_may_hold_what_json_cannot(record_folder, make_record):
    extra = {"taken": datetime(2025, 3, 1), "thumbnail": b"\xff\xd8"}
    assert len(list(DepthSamples(record_folder([make_record(**extra)], "r.parquet")))) == 1


@pytest.mark.parametrize(
    ("suffix", "where"),
    [
        ("jsonl", ["a.jsonl:1", "a.jsonl:3", "b.jsonl:1"]),
        ("json", ["a.json row 0", "a.json row 1", "b.json row 0"]),
        ("parquet", ["a.parquet row 0", "a.parquet row 1", "b.parquet row 0"]),
    ],
)
def test_a_folder_is_read_in_name_order(tmp_path, save_rows, suffix, where):
    save_rows(tmp_path / f"b.{suffix}", [{"row": 2}])
    rows = [{"row": 0}, "   ", {"row": 1}] if suffix == "jsonl" else [{"row": 0}, {"row": 1}]
    save_rows(tmp_path / f"a.{suffix}", rows)
    (tmp_path / "README.md").write_text("not records")
    found = list(read_rows(tmp_path))
    assert [at for at, _ in found] == where
    assert [parse_row(text, at)["row"] for at, text in found] == [0, 1, 2]


floats = st.floats(allow_nan=False, allow_infinity=False)
suffixes = [".jsonl", ".json", ".parquet"]


@given(st.lists(floats, min_size=1), st.sampled_from(suffixes))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_keep_full_precision_in_every_format(tmp_path, save_rows, values, suffix):
    path = tmp_path / f"records{suffix}"
    save_rows(path, [{"depth": values}])
    [(where, text)] = read_rows(path)
    assert parse_row(text, where)["depth"] == values


def test_bytes_that_are_no_text_spoil_one_line_only(record_folder, make_record):
    path = record_folder([make_record()] * 3)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"\xff\xfe\x00", lines[2]]))
    samples = DepthSamples(path, on_error="skip")
    assert [sample.where for sample in samples] == ["records.jsonl:1", "records.jsonl:3"]
    assert samples.counts == {MALFORMED: 1}


def test_long_parquet_files_are_read_whole(tmp_path, save_rows):
    save_rows(tmp_path / "r.parquet", [{"row": row} for row in range(2500)])
    rows = [parse_row(text, where)["row"] for where, text in read_rows(tmp_path / "r.parquet")]
    assert len(rows) == 2500
    assert all(after == before + 1 for before, after in pairwise(rows))
