"""The planner of a records file that no recipe describes."""

import pytest

from depthlm_plugin import DepthSamples
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.records.rows import open_rows
from depthlm_plugin.records.stated import Stated
from depthlm_plugin.sampling.of_records import planner_of


@pytest.mark.parametrize("train", [False, True])
def test_it_plans_what_depth_samples_does(record_folder, make_record, train):
    path = str(record_folder([make_record(depth_kind=...), make_record(depth_kind=...)]))
    config = {"focal_px": 300, "prompt": "plain", "seed": 5}
    planner = planner_of(
        path,
        DepthLMConfig.from_block(config),
        train=train,
        size_multiple=16,
        stated=Stated("distance"),
    )
    samples = DepthSamples(path, train=train, size_multiple=16, depth_kind="distance", **config)
    rows = open_rows(path)
    planned = [planner.plan(raw, where, row)[0] for row, (where, raw) in enumerate(rows)]
    assert [sample.question for group in planned for sample in group] == [
        sample.question for sample in samples
    ]
    assert [sample.view.to_uri() for group in planned for sample in group] == [
        sample.view.to_uri() for sample in samples
    ]


def test_images_are_looked_for_where_media_dir_says(record_folder, make_record, tmp_path):
    path = record_folder([make_record()], images=[("elsewhere/a.png", (200, 150))])
    planner = planner_of(str(path), DepthLMConfig(), media_dir=str(tmp_path / "elsewhere"))
    where, raw = open_rows(str(path))[0]
    (sample, *_), _ = planner.plan(raw, where, 0)
    assert sample.image.size == sample.view.size_wh


def test_a_multiple_below_one_is_refused():
    with pytest.raises(ConfigError, match="size_multiple must be 1 or more, found 0"):
        planner_of("records.jsonl", DepthLMConfig(), size_multiple=0)
