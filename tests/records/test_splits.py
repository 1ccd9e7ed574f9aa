import io
import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.records.splits import (
    EVAL,
    FOLDER,
    TRAIN,
    GroupBy,
    Side,
    image_paths,
    shared_groups,
    shared_images,
    side_of,
    write_split,
)

scenes = st.text(min_size=1, max_size=8) | st.integers()
shares = st.floats(0.05, 0.95)
seeds = st.integers(0, 2**40)
BY_SCENE = GroupBy()


def rows_of(names):
    return [
        (f"r.jsonl:{number}", json.dumps({"image": f"{number}.png", "scene": scene}))
        for number, scene in enumerate(names, start=1)
    ]


def split(rows, share, seed=0):
    files = {TRAIN: io.StringIO(), EVAL: io.StringIO()}
    sides = write_split(rows, files, BY_SCENE, share, seed)
    return {side: file.getvalue().splitlines() for side, file in files.items()}, sides


def scene_sets(texts):
    return [{str(json.loads(text)["scene"]) for text in texts[side]} for side in (TRAIN, EVAL)]


@given(st.lists(scenes, max_size=40), shares, seeds)
def test_every_row_is_on_one_side_and_no_scene_on_both(names, share, seed):
    rows = rows_of(names)
    texts, sides = split(rows, share, seed)
    assert Counter(texts[TRAIN] + texts[EVAL]) == Counter(text for _, text in rows)
    for side in (TRAIN, EVAL):
        kept = set(texts[side])
        assert texts[side] == [text for _, text in rows if text in kept]  # in order
        counted = Counter((str(json.loads(text)["scene"]),) for text in texts[side])
        assert sides[side].rows == counted
    train, eval_ = scene_sets(texts)
    assert not train & eval_


@given(st.lists(scenes, max_size=20), st.lists(scenes, max_size=20), shares, seeds, st.randoms())
def test_new_rows_and_another_order_move_no_scene(names, more, share, seed, random):
    before = scene_sets(split(rows_of(names), share, seed)[0])
    changed = rows_of(names + more)
    random.shuffle(changed)
    after = scene_sets(split(changed, share, seed)[0])
    assert before[0] <= after[0]
    assert before[1] <= after[1]


@given(st.lists(scenes, max_size=30), shares, shares, seeds)
def test_a_larger_share_takes_nothing_away_from_eval(names, share, other, seed):
    low, high = sorted((share, other))
    assert (
        scene_sets(split(rows_of(names), low, seed)[0])[1]
        <= scene_sets(split(rows_of(names), high, seed)[0])[1]
    )


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_kept_over_many_groups_and_seeds_differ(share):
    groups = [(f"scene_{number:04d}",) for number in range(4000)]
    drawn = [[side_of(group, share, seed) == EVAL for group in groups] for seed in (0, 1)]
    for side in drawn:
        assert np.mean(side) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000))
    assert np.mean(np.logical_and(*drawn)) == pytest.approx(share**2, abs=0.03)


def test_sides_are_the_same_everywhere_and_for_ever():
    # Written out: published splits must not move with a new version.
    names = ("office", "kitchen", "lab", "hall", "日本")
    sides = [side_of((name,), 0.3, 0) for name in names]
    assert sides == [TRAIN, EVAL, TRAIN, TRAIN, EVAL]


@pytest.mark.parametrize(
    ("by", "raw", "group"),
    [
        (GroupBy(), {"scene": "a"}, ("a",)),
        (GroupBy(), {"scene": 0}, ("0",)),
        (GroupBy(("source", "scene")), {"scene": 7, "source": "x"}, ("x", "7")),
        (GroupBy(("image",)), {"image_path": "/a/./b.png"}, ("a/b.png",)),
        (GroupBy(pattern=FOLDER), {"image": "a/b/c.png"}, ("a/b",)),
        (GroupBy(pattern=FOLDER), {"images": ["a/b.png", "a/c.png"]}, ("a",)),
        (GroupBy(pattern=r"(n\d+)-.*__(\w+)__"), {"image": "s/n15-1__CAM__9.jpg"}, ("n15", "CAM")),
        (GroupBy(pattern=r"\d+"), {"image": "s12_f3.png"}, ("12",)),
    ],
)
def test_groups(by, raw, group):
    assert by.group(raw, "r:1") == group


