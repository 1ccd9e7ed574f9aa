"""The camera of one picture: which source is taken, what is told, and what a wrong one would do."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from PIL import Image

from depthlm_plugin import Camera
from depthlm_plugin.cameras.source import CameraSource, FoundCamera, focal_effect
from depthlm_plugin.errors import ConfigError, DepthLMError, RecordError

CAMERA = Camera(150.0, 148.0, 99.0, 76.0, (200, 150))
STATED = {"intrinsics": [150.0, 148.0, 99.0, 76.0, 200, 150]}


@pytest.fixture
def photograph(tmp_path):
    """Write a picture with EXIF; return its path."""

    def write(name="a.jpg", size_wh=(200, 150), orientation=None, **tags):
        image = Image.new("RGB", size_wh)
        exif = image.getexif()
        if orientation is not None:
            exif[274] = orientation
        numbers = {"focal_35": 0xA405, "width": 0xA002, "height": 0xA003}
        for tag, value in tags.items():
            exif.get_ifd(0x8769)[numbers[tag]] = value
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, exif=exif)
        return path

    return write


@pytest.mark.parametrize(
    ("known", "source", "focal_px"),
    [
        ({"camera": CAMERA}, "camera", 150.0),
        ({"intrinsics": (150, 148, 99, 76)}, "intrinsics", 150.0),
        ({"intrinsics": (150, 148, 99, 76, 200, 150)}, "intrinsics", 150.0),
        ({"focal_px": 160.0}, "focal_px", 160.0),
        ({"fov_deg": 90.0}, "fov_deg", 100.0),
        ({}, "exif", 28 * 250 / math.hypot(36, 24)),
    ],
)
def test_what_is_stated_comes_before_exif(photograph, known, source, focal_px) -> None:
    path = photograph(focal_35=28, width=400, height=300)
    found = CameraSource(**known).find(path)
    assert (found.source, found.warnings) == (source, ())
    assert found.camera.fx == pytest.approx(focal_px)
    assert found.to_json()["fov_deg"] == pytest.approx(math.degrees(2 * math.atan(100 / focal_px)))
    if source in ("focal_px", "fov_deg", "exif"):
        assert found.camera.intrinsics[1:] == [found.camera.fx, 99.5, 74.5]
    assert CameraSource(camera=found).find(path) is found


def test_nothing_known_is_sixty_degrees_loudly(photograph) -> None:
    for name in ("a.png", "a.jpg"):
        found = CameraSource().find(photograph(name))
        assert found.source == "assumed"
        assert found.camera.fx == pytest.approx(100 / math.tan(math.radians(30)))
        [warning] = found.warnings
        assert "60 degrees across are ASSUMED" in warning
    cropped = CameraSource().find(
        photograph(size_wh=(200, 100), focal_35=28, width=400, height=300)
    )
    assert cropped.source == "assumed"
    assert "EXIF: the picture was taken at 400x300 and is 200x100" in cropped.warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_turned_photograph(photograph, suffix, orientation) -> None:
    """The field is across the picture that pixels belong to; the diagonal is the same."""
    path = photograph(f"a{suffix}", orientation=orientation, focal_35=28, width=200, height=150)
    upright = (150, 200) if orientation >= 5 else (200, 150)
    for rule, size_wh in (("apply", upright), ("ignore", (200, 150))):
        found = CameraSource().find(path, rule)
        assert (found.source, found.camera.size_wh) == ("exif", size_wh)
        assert found.camera.fx == pytest.approx(28 * 250 / math.hypot(36, 24))
        assert found.camera.cx == (size_wh[0] - 1) / 2
        assert CameraSource(fov_deg=90).find(path, rule).camera.fx == pytest.approx(size_wh[0] / 2)
    if orientation != 1:
        with pytest.raises(RecordError, match=f"turned by its EXIF orientation {orientation}"):
            CameraSource().find(path)


def test_a_lens_is_stated_as_in_records(photograph) -> None:
    path = photograph()
    for known in ({"fov_deg": 70.0}, {"intrinsics": (150, 148, 99, 76)}, {}):
        lens = CameraSource(distortion=[0.1, 0.01, 0, 0], **known).find(path).camera.lens
        assert lens is not None
        assert (lens.model, lens.coefficients) == ("opencv", (0.1, 0.01, 0, 0))
    fisheye = {"model": "fisheye", "coefficients": [0.1, 0, 0, 0]}
    lens = CameraSource(focal_px=90, distortion=fisheye).find(path).camera.lens
    assert lens is not None
    assert lens.is_fisheye
    with pytest.raises(RecordError, match="'distortion' must be"):
        CameraSource(distortion=[0.1]).find(path)


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"fov_deg": 60, "focal_px": 100}, "give one of focal_px and fov_deg"),
        ({"camera": CAMERA, "file": "f"}, "give one of camera and file"),
        ({"camera": CAMERA, "distortion": [0, 0, 0, 0]}, "distortion belongs into the camera"),
        ({"fov_deg": 60, "sensor_width_mm": 8}, "is for EXIF, which fov_deg leaves unread"),
        ({"sensor_width_mm": 0.008}, "sensor_width_mm must be 1 to 80, found 0.008"),
        ({"fov_deg": 0}, "must be 1 to 170 degrees, found 0"),
        ({"fov_deg": math.nan}, "must be 1 to 170 degrees, found nan"),
        ({"intrinsics": (1, 2, 3)}, "found 3 numbers"),
    ],
)
def test_sources_that_cannot_be(known, problem) -> None:
    with pytest.raises(ConfigError, match=problem):
        CameraSource(**known)


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"focal_px": 0}, "focal lengths must be positive"),
        ({"focal_px": math.inf}, "must be finite"),
        ({"focal_px": 1}, "field of view beyond 175 degrees; are the intrinsics in pixels"),
        ({"intrinsics": (0.7, 0.7, 0.5, 0.5)}, "are the intrinsics in pixels"),
        ({"intrinsics": (150, 148, 99, 76, 100, 75)}, "is 200x150 but its intrinsics are for"),
        ({"camera": Camera(99, 99, 50, 50, (100, 100))}, "is 200x150 but its intrinsics are for"),
    ],
)
def test_absurd_cameras_are_refused(photograph, known, problem) -> None:
    with pytest.raises(RecordError, match=problem):
        CameraSource(**known).find(photograph())


def test_a_rare_camera_is_told(photograph) -> None:
    [told] = CameraSource(focal_px=2000).find(photograph()).warnings
    assert told == "the field of view is 5.72 degrees"


def test_pictures_that_cannot_be_read(tmp_path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    frames = [Image.new("RGB", (200, 150), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "huge.ppm").write_bytes(b"P6 100000 100000 255\n")
    for name, problem in (
        ("none.jpg", "does not exist"),
        ("text.jpg", "is not an image file of a format that is read"),
        ("moving.gif", "is an animation, no picture"),
        ("huge.ppm", "more pixels than Pillow's limit"),
    ):
        with pytest.raises(RecordError, match=problem):
            CameraSource().find(tmp_path / name)


def save_cameras(folder, content, name="cameras.json"):
    (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(
    "entry",
    [
        STATED,
        {"fx": 150, "fy": 148, "cx": 99, "cy": 76},
        {"fx": 150, "fy": 148, "cx": 99, "cy": 76, "width": 200, "height": 150},
    ],
)
def test_cameras_json(photograph, tmp_path, entry) -> None:
    path = photograph("room/a.jpg")
    for name in ("a.jpg", "room/a.jpg", "*"):
        save_cameras(tmp_path, {name: entry, "b.jpg": STATED})
        for file in (tmp_path, tmp_path / "cameras.json"):
            found = CameraSource(file=file).find(path)
            assert found == FoundCamera(CAMERA, "file", str(tmp_path / "cameras.json"))
    lens = {"distortion": [0.1, 0, 0, 0]}
    save_cameras(tmp_path, {"a.jpg": entry | lens})
    assert CameraSource(file=tmp_path).find(path).camera.lens is not None


def test_a_longer_name_is_more_exact(photograph, tmp_path) -> None:
    other = {"fx": 170, "fy": 170, "cx": 99, "cy": 76}
    save_cameras(tmp_path, {"a.jpg": STATED, "hall/a.jpg": other, "*": STATED})
    assert CameraSource(file=tmp_path).find(photograph("hall/a.jpg")).camera.fx == 170
    assert CameraSource(file=tmp_path).find(photograph("room/a.jpg")).camera.fx == 150


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([STATED], "must be an object of pictures"),
        ({"a.jpg": [1, 2]}, "must be an object of pictures"),
        ({"a.jpg": {"fx": 150}}, "cameras.json: a.jpg: expected intrinsics"),
        ({"a.jpg": STATED | {"distorsion": [1]}}, "did you mean 'distortion'"),
        ({"a.jpg": {"intrinsics": [150, 148, 99, 76, 100, 75]}}, "is 200x150 but its intrinsics"),
        ({"b.jpg": STATED}, r"has no camera of this picture, but of 1 others \(b.jpg"),
    ],
)
def test_cameras_json_that_does_not_serve(photograph, tmp_path, content, problem) -> None:
    path = photograph()
    save_cameras(tmp_path, content)
    with pytest.raises(DepthLMError, match=problem):
        CameraSource(file=tmp_path).find(path)


def test_files_that_hold_no_cameras(photograph, tmp_path) -> None:
    path = photograph()
    for file in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match=r"holds no cameras: expected a cameras\.json"):
            CameraSource(file=file).find(path)
    (tmp_path / "cameras.json").write_text('{"a.jpg": 1, "a.jpg": 2}')
    with pytest.raises(DepthLMError, match=r"the key 'a\.jpg' is there twice"):
        CameraSource(file=tmp_path).find(path)


def test_a_colmap_model(photograph, tmp_path) -> None:
    """COLMAP's first pixel centre is (0.5, 0.5); points3D is not needed."""
    path = photograph("images/hall/a.jpg")
    model = tmp_path / "sparse" / "0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text("3 OPENCV 200 150 150 148 99.5 76.5 0.1 0 0 0\n")
    (model / "images.txt").write_text("1 1 0 0 0 0 0 0 3 hall/a.jpg\n\n")
    found = CameraSource(file=tmp_path).find(path)
    assert found.source == "file"
    assert found.detail == str(model)
    assert found.camera.pinhole == CAMERA
    assert found.camera.lens is not None
    (model / "cameras.txt").write_text("3 FOV 200 150 150 148 99.5 76.5 0.1\n")
    with pytest.raises(RecordError, match="a FOV, which depthlm cannot undistort"):
        CameraSource(file=tmp_path).find(path)


@pytest.mark.parametrize("ratio", [0.9, 1.1])
@pytest.mark.parametrize("kind", ["z", "distance"])
def test_a_wrong_focal_length_scales_depths_as_the_views_do(ratio, kind) -> None:
    """The stated camera's view is the true picture of a scene that is stretched along the axis."""
    true = Camera(100.0, 100.0, 99.5, 74.5, (200, 150))
    stated = Camera(100.0 / ratio, 100.0 / ratio, 99.5, 74.5, (200, 150))
    pixels = np.array([[99.5, 74.5], [150.0, 30.0], [5.0, 140.0]])
    points = true.unproject(pixels, [2.0, 3.0, 5.0])
    for pixel, point in zip(pixels, points, strict=True):
        # A scene with the points at z / ratio shows the same view to the stated camera.
        believed = point * (1, 1, 1 / ratio)
        np.testing.assert_allclose(stated.project(believed)[0], pixel)
        answer = believed[2] if kind == "z" else np.linalg.norm(believed)
        truth = point[2] if kind == "z" else np.linalg.norm(point)
        tilt = float(stated.distance_over_z([pixel])[0])
        assert answer * focal_effect(ratio, kind, tilt) == pytest.approx(truth)
