import itertools
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError
from depthlm_plugin.records.rows import open_rows
from depthlm_plugin.sampling.planner import Planner
from depthlm_plugin.sampling.stream import SampleStream

CROPS = {"focal_px": 300, "crop_height": (100, 200), "crop_width": (120, 300)}
POINTS = [[x, y] for x in range(20, 190, 10) for y in range(20, 140, 10)]


@pytest.fixture
def stream_of(record_folder, make_record):
    """Return a stream over a new file with records made by `make_record(**changes)`."""
    numbers = itertools.count()

    def build(changes, shuffle=True, limit=None, **block):
        depth = [1 + i / 7 for i in range(len(POINTS))]
        good = {"pixel_coords": POINTS, "depth": depth}
        name = f"records-{next(numbers)}.jsonl"
        path = record_folder([make_record(**good | change) for change in changes], name)
        config = DepthLMConfig.from_block(CROPS | block)
        planner = Planner(config, "d", (str(path.parent),), True, 28)
        return SampleStream(planner, open_rows(path), shuffle=shuffle, limit=limit)

    return build


def uris(stream, indices):
    return [stream[k].to_uris()[0] for k in indices]


def rows(stream, indices):
    return [stream[k].question.row for k in indices]


@pytest.mark.parametrize("points", [1, 3])
def test_each_pass_visits_every_record_as_often_as_points_are_wanted(stream_of, points):
    stream = stream_of([{}] * 5, points_per_record=points)
    assert stream.per_pass == 5 * points
    orders = []
    for visit in range(3):
        indices = range(visit * stream.per_pass, (visit + 1) * stream.per_pass)
        orders.append(rows(stream, indices))
        assert sorted(orders[-1]) == sorted(list(range(5)) * points)
    assert orders[0] != orders[1] != orders[2]


def test_passes_draw_other_points_and_crops(stream_of):
    stream = stream_of([{}])
    samples = [stream[k] for k in range(12)]
    assert len({sample.question.point for sample in samples}) > 6
    assert len({sample.view.size_wh for sample in samples}) > 3


def test_the_points_of_one_record_in_one_pass_differ(stream_of):
    stream = stream_of([{}], points_per_record=6)
    assert len({stream[k].question.point for k in range(6)}) == 6


def test_without_shuffling_passes_follow_the_file(stream_of):
    stream = stream_of([{}] * 4, shuffle=False, points_per_record=2)
    assert rows(stream, range(10)) == [0, 0, 1, 1, 2, 2, 3, 3, 0, 0]


def test_a_limit_takes_the_first_records(stream_of):
    assert sorted(rows(stream_of([{}] * 6, limit=2), range(4))) == [0, 0, 1, 1]
    assert stream_of([{}] * 2, limit=6).per_pass == 2


def test_a_sample_depends_on_its_number_only(stream_of):
    stream = stream_of([{}] * 5)
    expected = uris(stream, range(15))

    @given(st.permutations(range(15)))
    def in_any_order(order):
        again = pickle.loads(pickle.dumps(stream))
        assert uris(again, order) == [expected[k] for k in order]

    in_any_order()


def test_the_seed_changes_everything(stream_of):
    one, other = (stream_of([{}] * 5, seed=seed) for seed in (0, 1))
    assert uris(one, range(10)) != uris(other, range(10))


def test_a_bad_record_stops_the_run_with_its_line(stream_of):
    stream = stream_of([{}, {"depth": ...}, {}])
    with pytest.raises(RecordError, match=r"records-0\.jsonl:2: "):
        uris(stream, range(3))


def test_skipped_records_are_replaced_the_same_way_everywhere(stream_of):
    changes = [{}] * 8 + [{"depth": ...}, {"image": "gone.png"}]
    stream, again = (stream_of(changes, on_error="skip", max_skipped=1) for _ in range(2))
    samples = [stream[k] for k in range(40)]
    assert {sample.question.row for sample in samples} == set(range(8))
    backwards = [again[k] for k in range(39, -1, -1)]
    assert [s.view for s in backwards] == [s.view for s in reversed(samples)]
    assert [s.question for s in backwards] == [s.question for s in reversed(samples)]
    assert stream.counts["missing image"] >= 4
    assert len(stream.counts) == 3
    assert stream.counts.total() == 2 * stream.counts["records skipped"]  # one reason each


def test_too_many_skipped_records_stop_the_run_with_the_reasons(stream_of):
    stream = stream_of([{}] * 3 + [{"image": "gone.png"}], on_error="skip", max_skipped=0.1)
    with pytest.raises(DepthLMError, match=r"more than max_skipped \(0\.1\)") as error:
        uris(stream, range(400))
    assert "missing image" in str(error.value)
    assert "dataset 'd'" in str(error.value)
    stream = stream_of([{"image": "gone.png"}], on_error="skip", max_skipped=1)
    with pytest.raises(DepthLMError, match=r"20 records in a row cannot be used"):
        stream[0]


def test_what_cannot_be_streamed_is_refused(stream_of):
    with pytest.raises(ConfigError, match=r"'d': points_per_record: all .* lazy: false"):
        stream_of([{}], points_per_record="all")
    with pytest.raises(DepthLMError, match="'d' has no record"):
        stream_of([])


def test_a_truncated_image_is_replaced_before_it_is_shown(stream_of, tmp_path):
    stream = stream_of([{}, {"image": "cut.png"}], on_error="skip", max_skipped=1)
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    for k in range(8):
        assert stream[k].image.size == stream[k].view.size_wh
    assert stream.counts["unreadable image"] >= 4
    assert json.dumps(dict(stream.counts))
