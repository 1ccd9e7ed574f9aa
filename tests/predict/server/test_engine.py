"""Questions through a server: the picture to the bit, the words of training, and the probe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_server import SAID, FakeServer, fake_server

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.predict.engine import UnansweredError
from depthlm_plugin.predict.server.client import Client
from depthlm_plugin.predict.server.engine import ServerEngine

GRID = Grid("QuickImageProcessor", 28, 0, 10**7)
CAMERA = Camera(150.0, 150.0, 99.5, 74.5, (200, 150))
AT = [(x, 75) for x in range(20, 180, 40)]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_server() as fake:
        yield fake


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def predictor_of(server: FakeServer, grid: Grid = GRID, name: str | None = None, **config):
    client = Client(server.url, timeout_s=5.0, pauses_s=(0.0,))
    block = {"focal_px": 300, "resampling": "reference"} | config
    return Predictor(ServerEngine(client, grid, name), DepthLMConfig(**block))


def test_questions_arrive_as_they_were_trained(server: FakeServer, picture: Path) -> None:
    server.say = lambda number, shown: f"<answer> {number + 1} </answer>"
    answers = predictor_of(server).ask(picture, CAMERA, AT)
    assert {answer.value for answer in answers} == set(range(1, len(AT) + 1))
    assert len(server.requests) == len(AT) + 2  # and the probe
    shown = {image.tobytes() for image in server.pictures}
    assert shown == {answer.sample.image.tobytes() for answer in answers}
    for request in server.requests[2:]:
        [turn] = request["messages"]
        image, text = turn["content"]
        assert image["image_url"]["url"].startswith("data:image/png;base64,")
        assert text["text"] in {answer.sample.turns[0][0] for answer in answers}
        assert (request["temperature"], request["model"]) == (0, "tiny")


def test_answers_keep_the_order_of_questions(server: FakeServer, picture: Path) -> None:
    def say(number: int, shown: Image.Image) -> str:
        red = np.argwhere((np.asarray(shown) == (255, 0, 0)).all(axis=-1))
        return f"<answer> {red[:, 1].max() + 1} </answer>"  # the tip of the arrow

    server.say = say
    answers = predictor_of(server).ask(picture, CAMERA, AT)
    columns = [answer.sample.pixels[0][0] for answer in answers]
    assert [answer.value for answer in answers] == columns == sorted(columns)


def test_a_system_turn_goes_first(server: FakeServer, picture: Path, tmp_path: Path) -> None:
    official = Path(__file__).parents[3] / "templates/depth/official.yaml"
    prompt = tmp_path / "strict.yaml"
    prompt.write_text(official.read_text(encoding="utf-8") + "system: You measure.\n")
    predictor_of(server, prompt=str(prompt)).ask(picture, CAMERA, AT[:1])
    system, user = server.requests[-1]["messages"]
    assert system == {"role": "system", "content": "You measure."}
    assert user["role"] == "user"


def halved(size_wh: tuple[int, int]) -> tuple[int, int]:
    return size_wh[0] // 2, size_wh[1] // 2


def limited(size_wh: tuple[int, int]) -> tuple[int, int]:
    """Make at most 60 000 pixels of it, which only the larger probe exceeds."""
    ratio = min(1.0, (60_000 / (size_wh[0] * size_wh[1])) ** 0.5)
    return int(size_wh[0] * ratio), int(size_wh[1] * ratio)


@pytest.mark.parametrize("shrink", [halved, limited, lambda size_wh: (224, 224)])
def test_a_server_that_shrinks_is_refused_with_the_setting(server, picture, shrink) -> None:
    server.shrink = shrink
    problem = (
        "resizes pictures, which changes metres: one of 392x280 takes .* tokens more than one of"
        r" 196x280, expected 70 .*--image_max_pixels 109760"
    )
    with pytest.raises(ConfigError, match=problem):
        predictor_of(server).ask(picture, CAMERA, AT)
    assert server.pictures == []


def test_larger_views_are_probed_again(server, picture, blank_image) -> None:
    server.shrink = lambda size_wh: size_wh if size_wh[0] < 500 else halved(size_wh)
    predictor = predictor_of(server)
    predictor.ask(picture, CAMERA, AT)
    predictor.ask(picture, CAMERA, AT)
    assert len(server.requests) == 2 * len(AT) + 2
    wide = blank_image((300, 150))
    with pytest.raises(ConfigError, match="resizes pictures"):
        predictor.ask(wide, Camera(150.0, 150.0, 149.5, 74.5, (300, 150)), AT)


@pytest.mark.parametrize(
    ("grid", "usage", "problem"),
    [
        (GRID, False, "does not say how many tokens"),
        (Grid("Fixed", 1, 0, None, None, (336, 336)), True, "as many tokens of every picture"),
    ],
)
def test_what_could_not_be_checked_is_said_once(
    server, picture, caplog, grid, usage, problem
) -> None:
    server.usage = usage
    predictor = predictor_of(server, grid)
    for _ in range(2):
        assert predictor.ask(picture, CAMERA, AT[3:5])[0].value == 2.0
    [said] = caplog.messages
    assert "could not be checked whether the server resizes pictures" in said
    assert problem in said


def test_some_questions_without_an_answer(server: FakeServer, picture: Path) -> None:
    server.behave = lambda number: 400 if number in (3, 5) else None
    predictor = predictor_of(server)
    problem = r"2 of 4 questions were not answered: .*HTTP 400"
    with pytest.raises(UnansweredError, match=problem) as caught:
        predictor.ask(picture, CAMERA, AT)
    assert sorted(text or "" for text in caught.value.texts) == ["", "", SAID, SAID]
    assert not caught.value.stopped


def test_a_server_that_goes_away(server: FakeServer, picture: Path) -> None:
    predictor = predictor_of(server)
    predictor.ask(picture, CAMERA, AT[:1])
    engine = predictor._engine
    with fake_server() as other:
        gone = other.url
    engine._client = Client(gone, pauses_s=(0.0,))
    with pytest.raises(UnansweredError, match="nobody answers") as caught:
        predictor.ask(picture, CAMERA, AT[:2])
    assert caught.value.stopped
    assert caught.value.texts == [None, None]


def test_a_picture_that_cannot_be_decoded_is_its_own_fault(server, picture, tmp_path) -> None:
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:20_000])
    with pytest.raises(RecordError, match=r"cut\.png cannot be decoded"):
        predictor_of(server).ask(tmp_path / "cut.png", CAMERA, AT[:1])


def test_names_on_the_server(server: FakeServer) -> None:
    assert predictor_of(server, name="tiny")._engine.model == "tiny"
    with pytest.raises(ConfigError, match="serves tiny; 'large' is not one"):
        predictor_of(server, name="large")
    server.models = ["base", "tuned"]
    with pytest.raises(ConfigError, match="serves base, tuned; give its name as --server-model"):
        predictor_of(server)
    assert predictor_of(server, name="tuned")._engine.model == "tuned"


def test_a_folder_must_say_how_the_model_sees(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no depthlm_config\.json"):
        Predictor.served("http://127.0.0.1:9", tmp_path)
    save_config(DepthLMConfig(), tmp_path)
    with pytest.raises(ConfigError, match="expected a server as http"):
        Predictor.served("127.0.0.1:9", tmp_path)
