"""One function decides which records are used: every command and every trainer agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.wrong_metres import REFUSED, TAKEN, mutated, record_of

from depthlm_plugin import DepthSamples
from depthlm_plugin.bench.questions import count_points, drawn_records
from depthlm_plugin.bench.sets import BenchSet
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.curate.datasets.depthlm import DepthLMFiles
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError
from depthlm_plugin.pictures.preview import draw_sheet
from depthlm_plugin.records.pair import check_any
from depthlm_plugin.records.raw import parse_row
from depthlm_plugin.records.shard_writer import write_shards
from depthlm_plugin.records.stated import NOTHING, Stated, parse_unusual
from depthlm_plugin.records.units import open_dataset
from depthlm_plugin.sampling.given import point_sample
from depthlm_plugin.sampling.of_records import planner_of
from depthlm_plugin.sampling.stream import SampleStream
from depthlm_plugin.sampling.validation import Checks, check_rows

FOCAL_PX = 300


def checked(line: str, stated: Stated = NOTHING):
    _, problems = check_any(parse_row(line, "a:1"), "a:1", 0, stated)
    if problems:
        raise problems[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_learnt_as_other_metres_is_refused(name):
    changes, reason, words = REFUSED[name]
    with pytest.raises(RecordError) as caught:
        checked(record_of(changes))
    assert caught.value.reason == reason
    assert words in str(caught.value)


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_right_is_taken(name):
    checked(record_of(TAKEN[name]))


def test_a_dataset_states_what_its_records_do_not():
    for name, unusual in {"fy of 1.9 fx": "camera", "millimetres": "depth"}.items():
        line = record_of(REFUSED[name][0])
        checked(line, Stated(unusual=parse_unusual(unusual)))
        with pytest.raises(RecordError):
            checked(line, Stated(unusual=parse_unusual({"camera": "depth"}.get(unusual, "camera"))))


@pytest.mark.parametrize("unusual", ["camrea", ["camera", 3], 7, {"camera": True}])
def test_a_wrong_statement_is_refused(unusual):
    with pytest.raises(ConfigError, match=r"^dataset 'a': .*camera, depth"):
        Stated.of({"unusual": unusual}, "dataset 'a'")


@pytest.mark.parametrize(
    ("depth", "found"),
    [
        ([235, 240, 245], "the median depth of 12 of its records is 240 m, expected 0.05 to 200 m"),
        ([250, 260, 240], "are 1000 or 100 of its units a metre?"),
    ],
)
def test_centimetres_of_a_room_are_seen_over_the_whole_dataset(record_folder, depth, found):
    lines = [record_of({"depth": depth})] * 12
    checked(lines[0])  # 240 m by itself may be a mountain
    path = record_folder(lines)
    with pytest.raises(DepthLMError) as caught:
        DepthSamples(path)
    assert found in str(caught.value)
    assert len(list(DepthSamples(path, unusual=["depth"], focal_px=FOCAL_PX))) == 12


# --- all doors


def _ends_well(action) -> bool:
    """Return whether something ends, or is refused with an error of ours; all else is a bug."""
    try:
        action()
    except DepthLMError:
        return False
    return True


def _doors(line: str, path: Path, shard: bool):
    """Yield the name of each door, and what goes through it with the record, written to `path`."""
    path.write_text(line + "\n", encoding="utf-8")
    folder, config = path.parent, DepthLMConfig.from_block({"focal_px": FOCAL_PX})
    planner = planner_of(str(path), config)
    training = planner_of(str(path), config, train=True)
    settings = {"media_dir": folder, "focal_px": FOCAL_PX, "points_per_record": "all"}

    def opened():
        return open_dataset(str(path), NOTHING)

    def validate():
        for findings in check_rows(opened(), Checks(str(folder), NOTHING, "refuse"), 1):
            if findings.problems:
                raise DepthLMError(findings.messages[0])

    def rendered(samples):
        for sample in samples:
            sample.image.load()

    def bench():
        bench_set = BenchSet("ibims1", "one", path, {})
        counts = count_points(bench_set)
        drawn = drawn_records(bench_set, counts, np.arange(counts.sum()), folder)
        rendered(DepthSamples(list(drawn), **settings))  # as LLaMA-Factory's run does

    def curated():
        reader = DepthLMFiles(folder, file=path.name)
        for item in reader.items():
            if reader.load(item).dropped:
                raise DepthLMError("points left out")

    def sharded():
        folder = path.with_suffix("")
        write_shards([parse_row(line, "one.jsonl:1")], str(folder))
        rendered(DepthSamples(folder, **settings))

    yield "validate", validate
    yield "python", lambda: rendered(DepthSamples(path, **settings))
    yield "training", lambda: rendered([SampleStream(training, opened())[0]])
    yield "converter", lambda: opened() and rendered(planner.plan(line, "a:1", 0).samples)
    yield "render", lambda: opened() and point_sample(planner, line, "a:1", 0, 0).image.load()
    yield "preview", lambda: draw_sheet(planner, opened(), [0])
    yield "bench", bench
    yield "curate", curated
    if shard:
        yield "shard", sharded


@pytest.mark.slow
def test_all_doors_agree_on_300_records(record_folder):
    folder = record_folder([]).parent
    lines = [record_of(changes) for changes in TAKEN.values()]
    lines += [record_of(changes) for changes, *_ in REFUSED.values()]
    lines += mutated(300 - len(lines), seed=0)
    different = {}
    for number, line in enumerate(lines):
        doors = _doors(line, folder / f"{number}.jsonl", number % 5 == 0)
        found = {name: _ends_well(door) for name, door in doors}
        if len(set(found.values())) > 1:
            different[line] = found
    assert not different, "\n".join(f"{line}: {found}" for line, found in different.items())
    assert len(lines) == 300
