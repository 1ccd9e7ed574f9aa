"""`depthlm preview`: the tiles are what training sees."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main
from depthlm_plugin.pictures.sheet import GAP_PX, Sheet, Tile, fitted


@pytest.fixture
def records(record_folder, make_record):
    return record_folder([make_record() for _ in range(7)])


def preview(records, capsys, *options):
    out = records.parent / "sheet.png"
    status = main(["preview", str(records), "--out", str(out), *map(str, options)])
    return status, out, capsys.readouterr()


def assert_shows(sheet, tile, sample):
    """The tile holds the small view but for its frame, and its mark pixel for pixel."""
    box = tile["box"]
    small = fitted(sample.image, (384, 288))
    assert small.size == (box[2] - box[0], box[3] - box[1])
    shown = np.asarray(sheet.crop(box))
    differs = np.argwhere((shown != np.asarray(small)).any(axis=2))
    frame = (shown == (255, 212, 0)).all(axis=2) | (shown == 0).all(axis=2)
    assert frame[tuple(differs.T)].all()
    x, y = sample.pixels[0]
    fy, fx = differs.min(axis=0)
    ty, tx = differs.max(axis=0)
    scale = small.width / sample.image.width
    assert fx <= (x + 0.5) * scale <= tx + 1
    assert fy <= (y + 0.5) * scale <= ty + 1
    left, top = box[0] + 384 + GAP_PX, box[1]
    width, height = sample.image.size
    x0, y0 = np.clip((x - 70, y - 70), 0, (width - 140, height - 140)).tolist()
    native = sample.image.crop((x0, y0, x0 + 140, y0 + 140))
    assert sheet.crop((left, top, left + 140, top + 140)).tobytes() == native.tobytes()
    top += 140 + GAP_PX
    x0, y0 = np.clip((x - 14, y - 14), 0, (width - 28, height - 28)).tolist()
    close = np.asarray(sample.image.crop((x0, y0, x0 + 28, y0 + 28))).repeat(5, 0).repeat(5, 1)
    np.testing.assert_array_equal(sheet.crop((left, top, left + 140, top + 140)), close)


def test_tiles_show_what_training_sees(records, capsys):
    options = ["--count", 4, "--train", "--focal", 300, "--prompt", "plain", "--seed", 3]
    status, out, printed = preview(records, capsys, *options, "--label", "z", "--size-multiple", 16)
    assert status == 0
    result = json.loads(printed.out)
    samples = DepthSamples(
        records, train=True, focal_px=300, prompt="plain", label="z", seed=3, size_multiple=16
    )
    assert [tile["row"] for tile in result["tiles"]] == [0, 1, 3, 5]
    with Image.open(out) as sheet:
        assert result["size_wh"] == list(sheet.size)
        for tile in result["tiles"]:
            sample = samples[tile["row"]]
            assert_shows(sheet, tile, sample)
            user, assistant = sample.messages
            assert "<image>" + tile.pop("question") == user["content"]
            assert tile.pop("answer") == assistant["content"]
            assert tile.pop("box")
            assert tile == {
                "row": sample.question.row,
                "where": f"records.jsonl:{sample.question.row + 1}",
                "image": "a.png",
                "point": sample.question.point,
                "size_wh": list(sample.image.size),
                "pixel": list(sample.pixels[0]),
                "target": sample.target,
                "unit": "m",
            }


@pytest.mark.slow  # two starts of Python
def test_a_terminal_is_not_shown_a_page_of_json(records):
    out = records.parent / "sheet.png"
    command = [sys.executable, "-m", "depthlm_plugin.cli", "preview", str(records), "--count", "1"]
    shown = {}
    for options in ((), ("--json",)):
        ours, terminal = os.openpty()
        done = subprocess.run(
            [*command, "--out", str(out), "--depth-kind", "z", *options],
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, f"{out}: 1 of the records of {records}\n")
        os.write(terminal, b"end\n")
        os.close(terminal)
        text = b""
        while not text.endswith(b"end\r\n"):
            text += os.read(ours, 4096)
        os.close(ours)
        shown[options] = text.removesuffix(b"end\r\n")
    assert shown[()] == b""
    assert json.loads(shown["--json",])["out"] == str(out)


def test_photographs(ibims, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    path = ibims / "ibims1_dev.jsonl"
    options = ["--depth-kind", "z", "--rows", "45, 7"]
    assert main(["preview", str(path), "--out", str(out), *options]) == 0
    tiles = json.loads(capsys.readouterr().out)["tiles"]
    samples = DepthSamples(path, depth_kind="z")
    assert [tile["row"] for tile in tiles] == [45, 7]
    with Image.open(out) as sheet:
        for tile in tiles:
            assert_shows(sheet, tile, samples[tile["row"]])


def test_few_records_and_small_or_narrow_views(record_folder, make_record, capsys):
    record = make_record(
        image="b.png", intrinsics=[100, 100, 750, 8, 1500, 16], pixel_coords=[[700, 8]], depth=[2]
    )
    records = record_folder([record], images=[("b.png", (1500, 16))])
    status, _, printed = preview(
        records, capsys, "--focal", 100, "--size-multiple", 8, "--unusual", "camera"
    )
    assert status == 0
    [tile] = json.loads(printed.out)["tiles"]
    assert (tile["size_wh"], tile["box"]) == ([1496, 16], [8, 8, 392, 12])


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--rows", "7"], "fewer than 8 records"),
        (["--rows", "1,-2"], "--rows are numbers from 0"),
        (["--rows", "1,,2"], "--rows are numbers from 0"),
        (["--count", "0"], "--count must be 1 or more"),
        (["--rows", ",".join("1" * 201)], "room for 200 tiles; 201"),
        (["--label", "distanze"], "did you mean 'distance'"),
        (["--size-multiple", "0"], "must be 1 or more"),
        (["--media-dir", "/nowhere"], "records.jsonl:1: .*/nowhere"),
        (["--focal", "2"], "records.jsonl:1: .*view"),
    ],
)
def test_problems_are_one_line_on_stderr(records, capsys, options, found):
    status, out, printed = preview(records, capsys, *options)
    assert (status, printed.out, printed.err.count("\n")) == (1, "", 1)
    assert printed.err.startswith("depthlm preview: ")
    assert all(part in printed.err for part in found.split(".*"))
    assert not out.exists()


def test_a_bad_row_is_named(record_folder, make_record, capsys):
    records = record_folder([make_record(), make_record(depth=[1, 2])])
    status, out, printed = preview(records, capsys)
    assert (status, out.exists()) == (1, False)
    assert "records.jsonl:2: 2 depths" in printed.err.replace("3 pixel_coords but ", "")
    assert preview(records, capsys, "--rows", "0")[0] == 0


def test_impossible_places_and_empty_files(records, record_folder, capsys):
    for place in ("no/such/folder/a.png", "a.unknown"):
        assert main(["preview", str(records), "--out", str(records.parent / place)]) == 1
        assert f"cannot write {records.parent / place}" in capsys.readouterr().err
    assert "holds no record" in preview(record_folder(["", ""]), capsys)[2].err


def test_text_is_cut_to_its_tile():
    sheet = Sheet(columns=2, picture_wh=(100, 50), lines=2, text_px=12)
    assert sheet.wrapped("short", 2) == ["short", ""]
    long = sheet.wrapped("one two three four five six seven eight nine ten", 2)
    assert len(long) == 2
    assert " ".join(long).startswith("one two three four")
    assert long[1].endswith("...")
    assert sheet.shortened("folder/" * 9 + "a.png", start=True).endswith("/a.png")
    wide = sheet.wrapped("w" * 80 + " end", 2)
    assert wide[0].endswith("...")
    assert wide[1] == "end"
    picture = Image.new("RGB", (100, 50), "blue")
    drawn = sheet.draw([Tile(picture, ((line, "black"),)) for line in [*long, *wide]])
    assert drawn.size == (2 * 108 + 8, 2 * (50 + 36 + 8) + 8)
    for index in range(4):
        left, top = sheet.corner(index)
        assert drawn.crop((left, top, left + 100, top + 50)).tobytes() == picture.tobytes()
    # No text outside the columns of its tile.
    pixels = np.asarray(drawn)
    for column in (slice(0, 8), slice(108, 116), slice(216, 224)):
        assert (pixels[:, column] == 255).all()
