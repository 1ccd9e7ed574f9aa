"""A predictions folder from elsewhere must not make the report open or fetch what is not its own.

Each case is a folder as somebody else could hand it over. The report is written; neither it nor
what is printed holds anything of the files beside the folder, and nothing is asked of a server.
"""

import http.server
import json
import threading

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin.cli import full_parser
from depthlm_plugin.commands.score import run as score
from depthlm_plugin.curate.pipeline.output import RAW
from depthlm_plugin.report import pictures

SECRET = "AKIA5ECRET"
ABSENT = "(absent)"
TEMPLATE = (
    "question: '{SECRET} {{point}}'\nanswer: '{{value}} m'\nparse: whole\nsystem: '{SECRET}'\n"
)


@pytest.fixture
def server(tmp_path):
    """A web server of `tmp_path`; give its address and the list of what it was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(tmp_path))

        def log_message(self, form, *args):
            asked.append(form % args)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path):
    """Somebody's files: credentials, a template, pictures; and the folder `run` from elsewhere."""
    (tmp_path / "credentials").write_text(f"[default]\nkey = {SECRET}\n\t: {SECRET}\n")
    (tmp_path / "key.yaml").write_text(f"- {SECRET}: [\n")
    (tmp_path / "good.yaml").write_text(TEMPLATE.format(SECRET=SECRET))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "depth.yaml").write_text(TEMPLATE.format(SECRET=SECRET))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "rgb").mkdir()
    (tmp_path / "room" / "rgb").mkdir(parents=True)
    for place in ("private.png", "run/rgb/ok.png", "room/rgb/a.png"):
        Image.fromarray(np.full((90, 120, 3), 200, np.uint8)).save(tmp_path / place)
    return tmp_path


def write(home, *rows, results=None):
    base = {
        "dataset": "room", "point": 0, "image": "rgb/ok.png", "pixel": [60.0, 40.0],
        "task": "depth", "prompt": "plain", "target": 2.0, "unit": "m", "text": "2.5",
        "value": 2.5, "reason": None,
    }  # fmt: skip
    full = [base | {"row": number} | row for number, row in enumerate(rows)]
    lines = [json.dumps({key: row[key] for key in row if row[key] != ABSENT}) for row in full]
    (home / "run" / "depth_predictions.jsonl").write_text("\n".join(lines) + "\n")
    if results is not None:
        results = {"format": 1, "sets": {}, **results}
        (home / "run" / "results.json").write_text(json.dumps(results))


def report(home, capsys, *options):
    """Run the command; return the page, what was printed, and the JSON object."""
    out = home / "report.html"
    arguments = ["report", str(home / "run"), "--out", str(out), *options]
    args = full_parser(["report"]).parse_args(arguments)
    args.run(args)
    printed = capsys.readouterr()
    return out.read_text(), printed.out + printed.err, json.loads(printed.out)


PROMPTS = {
    "credentials": "{home}/credentials",
    "broken YAML": "{home}/key.yaml",
    "a real template": "{home}/good.yaml",
    "a folder of templates": "{home}/own",
    "relative": "./key.yaml",
    "up": "../key.yaml",
    "home": "~/key.yaml",
    "name that ends so": "key.yaml",
    "a style with a way up": "../../../../../../{home}/key",
    "not there": "/no/such/file",
    "proc": "/proc/self/environ",
    "NUL": "/\0",
}


@pytest.mark.parametrize("value", [2.5, ABSENT])
def test_rows_do_not_choose_templates_by_path(home, capsys, monkeypatch, value):
    monkeypatch.chdir(home)
    monkeypatch.setenv("HOME", str(home))
    prompts = [prompt.format(home=home) for prompt in PROMPTS.values()]
    write(home, {}, *({"prompt": prompt, "value": value} for prompt in prompts))
    page, printed, said = report(home, capsys, "--samples", "30")
    assert SECRET not in page + printed
    read = value != ABSENT
    assert said["runs"][0]["rows"] == 1 + read * len(PROMPTS)
    assert (f"{len(PROMPTS)} no template" in printed) != read
    # as one of the worst and as one at random
    assert page.count("which is elsewhere") == 2 * read * len(PROMPTS)
    path = str(home / "run" / "depth_predictions.jsonl")
    args = full_parser(["score"]).parse_args(["score", path])
    score(args)
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err


