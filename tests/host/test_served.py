"""A predictor of a real `llamafactory-cli api`: the same words, the same answers, pixels kept."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from support.browser import browser_page, free_port, serving
from support.host_tools import SMALL, rows

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.app.opened import answer_text
from depthlm_plugin.cli import main
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError

AT = [(300.0, 200.0), (100.0, 300.0)]


def test_a_server_gives_the_answers_of_the_weights(
    served_model: Path, llamafactory_url: str, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = rows(data / "a.jsonl")[0]
    question = (data / record["image"], Camera.from_intrinsics(record["intrinsics"]), AT)
    served = Predictor.served(llamafactory_url, served_model).ask(*question)
    loaded = Predictor.load(served_model).ask(*question)
    assert [answer.text for answer in served] == [answer.text for answer in loaded]
    assert [answer.sample for answer in served] == [answer.sample for answer in loaded]
    assert not [said for said in caplog.messages if "could not be checked" in said]


def test_its_limit_of_pixels_is_found_before_the_first_question(
    served_model: Path, llamafactory_url: str, data: Path, tmp_path: Path
) -> None:
    """This view has more than the 500 000 pixels that the server was told to keep to."""
    folder = tmp_path / "sharp"
    shutil.copytree(served_model, folder)
    save_config(DepthLMConfig(**SMALL | {"focal_px": 1000}), folder, "qwen2_vl")
    record = rows(data / "a.jsonl")[0]
    camera = Camera.from_intrinsics(record["intrinsics"])
    with pytest.raises(ConfigError, match=r"resizes pictures.*--image_max_pixels \d{6,}"):
        Predictor.served(llamafactory_url, folder).ask(data / record["image"], camera, AT)


def test_records_through_a_server_are_scored(
    served_model: Path, llamafactory_url: str, data: Path, tmp_path: Path, capsys
) -> None:
    records = [row | {key: row[key][:2] for key in ("pixel_coords", "depth")} for row in
               rows(data / "a.jsonl")[:2]]  # fmt: skip
    (tmp_path / "few.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
    out = tmp_path / "predictions.jsonl"
    arguments = ["--records", tmp_path / "few.jsonl", "--depth-kind", "z", "--out", out]
    arguments += ["--model", served_model, "--server", llamafactory_url]
    assert main(["predict", str(data), *map(str, arguments)]) == 0
    assert "4 answered" in capsys.readouterr().err
    assert main(["score", str(out), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["rows"], scores["complete"]) == (4, True)


def test_the_page_asks_a_server(
    served_model: Path, llamafactory_url: str, data: Path, tmp_path: Path
) -> None:
    picture = data / rows(data / "a.jsonl")[0]["image"]
    address = f"http://127.0.0.1:{free_port()}/"
    options = ["--model", str(served_model), "--port", address.split(":")[-1].strip("/")]
    command = [sys.executable, "-m", "depthlm_plugin.cli", "app", *options]
    with (
        browser_page() as page,
        serving([*command, "--server", llamafactory_url], address, tmp_path),
    ):
        page.goto(address)
        with page.expect_file_chooser() as chooser:
            page.click("#open")
        chooser.value.set_files(picture)
        page.wait_for_selector("#camera :text('ASSUMED')")
        page.wait_for_function("document.querySelector('#picture img')?.naturalWidth > 0")
        page.locator("#picture img").click()
        said = page.wait_for_selector("#answers li", timeout=120_000)
        assert said is not None
        [x, y] = re.findall(r"\d+", said.inner_text())[:2]
        [answer] = Predictor.served(llamafactory_url, served_model).ask(
            picture, at=[(int(x), int(y))], exif_rotation="apply"
        )
        assert said.inner_text().split() == answer_text(answer).split()
    log = (tmp_path / "server.log").read_text()
    assert f"open {address}" in log
    assert "starting LLaMA-Factory" not in log