@pytest.mark.parametrize(
    ("by", "raw", "found"),
    [
        (GroupBy(), {}, "there is no key 'scene'.*--by-folder"),
        (GroupBy(), {"scene": None}, "'scene' is None"),
        (GroupBy(), {"scene": ""}, "'scene' is ''"),
        (GroupBy(), {"scene": 3.0}, "'scene' is 3.0"),
        (GroupBy(), {"scene": True}, "'scene' is True"),
        (GroupBy(("source", "scene")), {"scene": "a"}, "no key 'source'"),
        (GroupBy(("image",)), {}, "no key 'image'"),
        (GroupBy(pattern=FOLDER), {"image": "a.png"}, r"\['a.png'\] belong to no one group"),
        (GroupBy(pattern=FOLDER), {"images": ["a/b.png", "c/b.png"]}, "belong to no one group"),
        (GroupBy(pattern=FOLDER), {}, r"\[\] belong to no one group by image folder"),
    ],
)
def test_records_without_a_group(by, raw, found):
    with pytest.raises(RecordError, match=f"^r:1: .*{found}"):
        by.group(raw, "r:1")


def test_bad_rules():
    with pytest.raises(ConfigError, match="is not a regular expression"):
        GroupBy(pattern="(")
    with pytest.raises(ConfigError, match="--by takes keys"):
        GroupBy(("scene", ""))


def side_with(rows):
    side = Side()
    for where, text in rows:
        side.add(json.loads(text), BY_SCENE.group(json.loads(text), where), where)
    return side


@given(st.lists(scenes, min_size=1, max_size=20), shares, st.data())
def test_planted_leaks_are_found(names, share, data):
    rows = rows_of(names)
    texts, _ = split(rows, share)
    sides = {name: [row for row in rows if row[1] in texts[name]] for name in (TRAIN, EVAL)}

    def leaks():
        train, eval_ = side_with(sides[TRAIN]), side_with(sides[EVAL])
        read = [(name, *row) for name in sides for row in sides[name]]
        return shared_groups(train, eval_), shared_images(train, eval_, lambda: iter(read))

    assert leaks() == ([], [])
    where, text = data.draw(st.sampled_from(rows))
    other = EVAL if text in texts[TRAIN] else TRAIN
    sides[other] = [*sides[other], ("planted:1", text)]
    [group], [image] = leaks()
    raw = json.loads(text)
    assert (group.what, image.what) == (str(raw["scene"]), raw["image"])
    assert {image.train, image.eval} == {where, "planted:1"}
    assert "planted:1" in (group.train, group.eval)


def test_image_paths_have_one_spelling():
    assert image_paths({"image": "/a/../b//c.png"}) == ["b/c.png"]
    assert image_paths({"images": ["a.png", "./b.png"]}) == ["a.png", "b.png"]
    assert image_paths({}) == image_paths({"image": 3}) == []


@pytest.fixture
def records(record_folder, make_record):
    rows = [
        make_record(image=f"rgb/{scene}_{frame}.png", scene=scene, camera=f"cam{frame}")
        for frame in range(2)
        for scene in ("office", "kitchen", "lab", "hall")
    ]
    images = [(row["image"], (200, 150)) for row in rows]
    return record_folder(rows, images=images)


def run(capsys, *options):
    status = main(["split", *map(str, options)])
    return status, capsys.readouterr()


