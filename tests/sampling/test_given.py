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
