"""Depth data on LLaMA Board: its page in a real browser, and what runs do that it starts."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image
from support.browser import browser_page, free_port, serving
from support.host_tools import rows
from support.loaded import Loaded

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import load_config, save_config
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.records.shard_writer import write_shards
from depthlm_plugin.sampling.sample import Question

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MODEL_NAME = "Qwen2.5-VL-3B-Instruct"  # one that the page knows, and gives 768*768 for
PAGE_PIXELS = 768 * 768
# Views of 840x756 are more than that.
BLOCK = {"focal_px": 900, "crop_height": [756, 756], "crop_width": [840, 840]}


@pytest.fixture(scope="module")
def board_data(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset_dir: four photographs as `lines`, `parquet` and `shards`, and ordinary `chats`."""
    folder = tmp_path_factory.mktemp("board_data")
    (folder / "rgb").symlink_to(data / "rgb")
    lines = (data / "a.jsonl").read_text(encoding="utf-8")
    (folder / "lines.jsonl").write_text(lines, encoding="utf-8")
    records = [json.loads(line) for line in lines.splitlines()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), folder / "rooms.parquet")
    write_shards(records, str(folder / "shards"))
    broken = [*lines.splitlines()[:2], '{"image": ', *lines.splitlines()[2:]]
    (folder / "broken.jsonl").write_text("\n".join(broken), encoding="utf-8")
    chats = [{"instruction": f"question {i}", "output": f"answer {i}"} for i in range(3)]
    (folder / "chats.json").write_text(json.dumps(chats))
    entry = {"formatting": "depthlm", "depthlm": {"depth_kind": "z"}}
    info = {
        "lines": {"file_name": "lines.jsonl", **entry},
        "parquet": {"file_name": "rooms.parquet", **entry},
        "shards": {"file_name": "shards", **entry},
        "broken": {"file_name": "broken.jsonl", **entry},
        "gone": {"file_name": "gone.jsonl", **entry},
        "chats": {"file_name": "chats.json"},
    }
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


_SAID = """document.body.innerText + "\\n"
    + [...document.querySelectorAll("textarea, input")].map(field => field.value).join("\\n")"""


class Board:
    """The page, of which only what is shown is used."""

    def __init__(self, page: Page, work: Path) -> None:
        self.page, self.work = page, work

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label).locator("visible=true").first

    def fill(self, label: str, text: str) -> None:
        self.field(label).fill(text)
        self.field(label).press("Tab")

    def choose(self, label: str, option: str) -> None:
        self.field(label).click()
        self.field(label).fill(option)
        self.page.get_by_role("option", name=option, exact=True).first.click()
        self.field(label).press("Escape")

    def click(self, button: str) -> None:
        found = self.page.get_by_role("button", name=button, exact=True)
        found.locator("visible=true").first.click()  # notices come after it

    def open(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab).click()

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """Wait until the page says a text, and return all that it says then."""
        until = time.monotonic() + seconds
        while True:
            said = self.page.evaluate(_SAID)
            if text in said:
                return said
            if "Failed." in said or time.monotonic() > until:
                self.page.screenshot(path=self.work / "page.png")
                pytest.fail(
                    f"the page ({self.work}/page.png) does not say {text!r}:\n{said[-4000:]}"
                )
            self.page.wait_for_timeout(200)

    def preview(self, fourth: str) -> None:
        """Preview the chosen records, two pages of two."""
        self.click("Preview dataset")
        self.wait_for("... 100 in all")  # points of the first record
        self.click("Next")
        self.wait_for(fourth)
        self.click("Close")

    def save(self, name: str) -> Path:
        return self.work / "saves" / MODEL_NAME / "lora" / name


@pytest.fixture(scope="module")
def board(models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """The page of a `llamafactory-cli webui`, with a tiny model chosen."""
    work, port = tmp_path_factory.mktemp("board"), free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "BROWSER": "true",  # the page would open itself in one
    }
    with browser_page() as page, serving(["llamafactory-cli", "webui"], url, work, **variables):
        page.goto(url)
        board = Board(page, work)
        board.choose("Model name", MODEL_NAME)
        page.wait_for_function(
            "[...document.querySelectorAll('textarea, input')]"
            ".some(field => field.value.endsWith('/Qwen2.5-VL-3B-Instruct'))"
        )
        board.fill("Model path", str(models["qwen"]))
        yield board


