"""DepthSamples as a dataset: positions, gaps, worker processes; test_planner has what it draws."""

import json
import operator
import pickle
from collections import Counter

import numpy as np
import pytest

from depthlm_plugin import DepthSamples
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError
from depthlm_plugin.records.shard_writer import write_shards

GRID = [[x, y] for x in range(10, 200, 20) for y in range(10, 150, 20)]
METRES = [1 + index / 7 for index in range(len(GRID))]
INSIDE = [[90, 70], [100, 75], [110, 80]]  # every crop
CROPS = {
    "focal_px": 300,
    "crop_height": (100, 200),
    "crop_width": (120, 300),
    "resampling": "reference",  # no torch
}


@pytest.fixture
def mixed(record_folder, make_record):
    """Five records: three points, one, none that is usable, three, a bad line."""
    rows = [
        make_record(pixel_coords=INSIDE),
        make_record(pixel_coords=INSIDE[:1], depth=[1.5]),
        make_record(pixel_coords=[[0, 0]], depth=[1.5]),
        make_record(pixel_coords=INSIDE),
        '{"image": ',
    ]
    return record_folder(rows)


def uris(samples):
    return [sample.to_uris() for sample in samples]


def first_bad(samples):
    """Return the first position that is refused, and why."""
    for position in range(len(samples)):
        try:
            _ = samples[position]
        except RecordError as error:
            return position, error
    return len(samples), None


def test_records_may_be_given_as_dicts(record_folder, make_record):
    path = record_folder([make_record()])
    one = DepthSamples([make_record(depth_kind=...)], media_dir=path.parent, depth_kind="z")
    assert one[0].target == DepthSamples(path, name="records")[0].target
    assert (len(one), one[0].where, one[-1].to_uris()[0]) == (1, "records[0]", one[0].to_uris()[0])
    with pytest.raises(ConfigError, match="'focal'; did you mean 'focal_px'"):
        DepthSamples([make_record()], focal=750)


def test_raising_is_the_default_when_the_record_is_asked_for(record_folder, make_record):
    samples = DepthSamples(record_folder([make_record(), make_record(depth=[0, 1, 1])]))
    assert samples[0].question.row == 0
    for ask in (list, operator.itemgetter(1), operator.itemgetter(slice(2)), DepthSamples.usable):
        with pytest.raises(RecordError, match=r"^records.jsonl:2: point 0: depth 0 "):
            ask(samples)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet", "shards", "dicts"])
@pytest.mark.parametrize("points", [1, 3, "all"])
def test_positions_are_the_samples_in_order(record_folder, make_record, suffix, points):
    rows = [make_record(pixel_coords=GRID, depth=METRES), make_record(), make_record()]
    path = record_folder(rows, f"r{suffix}" if suffix.startswith(".") else "r.jsonl")
    if suffix == "shards":
        write_shards(rows, str(path.parent / "r"), rows_per_shard=2)
        path = path.parent / "r"
    options = {"name": "r", "media_dir": path.parent, "points_per_record": points} | CROPS
    samples = DepthSamples(rows if suffix == "dicts" else path, **options)
    expected = list(DepthSamples(rows, **options))
    assert len(samples) == len(expected) == {1: 3, 3: 9, "all": len(GRID) + 6}[points]
    views = [sample.view for sample in expected]
    assert [samples[position].view for position in range(len(samples))] == views
    assert [sample.view for sample in samples[1::2]] == views[1::2]
    assert samples[-2].view == samples[np.int64(len(samples) - 2)].view == views[-2]
    for position in (len(samples), -len(samples) - 1):
        with pytest.raises(IndexError, match=f"position {position} of {len(samples)}"):
            _ = samples[position]


def test_every_task_has_its_positions_in_evaluation(record_folder, make_record):
    tasks = {"depth": 1.0, "two_point_distance": 1.0}
    path = record_folder([make_record(pixel_coords=GRID, depth=METRES)] * 2)
    for points in (2, "all"):
        options = {"tasks": tasks, "points_per_record": points} | CROPS
        samples = DepthSamples(path, **options)
        assert len(samples) == 2 * 2 * (2 if points == 2 else len(GRID))
        assert [samples[position].task for position in samples.usable()[:3:2]] == (
            ["depth", "two_point_distance"] if points == 2 else ["depth", "depth"]
        )
        assert len(DepthSamples(path, train=True, **options)) == len(samples) // 2


@pytest.mark.parametrize("points", [2, "all"])
def test_usable_positions_hold_what_iterating_yields(mixed, points):
    for train in (False, True):
        options = {"train": train, "points_per_record": points, "on_error": "skip"} | CROPS
        samples = DepthSamples(mixed, **options)
        usable = samples.usable()
        per_record = {2: [2, 2 if train else 1, 0, 2, 0], "all": [3, 1, 0, 3, 0]}[points]
        starts = {2: [0, 2, 4, 6, 8], "all": [0, 3, 4, 5, 8]}[points]
        rows = zip(starts, per_record, strict=True)
        assert usable == [start + k for start, count in rows for k in range(count)]
        assert len(samples) == starts[-1] + (2 if points == 2 else 1)
        assert uris(samples) == uris(samples[position] for position in usable)


