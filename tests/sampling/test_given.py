import math

import pytest

from depthlm_plugin import Camera
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import RecordError
from depthlm_plugin.sampling.given import asked_samples, point_sample
from depthlm_plugin.sampling.planner import Planner
from depthlm_plugin.tasks import TASKS


@pytest.fixture
def planner(record_folder, make_record):
    folder = record_folder([make_record()]).parent
    return Planner(DepthLMConfig(), "d", (str(folder),), False, 28)


@pytest.mark.parametrize(
    ("point", "found"),
    [
        (3, "point 3 is not among the record's usable points"),
        (0, r"point 0 lands at \(2.8, 2.9\) in the 1316x1008 view.*choose another point"),
    ],
)
def test_a_given_point_is_planned_or_refused(planner, make_record, point, found):
    raw = make_record(pixel_coords=[[0, 0], [100, 75], [50, 60]])
    assert point_sample(planner, raw, "a:1", 0, 1).question.pixel == (100, 75)
    with pytest.raises(RecordError, match=f"^a:1: {found}"):
        point_sample(planner, raw, "a:1", 0, point)


@pytest.mark.parametrize(
    ("pixel", "size_wh", "found"),
    [
        ((200, 75), (200, 150), r"pixel \(200, 75\) is outside the 200x150 image"),
        ((0, 0), (200, 150), r"point 0 lands at .*choose another point"),
        ((9, 9), (400, 300), r"a.png is 200x150 but its intrinsics are for 400x300"),
    ],
)
def test_a_given_pixel_is_asked_about_or_refused(planner, pixel, size_wh, found):
    [folder] = planner.roots
    image, intrinsics = f"{folder}/a.png", (150.0, 148.0, 99.0, 76.0)
    [sample] = asked_samples(
        planner, TASKS["depth"], [(image, Camera(*intrinsics, (200, 150)))], [[(100, 75)]]
    )
    assert sample.question.pixel == (100, 75)
    assert math.isnan(sample.target)
    assert sample.image.size == sample.view.size_wh
    with pytest.raises(RecordError, match=found):
        asked_samples(planner, TASKS["depth"], [(image, Camera(*intrinsics, size_wh))], [[pixel]])


def asking(planner, pixels, **changes):
    """Ask in a view of 196x140 of the picture of 200x150: 4 columns and 10 rows are cut away."""
    [folder] = planner.roots
    planner = Planner(DepthLMConfig(focal_px=150, **changes), "d", (folder,), False, 28)
    picture = f"{folder}/a.png", Camera(150.0, 150.0, 99.0, 76.0, (200, 150))
    return asked_samples(planner, TASKS["depth"], [picture], [[pixel] for pixel in pixels])


def test_pixels_near_one_border_share_the_view_that_was_moved_farthest(planner):
    pixels = [(100, 75), (1, 70), (120, 80), (0, 75), (100, 2), (90, 0)]
    samples = asking(planner, pixels, reference="text", prompt="plain")
    assert [sample.question.pixel for sample in samples] == pixels
    corners = [(sample.view.left, sample.view.top) for sample in samples]
    assert corners == [(0, 5), (0, 5), (0, 5), (0, 5), (2, 0), (2, 0)]
    for sample, (x, y) in zip(samples, pixels, strict=True):
        left, top = sample.view.left, sample.view.top
        assert sample.pixels == [(x - left, y - top)]
        column, row = (x - left + 0.5) / 196, (y - top + 0.5) / 140
        assert f"({int(column * 2000)}, {int(row * 2000)})" in sample.user_turn["content"]
    marked = asking(planner, [(100, 75), (50, 70)], reference="marker")
    assert [len(sample.view.marks) for sample in marked] == [1, 1]
