"""`depthlm bench` without its model: which sets, which points."""

import json

import numpy as np
import pytest

from depthlm_plugin.bench import questions as drawing
from depthlm_plugin.bench.benchmark import Bench
from depthlm_plugin.bench.progress import Progress
from depthlm_plugin.bench.questions import (
    OF,
    chunks_of,
    count_points,
    draw,
    drawn_records,
    original,
)
from depthlm_plugin.bench.sets import find_sets
from depthlm_plugin.cli import main
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.scoring.published import PUBLISHED, SETS


def record(number, points):
    return {
        "image": f"rgb/{number}.png",
        "intrinsics": [100, 100, 49.5, 39.5, 100, 80],
        "pixel_coords": [[index, number] for index in range(points)],
        "depth": [1 + number + index / 100 for index in range(points)],
        "at_edge": [index % 2 for index in range(points)],
    }


@pytest.fixture
def data(tmp_path):
    """A folder with iBims-1 and the two splits of NYUv2."""
    folder = tmp_path / "data"
    folder.mkdir()
    info = {}
    for name in ("ibims1", "nyuv2_test", "nyuv2_train", "mine"):
        lines = [json.dumps(record(number, 3 + number)) for number in range(6)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        entry = {"file_name": f"{name}.jsonl", "formatting": "depthlm"}
        info[name] = entry | {"depthlm": {"depth_kind": "z"}}
    info["other"] = {"file_name": "other.json"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


# Sets


def test_the_sets_that_are_there_and_those_that_are_missing(data):
    found, missing = find_sets(data)
    assert [(one.name, one.dataset) for one in found] == [
        ("ibims1", "ibims1"),
        ("nyuv2", "nyuv2_test"),
    ]
    assert missing == [name for name in SETS if name not in ("ibims1", "nyuv2")]


def test_chosen_sets_and_datasets_of_other_names(data):
    found, missing = find_sets(data, ["nyuv2=mine", "ddad"])
    assert [(one.name, one.dataset) for one in found] == [("nyuv2", "mine")]
    assert missing == ["ddad"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["nyu"], "unknown set 'nyu'; did you mean 'nyuv2'"),
        (["nyuv2=min"], "no dataset 'min'; did you mean 'mine'"),
        (["nyuv2=other"], 'dataset \'other\' needs "formatting": "depthlm"'),
        (["ddad"], "has none of the sets ddad; curate them"),
    ],
)
def test_sets_that_cannot_be(data, chosen, message):
    with pytest.raises(ConfigError, match=message):
        find_sets(data, chosen)


def test_two_candidates_are_not_guessed_between(data):
    info = json.loads((data / "dataset_info.json").read_text())
    info["nyuv2_filled"] = info["nyuv2_test"]
    (data / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match="could be nyuv2_test or nyuv2_filled; choose one"):
        find_sets(data)


def test_published_means_are_of_the_published_sets():
    for row in PUBLISHED:
        if row.mean is not None:
            assert row.delta1.keys() == SETS.keys()
            assert np.mean(list(row.delta1.values())) == pytest.approx(row.mean, abs=0.0016)


# Points


def test_a_draw_is_its_seeds_and_a_smaller_one_is_part_of_it():
    counts = np.full(500, 40)
    large = draw(counts, 4000, "ddad", 0)
    assert (np.diff(large) > 0).all()
    assert (draw(counts, 4000, "ddad", 0) == large).all()
    assert set(draw(counts, 100, "ddad", 0)) < set(large)
    assert set(draw(counts, 4000, "ddad", 1)) != set(large) != set(draw(counts, 4000, "eth3d", 0))


def test_all_points_are_alike():
    counts = np.array([1, 99, 400])
    drawn = np.concatenate([draw(counts, 50, "ddad", seed) for seed in range(300)])
    shares = np.bincount(np.searchsorted(np.cumsum(counts), drawn, side="right")) / len(drawn)
    assert shares == pytest.approx(counts / 500, abs=0.02)


@pytest.mark.parametrize("points", [None, 33, 1000])
def test_all_points(points):
    assert draw(np.array([3, 30]), points, "ddad", 0).tolist() == list(range(33))


def test_drawn_records_hold_the_drawn_points_and_say_where_they_are(data):
    bench_set = find_sets(data)[0][0]
    counts = count_points(bench_set)
    assert counts.tolist() == [3, 4, 5, 6, 7, 8]
    drawn = draw(counts, 12, "ibims1", 0)
    records = list(drawn_records(bench_set, counts, drawn, data))
    seen = []
    for own in records:
        assert not (own.keys() & {"image_path"})
        whole = record(own[OF]["row"], 3 + own[OF]["row"])
        for point, (pixel, depth, edge) in enumerate(
            zip(own["pixel_coords"], own["depth"], own["at_edge"], strict=True)
        ):
            row, index = original(own, point)
            seen.append((row, index))
            assert (pixel, depth, edge) == tuple(
                whole[key][index] for key in ("pixel_coords", "depth", "at_edge")
            )
    starts = np.cumsum(counts) - counts
    assert [starts[row] + index for row, index in seen] == drawn.tolist()


