"""The predictor over any engine: what is asked, what is read, and that one call answers all."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.config.saved import save_config
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.predict.calibration import Calibration
from depthlm_plugin.predict.rows import row_of
from depthlm_plugin.sampling.sample import Sample

CAMERA = Camera(fx=150.0, fy=148.0, cx=99.0, cy=76.0, size_wh=(200, 150))


class Rehearsed:
    """An engine whose answers are known beforehand."""

    def __init__(self, *texts: str, multiple: int = 28, largest: int = 10**7) -> None:
        self.grid = Grid("RehearsedImageProcessor", multiple, 0, largest)
        self.texts = list(texts)
        self.calls: list[list[Sample]] = []

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        self.calls.append(list(samples))
        return self.texts


@pytest.fixture
def picture(blank_image) -> str:
    return str(blank_image((200, 150)))


def test_all_pixels_are_one_call_and_answers_keep_their_order(picture: str) -> None:
    engine = Rehearsed("<answer> 2.5 </answer>", "no idea")
    predictor = Predictor(engine, DepthLMConfig(focal_px=300))
    near, unread = predictor.ask(picture, CAMERA, [(100, 75), (50.5, 60)])
    assert (near.pixel, near.value, near.unit, near.reason) == ((100, 75), 2.5, "m", None)
    assert (unread.pixel, unread.value) == ((50.5, 60), None)
    assert unread.text == "no idea"
    assert unread.reason
    [samples] = engine.calls
    assert [near.sample, unread.sample] == samples
    width, height = samples[0].view.size_wh
    assert width % 28 == height % 28 == 0


def test_a_model_of_several_tasks_is_asked_for_depth(picture: str) -> None:
    engine = Rehearsed("<answer> 2.5 </answer>")
    tasks = {"depth_order": 1.0, "depth": 1.0}
    [answer] = Predictor(engine, DepthLMConfig(tasks=tasks)).ask(picture, CAMERA, [(100, 75)])
    assert answer.sample.question.task == "depth"


def test_what_cannot_be_shown_is_not_asked(picture: str) -> None:
    engine = Rehearsed(largest=28 * 28)
    predictor = Predictor(engine, DepthLMConfig(focal_px=300))
    with pytest.raises(ConfigError, match=r"view of .*200x150\.png has more than the 784 pixels"):
        predictor.ask(picture, CAMERA, [(100, 75)])
    with pytest.raises(RecordError, match=r"pixel \(200, 75\) is outside the 200x150 image"):
        predictor.ask(picture, CAMERA, [(200, 75)])
    assert engine.calls == []


def test_weights_that_do_not_say_how_they_were_trained_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"has no depthlm_config\.json: it was not trained by"):
        Predictor.load(tmp_path)
    save_config(DepthLMConfig(), tmp_path)
    with pytest.raises(ConfigError, match="does not say its chat template; give --template"):
        Predictor.load(tmp_path / "base", adapter=tmp_path)


def test_importing_it_loads_neither_torch_nor_llamafactory(run_python) -> None:
    result = run_python(
        "import sys; from depthlm_plugin import Predictor\n"
        "print(sorted({'torch', 'transformers', 'llamafactory'} & sys.modules.keys()))"
    )
    assert result.stdout == "[]\n"


class Weighed(Rehearsed):
    """One that knows probabilities too."""

    def weigh(self, samples: Sequence[Sample]) -> list[tuple[str, list[tuple[str, float, bool]]]]:
        return [(text, [("2.50", 0.5, True)]) for text in self.answer(samples)]


def test_what_else_could_have_been_said_comes_when_it_is_asked_for(picture: str) -> None:
    predictor = Predictor(Weighed("<answer> 2.5 </answer>"), DepthLMConfig(focal_px=300))
    [answer] = predictor.ask(picture, CAMERA, [(100, 75)])
    assert answer.distribution is None
    [answer] = predictor.ask(picture, CAMERA, [(100, 75)], distribution=True)
    assert answer.value == 2.5
    assert answer.distribution is not None
    assert answer.distribution.mass == 0.5
    predictor = Predictor(Rehearsed("<answer> 2.5 </answer>"), DepthLMConfig(focal_px=300))
    with pytest.raises(ConfigError, match="intervals need the model itself, not a server's"):
        predictor.ask(picture, CAMERA, [(100, 75)], distribution=True)


TWICE = {"depth": Calibration("isotonic", (1.0,), (2.0,))}


def test_calibrated_metres_stand_beside_what_the_model_said(picture: str) -> None:
    engine = Weighed("<answer> 2.5 </answer>", "no idea")
    predictor = Predictor(engine, DepthLMConfig(focal_px=300), TWICE)
    at = [(100.0, 75.0), (50.0, 60.0)]
    near, unread = predictor.ask(picture, CAMERA, at, distribution=True)
    assert (near.value, near.calibrated, near.best) == (2.5, pytest.approx(5), pytest.approx(5))
    assert near.distribution is not None
    assert near.interval_90 == pytest.approx([2 * end for end in near.distribution.interval_90])
    assert near.if_focal(1.1) == pytest.approx(5.5, abs=1e-3)
    assert (unread.value, unread.calibrated, unread.best) == (None, None, None)
    row = row_of(near)
    assert (row["value"], row["calibrated"]) == (2.5, pytest.approx(5))
    assert "calibrated" not in row_of(unread)


def test_maps_are_made_of_calibrated_metres(picture: str) -> None:
    maps = [
        Predictor(Rehearsed(*["<answer> 2.5 </answer>"] * 12), DepthLMConfig(focal_px=300), given)
        .map(picture, CAMERA, grid=(4, 3))
        .answers_z_m
        for given in ({}, TWICE)
    ]
    assert maps[1] == pytest.approx(2 * maps[0])