def test_split_command(records, tmp_path, capsys):
    out = tmp_path / "parts"
    status, printed = run(capsys, records, "--out", out, "--eval", 0.3)
    assert status == 0
    result = json.loads(printed.out)
    assert sorted(path.name for path in out.iterdir()) == [
        "records_eval.jsonl", "records_split.json", "records_train.jsonl"
    ]  # fmt: skip
    written = {side: (out / f"records_{side}.jsonl").read_text() for side in (TRAIN, EVAL)}
    lines = records.read_text().splitlines(keepends=True)
    assert sorted("".join(written.values()).splitlines(keepends=True)) == sorted(lines)
    listed = json.loads((out / "records_split.json").read_text(encoding="utf-8"))
    for side in (TRAIN, EVAL):
        groups = {json.loads(line)["scene"] for line in written[side].splitlines()}
        assert [entry["group"] for entry in listed[side]["groups"]] == [[g] for g in sorted(groups)]
        assert all(entry["rows"] == 2 for entry in listed[side]["groups"])
        assert result[side] == {
            "file": str(out / f"records_{side}.jsonl"),
            "groups": len(groups),
            "groups_share": len(groups) / 4,
            "rows": 2 * len(groups),
            "rows_share": len(groups) / 4,
        }
        # The images are found with what the outputs say about them.
        for media_dir in (result["media_dir"], out / listed["media_dir"]):
            assert DepthSamples(out / f"records_{side}.jsonl", media_dir=media_dir)[0].image
    assert (listed["seed"], listed["by"], listed["eval_share"]) == (0, "scene", 0.3)
    assert listed[TRAIN]["groups"][0]["first"].startswith("records.jsonl:")
    assert "media_dir in the recipe" in printed.err
    # The two sides stand the check; a second run overwrites nothing.
    files = [out / f"records_{side}.jsonl" for side in (TRAIN, EVAL)]
    status, printed = run(capsys, "--check", *files)
    assert (status, printed.err) == (0, "0 groups by scene and 0 images are on both sides\n")
    status, printed = run(capsys, records, "--out", out, "--eval", 0.3)
    assert status == 1
    assert "records_train.jsonl exists; remove it" in printed.err


def test_a_folder_and_parquet_split_alike(records, tmp_path, save_rows, capsys):
    rows = [json.loads(line) for line in records.read_text().splitlines()]
    folder = tmp_path / "folder"
    folder.mkdir()
    save_rows(folder / "a.parquet", rows[:5])
    save_rows(folder / "b.json", rows[5:])
    options = ["--eval", 0.3, "--name", "x"]
    run(capsys, folder, "--out", tmp_path / "one", *options)
    run(capsys, records, "--out", tmp_path / "two", *options)
    for side in (TRAIN, EVAL):
        both = [
            list(map(json.loads, (tmp_path / out / f"x_{side}.jsonl").read_text().splitlines()))
            for out in ("one", "two")
        ]
        assert both[0] == both[1]
    status, printed = run(capsys, folder, "--out", folder)
    assert status == 1
    assert "is the folder of the records themselves" in printed.err


def test_next_to_the_records_no_media_dir_is_needed(records, capsys):
    status, printed = run(capsys, records, "--out", records.parent, "--eval", 0.3)
    assert status == 0
    assert json.loads(printed.out)["media_dir"] is None
    assert "media_dir" not in printed.err


def test_combinations_say_what_they_do_not_keep_apart(records, tmp_path, capsys):
    status, printed = run(
        capsys, records, "--out", tmp_path / "o", "--by", "scene,camera", "--eval", 0.5
    )
    assert status == 0
    assert "values of 'scene' are on both sides; only each combination" in printed.err
    files = [tmp_path / "o" / f"records_{side}.jsonl" for side in (TRAIN, EVAL)]
    assert run(capsys, "--check", *files)[0] == 1
    assert run(capsys, "--check", *files, "--by", "scene,camera")[0] == 0