def test_the_path_that_the_user_gives_is_read(home, capsys):
    path = str(home / "good.yaml")
    write(home, {"prompt": path, "value": 9.0, "text": "about 2.1 m"})
    page, printed, _ = report(home, capsys, "--prompt", path)
    assert SECRET in page
    assert "2.1 m, 1.05 times too far" in page
    assert "9 m" not in page
    assert printed.count('complete": true') == 1


IMAGES = {
    "absolute": "{home}/private.png",
    "up": "../private.png",
    "down and up": "rgb/../../private.png",
    "up and to a sibling of the same beginning": "../run_private/a.png",
    "link to a file": "link.png",
    "link to a folder": "out/private.png",
    "link to a link": "again.png",
    "raw of a planted curation": "room/raw/private.png",
    "file URL": "file://{home}/private.png",
    "web": "{web}/private.png",
    "chain": "simplecache::{web}/private.png",
    "zip": "zip://private.png::{web}/a.zip",
    "NUL": "rgb/ok.png\0",
    "long": "a/" * 3000 + "b.png",
    "a name too long": "a" * 300 + ".png",
    "empty": "",
    "credentials": "../credentials",
    "circle": "circle.png",
}


@pytest.mark.parametrize("media", ["default", "run", "bench", "web in results"])
def test_pictures_are_of_the_media_folder(home, capsys, server, media):
    web, asked = server
    run = home / "run"
    (home / "run_private").mkdir()
    (home / "run_private" / "a.png").write_bytes((home / "private.png").read_bytes())
    (run / "link.png").symlink_to(home / "private.png")
    (run / "again.png").symlink_to("link.png")
    (run / "out").symlink_to("..")
    (run / "circle.png").symlink_to("circle.png")
    (run / "room").mkdir()
    (run / "room" / "raw").symlink_to(home)
    (run / "dataset_info.json").write_text("{}")
    data = {"bench": str(run), "web in results": web}.get(media)
    results = None if data is None else {"data": data}
    images = [image.format(home=home, web=web) for image in IMAGES.values()]
    points = range(13)  # enough for an error map
    rows = [{"image": image, "point": n} for image in images for n in points]
    write(home, *rows, results=results)
    options = ["--media-dir", str(run)] if media == "run" else []
    page, printed, said = report(home, capsys, *options, "--samples", "100")
    assert said["pictures_not_shown"] == len(IMAGES)
    assert "image/jpeg" not in page
    assert SECRET not in page + printed
    assert asked == []


FOLDERS = [
    "/",
    "{home}",
    "..",
    "{web}",
    "simplecache::{web}",
    "file://{home}",
    "local::/",
    7,
    None,
    "\0",
]


@pytest.mark.parametrize("data", FOLDERS, ids=ascii)
def test_results_do_not_choose_any_folder(home, capsys, server, data):
    web, asked = server
    data = data.format(home=home, web=web) if isinstance(data, str) else data
    write(
        home,
        {"image": "private.png"},
        {"image": str(home)[1:] + "/private.png"},
        results={"data": data},
    )
    page, _, said = report(home, capsys)
    assert said["pictures_not_shown"] == 2
    assert "image/jpeg" not in page
    assert asked == []


def test_pictures_of_ones_own_are_shown(home, capsys, server):
    """The folder of a bench with its link to the raw download, and whatever the user names."""
    web, asked = server
    assert RAW == pictures._RAW
    (home / "data" / "room").mkdir(parents=True)
    (home / "data" / "dataset_info.json").write_text("{}")
    (home / "data" / "room" / RAW).symlink_to("../../room")
    (home / "data" / "rgb").symlink_to("../room/rgb")
    raw, linked = {"image": f"room/{RAW}/rgb/a.png"}, {"image": "rgb/a.png"}
    write(home, raw, results={"data": str(home / "data")})
    assert report(home, capsys)[2]["pictures_not_shown"] == 0
    write(home, raw, linked)
    own = "--media-dir", str(home / "data")
    page, _, said = report(home, capsys, *own)
    assert said["pictures_not_shown"] == 1
    assert "picture rgb/a.png leads out of" in page
    two = (*own, "--media-dir", str(home / "room"))
    assert report(home, capsys, *two)[2]["pictures_not_shown"] == 0
    write(home, {"image": "rgb/a.png"})
    assert report(home, capsys, "--media-dir", f"{web}/room")[2]["pictures_not_shown"] == 0
    assert asked
