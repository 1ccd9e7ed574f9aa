"""What can be asked beside depth, with which pictures and numbers, and what answers tell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from shutil import copy

import pytest
from PIL import Image

from depthlm_plugin import Camera, Predictor
from depthlm_plugin.cameras.source import CameraSource
from depthlm_plugin.config.block import DepthLMConfig
from depthlm_plugin.errors import ConfigError, RecordError
from depthlm_plugin.host.processors.grid import Grid
from depthlm_plugin.language.templates import load_template
from depthlm_plugin.sampling.sample import Sample
from depthlm_plugin.tasks import Truth

CAMERA = Camera(150.0, 148.0, 99.0, 76.0, (200, 150))
ONE_POINT = [(100, 75)]
TASKS = dict.fromkeys(
    [
        *("depth", "two_point_distance", "principal_axis_distance", "speed", "time"),
        *("camera_translation", "relative_pose", "depth_order", "point_correspondence"),
    ],
    1.0,
)


class Repeating:
    """An engine that says one thing."""

    grid = Grid("RepeatingImageProcessor", 28, 0, 10**7)

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: list[Sample] = []

    def answer(self, samples: Sequence[Sample]) -> list[str]:
        self.samples += samples
        return [self.text] * len(samples)


def predictor_of(text="<answer> 2.00 </answer>", **config) -> Predictor:
    block = {"tasks": TASKS, "focal_px": 300, "resampling": "reference"}
    return Predictor(Repeating(text), DepthLMConfig(**block | config))


@pytest.fixture
def picture(blank_image) -> str:
    return str(blank_image((200, 150)))


@pytest.mark.parametrize(
    ("task", "at", "numbers", "unit", "given"),
    [
        ("depth", ONE_POINT, {}, "m", ""),
        ("principal_axis_distance", ONE_POINT, {}, "m", ""),
        ("two_point_distance", [(50, 60), (150, 90)], {}, "m", ""),
        ("depth_order", [(50, 60), (150, 90)], {}, "", ""),
        ("speed", ONE_POINT, {"time_s": 7.5}, "m/s", "7.5"),
        ("time", ONE_POINT, {"speed_m_s": 2.5}, "s", "2.5"),
    ],
)
@pytest.mark.parametrize("reference", ["marker", "text"])
def test_tasks_about_pixels(picture, task, at, numbers, unit, given, reference) -> None:
    predictor = predictor_of(reference=reference)
    [answer] = predictor.ask(picture, CAMERA, at, task=task, **numbers)
    assert (answer.value, answer.values, answer.unit) == (2.0, {"value": 2.0}, unit)
    question = answer.sample.question
    assert (question.task, question.pixels) == (task, tuple(at))
    assert math.isnan(question.target)
    assert len(answer.sample.view.marks) == (len(at) if reference == "marker" else 0)
    assert given in answer.sample.user_turn["content"]


def test_every_two_pixels_are_a_question(picture) -> None:
    at = [(50, 60), (150, 90), (60, 100), (140, 40)]
    first, second = predictor_of().ask(picture, CAMERA, at, task="two_point_distance")
    assert first.sample.question.pixels == ((50, 60), (150, 90))
    assert second.sample.question.pixels == ((60, 100), (140, 40))


def test_tasks_about_two_pictures(picture, tmp_path, blank_image) -> None:
    other = str(blank_image((160, 120)))
    cameras = [CAMERA, Camera(120.0, 120.0, 79.5, 59.5, (160, 120))]
    [moved] = predictor_of().ask([picture, other], cameras, task="camera_translation")
    assert (moved.value, moved.pixel, moved.unit) == (2.0, None, "m")
    assert [found.camera for found in moved.cameras] == cameras
    assert moved.sample.question.images == (picture, other)
    assert moved.sample.user_turn["content"].startswith("<image><image>")
    predictor = predictor_of("<answer> 1200, 700 </answer>")
    [place] = predictor.ask([picture, other], cameras, ONE_POINT, task="point_correspondence")
    assert place.values == {"x": 1200, "y": 700}
    assert [len(view.marks) for view in place.sample.views] == [1, 0]
    assert place.if_focal(1.1) is None


def test_a_pose_has_all_of_its_numbers(picture) -> None:
    predictor = predictor_of()
    [asked] = predictor.ask([picture] * 2, fov_deg=65, task="relative_pose")
    assert asked.values is None
    assert asked.reason
    told = {"distance": 1.5, "x": 0.6, "y": 0.0, "z": 0.8, "yaw": 10.0, "pitch": 0.0, "roll": 0.0}
    text = load_template("relative_pose", "official").tell(
        Truth(told, words={"direction": "forward and right"})
    )
    [pose] = predictor_of(text).ask([picture] * 2, fov_deg=65, task="relative_pose")
    assert (pose.values, pose.value) == (told, 1.5)


@pytest.mark.parametrize(
    ("task", "images", "changes", "problem"),
    [
        ("dept", 1, {}, "unknown task 'dept'; did you mean 'depth'"),
        ("two_point_distance", 1, {}, "is about 2 pixels a question, found 1"),
        ("depth", 2, {}, "task depth is about one picture, found 2"),
        ("relative_pose", 1, {"at": ()}, "task relative_pose is about 2 pictures, found 1"),
        ("relative_pose", 2, {}, "is about whole pictures; give no pixels"),
        ("speed", 1, {}, "task speed states time_s, above 0; found None"),
        ("speed", 1, {"time_s": -1.0}, "task speed states time_s, above 0; found -1"),
        ("depth", 1, {"time_s": 1.0}, "task depth states no time_s"),
        ("depth", 1, {"at": [(math.nan, 3)]}, "pixels must be finite numbers"),
        ("depth", 1, {"camera": [CAMERA] * 2}, "found 2 cameras, expected one for each picture"),
        ("depth", 1, {"camera": CAMERA, "fov_deg": 60}, "give one of camera and fov_deg"),
        (
            "depth",
            1,
            {"camera": CameraSource(fov_deg=50), "focal_px": 60},
            "give a camera or focal_px, not both",
        ),
    ],
)
def test_what_is_not_asked_so(picture, task, images, changes, problem) -> None:
    predictor = predictor_of()
    arguments = {"at": ONE_POINT} | changes
    with pytest.raises(ConfigError, match=problem):
        predictor.ask([picture] * images, task=task, **arguments)
    assert predictor._engine.samples == []


def test_what_the_model_did_not_learn_is_refused_by_name(picture) -> None:
    predictor = predictor_of(tasks={"speed": 1.0, "time": 2.0})
    with pytest.raises(ConfigError, match="did not learn depth; it learnt speed, time"):
        predictor.ask(picture, CAMERA, ONE_POINT)


def test_points_that_cannot_be_shown_together(picture) -> None:
    predictor = predictor_of()
    with pytest.raises(RecordError, match=r"less than .* px apart, where their marks touch"):
        predictor.ask(picture, CAMERA, [(50, 60), (51, 60)], task="two_point_distance")
    with pytest.raises(RecordError, match=r"point 1 lands at \(0\.9, 0\.9\).* px on every side"):
        predictor.ask(picture, CAMERA, [(50, 60), (0.2, 0.2)], task="two_point_distance")


def test_a_pixel_that_the_lens_does_not_reach(picture) -> None:
    strong = {"focal_px": 60, "distortion": [-0.9, 0.0, 0.0, 0.0]}
    [middle] = predictor_of(focal_px=90).ask(picture, at=ONE_POINT, **strong)
    assert middle.value == 2.0
    with pytest.raises(RecordError, match=r"pixel \(5, 5\) has no ray within the field"):
        predictor_of(focal_px=90).ask(picture, at=[(5, 5)], **strong)


def test_the_camera_of_an_answer_and_what_ten_percent_do(picture) -> None:
    [answer] = predictor_of().ask(picture, at=ONE_POINT, fov_deg=65)
    assert answer.camera.source == "fov_deg"
    factors = [answer.if_focal(ratio) / 2.0 for ratio in (0.9, 1.0, 1.1)]
    assert factors == pytest.approx([0.9, 1.0, 1.1], abs=1e-4)  # beside the axis by half a pixel
    [corner] = predictor_of().ask(picture, at=[(190, 140)], fov_deg=65)
    tilt = corner.sample.question.distance_over_z
    assert corner.if_focal(1.1) == pytest.approx(2 * math.sqrt(tilt**2 - 1 + 1.21) / tilt)
    [z] = predictor_of(label="z").ask(picture, at=[(190, 140)], fov_deg=65)
    assert z.if_focal(1.1) == pytest.approx(2.2)
    [nothing] = predictor_of("so far").ask(picture, at=ONE_POINT)
    assert nothing.if_focal(1.1) is None
    assert nothing.camera.source == "assumed"


def test_a_turned_picture_is_asked_about_as_somebody_says(tmp_path) -> None:
    image = Image.new("RGB", (200, 150))
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    path = tmp_path / "turned.jpg"
    with pytest.raises(RecordError, match="is turned by its EXIF orientation 6"):
        predictor_of().ask(path, at=ONE_POINT, fov_deg=65)
    for rule, size_wh in (("apply", (150, 200)), ("ignore", (200, 150))):
        [answer] = predictor_of().ask(path, at=ONE_POINT, fov_deg=65, exif_rotation=rule)
        assert answer.camera.camera.size_wh == size_wh
        assert answer.sample.view.exif_rotation == rule
        assert answer.sample.image.size == answer.sample.view.size_wh
        [trained_so] = predictor_of(exif_rotation=rule).ask(path, at=ONE_POINT, fov_deg=65)
        assert trained_so.sample == answer.sample
    with pytest.raises(ConfigError, match="exif_rotation"):
        predictor_of().ask(path, at=ONE_POINT, exif_rotation="turn")


def test_cameras_of_a_folder(tmp_path, blank_image) -> None:
    copy(blank_image((200, 150)), tmp_path / "a.png")
    known = {"a.png": {"intrinsics": [150.0, 148.0, 99.0, 76.0, 200, 150]}}
    (tmp_path / "cameras.json").write_text(json.dumps(known))
    [answer] = predictor_of().ask(tmp_path / "a.png", at=ONE_POINT, cameras=tmp_path)
    assert answer.camera.camera == CAMERA
