"""`depthlm report`: what it says, what it escapes, and that nothing is left out in silence."""

import argparse
import base64
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from depthlm_plugin.commands.report import run
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.report import pictures
from depthlm_plugin.report.examples import LONGEST_TEXT, question_of
from depthlm_plugin.report.gather import UNREAD
from depthlm_plugin.report.texts import markdown_line
from depthlm_plugin.scoring.published import PUBLISHED, SETS

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "</pre><script>alert(1)</script><img src=http://evil/x onerror='a()'>"


class Page(HTMLParser):
    """What a browser finds: its tags, its tables as rows of cells, its text; unclosed tags fail."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.tables, self.said = Counter(), [], [], []
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    @property
    def text(self):
        return " ".join("".join(self.said).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.said.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")

    def table(self, corner):
        """Return the cells of the first table whose first cell says `corner`, by row name."""
        [head, *rows] = next(table for table in self.tables if table[0][0] == corner)
        return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}


def row(number, target, text, **more):
    return {
        "dataset": "room",
        "row": number,
        "point": 0,
        "image": f"{number % 4}.png",
        "pixel": [40.0 + number % 50, 30.0],
        "task": "depth",
        "prompt": "plain",
        "target": target,
        "unit": "m",
        "text": text,
        "value": None,
        "reason": None,
        "depth_kind": "distance",
        "distance_over_z": 1.1,
        "at_edge": number % 3 == 0,
    } | more


def noisy(count, dataset="room", spread=0.2, **more):
    rng = random.Random(dataset)
    for number in range(count):
        target = rng.uniform(0.5, 30)
        text = f"{target * rng.lognormvariate(0, spread):.2f}"
        yield row(number, target, text, dataset=dataset, **more)


@pytest.fixture
def write(tmp_path):
    """Write a run's folder (with results.json, if it is given), and pictures; return its path."""

    def call(rows, name="run", results=None, images=4):
        folder = tmp_path / name
        folder.mkdir()
        lines = [one if isinstance(one, str) else json.dumps(one) for one in rows]
        (folder / "depth_predictions.jsonl").write_text("\n".join(lines) + "\n")
        if results is not None:
            (folder / "results.json").write_text(json.dumps({"format": 1, **results}))
        for number in range(images):
            pixels = np.random.default_rng(number).integers(0, 256, (90, 120, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
        return str(folder)

    return call


@pytest.fixture
def report(tmp_path, capsys):
    """Run the command; return status, the page (of .md: the text), stdout and stderr."""

    def call(*runs, out="report.html", samples=3, seed=0, media_dir=(), maps=()):
        path = tmp_path / out
        args = argparse.Namespace(
            runs=list(runs),
            out=[str(path)],
            samples=samples,
            seed=seed,
            media_dir=list(media_dir),
            maps=list(maps),
            task="depth",
            prompt="official",
        )
        status = run(args)
        printed = capsys.readouterr()
        text = path.read_text(encoding="utf-8")
        page = Page(text) if path.suffix == ".html" else text
        return status, page, json.loads(printed.out), printed.err

    return call


def bench(sets, missing=(), **more):
    """Return a results.json of `depthlm bench`; sets are name -> answers asked for."""
    return {
        "model": "some/model",
        "adapter": None,
        "block": DepthLMConfig(marker="cross", marker_color="blue").to_dict(),
        "protocol": {"points": 8192, "seed": 7},
        "sets": {name: {"points": 99, "asked": asked} for name, asked in sets.items()},
        "missing": list(missing),
        "complete": not missing,
        **more,
    }


def test_a_whole_run(report, write):
    status, page, said, err = report(write(noisy(120)))
    assert (status, err) == (0, "")
    assert said["runs"][0]["rows"] == 120
    assert said["pictures_not_shown"] == said["pictures_left_out"] == 0
    assert "INCOMPLETE" not in page.text
    assert "120 of 120 rows scored" in page.text
    # curves, scatter, two error maps, three worst, three random
    assert page.tags["img"] == 2 + 1 + 2 + 3 + 3


def test_the_metrics_are_those_of_depthlm_score(report, write):
    rows = [row(0, 2.0, "2.1"), row(1, 4.0, "8"), row(2, 1.0, "120 cm"), row(3, 5.0, "far")]
    _, page, _, _ = report(write(rows))
    metrics = {name: cells["run"] for name, cells in page.table("metric").items()}
    assert metrics["delta1"].startswith("0.500 [")
    assert metrics["not read, share"].startswith("0.250 [")
    assert metrics["AbsRel"].startswith("0.417 [")
    wanted = {"n", "delta2", "delta3", "SqRel", "RMSE", "RMSE-log", "log10", "SILog", "MAE"}
    assert wanted <= metrics.keys()
    assert metrics["n"] == "4"


def test_by_distance_edges_and_readings(report, write):
    _, page, _, _ = report(write([row(0, 2.0, "2"), row(1, 1.99, "4"), row(2, 80.0, "80")]))
    bins = page.table("true distance")
    assert {name: cells["delta1"] for name, cells in bins.items()} == {
        "1-2 m": "0.000",
        "2-5 m": "1.000",
        "80- m": "1.000",
    }
    assert page.table("points")["edge"]["n"] == "1"
    assert page.table("points")["interior"]["n"] == "2"
    assert page.table("read as").keys() == {"distance", "z"}


def test_answers_that_repeat_are_said_with_their_last_digits(report, write):
    texts = ["2.00", "2.00", "2.00", "2.53"]
    _, page, _, _ = report(write([row(n, 2.01, text) for n, text in enumerate(texts)]))
    common = next(table for table in page.tables if table[0][1] == "different answers")
    assert common[1] == ["run", "2", "2 (75.0%), 2.53 (25.0%)", "1.000"]
    digits = page.table("digit of hundredths")
    assert (digits["run"]["0"], digits["run"]["3"], digits["run"]["1"]) == ("75.0", "25.0", "0.0")
    assert digits["its truth"]["1"] == "100.0"


def test_answers_far_from_the_truth_are_counted_beside_the_plot(report, write):
    rows = [row(n, 2.0, text) for n, text in enumerate(["2", "0.9", "4.1", "500", "far"])]
    _, page, _, _ = report(write(rows))
    assert "all 4 answers that could be read; 3 beyond the plot are triangles" in page.text
    assert "triangles at its edge; 1 could not be read. The band is delta1." in page.text


@pytest.mark.parametrize("targets", [[1e308], [5e-324], [5e-324, 1e308], [2.0, 1e308], [1e-9]])
def test_targets_that_no_scene_has_are_shown_all_the_same(report, write, targets):
    rows = [row(n, targets[n % len(targets)], "2.5") for n in range(12)]
    status, page, said, _ = report(write(rows))
    assert (status, said["pictures_not_shown"]) == (0, 0)
    assert page.tags["img"] > 5


def test_published_rows_are_the_published_ones(report, write):
    rows = [one for name in SETS for one in noisy(8, name)]
    _, page, _, _ = report(write(rows, results=bench(dict.fromkeys(SETS, 8))))
    table = page.table("delta1")
    for published in PUBLISHED:
        cells = table[published.name]
        for name, title in SETS.items():
            value = published.delta1.get(name)
            assert cells[title] == ("-" if value is None else f"{value:.3f}")
        assert cells["mean of 8"] == ("-" if published.mean is None else f"{published.mean:.3f}")
    ours = [float(table["run"][title].split()[0]) for title in SETS.values()]
    assert float(table["run"]["mean of 8"].split()[0]) == pytest.approx(np.mean(ours), abs=1e-3)
    assert not [name for name in table["run"] if "sets" in name]
    assert "8192 a set at random, seed 7" in page.text


def test_a_partial_mean_has_a_column_of_its_own(report, write):
    rows = [*noisy(8, "ddad"), *noisy(8, "nyuv2"), *noisy(8, "elsewhere")]
    status, page, _, err = report(write(rows, results=bench({"ddad": 8, "nyuv2": 8}, ["eth3d"])))
    assert status == 1
    assert "sets that were not run: eth3d" in err
    table = page.table("delta1")
    own = table["run INCOMPLETE"]
    assert own["mean of 8"] == "-"
    values = [float(own[title].split()[0]) for title in ("DDAD", "NYUv2")]
    assert float(own["mean of 2 sets"].split()[0]) == pytest.approx(np.mean(values), abs=1e-3)
    assert table["DepthLM-7B"]["mean of 2 sets"] == f"{(0.747 + 0.915) / 2:.3f}"
    assert table["UniDepthV2"]["mean of 2 sets"] == "-"
    assert "Mean of 2 sets: DDAD, NYUv2." in page.text
    assert page.table("set").keys() == {"DDAD", "NYUv2"}


def test_datasets_of_other_names_are_not_compared(report, write):
    _, page, _, _ = report(write(noisy(8)))
    assert "None of the datasets is called like a set" in page.text
    assert "DepthLM-7B" not in page.text


def test_several_runs_stand_side_by_side(report, write):
    good, bad = write(noisy(60, spread=0.01), "good"), write(noisy(60, spread=1.0), "bad")
    _, page, said, _ = report(good, bad)
    metrics = page.table("metric")
    assert float(metrics["delta1"]["1: good"].split()[0]) == 1.0
    assert float(metrics["delta1"]["2: bad"].split()[0]) < 0.7
    assert len(said["runs"]) == 2
    assert "run 1: the 3 worst" in page.text
    assert "run 2: the 3 worst" in page.text
    assert page.tags["img"] == 2 + 2 * (1 + 2 + 6)


@pytest.mark.parametrize(
    ("rows", "results", "problem"),
    [
        ([*noisy(8), "{"], None, "8 of 9 rows scored; INCOMPLETE: 1 left out (1 malformed row)"),
        (noisy(8, of=9), None, "8 of 9 rows scored; INCOMPLETE: 1 missing"),
        (noisy(8), bench({"room": 9}), "room: 8 of 9 answers that were asked for"),
        (noisy(8), bench({"room": 8, "ddad": 4}), "ddad: 0 of 4 answers that were asked for"),
        (noisy(8), bench({"room": 8}, complete=False), "says that the run is not complete"),
    ],
)
def test_what_is_missing_is_said_beside_the_scores(report, write, rows, results, problem):
    status, page, said, err = report(write(rows, results=results))
    assert status == 1
    assert said["runs"][0]["complete"] is False
    assert problem in err
    assert problem in page.text
    for corner, where in (("metric", 0), ("true distance", 1), ("read as", 1), ("run", 0)):
        table = next(t for t in reversed(page.tables) if t[0][0] == corner)
        line = table[0] if corner == "metric" else table[1]
        assert "run INCOMPLETE" in line[where + (corner == "metric")], corner


def test_what_comes_from_outside_is_escaped(report, write):
    rows = [
        *noisy(12, HOSTILE),
        row(20, 2.0, HOSTILE, dataset=HOSTILE),
        row(21, 2.0, HOSTILE, dataset=HOSTILE, image=HOSTILE, prompt=HOSTILE, reason=HOSTILE),
    ]
    name = "<b onclick=x>run"
    folder = write(rows, name, bench({HOSTILE: 9}, [HOSTILE], model=HOSTILE))
    _, page, _, _ = report(folder, samples=20)
    assert page.tags["script"] == page.tags["b"] == 0
    assert not [one for one in page.attributes if one[1].startswith("on")]
    assert HOSTILE in "".join(page.said)
    assert name in page.text


def test_nothing_is_loaded_from_elsewhere(report, write):
    _, page, _, _ = report(write(noisy(40)))
    assert not page.tags.keys() & {"script", "link", "iframe", "object", "embed", "base", "form"}
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "data", "poster", "background", "action"):
            assert value.startswith("#" if tag == "a" else "data:image/"), (tag, name, value[:60])
        assert name != "style"
    for _, _, uri in (one for one in page.attributes if one[1] == "src"):
        mime, _, data = uri.removeprefix("data:").partition(";base64,")
        content = base64.b64decode(data, validate=True)
        if mime == "image/svg+xml":
            assert b"<script" not in content
            assert re.findall(rb'href="(?!#)', content) == []
        else:
            Image.open(BytesIO(content)).load()


def test_long_and_unwritable_texts(report, write):
    texts = ["x" * 100_000, "\x00\x1b[m\u202e abc", "\ud800 2 3", "a\r\nb 2 3", "nan", "inf m"]
    rows = [row(number, 2.0, text) for number, text in enumerate(texts)]
    _, page, said, _ = report(write(rows), samples=10)
    said = "".join(page.said)
    assert "x... (100000 characters)" in said
    assert max(map(len, re.findall("x+", said))) == LONGEST_TEXT
    for shown in ("\\x00\\x1b[m\\u202e abc", "\\ud800 2 3", "a\\r\nb 2 3"):
        assert shown in said
    assert page.table("metric")["not read, share"]["run"].startswith("1.000")
    assert "No answer could be read: no plot." in page.text


def test_unread_answers_are_counted_and_shown_as_they_are(report, write):
    rows = [row(n, 2.0, "far away") for n in range(5)] + [row(9, 2.0, "\n  1 or 2")]
    _, page, _, _ = report(write([*rows, row(10, 2.0, "2")]), samples=0)
    assert "6 of 7 answers could not be read (5 no number, 1 several numbers)" in page.text
    assert "".join(page.said).count("far away") == UNREAD
    assert "\n  1 or 2" in "".join(page.said)


def test_pictures_that_are_not_there_are_named_in_their_place(report, write):
    folder = write(noisy(40), images=2)
    status, page, said, err = report(folder, samples=20)
    assert status == 0  # the scores are whole
    assert said["pictures_not_shown"] == 2
    assert "2 pictures not shown; the first: picture " in err
    assert f"picture 3.png not found in {folder}; give --media-dir" in page.text
    _, page, said, _ = report(folder, media_dir=["/nowhere", str(write([], "pictures"))])
    assert said["pictures_not_shown"] == 0


@pytest.mark.parametrize("pixel", [[500, 10], [-1, 3], [1e300, 2], ["a", 1], None, [1, 2, 3], 5])
def test_pixels_that_cannot_be_shown(report, write, pixel):
    rows = [row(number, 2.0, "2.2", pixel=pixel) for number in range(12)]
    status, page, _, _ = report(write(rows))
    assert status == 0
    assert "is outside the 120x90 picture" in page.text or "does not say its pict" in page.text


@pytest.mark.parametrize("size_wh", [(120, 90), (1400, 300), (70, 2000), (900, 4)])
def test_the_mark_is_where_the_pixel_is(tmp_path, size_wh):
    config = DepthLMConfig(marker="ring", marker_color="red")
    width, height = size_wh
    scale = 320 / min(max(width / 2, 160), width)  # half of the picture, or 160 px, is shown
    for x, y in [(10, 2), (60, 45), (0, 0), (width - 1, height - 1)]:
        if y >= height:
            continue
        image = Image.new("RGB", size_wh, "gray")
        box = x - 3, y - 3, x + 3, y + 3  # blue around the point, as far as there is a picture
        ImageDraw.Draw(image).rectangle(box, fill="blue")
        image.save(tmp_path / "a.png")
        data = pictures.crop_jpeg(str(tmp_path / "a.png"), (x, y), config)
        drawn = np.asarray(Image.open(BytesIO(data)), int)
        assert drawn.shape[0] <= 240
        assert drawn.shape[1] <= 320
        middles = []
        for color in (0, 2):
            others = np.delete(drawn, color, axis=2).max(axis=2)
            middles.append(np.argwhere(drawn[..., color] - others > 50).mean(axis=0)[::-1])
        seen = [(max(at - 3, 0), min(at + 3, n - 1)) for at, n in zip((x, y), size_wh, strict=True)]
        off = [scale * (at - sum(ends) / 2) for at, ends in zip((x, y), seen, strict=True)]
        assert middles[0] == pytest.approx(middles[1] + off, abs=2)
        black = (drawn.max(axis=2) < 40).mean()
        assert black < (0.2 if min(size_wh) > 60 else 1)


def test_a_report_has_a_largest_size(report, write, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 100_000)
    _, page, said, err = report(write(noisy(60)))
    assert said["pictures_left_out"] > 0
    assert "pictures left out" in err
    assert "left out: this report holds" in page.text
    assert sum(len(value) for _, name, value in page.attributes if name == "src") <= 100_000


def test_other_tasks_have_metrics_only(report, write):
    pose = {
        "x": 0.0, "y": 0.0, "z": 1.0, "distance": 1.0, "yaw": 3.0, "pitch": 0.0, "roll": 0.0
    }  # fmt: skip
    plain = {"depth_kind": None, "distance_over_z": None}
    rows = [
        *noisy(20),
        *(row(n, 1.0, "1", **plain, task="depth_order", points=[0, n + 1]) for n in range(4)),
        *(row(n, pose, "no idea", **plain, task="relative_pose", points=[], images=["a", str(n)])
          for n in range(4)),
        *(row(n, {"value": 3.0}, "3", **plain, task="speed") for n in range(4)),
    ]  # fmt: skip
    _, page, _, _ = report(write(rows))
    overview = next(table for table in page.tables if table[0][:3] == ["run", "dataset", "task"])
    assert [line[2:6] for line in overview[1:]] == [
        ["depth", "20", "delta1", overview[1][5]],
        ["depth_order", "4", "accuracy", "1.000 [1.000, 1.000]"],
        ["relative_pose", "4", "auc_30", "0.000 [0.000, 0.000]"],
        ["speed", "4", "delta1", "1.000 [1.000, 1.000]"],
        ["mean of 4 tasks", "32", "score", overview[5][5]],
    ]
    assert page.tags["img"] == 2 + 1 + 0 + 6  # five answers a picture are too few for a map
    assert "they need a picture with 10 answers or more" in page.text


def test_markdown_has_the_tables_and_says_what_it_lacks(report, write, monkeypatch):
    monkeypatch.setattr(pictures.Album, "embed", lambda *_: pytest.fail("a picture was drawn"))
    rows = [*noisy(8, "ddad"), row(20, 2.0, "``` | <b> 1 2\n```", dataset="ddad")]
    status, text, _, _ = report(write(rows, results=bench({"ddad": 9})), out="report.md")
    assert status == 0
    assert "plots, error maps and pictures are in the HTML report" in text
    assert "| DepthLM-7B | 0.833 | 0.747 |" in text
    assert "````text\n``` | <b> 1 2\n```\n````" in text
    assert "<b>" not in re.sub("````.*?````", "", text, flags=re.DOTALL)
    widths = [
        {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        for block in text.split("\n\n")
        if block.startswith("| ")
    ]
    assert all(len(found) == 1 for found in widths)


@given(st.text(alphabet="|\\`*_<>#&[]~a \n"))
def test_no_text_breaks_a_markdown_table(text):
    line = f"| {markdown_line(text)} | x |"
    assert len(line.splitlines()) == 1
    bars = re.sub(r"\\.", "", line)  # a backslash takes the next character's meaning
    assert bars.count("|") == 3
    assert not re.search(r"[`*_<>#&\[\]~]", bars)


def test_the_same_report_twice_is_the_same(write, tmp_path, report):
    folder = write(noisy(200))
    report(folder, out="a.html")
    report(folder, out="b.html")
    report(folder, out="c.html", seed=1)
    a, b, c = ((tmp_path / name).read_text() for name in ("a.html", "b.html", "c.html"))
    assert a == b
    assert a.replace("seed 0", "seed 1") != c


def test_a_prediction_file_alone(report, tmp_path):
    path = tmp_path / "mine.jsonl"
    answer = {"prompt": "", "predict": "<answer> 2.1 </answer>", "label": "<answer> 2 </answer>"}
    path.write_text("".join(json.dumps(one) + "\n" for one in [answer] * 3))
    status, page, _, _ = report(str(path))
    assert status == 0
    assert page.table("metric")["n"] == {"mine": "3"}
    assert "the prediction does not say its picture" in page.text


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("{", "results.json cannot be read"),
        ('{"format": 2}', "has format 2, this version reads 1"),
        ("[1]", "has format 'list'"),
        ('{"format": 1, "sets": [1]}', "sets is [1], expected an object"),
        ('{"format": 1, "missing": "x"}', "missing is 'x', expected a list"),
        ('{"format": 1, "block": {"focal": 1}}', "unknown key 'focal'"),
        ('{"format": 1, "block": 3}', "block is 3"),
    ],
)
def test_results_that_cannot_be_used(report, write, tmp_path, results, message):
    folder = write(noisy(4))
    (tmp_path / "run" / "results.json").write_text(results)
    with pytest.raises(DepthLMError) as error:
        report(folder)
    assert message in str(error.value)
    report(f"{folder}/depth_predictions.jsonl")  # it needs no results


