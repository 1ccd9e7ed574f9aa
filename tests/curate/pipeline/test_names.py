"""File names that are not UTF-8: they work, or end in one message, with nothing left behind."""

import json
import os
import shutil

import pytest
from support.curate_checks import FOLDER, curate, read_records
from support.raw.small import write_folder
from support.scene import POSES, Pinhole

from depthlm_plugin.cli import main

BAD = os.fsdecode(b"caf\xe9")
HALF = "\ud800"  # of a character, as JSON can write it
NOT_UTF8 = "name is not UTF-8"
ONE = (*FOLDER, "--workers", 1, "--points", 5)


def room(root):
    write_folder(root, Pinhole(300.0, 301.0, 160.4, 119.2, 320, 240), POSES[:2])
    return root


@pytest.mark.parametrize("images", ["keep", "jpeg"])
def test_a_picture_of_such_a_name_is_left_out_and_counted(tmp_path, capsys, images):
    root, out = room(tmp_path / "raw"), tmp_path / "out"
    for kind in ("rgb", "depth"):
        (root / kind / "0001.png").rename(root / kind / f"{BAD}.png")
    counts, said = curate(capsys, "folder", root, out, *ONE, "--images", images, status=1)
    assert counts["left_out"] == {NOT_UTF8: 1}
    assert [record["id"] for record in read_records(out / "folder.jsonl")] == ["0000"]
    message = r"folder caf\xe9: 'caf\xe9' is not UTF-8, which records are; rename it"
    assert message in said
    assert message in (out / "folder" / "README.md").read_text(encoding="utf-8")


def test_a_root_of_such_a_name_is_no_scene(tmp_path, capsys):
    root, out = room(tmp_path / BAD), tmp_path / "out"
    _, said = curate(capsys, "folder", root, out, *ONE, status=1)
    assert rf"2 {NOT_UTF8}; the first: folder 0000: 'caf\xe9' is not UTF-8" in said
    assert list(out.iterdir()) == []


def test_an_output_of_such_a_name_works(tmp_path, capfd):  # whose stderr is as a real one
    curate(capfd, "folder", room(tmp_path / "raw"), tmp_path / BAD, *ONE)
    assert len(read_records(tmp_path / BAD / "folder.jsonl")) == 2


@pytest.mark.parametrize("words", [("--name", BAD), ("--option", f"rgb={BAD}/*.png")])
def test_words_of_the_command_line_are_utf8(tmp_path, capsys, words):
    _, said = curate(
        capsys, "folder", room(tmp_path / "raw"), tmp_path / "out", *ONE, *words, status=1
    )
    assert r"caf\xe9" in said
    assert "is not UTF-8" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("key", ["scene", "camera", "note"])
def test_half_a_character_in_a_record_is_left_out_and_counted(tmp_path, capsys, key):
    curate(capsys, "folder", room(tmp_path / "raw"), tmp_path / "out", *ONE)
    records = read_records(tmp_path / "out" / "folder.jsonl")
    records[0][key] = f"a{HALF}"
    (tmp_path / "out" / "folder.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "out" / "folder" / "raw").unlink()
    shutil.copytree(tmp_path / "raw", tmp_path / "out" / "folder" / "raw")
    counts, _ = curate(
        capsys, "depthlm", tmp_path / "out", tmp_path / "again", "--workers", 1, status=1
    )
    assert counts["left_out"] == {NOT_UTF8: 1}
    assert counts["records"] == 1


def test_preview_and_harness(tmp_path, capfd):
    out = tmp_path / "out"
    curate(capfd, "folder", room(tmp_path / "raw"), out, *ONE)
    [first, second] = read_records(out / "folder.jsonl")
    (out / f"{BAD}.png").write_bytes((out / first["image"]).read_bytes())
    first["image"] = f"{BAD}.png"
    (out / "named.jsonl").write_text("\n".join(map(json.dumps, [first, second])))
    shutil.copy(out / "folder.jsonl", out / f"{BAD}.jsonl")
    before = sorted(os.listdir(tmp_path))
    for file in ("named", BAD):
        sheet = str(tmp_path / "sheet.png")
        assert main(["preview", str(out / f"{file}.jsonl"), "--out", sheet]) == 0
        os.remove(sheet)
        assert main(["harness", str(out / f"{file}.jsonl"), "--out", str(tmp_path / "h")]) == 1
        assert "is not UTF-8" in capfd.readouterr().err
        assert sorted(os.listdir(tmp_path)) == before
