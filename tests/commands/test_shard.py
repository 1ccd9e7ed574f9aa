"""`depthlm shard`: what is written and said."""

import json

import pytest

from depthlm_plugin.cli import main


@pytest.fixture
def records(record_folder, make_record):
    return record_folder([make_record(), make_record(depth_kind=...)])


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
    leftover = records.parent / ".shards.0123456789abcdef.depthlm.partial"
    leftover.mkdir()
    (leftover / "unfinished.lock").write_text("depthlm has not finished shards\n")
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
