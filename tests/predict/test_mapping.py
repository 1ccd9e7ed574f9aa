"""The map of a picture: what is asked and what is made of answers, z and distance apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, DepthLMError
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.predict.answer_file import AnswerFile
from depthlm_plugin.sampling.sample import Sample

CAMERA = Camera(150.0, 148.0, 99.0, 76.0, (200, 150))


class Wall:
    """An engine that sees a wall at z = 3 m, in the quantity that it is asked for."""

    grid = Grid("WallImageProcessor", 28, 0, 10**7)

    def __init__(self, unread_from_x: float = 1e9) -> None:
        self.pixels: list[tuple[float, float]] = []
        self.unread_from_x = unread_from_x

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        texts = []
        for sample in samples:
            question = sample.question
            [pixel] = question.pixels
            self.pixels.append(pixel)
            z_m = 3.0
            if question.depth_kind == "distance":
                z_m *= float(CAMERA.distance_over_z([pixel])[0])
            unread = pixel[0] >= self.unread_from_x
            texts.append("far away" if unread else f"<answer> {z_m:.4f} </answer>")
        return texts


@pytest.fixture
def picture(blank_image) -> str:
    return str(blank_image((200, 150)))


def predictor_of(engine, **config) -> Predictor:
    block = {"focal_px": 300, "resampling": "reference", "reference": "text"}
    return Predictor(engine, DepthLMConfig(**block | config))


@pytest.mark.parametrize("label", ["distance", "z"])
def test_answers_are_what_the_model_was_taught(picture, label) -> None:
    depth = predictor_of(Wall(), label=label).map(picture, CAMERA, grid=(10, 8))
    assert depth.z_m.shape == (150, 200)
    assert depth.z_m == pytest.approx(np.full((150, 200), 3.0), rel=2e-3)
    assert depth.distance_m[0, 0] == pytest.approx(3 * CAMERA.distance_over_z([(0, 0)])[0], 2e-3)


def test_a_model_of_the_axis_distance_makes_maps_too(picture) -> None:
    tasks = {"speed": 1.0, "principal_axis_distance": 1.0}
    depth = predictor_of(Wall(), tasks=tasks).map(picture, CAMERA, grid=(6, 5))
    assert depth.z_m == pytest.approx(np.full((150, 200), 3.0), rel=2e-3)


def test_a_model_without_depth_makes_none(picture) -> None:
    with pytest.raises(ConfigError, match="did not learn depth; it learnt speed"):
        predictor_of(Wall(), tasks={"speed": 1.0}).map(picture, CAMERA)
    with pytest.raises(ConfigError, match="not of speed"):
        predictor_of(Wall(), tasks={"speed": 1.0}).map(picture, CAMERA, task="speed")


def test_marks_that_do_not_fit_are_not_asked_about(picture) -> None:
    engine = Wall()
    depth = predictor_of(engine, reference="marker", marker_px=9).map(
        picture, CAMERA, grid=(50, 38)
    )
    x, y = np.array(engine.pixels).T
    assert 4 < x.min() < 8
    assert 192 < x.max() < 196
    assert y.min() > 4
    assert y.max() < 146
    assert np.isfinite(depth.z_m).all()


def test_unread_answers_are_counted_and_nothing_is_made_of_them(picture) -> None:
    depth = predictor_of(Wall(100)).map(picture, CAMERA, grid=(10, 8))
    assert (len(depth.pixels), depth.unread) == (40, 40)
    assert depth.pixels[:, 0].max() < 100
    with pytest.raises(DepthLMError, match="none of the 80 answers"):
        predictor_of(Wall(0)).map(picture, CAMERA, grid=(10, 8))


def test_progress_and_every_pixel(blank_image) -> None:
    told: list[int] = []
    small = Camera(150.0, 148.0, 14.0, 11.0, (30, 24))
    predictor = predictor_of(Wall())
    depth = predictor.map(str(blank_image((30, 24))), small, grid=None, progress=told.append)
    assert sum(told) == len(depth.pixels) == 30 * 24
    assert len(told) > 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": (201, 10)}, "200x150 pixels"),
        ({"adaptive": -1}, "0 or more"),
        ({"camera": CAMERA, "fov_deg": 60}, "camera and fov_deg"),
    ],
)
def test_what_cannot_be_mapped(picture, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        predictor_of(Wall()).map(picture, **{"camera": CAMERA} | options)


def test_a_stopped_map_goes_on(picture, tmp_path) -> None:
    class Stopped(Wall):
        def answer(self, samples):
            if len(self.pixels) >= 256:
                raise KeyboardInterrupt
            return super().answer(samples)

    path = tmp_path / "answers.jsonl"
    with AnswerFile(path, "run") as kept, pytest.raises(KeyboardInterrupt):
        predictor_of(Stopped()).map(picture, CAMERA, grid=(25, 20), kept=kept)
    engine = Wall()
    with AnswerFile(path, "run") as kept:
        assert len(kept) == 256
        depth = predictor_of(engine).map(picture, CAMERA, grid=(25, 20), kept=kept)
    whole = predictor_of(Wall()).map(picture, CAMERA, grid=(25, 20))
    assert len(engine.pixels) == 500 - 256
    assert np.array_equal(depth.z_m, whole.z_m)