@pytest.fixture(scope="module")
def trained(board: Board, board_data: Path) -> str:
    """The name of an adapter that the page has trained, after what it previews of the data."""
    board.fill("Data dir", str(board_data))
    board.choose("Dataset", "lines")
    board.preview("lines.jsonl:4")
    board.page.get_by_text("Extra configurations").click()
    extra = {"max_steps": 2, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 1}
    board.fill("Extra arguments", json.dumps(extra | {"use_cpu": True, "depthlm": BLOCK}))
    board.fill("Output dir", "train_board")
    board.click("Start")
    board.wait_for("Finished.\n", seconds=300)
    return "train_board"


def test_the_page_trains_a_depth_dataset(board: Board, trained: str) -> None:
    config = load_config(board.save(trained))
    assert config is not None
    assert config == DepthLMConfig.from_block(BLOCK)
    recipe = board.save(trained).joinpath("training_args.yaml").read_text()
    assert f"image_max_pixels: {PAGE_PIXELS}\n" in recipe  # which would have ended the run
    log = board.save(trained).joinpath("running_log.txt").read_text()
    assert f"LLaMA Board's limit of {PAGE_PIXELS} image pixels" in log
    assert "a view has 840x756 = 635040" in log


def test_the_page_evaluates_what_it_has_trained(
    board: Board, trained: str, board_data: Path, models
) -> None:
    """With what is saved beside the weights; greedily, so as the predictor answers."""
    board.choose("Checkpoint path", trained)
    board.open("Evaluate & Predict")
    board.fill("Data dir", str(board_data))
    board.choose("Dataset", "parquet")
    board.preview("rooms.parquet row 3")
    board.fill("Maximum new tokens", "12")
    board.fill("Output dir", "eval_board")
    board.click("Start")
    said = board.wait_for('"predict_delta1"', seconds=300)
    results = json.loads(board.save("eval_board").joinpath("all_results.json").read_text())
    assert re.search(rf'"predict_delta1": {results["predict_delta1"]}\b', said)
    assert results["predict_n"] == 4
    assert "task   n  metric" in said
    predictor = Predictor.load(models["qwen"], adapter=board.save(trained))
    records = rows(board_data / "lines.jsonl")
    for row in rows(board.save("eval_board") / "depth_predictions.jsonl"):
        record = records[row["row"]]
        camera = Camera.from_intrinsics(record["intrinsics"])
        [answer] = predictor.ask(board_data / record["image"], camera, [tuple(row["pixel"])])
        assert answer.text.startswith(row["text"].rstrip("\ufffd"))
        assert len(row["text"]) > 5


def test_the_page_exports_and_chats(board: Board, trained: str, board_data: Path) -> None:
    board.open("Export")
    board.fill("Export dir", str(board.work / "merged"))
    board.click("Export")
    board.wait_for("Model exported.", seconds=60)
    merged = load_config(board.work / "merged")
    assert merged is not None
    assert merged.focal_px == BLOCK["focal_px"]
    board.open("Chat")
    board.click("Load model")
    board.wait_for("Model loaded", seconds=60)
    [picture, *_] = sorted(board_data.joinpath("rgb").glob("*.png"))
    board.page.locator("input[type=file]").first.set_input_files(picture)
    board.fill("Maximum new tokens", "8")
    board.page.get_by_placeholder("Input...").fill("How far is it?")
    board.click("Submit")
    answer = board.page.get_by_test_id("bot").first
    answer.wait_for(timeout=30_000)


def preview(board_data: Path, dataset: str, page_index: int) -> tuple[int, list[Any]]:
    from llamafactory.webui.components import data

    count, page, _ = data.get_preview(str(board_data), [dataset], page_index)
    return count, page


@pytest.mark.parametrize(
    ("dataset", "wheres"),
    [
        ("lines", ["lines.jsonl:3", "lines.jsonl:4"]),
        ("parquet", ["rooms.parquet row 2", "rooms.parquet row 3"]),
        ("shards", ["00000.arrow row 2", "00000.arrow row 3"]),
    ],
)
def test_a_page_of_records_is_shown(board_data: Path, dataset: str, wheres: list[str]) -> None:
    count, page = preview(board_data, dataset, 1)
    assert count == 4
    assert [row["where"] for row in page] == wheres
    json.dumps(page)  # as the page does
    records = rows(board_data / "lines.jsonl")[2:]
    for row, record in zip(page, records, strict=True):
        assert row["record"]["image"] == record["image"]
        assert row["record"]["intrinsics"] == record["intrinsics"]
        assert row["record"]["pixel_coords"][:12] == record["pixel_coords"][:12]
        assert row["record"]["pixel_coords"][12:] == ["... 100 in all"]