def test_runs_that_are_none(report, write, tmp_path):
    with pytest.raises(DepthLMError, match="RUN is a prediction file, or a folder with"):
        report(str(tmp_path))
    with pytest.raises(DepthLMError, match=r"nothing to report on: 0 of 1 rows.*; the first: dep"):
        report(write(["{}"]))
    with pytest.raises(ConfigError, match="expected a name that ends with"):
        report(write(noisy(4), "other"), out="report.pdf")


def test_questions_say_what_is_known():
    config = DepthLMConfig(marker="cross", marker_color="blue")
    asked = "How far is the point at the tip of the blue cross from the camera"
    assert question_of("depth", "plain", config, "official").startswith(asked)
    assert "{point}" in question_of("depth", "plain", None, "official")
    assert "{point}" in question_of("depth", "plain", DepthLMConfig(reference="text"), "plain")
    assert question_of("depth", "no/such.yaml", config, "no/such.yaml") == (
        "depth, template no/such.yaml (which is elsewhere)"
    )


@pytest.mark.slow
@pytest.mark.parametrize("width_px", [1200, 400])
def test_chromium_shows_it(report, write, tmp_path, width_px):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("chromium is not installed")
    _, page, _, _ = report(write(noisy(60, "ddad")))
    assert page.tags["img"] > 5
    shot = tmp_path / "shot.png"
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [
        f"--window-size={width_px},5000",
        f"--screenshot={shot}",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    done = subprocess.run(
        [*command, (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(shot).convert("RGB"), dtype=int)
    assert pixels.shape[1] == width_px
    dark = (pixels.sum(axis=2) < 380).mean(axis=1)
    assert (dark[:3000].reshape(10, -1).mean(axis=1) > 0.002).all()  # text or plots, all the way
    blue = (np.abs(pixels - (0, 0x72, 0xB2)).sum(axis=2) < 30).sum()
    assert blue > 50  # the plots are there, not only the words
