"""Truncated pictures: planning does not look at them, what makes samples for real does."""

import pytest

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import RecordError
from depthlm_plugin.sampling.decoding import decoding
from depthlm_plugin.sampling.planner import Planner


@pytest.fixture
def cut(record_folder, make_record):
    """A record with a bad point, whose picture is cut off; and a function that makes a planner."""
    folder = record_folder([make_record()], images=[("cut.png", (200, 150))]).parent
    content = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])

    def planner(**block):
        return Planner(DepthLMConfig.from_block(block), "d", (str(folder),), False, 28)

    return make_record(image="cut.png", depth=[1, 2, 0]), planner


def test_planning_reads_headers_only(cut):
    raw, planner = cut
    samples, left_out = planner(on_error="skip").plan(raw, "a:1", 0)
    assert (len(samples), left_out) == (1, {"bad depth": 1})
    with pytest.raises(RecordError, match=r"^a:1: .*cut.png cannot be decoded"):
        _ = samples[0].image


def test_pictures_are_decoded_where_bad_ones_are_skipped(cut):
    raw, planner = cut
    planned = decoding(planner(on_error="skip")).plan(raw, "a:1", 0)
    assert planned == ([], {"bad depth": 1, "unreadable image": 1})
    raising = planner(on_error="raise")
    assert decoding(raising) is raising
