import json
import math
import os

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image

from depthlm_plugin import DepthSamples, View
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.sampling.planner import Planner
from depthlm_plugin.sampling.points import AT_BORDER, OUT_OF_RANGE, REDRAWN
from depthlm_plugin.sampling.sample import Question

GRID = [[x, y] for x in range(10, 200, 20) for y in range(10, 150, 20)]
METRES = [1 + index / 7 for index in range(len(GRID))]
CROPS = {"focal_px": 300, "crop_height": (100, 200), "crop_width": (120, 300)}


@pytest.fixture
def grid_record(make_record):
    return make_record(pixel_coords=GRID, depth=METRES)


def texts(samples):
    return [sample.to_uris()[0] for sample in samples]


def planner_for(folder, train=False, multiple=28, dataset="d", **block):
    return Planner(DepthLMConfig.from_block(block), dataset, (str(folder),), train, multiple)


# --- what is drawn depends on seed, dataset, row and epoch only


@pytest.fixture
def drawing(record_folder, grid_record):
    path = record_folder([grid_record] * 6)
    base = {"name": "d", "seed": 1, "epoch": 0, "train": True, "points_per_record": 4} | CROPS
    return lambda **changes: texts(DepthSamples(path, **base | changes))


def test_the_same_is_drawn_twice(drawing):
    assert len(set(drawing())) == 24
    assert drawing() == drawing()


@pytest.mark.parametrize("change", [{"seed": 2}, {"epoch": 1}, {"name": "e"}], ids=str)
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_seed_epoch_and_dataset_change_what_is_drawn(drawing, change, train):
    one, other = drawing(train=train), drawing(train=train, **change)
    points = [[Question.from_uri(text).point for text in uris] for uris in (one, other)]
    assert points[0] != points[1]
    windows = [[View.from_uri(text).size_wh for text in uris] for uris in (one, other)]
    assert (windows[0] != windows[1]) == train


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_a_draw_is_independent_of_other_records_and_of_their_order(
    record_folder, grid_record, make_record, train
):
    path = record_folder([grid_record] * 5)
    options = {"points_per_record": 3} | CROPS
    together = texts(DepthSamples(path, name="d", train=train, **options))
    planner = planner_for(path.parent, train, **options)
    for row in (4, 1, 3, 0, 2):
        alone, _ = planner.plan(grid_record, f"records.jsonl:{row + 1}", row)
        assert texts(alone) == together[3 * row : 3 * row + 3]
    others = [make_record(), make_record(), grid_record, make_record(depth=[0, 0, 0]), "{"]
    mixed = DepthSamples(record_folder(others), name="d", train=train, on_error="skip", **options)
    assert texts(sample for sample in mixed if sample.question.row == 2) == together[6:9]


@pytest.mark.parametrize("image", ["rgb 1/ü&=%#?.png", os.fsdecode(b"caf\xe9.png")], ids=ascii)
def test_text_form_keeps_question_and_view(record_folder, make_record, image):
    path = record_folder([make_record(image=image)], images=[(image, (200, 150))])
    [sample] = DepthSamples(path, name="a b&c=%/ü")
    assert Question.from_uri(sample.to_uris()[0]) == sample.question
    assert View.from_uri(sample.to_uris()[0]) == sample.view
    sample.to_uris()[0].encode()
    assert sample.question.dataset == "a b&c=%/ü"


# --- views


@st.composite
def eval_cases(draw):
    size = draw(st.tuples(*[st.integers(12, 300)] * 2))
    inside = [st.floats(-0.5, length - 0.5, exclude_max=True) for length in size]
    scales = draw(st.tuples(*[st.floats(0.3, 2.5)] * 2))
    return size, draw(st.tuples(*inside)), scales, draw(st.sampled_from([1, 8, 14, 16, 28, 32]))


