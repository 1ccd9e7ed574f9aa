import json

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import DepthSamples, __version__
from depthlm_plugin.cli import main
from depthlm_plugin.records.shard_writer import write_shards


@pytest.mark.parametrize(
    "code",
    [
        "import depthlm_plugin",
        "from depthlm_plugin.cli import main; main(['--help'])",
        "from depthlm_plugin.cli import main; main(['render', '--help'])",
        "from depthlm_plugin.cli import main; main(['shard', '--help'])",
        "from depthlm_plugin.cli import main; main(['curate', '--help'])",
        "from depthlm_plugin.cli import main; main(['--version'])",
    ],
)
def test_importing_and_help_load_nothing_heavy(run_python, code):
    heavy = {
        "numpy",
        "torch",
        "PIL",
        "transformers",
        "llamafactory",
        "yaml",
        "pyarrow",
        "tqdm",
        "fsspec",
    }
    result = run_python(
        "import atexit, sys\n"
        f"atexit.register(lambda: print('loaded', sorted({heavy!r} & sys.modules.keys())))\n{code}"
    )
    assert result.stdout.splitlines()[-1] == "loaded []"


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"depthlm-plugin {__version__}\n"


@pytest.fixture
def records(record_folder, make_record):
    return record_folder([make_record(), make_record(depth_kind=...)])


def render(records, capsys, *options):
    out = records.parent / "sample.png"
    status = main(["render", str(records), "--out", str(out), *options])
    printed = capsys.readouterr()
    return status, out, printed


def test_render_writes_the_sample_and_one_json_object(records, capsys, arrow_pixels):
    options = ["--row", "0", "--point", "1", "--focal", "300", "--size-multiple", "16"]
    status, out, printed = render(records, capsys, *options)
    assert (status, printed.err) == (0, "")
    assert printed.out.count("\n") == 1
    result = json.loads(printed.out)
    assert result.keys() == {
        "size_wh", "camera", "pixel", "target", "unit", "question", "answer"
    }  # fmt: skip
    with Image.open(out) as image:
        assert list(image.size) == result["size_wh"] == [400, 304]
        painted = np.argwhere((np.asarray(image) == (255, 0, 0)).all(axis=2))
    assert arrow_pixels(*result["pixel"]) <= {(int(x), int(y)) for y, x in painted}
    fx, fy, cx, cy = result["camera"]
    assert (fx, fy) == (300, 300)
    # The pixel (50, 60) at z = 2.5 m, by its ray in the source camera and in the written image.
    distance = 2.5 * np.linalg.norm([(50 - 99) / 150, (60 - 76) / 148, 1])
    assert result["target"] == pytest.approx(distance, rel=1e-12)
    x, y = result["pixel"]
    assert np.hypot((x - cx) / fx - (50 - 99) / 150, (y - cy) / fy - (60 - 76) / 148) < 0.75 / 300
    assert result["unit"] == "m"
    assert result["question"].startswith("Given this image, how far")
    assert result["answer"].endswith(f"<answer> {distance:.2f} </answer>")


def test_render_options(records, capsys):
    base = ["--row", "1", "--point", "0", "--depth-kind", "distance"]
    _, out, printed = render(records, capsys, *base, "--label", "distance", "--prompt", "plain")
    result = json.loads(printed.out)
    assert (result["target"], result["answer"]) == (1.5, "1.50")
    _, _, printed = render(records, capsys, *base, "--label", "z")
    assert json.loads(printed.out)["target"] < 1.5
    _, out, printed = render(records, capsys, *base, "--train", "--focal", "2000")
    width, height = json.loads(printed.out)["size_wh"]
    assert 1000 - 28 < width <= 1400
    assert 700 - 28 < height <= 1200
    with Image.open(out) as image:
        assert image.size == (width, height)


def test_render_shows_what_training_sees(records, capsys):
    [sample, _] = DepthSamples(records, depth_kind="z", train=False)
    point = str(sample.question.point)
    _, out, _ = render(records, capsys, "--row", "0", "--point", point)
    with Image.open(out) as image:
        np.testing.assert_array_equal(image, sample.image)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--row", "2", "--point", "0"], "fewer than 3 records"),
        (["--row", "0", "--point", "3"], "records.jsonl:1: point 3 is not among"),
        (["--row", "-1", "--point", "0"], "count from 0"),
        (["--row", "1", "--point", "0"], "records.jsonl:2: .*--depth-kind"),
        (["--row", "0", "--point", "0", "--label", "distanze"], "did you mean 'distance'"),
        (["--row", "0", "--point", "0", "--focal", "-1"], "focal_px must be a positive"),
        (["--row", "0", "--point", "0", "--size-multiple", "0"], "must be 1 or more"),
        (["--row", "0", "--point", "0", "--media-dir", "/nowhere"], "none of /nowhere"),
        (["--row", "0", "--point", "0", "--exif-rotation", "turn"], "exif_rotation 'turn'"),
    ],
    ids=lambda value: " ".join(value[4:]) if isinstance(value, list) else "",
)
def test_render_problems_are_one_line_on_stderr(records, capsys, options, found):
    status, out, printed = render(records, capsys, *options)
    assert (status, printed.out, printed.err.count("\n")) == (1, "", 1)
    assert printed.err.startswith("depthlm render: ")
    assert all(part in printed.err for part in found.split(".*"))
    assert not out.exists()