@pytest.mark.parametrize(
    ("there", "path"),
    [
        (["sub/rgb"], "sub/rgb/0.png"),
        (["rgb"], "rgb/0.png"),
        (["rgb", "sub/rgb"], "sub/rgb/0.png"),  # as when the records are used themselves
    ],
    ids=str,
)
def test_image_paths_start_from_the_data_folder(data, there, path):
    sub = data / "sub"
    sub.mkdir()
    for folder in there:
        (data / folder).mkdir()
        (data / folder / "0.png").write_bytes(b"")
    (data / "ibims1.jsonl").rename(sub / "ibims1.jsonl")
    info = json.loads((data / "dataset_info.json").read_text())
    info["ibims1"]["file_name"] = "sub/ibims1.jsonl"
    (data / "dataset_info.json").write_text(json.dumps(info))
    bench_set = find_sets(data)[0][0]
    counts = count_points(bench_set)
    first = next(drawn_records(bench_set, counts, draw(counts, None, "ibims1", 0), data))
    assert first["image"] == path


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("depth", [1.0, -1.0, 2.0], r"ibims1.jsonl:1: point 1: depth -1 is not"),
        ("pixel_coords", [[1, 2]], r"ibims1.jsonl:1: 1 pixel_coords but 3 depths"),
        ("depth", None, r"ibims1.jsonl:1: key 'depth' must be a list"),
    ],
)
def test_bad_records_are_named_by_their_own_line(data, key, value, message):
    path = data / "ibims1.jsonl"
    lines = path.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {key: value})
    path.write_text("\n".join(lines) + "\n")
    bench_set = find_sets(data)[0][0]

    def drawn():
        counts = count_points(bench_set)
        return list(drawn_records(bench_set, counts, np.arange(9), data))

    with pytest.raises(RecordError, match=message):
        drawn()


def test_chunks_are_whole_records(monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK_POINTS", 10)
    records = [{"depth": [1.0] * size} for size in (4, 5, 3, 12, 1)]
    assert [[len(r["depth"]) for r in chunk] for chunk in chunks_of(iter(records))] == [
        [4, 5],
        [3],
        [12],
        [1],
    ]


# The folder


def bench_of(data, tmp_path, **more):
    settings = {
        "data": data,
        "model": "m",
        "adapter": None,
        "out": tmp_path / "out",
        "points": 12,
        "seed": 0,
        "sets": (),
        "template": "qwen2_vl",
        "overrides": {},
    }
    return Bench(**settings | more)


def answer(out, name, count=None):
    """What LLaMA-Factory writes of a chunk, or of its first rows."""
    run = out / "run"
    run.mkdir(exist_ok=True)
    rows = []
    lines = (out / "questions" / f"{name}.jsonl").read_text().splitlines()
    for row, line in enumerate(lines):
        for point, depth in enumerate(json.loads(line)["depth"]):
            rows.append({"dataset": name, "row": row, "point": point, "target": depth})
    rows = [row | {"of": len(rows)} for row in rows]
    text = "".join(json.dumps(row) + "\n" for row in rows[:count])
    (run / "depth_predictions.jsonl").write_text(text)


def test_finished_chunks_are_kept_under_their_own_rows(data, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK_POINTS", 5)
    bench = bench_of(data, tmp_path)
    plan = bench._plan(*find_sets(data))
    progress = Progress(bench.out)
    chunks = progress.chunks()
    assert chunks[0] == "ibims1.0000"
    assert len(chunks) > 4
    answer(bench.out, chunks[1], 2)  # cut off
    progress.harvest()
    assert progress.open_chunks() == chunks
    answer(bench.out, chunks[1])
    progress.harvest()
    assert progress.open_chunks() == [chunks[0], *chunks[2:]]
    kept = list(progress.answers_of("ibims1"))
    for row in kept:
        assert row["dataset"] == "ibims1"
        assert row["target"] == 1 + row["row"] + row["point"] / 100
        assert row["of"] == len(kept)
    # Started again: the same plan, nothing drawn anew.
    assert bench._plan(*find_sets(data)) == plan
    assert progress.open_chunks() == [chunks[0], *chunks[2:]]


def test_a_folder_of_another_bench_is_refused(data, tmp_path):
    bench_of(data, tmp_path)._plan(*find_sets(data))
    for other, said in [
        ({"model": "n"}, "model: 'm' -> 'n'"),
        ({"points": 13}, "protocol.points: 12 -> 13"),
        ({"overrides": {"depthlm.focal_px": 500}}, "block.focal_px: 1000.0 -> 500.0"),
    ]:
        with pytest.raises(ConfigError, match=rf"holds another bench \({said}\)"):
            bench_of(data, tmp_path, **other)._plan(*find_sets(data))
    bench_of(data, tmp_path, overrides={"per_device_eval_batch_size": 2})._plan(*find_sets(data))


def test_a_folder_of_something_else_is_not_touched(data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="is not empty and not a bench"):
        bench_of(data, tmp_path)._plan(*find_sets(data))


def test_questions_of_someone_else_are_not_touched(data, tmp_path):
    (tmp_path / "out" / "questions").mkdir(parents=True)
    mine = tmp_path / "out" / "questions" / "mine.jsonl"
    mine.write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and not a bench"):
        bench_of(data, tmp_path)._plan(*find_sets(data))
    assert mine.read_text() == "mine"


def test_a_draw_that_was_cut_off_is_drawn_again(data, tmp_path, capsys):
    bench = bench_of(data, tmp_path)
    plan = bench._plan(*find_sets(data))
    (bench.out / "bench.json").unlink()
    (bench.out / "questions" / "ibims1.0009.jsonl").write_text("{")
    assert bench._plan(*find_sets(data)) == plan
    assert Progress(bench.out).chunks() == ["ibims1.0000", "nyuv2.0000"]
    assert "drawing again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--points", "0"], "--points is a whole number above 0 or all"),
        (["bf16"], "'bf16': expected KEY=VALUE"),
        (["--sets", "x"], "unknown set 'x'"),
    ],
)
def test_bad_options(data, tmp_path, capsys, options, message):
    arguments = ["--data", str(data), "--model", "m", "--out", str(tmp_path / "out")]
    assert main(["bench", *arguments, *options]) == 1
    assert message in capsys.readouterr().err