def test_a_position_without_a_sample_says_why(mixed):
    options = {"points_per_record": 2} | CROPS
    skipping = DepthSamples(mixed, on_error="skip", **options)
    position, error = first_bad(skipping)
    assert (position, error.reason) == (3, "no such sample")
    assert str(error).startswith("records.jsonl:2: the record gives 1 samples")
    assert "position 3 (it has no more points); iterate" in str(error)
    for position, line, reason in (
        (4, 3, "1 point too near the border for its mark: left out; 1 no usable point"),
        (8, 5, "1 malformed record"),
    ):
        with pytest.raises(RecordError, match=rf"^records\.jsonl:{line}: .*\({reason}\).*usable"):
            _ = skipping[position]
    with pytest.raises(RecordError, match=r"^records.jsonl:3: none of its 1 points"):
        _ = DepthSamples(mixed, **options)[4]


def test_training_repeats_the_samples_of_a_record_that_has_fewer(record_folder, make_record):
    points = [*INSIDE[:1], [0, 0], [1, 0]]
    path = record_folder([make_record(pixel_coords=points)])
    options = {"train": True, "points_per_record": "all"} | CROPS
    samples = DepthSamples(path, **options)
    assert (len(samples), len(list(samples)), samples.usable()) == (3, 1, [0])
    assert uris(samples[position] for position in range(3)) == uris(samples) * 3


def test_counts_are_those_of_one_full_pass(mixed):
    samples = DepthSamples(mixed, on_error="skip", points_per_record="all", **CROPS)
    assert samples.counts == {}
    _ = samples[0], next(iter(samples))
    assert samples.counts == {}
    once = uris(samples)
    counts = Counter(
        {
            "point too near the border for its mark: left out": 1,
            "no usable point": 1,
            "malformed record": 1,
        }
    )
    assert samples.counts == counts
    assert [uris([a, b]) for a, b in zip(samples, samples, strict=True)] == [[u, u] for u in once]
    samples.usable()
    assert samples.counts == counts


def test_opening_reads_no_record(record_folder, make_record):
    lines = ["{"] * 10_000
    samples = DepthSamples(record_folder([make_record(), *lines]), points_per_record=3)
    assert len(samples) == 30_003
    assert samples[2].question.row == 0
    with pytest.raises(RecordError, match=r"^records.jsonl:9001: not valid JSON"):
        _ = samples[27_000]


class CountedReads(list):
    """Records that count how often each is read."""

    def __init__(self, records):
        super().__init__(records)
        self.reads = Counter()

    def __getitem__(self, row):
        self.reads[row] += 1
        return super().__getitem__(row)


@pytest.mark.parametrize(("points", "reads"), [(5, 2), ("all", 3)])  # at opening; to count
def test_the_points_of_a_record_are_planned_once(record_folder, make_record, points, reads):
    folder = record_folder([]).parent
    records = CountedReads([make_record(pixel_coords=GRID, depth=METRES)] * 2)
    samples = DepthSamples(records, media_dir=folder, points_per_record=points, **CROPS)
    each = len(GRID) if points == "all" else points
    assert len([samples[position] for position in range(len(samples))]) == 2 * each
    assert records.reads == {0: reads, 1: reads}


def test_what_holds_no_records_is_refused_at_opening(tmp_path, record_folder):
    with pytest.raises(DepthLMError, match="does not exist"):
        DepthSamples(tmp_path / "gone.jsonl")
    for records in (record_folder([]), []):
        with pytest.raises(DepthLMError, match="holds no record"):
            DepthSamples(records)


# --- worker processes


def test_a_pickled_copy_is_small_and_gives_the_same(record_folder, make_record):
    rows = [make_record(scene=str(row)) for row in range(5000)]
    path = record_folder(rows)
    shards = path.parent / "records"
    write_shards(rows, str(shards), rows_per_shard=2500)
    for file, most_bytes in ((path, 25_000), (shards, 5000)):
        samples = DepthSamples(file, train=True, media_dir=path.parent, **CROPS)
        expected = uris(samples[position] for position in (0, 4999))
        text = pickle.dumps(samples)
        assert len(text) < most_bytes  # four bytes a line, next to nothing a row of shards
        copy = pickle.loads(text)
        assert uris(copy[position] for position in (0, 4999)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("start", "points"), [("fork", 2), ("spawn", "all")])
def test_loader_workers_give_the_same_samples(mixed, start, points):
    data = pytest.importorskip("torch.utils.data")
    options = {"points_per_record": points, "on_error": "skip"} | CROPS
    samples = DepthSamples(mixed, **options)
    expected = uris(samples)
    subset = data.Subset(samples, [*samples.usable(), len(samples) - 1])  # the last is a gap
    loader = iter(
        data.DataLoader(
            subset,
            batch_size=len(expected) // 2,
            collate_fn=list,
            num_workers=2,
            multiprocessing_context=start,
        )
    )
    assert uris([*next(loader), *next(loader)]) == expected[: len(expected) // 2 * 2]
    with pytest.raises(RuntimeError, match=r"records\.jsonl:5: the record gives 0 samples"):
        list(loader)


def test_tasks_about_two_pictures_are_checked_at_opening(record_folder, make_record):
    tasks = {"relative_pose": 1.0}
    with pytest.raises(ConfigError, match="records lacks pose, scene for relative_pose"):
        DepthSamples(record_folder([make_record()]), tasks=tasks)
    path = record_folder([json.dumps(make_record(pose=np.eye(4).tolist(), scene="a"))])
    samples = DepthSamples(path, tasks=tasks)
    with pytest.raises(RecordError, match=r"records.jsonl:1: the record gives 0 samples.*partner"):
        _ = samples[0]