def test_render_to_an_impossible_place(records, capsys):
    options = ["--row", "0", "--point", "0", "--out"]
    for place in ("no/such/folder/a.png", "a.unknown"):
        assert main(["render", str(records), *options, str(records.parent / place)]) == 1
        assert f"cannot write {records.parent / place}" in capsys.readouterr().err


def test_validate_a_good_file(records, capsys):
    assert main(["validate", str(records), "--depth-kind", "z", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"records": 2, "points": 6, "problems": {}}
    assert printed.err == "2 records, 6 usable points, 0 problems\n"


def test_validate_counts_by_reason(record_folder, make_record, capsys):
    rows = [make_record(), *[make_record(depth=[0, 2, -3])] * 12, "{", make_record(image="b.png")]
    assert main(["validate", str(record_folder(rows)), "--json"]) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "records": 15,
        "points": 3 + 12,
        "problems": {"bad depth": 24, "malformed record": 1, "missing image": 1},
    }
    lines = printed.err.splitlines()
    assert lines[0].startswith("records.jsonl:2: point 0: depth 0 ")
    assert lines[20:] == [
        "... and 6 more",
        "15 records, 15 usable points, 26 problems",
        "       24  bad depth",
        "        1  malformed record",
        "        1  missing image",
    ]


def test_validate_decodes_images(record_folder, make_record, capsys):
    path = record_folder([make_record()])
    content = (path.parent / "a.png").read_bytes()
    (path.parent / "a.png").write_bytes(content[: len(content) // 2])
    assert main(["validate", str(path)]) == 1
    assert "records.jsonl:1: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "found"), [(None, "does not exist"), ("\n\n", "holds no record")]
)
def test_validate_needs_records(tmp_path, capsys, content, found):
    path = tmp_path / "records.jsonl"
    if content is not None:
        path.write_text(content)
    assert main(["validate", str(path)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"depthlm validate: {path}")
    assert found in printed.err


def test_validate_finds_the_same_with_any_number_of_workers(record_folder, make_record, capsys):
    # Over 64 rows, so that workers start; problems in every chunk, and more than are shown.
    bad = {
        5: "{",
        64: {"image": "b.png"},
        70: {"depth": [0, 1, -1]},
        130: {"image": ...},
        140: {"depth": [0, 1, 1]},
    } | {row: {"depth_kind": "w"} for row in range(150, 180)}
    rows = [
        bad[row] if isinstance(bad.get(row), str) else make_record(**bad.get(row, {}))
        for row in range(200)
    ]
    path = record_folder(rows)
    write_shards([row for row in rows if isinstance(row, dict)], str(path.parent / "s"))
    for records, reasons in ((path, 5), (path.parent / "s", 4)):
        printed = []
        for workers in ("1", "2", "3"):
            options = ["--workers", workers, "--media-dir", str(path.parent), "--json"]
            assert main(["validate", str(records), *options]) == 1
            printed.append(capsys.readouterr())
        assert printed[0] == printed[1] == printed[2]
        assert len(json.loads(printed[0].out)["problems"]) == reasons
        assert printed[0].err.splitlines()[20].startswith("... and ")


def test_validate_reports_an_error_of_a_worker(record_folder, make_record, capsys):
    path = record_folder([make_record()])
    folder = path.parent / "s"
    write_shards([make_record()] * 300, str(folder), rows_per_shard=150)
    (folder / "00001.arrow").unlink()
    options = ["--media-dir", str(path.parent), "--workers", "2"]
    assert main(["validate", str(folder), *options]) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"depthlm validate: {folder / '00001.arrow'} cannot be found")


def test_validate_needs_a_worker(records, capsys):
    assert main(["validate", str(records), "--workers", "0"]) == 1
    assert "--workers must be 1 or more, found 0" in capsys.readouterr().err


def test_shard_and_validate(records, capsys):
    out = records.parent / "shards"
    command = ["shard", str(records), "--out", str(out), "--rows-per-shard", "1"]
    assert main(command) == 0
    printed = capsys.readouterr()
    summary = json.loads(printed.out)
    assert summary == {
        "out": str(out), "rows": 2, "shards": 2, "bytes": summary["bytes"],
        "removed_unfinished": False,
    }  # fmt: skip
    assert summary["bytes"] == sum(path.stat().st_size for path in out.glob("*.arrow"))
    assert printed.err.startswith("2 records in 2 shards, ")
    assert f"set media_dir to {records.parent}" in printed.err
    options = ["--depth-kind", "z", "--media-dir", str(records.parent), "--json"]
    assert main(["validate", str(out), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"records": 2, "points": 6, "problems": {}}

    assert main(command) == 1
    assert "is a finished folder of shards" in capsys.readouterr().err
    (records.parent / "shards.partial").mkdir()
    assert main([*command, "--overwrite"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["removed_unfinished"] is True
    assert printed.err.startswith("removed what an interrupted run had written\n")


@pytest.mark.parametrize(
    ("content", "options", "found"),
    [
        ('{}\n{"a": \n', [], "records.jsonl:2: not valid JSON"),
        ("", [], "there is no record to write"),
        ("{}", ["--rows-per-shard", "0"], "must be 1 or more, found 0"),
    ],
)
def test_shard_problems_leave_nothing_behind(tmp_path, capsys, content, options, found):
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    assert main(["shard", str(path), "--out", str(tmp_path / "s"), *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert found in printed.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["records.jsonl"]