def test_check_names_scenes_and_images(records, tmp_path, record_folder, capsys):
    rows = records.read_text().splitlines()
    train = record_folder(rows[:4], "train.jsonl", images=())
    eval_ = record_folder([*rows[5:7], rows[0]], "eval.jsonl", images=())
    status, printed = run(capsys, "--check", train, eval_)
    assert status == 1
    *lines, summary = printed.err.splitlines()
    assert summary == "3 groups by scene and 1 images are on both sides"
    assert [line.split() for line in lines] == [
        ["scene", str(train), str(eval_)],
        ["kitchen", "train.jsonl:2", "eval.jsonl:1"],
        ["lab", "train.jsonl:3", "eval.jsonl:2"],
        ["office", "train.jsonl:1", "eval.jsonl:3"],
        ["image", str(train), str(eval_)],
        ["rgb/office_0.png", "train.jsonl:1", "eval.jsonl:3"],
    ]
    assert json.loads(printed.out) == {
        "by": "scene",
        "train": {"groups": 4, "rows": 4},
        "eval": {"groups": 3, "rows": 3},
        "shared_groups": 3,
        "shared_images": 1,
    }


def test_one_path_of_two_folders_is_no_leak_unless_the_pictures_are_the_same(
    tmp_path, make_record, save_rows, capsys
):
    files = []
    for number, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(bytes([number]))
        files.append(tmp_path / name / "r.jsonl")
        save_rows(files[-1], [make_record(scene=name)])
    assert run(capsys, "--check", *files)[0] == 0
    (tmp_path / "b" / "a.png").write_bytes(bytes([0]))
    status, printed = run(capsys, "--check", *files)
    assert status == 1
    assert json.loads(printed.out)["shared_images"] == 1


@pytest.mark.parametrize(
    ("changes", "options", "found"),
    [
        ([{}, {"scene": "b"}], [], "records.jsonl:1: there is no key 'scene'"),
        ([{"scene": "a"}] * 2, [], "all records of .* are of one group by scene, 'a'"),
        ([{"scene": s} for s in "ab"], ["--eval", "0.001"], "none of the 2 groups .* eval side"),
        ([{"scene": s} for s in "ab"], ["--eval", "0.999"], "none of the 2 groups .* train side"),
        ([{"scene": s} for s in "abcdefgh"], ["--eval", "0.5"], "1 images are in records of sev"),
        ([], [], "holds no record"),
        ([{"scene": "a"}], ["--eval", "1"], "share between 0 and 1"),
        ([{"scene": "a"}], ["--by", "scene,"], "--by takes keys"),
        ([{"scene": "a"}], ["--by-path", "("], "not a regular expression"),
        ([{"scene": "a"}], ["--by-folder"], "records.jsonl:1: its images"),
        ([{"scene": "a"}], ["--name", "a/b"], "--name is how"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_split_problems_leave_nothing_behind(
    record_folder, make_record, capsys, changes, options, found
):
    records = record_folder([make_record(**change) for change in changes])
    out = records.parent / "out"
    status, printed = run(capsys, records, "--out", out, *options)
    assert (status, printed.out) == (1, "")
    assert printed.err.splitlines()[-1].startswith("depthlm split: ")
    assert re.search(found, printed.err)
    assert not out.exists() or not list(out.iterdir())


def test_a_row_that_is_not_utf8_is_refused(record_folder, capsys):
    records = record_folder([])
    records.write_bytes(b'{"scene": "\xe9"}\n')
    status, printed = run(capsys, records, "--out", records.parent / "out")
    assert (status, "records.jsonl:1: not UTF-8" in printed.err) == (1, True)


def test_usage_problems(records, tmp_path, capsys):
    for options, found in [
        ([records], "expected RECORDS --out FOLDER"),
        (["--check", records, records, "--out", tmp_path], "takes no other RECORDS"),
        (["--check", records, tmp_path / "no.jsonl"], "does not exist"),
        ([records, "--out", records], "cannot split"),
    ]:
        status, printed = run(capsys, *options)
        assert (status, printed.out) == (1, "")
        assert found in printed.err