@given(eval_cases())
@example(((100, 100), (94, 50), (1, 1), 28))  # 84 px are centred at 8: the mark needs 16
@example(((100, 100), (5, 94), (1, 1), 28))
@example(((100, 100), (94.51, 50), (1, 1), 28))
def test_evaluation_keeps_every_point_whose_mark_fits_the_normalised_image(blank_image, case):
    size, point, scales, multiple = case
    focal = [200 / scale for scale in scales]
    full = [math.floor(length * 200 / f + 1e-6) for length, f in zip(size, focal, strict=True)]
    assume(min(length // multiple * multiple for length in full) >= 11)  # room for any arrow
    image = blank_image(size)
    raw = {
        "image": image.name,
        "intrinsics": [*focal, size[0] / 2, size[1] / 2, *size],
        "pixel_coords": [point],
        "depth": [2.0],
        "depth_kind": "z",
        "unusual": ["camera"],
    }
    planner = planner_for(image.parent, multiple=multiple, focal_px=200, on_error="skip")
    samples, counts = planner.plan(raw, "a:1", 0)
    nearest = [math.floor((value + 0.5) * 200 / f) for value, f in zip(point, focal, strict=True)]
    fits = all(5 <= n < length - 5 for n, length in zip(nearest, full, strict=True))
    assert len(samples) == fits
    if not fits:
        assert counts == {AT_BORDER: 1, "no usable point": 1}
        return
    [sample] = samples
    view = sample.view
    assert view.size_wh == tuple(length // multiple * multiple for length in full)
    [(x, y)] = sample.pixels
    assert [x + view.left, y + view.top] == nearest
    assert 5 <= x < view.size_wh[0] - 5
    assert 5 <= y < view.size_wh[1] - 5


@given(
    st.tuples(*[st.integers(80, 300)] * 2),
    st.tuples(*[st.floats(0.7, 2.5)] * 2),
    st.tuples(*[st.integers(40, 400)] * 4),
    st.sampled_from([1, 14, 16, 28, 32]),
    st.integers(0, 3),
)
def test_training_crops(blank_image, size, scales, limits, multiple, epoch):
    ranges = {"crop_width": sorted(limits[:2]), "crop_height": sorted(limits[2:])}
    image = blank_image(size)
    middle = [(length - 1) / 2 for length in size]
    focal = [200 / scale for scale in scales]
    raw = {
        "image": image.name,
        "intrinsics": [*focal, *middle, *size],
        "pixel_coords": [middle, [0, 0], [middle[0], middle[1] / 2]],
        "depth": [2.0, 2.0, 2.0],
        "depth_kind": "z",
        "unusual": ["camera"],
    }
    planner = planner_for(image.parent, True, multiple, focal_px=200, **ranges)
    [sample], _ = planner.plan(raw, "a:1", 0, epoch)
    view = sample.view
    for axis, (low, high) in enumerate(ranges.values()):
        full, part = view.normalised.size_wh[axis], view.size_wh[axis]
        assert part % multiple == 0
        assert min(low, full) // multiple <= part // multiple <= min(high, full) // multiple
        assert (view.left, view.top)[axis] == (full - part) // 2
        assert 5 <= sample.pixels[0][axis] < part - 5


def test_the_whole_range_of_crops_is_drawn(record_folder, grid_record):
    path = record_folder([grid_record])
    options = {"focal_px": 300, "crop_width": (100, 103), "crop_height": None}
    drawn = [
        DepthSamples(path, train=True, epoch=epoch, size_multiple=1, **options)[0].view.size_wh
        for epoch in range(60)
    ]
    assert set(drawn) == {(width, 304) for width in range(100, 104)}


def test_a_view_smaller_than_a_patch_is_refused(record_folder, make_record):
    path = record_folder([make_record()])
    with pytest.raises(RecordError, match=r"records.jsonl:1: .*focal_px 20 .*26x20.*28 px patch"):
        DepthSamples(path, focal_px=20)[0]
    samples = DepthSamples(path, focal_px=20, on_error="skip")
    assert (list(samples), samples.counts) == ([], {"view too small": 1})
    with pytest.raises(ConfigError, match="size_multiple must be 1 or more, found 0"):
        DepthSamples(path, size_multiple=0)


@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("fixed_wh", [(128, 128), (336, 112), (500, 448)], ids=str)
def test_models_of_one_size_get_views_of_that_size(record_folder, grid_record, train, fixed_wh):
    """200x150 at f = 150 becomes 400x304 at f = 300: cropped, cropped and padded, padded."""
    path = record_folder([grid_record])
    options = {"train": train, "fixed_wh": fixed_wh, "points_per_record": len(GRID)} | CROPS
    samples = list(DepthSamples(path, **options))
    assert len(samples) == len(GRID)  # the window moves so that every mark fits
    for sample in samples:
        view = sample.view
        assert view.size_wh == fixed_wh == sample.image.size
        assert sample.camera.fx == sample.camera.fy == 300
        for axis, (full, part) in enumerate(zip((400, 304), fixed_wh, strict=True)):
            corner = (view.left, view.top)[axis]
            if full < part:
                assert corner == (full - part) // 2  # as much black on either side
            else:
                assert 0 <= corner <= full - part
        ((x, y),) = sample.pixels
        exact = view.pixels_from_source(sample.question.pixel)[0]
        assert abs(exact - (x, y)).max() <= 0.5
        if full >= part:  # a centred window where that shows the mark
            central = (full - part) // 2
            fits = 5 <= y + view.top - central < part - 5
            assert (view.top == central) == fits


def test_enlarging_beyond_the_limit_is_refused(record_folder, make_record):
    path = record_folder([make_record()])
    assert len(list(DepthSamples(path, focal_px=1000, max_upscale=6.8))) == 1
    with pytest.raises(RecordError, match=r"enlarges the image 6.76 times.*max_upscale 6.7") as e:
        DepthSamples(path, focal_px=1000, max_upscale=6.7)[0]  # fy = 148
    assert e.value.reason == "enlarged too much"


def test_a_view_over_the_largest_area_is_skipped_and_counted(record_folder, make_record):
    path = record_folder([make_record()])
    options = {"focal_px": 20_000, "max_upscale": 1000.0, "on_error": "skip"}
    samples = DepthSamples(path, **options)  # 200x150 at f = 150 would be 26667x20270
    assert (list(samples), samples.counts) == ([], {"view too large": 1})


def test_a_lens_moves_the_mark_but_not_the_answer(record_folder, make_record):
    """The label stays the depth of the scene point that the camera saw at that pixel."""
    pytest.importorskip("cv2", reason="undistorting needs the extra depthlm-plugin[lens]")
    coefficients = [-0.3, 0.08, 0.001, -0.002]
    record = make_record(pixel_coords=GRID, depth=METRES, distortion=coefficients)
    path = record_folder([record])
    options = {"focal_px": 300, "points_per_record": "all", "size_multiple": 4}
    samples = list(DepthSamples(path, **options))
    path = record_folder([record | {"distortion": [0, 0, 0, 0]}])
    straight = list(DepthSamples(path, **options))
    assert 0 < len(samples) <= len(straight) == len(GRID)
    moved = []
    for sample in samples:
        source, view = sample.view.source, sample.view
        assert source.lens is not None
        z = METRES[sample.question.point]
        scene = source.unproject(sample.question.pixel, z)
        assert sample.target == pytest.approx(float(np.linalg.norm(scene)))
        exact = view.camera.project(scene)[0]  # the view is a pinhole's
        assert view.camera.lens is None
        assert abs(exact - sample.pixels[0]).max() <= 0.5 + 1e-9
        moved.append(abs(exact - (np.array(sample.question.pixel) + 0.5) * 2 + 0.5).max())
        assert View.from_uri(sample.to_uris()[0]).source == source
    assert max(moved) > 5  # pixels: towards the corners
    assert np.abs(np.asarray(samples[0].image).astype(int) - straight[0].image).max() > 50


@pytest.mark.parametrize("focal_px", [90, 150, 420], ids=["shrunk", "about 1:1", "enlarged"])
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_the_arrow_points_at_the_labelled_pixel_of_the_photograph(
    record_folder, make_record, arrow_pixels, focal_px, train
):
    # Red counts columns, green rows, through the whole pipeline; only the arrow is pure red.
    path = record_folder([make_record(pixel_coords=GRID, depth=METRES)])
    coded = np.zeros((150, 200, 3), np.uint8)
    coded[..., 0], coded[..., 1] = 20 + np.arange(200), 20 + np.arange(150)[:, None]
    Image.fromarray(coded).save(path.parent / "a.png")
    options = {"focal_px": focal_px, "crop_height": (70, 130), "crop_width": (80, 150)}
    samples = list(DepthSamples(path, train=train, points_per_record="all", **options))
    assert len(samples) > 2
    for sample in samples:
        shown = np.asarray(sample.image).astype(int)
        red = np.argwhere((shown == (255, 0, 0)).all(axis=2))
        [(x, y)] = sample.pixels
        assert {(int(column), int(row)) for row, column in red} == arrow_pixels(x, y)
        u, v = sample.question.pixel
        # Half an output pixel from choosing the nearest one, and one grey level.
        assert abs(shown[y, x, 0] - 20 - u) <= 0.5 * 150 / focal_px + 1
        assert abs(shown[y, x, 1] - 20 - v) <= 0.5 * 148 / focal_px + 1


# --- targets


@pytest.mark.parametrize("kind", ["z", "distance"])
@pytest.mark.parametrize("label", ["z", "distance"])
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_targets_are_the_quantity_asked_for(record_folder, make_record, kind, label, train):
    path = record_folder([make_record(pixel_coords=GRID, depth=METRES, depth_kind=kind)])
    options = {"label": label, "train": train, "points_per_record": "all"} | CROPS
    samples = list(DepthSamples(path, **options))
    assert len(samples) > 5
    for sample in samples:
        u, v = sample.question.pixel
        assert [u, v] == GRID[sample.question.point]
        ratio = math.hypot(1, (u - 99) / 150, (v - 76) / 148)
        factor = {("z", "distance"): ratio, ("distance", "z"): 1 / ratio}.get((kind, label), 1)
        assert sample.target == pytest.approx(METRES[sample.question.point] * factor, rel=1e-12)
        assert (sample.unit, sample.task) == ("m", "depth")


def test_messages_hold_the_question_and_the_rounded_target(record_folder, make_record):
    samples = DepthSamples(
        record_folder([make_record(depth=[2 / 3] * 3)]), label="z", prompt="plain"
    )
    user, assistant = samples[0].messages
    assert user["role"] == "user"
    assert user["content"].startswith("<image>How far is the point")
    assert user["content"].count("<image>") == 1
    assert assistant == {"role": "assistant", "content": "0.67"}
    assert samples[0].target == 2 / 3


def test_points_outside_the_depth_range_are_left_out_and_counted(record_folder, make_record):
    path = record_folder([make_record(depth=[1.0, 2.0, 3.0])])
    options = {"label": "z", "points_per_record": "all"}
    samples = DepthSamples(path, min_depth_m=2, max_depth_m=2.5, **options)
    assert ([sample.target for sample in samples], samples.counts) == ([2.0], {OUT_OF_RANGE: 2})
    # The range is about the label: the same points as distances are farther than 1 m.
    path = record_folder([make_record(pixel_coords=[[20, 20]] * 3, depth=[1.0] * 3)])
    assert len(list(DepthSamples(path, max_depth_m=1.0, **options))) == 3
    with pytest.raises(RecordError, match="none of its 3 points is inside the depth range"):
        DepthSamples(path, max_depth_m=1.0, label="distance")[0]


# --- how many


@pytest.mark.parametrize(
    ("wanted", "train", "drawn"),
    [
        (1, False, 1),
        (2, False, 2),
        ("all", False, 3),
        (5, False, 3),
        (1, True, 1),
        (2, True, 2),
        ("all", True, 3),
        (5, True, 5),
    ],
)
def test_points_per_record(record_folder, make_record, wanted, train, drawn):
    pixels = [[90, 70], [100, 75], [110, 80]]  # inside every crop
    path = record_folder([make_record(pixel_coords=pixels)] * 2)
    samples = list(DepthSamples(path, train=train, points_per_record=wanted, **CROPS))
    assert [sample.question.row for sample in samples] == [0] * drawn + [1] * drawn
    # No point twice before all were asked.
    assert len({sample.question.point for sample in samples[:drawn]}) == min(drawn, 3)


# --- what cannot be used


def test_skipping_counts_by_reason_and_loses_no_good_record(record_folder, make_record):
    rows = [
        make_record(),
        make_record(depth=[0, math.nan, 3.5]),  # two bad points, a good one
        '{"image": ',
        make_record(image="gone.png"),
        make_record(),
        make_record(image="cut.png"),
        make_record(image="text.png"),
        make_record(pixel_coords=[[0, 0]], depth=[1]),  # at the border
        make_record(depth=[-1, -1, -1]),
        make_record(intrinsics=[300, 296, 199, 151, 400, 300]),
        make_record(),
    ]
    path = record_folder(rows, images=[("a.png", (200, 150)), ("cut.png", (200, 150))])
    content = (path.parent / "cut.png").read_bytes()
    (path.parent / "cut.png").write_bytes(content[: len(content) // 2])
    (path.parent / "text.png").write_text("404")
    samples = DepthSamples(path, on_error="skip")
    assert [sample.question.row for sample in samples] == [0, 1, 4, 10]
    assert samples.counts == {
        "bad depth": 2 + 3,
        "malformed record": 1,
        "missing image": 1,
        "unreadable image": 2,
        AT_BORDER: 1,
        "no usable point": 2,
        "size differs from intrinsics": 1,
    }
    assert all(sample.image.size == sample.view.size_wh for sample in samples)


def test_the_border_rule_is_counted(record_folder, make_record):
    # At focal_px 150 the columns are unchanged, rows almost: 5 px of border on every side.
    pixels = [[4, 75], [5, 75], [194, 75], [195, 75], [100, 3], [100, 144], [100, 147]]
    path = record_folder([make_record(pixel_coords=pixels, depth=[1.0] * 7)])
    samples = DepthSamples(path, focal_px=150, points_per_record="all")
    assert sorted(sample.question.pixel for sample in samples) == [(5, 75), (100, 144), (194, 75)]
    assert samples.counts == {AT_BORDER: 4}
    with pytest.raises(RecordError, match=r"none of its 7 points .* border of 10 px; drop the row"):
        DepthSamples(path, focal_px=150, marker_px=10)[0]


def test_a_point_outside_the_crop_is_drawn_again_and_counted(record_folder, make_record):
    pixels = [[100, 75]] + [[10, 10]] * 9
    path = record_folder([make_record(pixel_coords=pixels, depth=[1.0] * 10)] * 20)
    samples = DepthSamples(
        path, train=True, focal_px=150, crop_height=[60, 90], crop_width=[60, 90]
    )
    assert [sample.question.point for sample in samples] == [0] * 20
    # The one point that fits is not the first drawn in about nine of ten records.
    assert 14 <= samples.counts[REDRAWN] < 20
    assert samples.counts.keys() == {REDRAWN}


# --- real photographs


def test_every_labelled_point_of_ibims_becomes_a_sample(ibims):
    samples = DepthSamples(ibims / "ibims1_dev.jsonl", depth_kind="z", points_per_record="all")
    lines = (ibims / "ibims1_dev.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len(records) == 46
    asked = {(sample.question.row, sample.question.point) for sample in samples}
    assert asked == {(row, point) for row in range(46) for point in range(100)}
    assert (len(samples), samples.usable(), samples.counts) == (4600, list(range(4600)), {})
    for sample in samples:
        record = records[sample.question.row]
        u, v = record["pixel_coords"][sample.question.point]
        fx, fy, cx, cy, *_ = record["intrinsics"]
        z = record["depth"][sample.question.point]
        assert sample.target == pytest.approx(
            z * math.sqrt(1 + ((u - cx) / fx) ** 2 + ((v - cy) / fy) ** 2), rel=1e-12
        )


@pytest.mark.parametrize("index", [0, 2345, 4599])
@pytest.mark.parametrize("train", [True, False], ids=["training", "evaluation"])
def test_ibims_photographs_are_shown_at_the_unified_focal_length(ibims, arrow_pixels, index, train):
    record = (ibims / "ibims1_dev.jsonl").read_text(encoding="utf-8").splitlines()[index // 100]
    raw = json.loads(record) | {"depth_kind": "z"}
    planner = planner_for(ibims, train, crop_height=(500, 800), crop_width=(700, 1100))
    [sample], _ = planner.plan(raw, "a:1", index)
    assert (sample.camera.fx, sample.camera.fy) == (1000, 1000)
    shown = np.asarray(sample.image)
    assert sample.image.size == sample.camera.size_wh == sample.view.size_wh
    assert all(length % 28 == 0 for length in sample.image.size)
    # The unmarked view, from the whole photograph resampled with Pillow, is the same elsewhere.
    with Image.open(ibims / raw["image"]) as photo:
        fx, fy, *_ = raw["intrinsics"]
        full_wh = sample.view.normalised.size_wh
        box = (0, 0, full_wh[0] * fx / 1000, full_wh[1] * fy / 1000)
        full = np.array(photo.convert("RGB").resize(full_wh, Image.Resampling.BICUBIC, box=box))
    width, height = sample.view.size_wh
    left, top = sample.view.left, sample.view.top
    expected = full[top : top + height, left : left + width].astype(int)
    for column, row in arrow_pixels(*sample.pixels[0]):
        expected[row, column] = (255, 0, 0)
        assert tuple(shown[row, column]) == (255, 0, 0)
    assert np.abs(shown - expected).max() <= 2
