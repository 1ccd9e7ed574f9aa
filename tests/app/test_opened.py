"""What the page does with clicks and answers, without a page."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_server import fake_server
from support.known_depth import KnownDepth, knowing

from depthlm_plugin import Predictor
from depthlm_plugin.app.opened import Opened, answers_html, grid_of, thinned
from depthlm_plugin.app.page import Page
from depthlm_plugin.app.serve import server_of
from depthlm_plugin.cameras.source import CameraSource
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.maps.depth_map import DepthMap
from depthlm_plugin.predict.server.client import Client
from depthlm_plugin.predict.server.engine import ServerEngine

SIZE_WH = (112, 100)
ORIENTATION = 274


@pytest.fixture
def picture(tmp_path: Path) -> str:
    return saved(tmp_path / "<i>yard.png")


def saved(path: Path, size_wh: tuple[int, int] = SIZE_WH, **options) -> str:
    Image.new("RGB", size_wh, (90, 120, 60)).save(path, **options)
    return str(path)


def page(folder: Path, distance_m: float = 2.0, **block) -> Page:
    return Page(knowing(np.full(SIZE_WH[::-1], distance_m), **block), folder)


@pytest.mark.parametrize(
    ("size_wh", "scale"), [((112, 100), 8), ((900, 600), 1), ((4000, 30), 0.25)]
)
def test_a_click_is_the_pixel_that_is_seen_there(tmp_path, size_wh, scale) -> None:
    opened = Opened.of(saved(tmp_path / "a.png", size_wh), CameraSource())
    shown = opened.shown()
    assert (opened.scale, shown.size[0]) == (scale, size_wh[0] * scale)
    for pixel in [(0, 0), (size_wh[0] - 1, size_wh[1] - 1), (41, 17)]:
        x, y = opened.pixel_of(opened.shown_from(pixel))
        assert max(abs(x - pixel[0]), abs(y - pixel[1])) < max(1, 1 / scale)
    assert opened.pixel_of((shown.size[0] - 1, 0))[0] >= size_wh[0] - max(1, 1 / scale)
    assert opened.pixel_of((10**6, 10**6)) == (size_wh[0] - 1, size_wh[1] - 1)


def test_every_enlarged_pixel_is_clicked_in_all_of_its_square(picture) -> None:
    opened = Opened.of(picture, CameraSource())
    assert {opened.pixel_of((x, y)) for x in range(328, 336) for y in (136, 143)} == {(41, 17)}
    assert opened.pixel_of((327, 144)) == (40, 18)


@pytest.mark.parametrize("label", ["distance", "z"])
def test_two_clicks_are_as_far_apart_as_their_rays_say(picture, tmp_path, label) -> None:
    asking = page(tmp_path, label=label)
    opened = asking.open(picture)[0]
    for pixel in [(0, 50), (111, 50)]:
        opened, shown, said = asking.click(opened, opened.shown_from(pixel))
    half = np.array([55.5, 0.5]) / opened.found.camera.fx  # of the picture, seen from its middle
    apart_m = 4 * half[0] if label == "z" else 4 * half[0] / np.sqrt(1 + half @ half)
    assert f"<b>1 to 2: {apart_m:.2f} m</b>" in said
    assert "computed from these two depth answers" in said
    assert ("from the camera" if label == "distance" else "along the principal axis") in said
    assert shown.size == (896, 800)
    assert asking.click(opened, None)[0] is opened  # beside the picture
    assert asking.forget(opened)[2] == "<p>Click on the picture.</p>"


def test_the_camera_is_said_loudly_and_changed(picture, tmp_path) -> None:
    asking = page(tmp_path)
    opened, _, camera, _, kind, number = asking.open(picture)
    assert (kind, number) == ("picture", 60)
    assert "Warning" in camera
    assert "ASSUMED" in camera
    assert "&lt;i&gt;yard.png" in camera
    assert str(tmp_path) not in camera
    opened = asking.click(opened, (9, 9))[0]
    opened, _, camera, _ = asking.use_camera(opened, "focal_px", 56)
    assert "Warning" not in camera
    assert (opened.found.source, asking.number(opened, "fov_deg")) == ("focal_px", 90)
    assert [answer.camera for answer in opened.answers] == [opened.found]
    for wrong in (None, 0, -5):
        assert "above 0" in asking.use_camera(opened, "focal_px", wrong)[2]
    again, _, camera, _ = asking.use_camera(opened, "fov_deg", 179)
    assert "1 to 170 degrees" in camera
    assert again is opened


def test_unread_answers_are_shown_as_such(picture, tmp_path) -> None:
    asking = page(tmp_path)
    asking._predictor._engine.answer = lambda samples: ["<b>far</b>" for _ in samples]
    opened = asking.open(picture)[0]
    for place in [(9, 9), (99, 99)]:
        opened = asking.click(opened, place)[0]
    said = answers_html(opened)
    assert "no number could be read" in said
    assert "&lt;b&gt;far" in said
    assert "not known" in said


def test_intervals_are_shown_where_the_model_tells_them(picture, tmp_path) -> None:
    asking = page(tmp_path)
    engine = asking._predictor._engine
    shares = [("1.8", 0.5, True), ("2.4", 0.5, True)]
    type(engine).weigh = lambda self, samples: [(t, shares) for t in self.answer(samples)]
    try:
        said = answers_html(asking.click(asking.open(picture)[0], (99, 99))[0])
    finally:
        del type(engine).weigh
    assert "2 m from the camera, with 90 % probability 1.76 to 2.44 m (" in said
    assert "probability" not in answers_html(asking.click(asking.open(picture)[0], (99, 99))[0])


def test_turned_pictures_are_opened_as_viewers_show_them(tmp_path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    path = saved(tmp_path / "turned.jpg", exif=exif.tobytes())
    asking = page(tmp_path)
    opened = asking.open(path)[0]
    assert opened.picture.size == SIZE_WH[::-1]
    assert asking.click(opened, (9, 9))[0].pixels == [(1, 1)]


def test_bad_pictures_say_why_and_not_where(tmp_path, monkeypatch) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    frames = [Image.new("L", (9, 9), shade) for shade in (0, 90)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "cut.png").write_bytes(Path(saved(tmp_path / "whole.png")).read_bytes()[:90])
    saved(tmp_path / "huge.png", (300, 300))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    for name, why in {
        "text.jpg": "text.jpg is not an image file",
        "moving.gif": "moving.gif is an animation",
        "cut.png": "cut.png cannot be decoded",
        "huge.png": "huge.png has more pixels",
    }.items():
        opened, shown, said, *_ = page(tmp_path).open(str(tmp_path / name))
        assert (opened, shown) == (None, None)
        assert why in said
        assert str(tmp_path) not in said


def test_nothing_is_asked_before_a_picture_is_open(tmp_path) -> None:
    asking = page(tmp_path)
    assert asking.click(None, (3, 3))[0] is None
    assert "open a picture first" in asking.use_camera(None, "fov_deg", 60)[2]
    assert "open a picture first" in asking.map(None, 24, print)[2]


def test_the_grid_is_no_finer_than_the_picture() -> None:
    assert grid_of((112, 100), 24) == (24, 21)
    assert grid_of((30, 4), 96) == (30, 4)
    assert grid_of((2000, 10), 4) == (4, 1)


def test_large_clouds_are_thinned(picture) -> None:
    found = CameraSource(fov_deg=60).find(picture)
    pixels, answers_m = np.array([[10.0, 10.0], [90.0, 80.0]]), np.array([2.0, 3.0])
    small = DepthMap.of_answers(found, np.zeros((100, 112, 3), np.uint8), pixels, answers_m)
    assert np.isfinite(thinned(small).z_m).all()
    large = np.ones((1000, 1500), np.float32)
    kept = np.isfinite(thinned(DepthMap(found, large, large, large, pixels, answers_m)).z_m)
    assert 150_000 < kept.sum() <= 250_000


def test_a_server_is_asked_in_place_of_weights(picture, tmp_path) -> None:
    config = DepthLMConfig(focal_px=300, resampling="reference", reference="text")
    with fake_server() as server:
        engine = ServerEngine(Client(server.url, pauses_s=(0.0,)), KnownDepth.grid)
        asking = Page(Predictor(engine, config), tmp_path)
        opened = asking.open(picture)[0]
        opened, _, said = asking.click(opened, (9, 9))
        assert "pixel (1, 1): 2 m from the camera (" in said  # and no interval
        assert len(server.pictures) == 1
    assert "nobody answers" in asking.click(opened, (9, 9))[2]


def test_models_without_depth_and_taken_ports_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="the model learnt speed; ask it with depthlm predict"):
        page(tmp_path, tasks={"speed": 1.0})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*give another --port"):
            server_of(knowing(np.ones((3, 3))), "127.0.0.1", port).__enter__()
