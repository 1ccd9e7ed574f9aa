"""`depthlm validate`: problems by reason, with any number of processes."""

import json

import pytest

from depthlm_plugin.cli import main
from depthlm_plugin.records.shard_writer import write_shards


@pytest.fixture
def records(record_folder, make_record):
    return record_folder([make_record(), make_record(depth_kind=...)])


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
