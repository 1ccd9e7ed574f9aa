"""`depthlm render`: the sample as training sees it."""

import json

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import DepthSamples
from depthlm_plugin.cli import main


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