def test_only_the_records_of_a_page_are_read(board_data: Path) -> None:
    """A line that is no JSON does not keep the others from being shown, nor itself."""
    count, page = preview(board_data, "broken", 0)
    assert (count, [row["where"] for row in page]) == (5, ["broken.jsonl:1", "broken.jsonl:2"])
    assert preview(board_data, "broken", 1)[1][0] == {
        "where": "broken.jsonl:3",
        "record": '{"image": \n',
    }


def test_records_that_were_written_again_are_shown(board_data: Path) -> None:
    path = board_data / "broken.jsonl"
    before = path.read_text(encoding="utf-8")
    preview(board_data, "broken", 0)
    try:
        path.write_text(before.splitlines()[0], encoding="utf-8")
        assert preview(board_data, "broken", 0)[0] == 1
    finally:
        path.write_text(before, encoding="utf-8")


def test_what_cannot_be_shown_is_said_on_the_page(board_data: Path) -> None:
    import gradio

    with pytest.raises(gradio.Error, match=r"gone\.jsonl does not exist; expected a records file"):
        preview(board_data, "gone", 0)


def test_ordinary_datasets_are_previewed_as_ever(board_data: Path) -> None:
    chats = json.loads((board_data / "chats.json").read_text())
    assert preview(board_data, "chats", 0) == (3, chats[:2])


@pytest.fixture
def load(models, board_data: Path, tmp_path: Path):
    """Load the data of a run with what the page says when nothing is touched."""

    def load(model: Path = models["qwen"], **extra: Any) -> Loaded:
        page = {"dataset": "lines", "image_max_pixels": PAGE_PIXELS, "cutoff_len": 256}
        return Loaded(model, board_data, tmp_path / "out", "qwen2_vl", **page | extra)

    return load


@pytest.fixture
def from_board(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the page sets for the runs that it starts."""
    monkeypatch.setenv("LLAMABOARD_ENABLED", "1")


@pytest.mark.parametrize("lazy", [True, False])
def test_limits_of_the_page_hold_for_ordinary_pictures_only(load, from_board, lazy: bool) -> None:
    loaded = load(depthlm=BLOCK | {"lazy": lazy})
    batch = loaded.collate([dict(loaded.module["train_dataset"][0])])
    _, height, width = batch["image_grid_thw"][0].tolist()
    assert (14 * width, 14 * height) == (840, 756)
    picture = Image.new("RGB", (1000, 1000))
    processor = loaded.processor
    assert processor.image_max_pixels == PAGE_PIXELS
    (opened,) = loaded.template.mm_plugin._regularize_images(
        [picture],
        image_max_pixels=processor.image_max_pixels,
        image_min_pixels=processor.image_min_pixels,
    )["images"]
    assert opened.size == (768, 768)


def test_without_the_page_the_limits_are_refused(load) -> None:
    with pytest.raises(ConfigError, match="image_max_pixels: 635040") as raised:
        load(depthlm=BLOCK)
    assert not hasattr(raised.value, "__notes__")


def test_an_evaluation_is_what_was_saved_beside_the_weights(
    load, from_board, models, tmp_path: Path
) -> None:
    taught = tmp_path / "taught"
    shutil.copytree(models["qwen"], taught)
    block = {"tasks": {"depth": 1, "depth_order": 1}, "eval_answers": 3, "max_depth_m": 30.0}
    save_config(DepthLMConfig.from_block(BLOCK | block), taught, "qwen2_vl")
    evaluation = {
        "do_train": False,
        "do_predict": True,
        "predict_with_generate": True,
        "dataset": None,
        "eval_dataset": "lines",
        "depthlm": None,
    }
    loaded = load(taught, **evaluation)
    config = loaded.module["depthlm"].config
    assert config == DepthLMConfig.from_block(BLOCK | block | {"eval_answers": None, "lazy": False})
    questions = [Question.from_uri(uri) for uri in loaded.uris("eval_dataset")]
    assert Counter(q.task for q in questions) == {"depth": 4, "depth_order": 4}
    lengths = [len(ids) for ids in loaded.module["eval_dataset"]["input_ids"]]
    assert min(lengths) > 256  # the page's cutoff_len


def test_errors_say_where_on_the_page_to_set_what(load, from_board) -> None:
    block = BLOCK | {"mixture": "depthlm", "lazy": False}
    with pytest.raises(ConfigError, match="mixture needs lazy: true") as raised:
        load(depthlm=block)
    [note] = raised.value.__notes__
    line = note.splitlines()[-1]
    assert json.loads(line)["depthlm"] == block
    assert '"Extra arguments"' in note
