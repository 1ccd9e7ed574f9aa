"""Synthetic scenes are ray-cast here, with exact distances, for `depthlm demo` and for tests.

A scene is a tiled yard, perhaps within three low walls, and a few boxes and balls, seen from
about 1.3 m up by one of four cameras. What gives distance away is geometry: where things touch a
ground seen from a known height, and textures of known size in metres. Colours are muted, so that
the only saturated red in a picture is the marker drawn later.

The world frame is that of `canvas`; a camera is the same frame pitched down about x.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..geometry.camera import Camera
from .canvas import NO_HIT, Canvas

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

FOCAL_PX = 80.0  # the one focal length that the demo resamples every picture to
CROP_PX = 84  # side of the central square that the demo model sees: 3 x 3 tokens of 28 px
EDGE_PX = 8  # normalised pixels between a labelled point and the edge of that square
NEAR_M, FAR_M = 1.5, 10.0  # labelled distances, log-uniform as far as the scenes offer them

CAMERA_HEIGHT_M = (1.27, 1.33)
PITCH_DEG = (10.0, 15.0)  # downwards

CAMERAS = (
    ("phone", Camera(92.0, 90.5, 56.6, 48.7, (112, 100))),
    ("webcam", Camera(104.0, 102.5, 64.8, 54.1, (128, 112))),
    ("robot", Camera(76.0, 76.8, 46.1, 42.6, (92, 86))),
    ("tele", Camera(132.0, 132.0, 70.2, 71.9, (144, 144))),
)


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Attributes:
        kind: `court` (with walls) or `yard`.
        camera: The camera that sees it.
        camera_name: Its name in `CAMERAS`.
        image: What it sees (H, W, 3) uint8.
        distance_m: Euclidean distance (H, W) from the camera centre along the ray through the
            pixel centre; inf where there is sky.
    """

    kind: str
    camera: Camera
    camera_name: str
    image: NDArray[np.uint8]
    distance_m: Floats


def render_scene(rng: np.random.Generator) -> Scene:
    """Return a random scene; the same generator state gives the same scene."""
    camera_name, camera = CAMERAS[rng.integers(len(CAMERAS))]
    height_m = rng.uniform(*CAMERA_HEIGHT_M)
    rays = _rays(camera, math.radians(rng.uniform(*PITCH_DEG)))
    canvas = Canvas(camera, rays)
    canvas.sky(rng)
    canvas.ground(rng, height_m)
    walled = rng.random() < 0.4
    court_m = canvas.walls(rng, height_m) if walled else (6.0, 6.0, 14.0)
    if rng.random() < 0.35:
        canvas.thing(rng, height_m, court_m, ahead_m=(1.5, 2.4))
    for _ in range(rng.integers(0, 3)):
        canvas.thing(rng, height_m, court_m, ahead_m=(1.8, 8.0))
    image = canvas.finish(rng)
    distance_m = np.where(canvas.distance_m < NO_HIT, canvas.distance_m, np.float32(np.inf))
    return Scene("court" if walled else "yard", camera, camera_name, image, distance_m)


def pick_points(
    scene: Scene, count: int, rng: np.random.Generator
) -> tuple[list[list[int]], list[float]]:
    """Return up to `count` labelled pixels `[x, y]` of a scene and their distances in metres.

    Distances are drawn evenly over log(NEAR_M) .. log(FAR_M) as far as the scene offers them, so
    that no single answer is right often. Pixels on depth edges are left out: half a pixel of
    resampling would change their answer.
    """
    distance_m = scene.distance_m
    rows, columns = np.nonzero(_inside_crop(scene.camera) & _smooth(distance_m))
    found_m = distance_m[rows, columns]
    wanted = (found_m >= NEAR_M) & (found_m <= FAR_M)
    rows, columns, found_m = rows[wanted], columns[wanted], found_m[wanted]
    pixels: list[list[int]] = []
    answers: list[float] = []
    for _ in range(20 * count):
        if len(pixels) == count or not len(found_m):
            break
        target_m = math.exp(rng.uniform(math.log(NEAR_M), math.log(FAR_M)))
        near = np.nonzero(np.abs(np.log(found_m / target_m)) < 0.03)[0]
        if not len(near):
            continue
        chosen = near[rng.integers(len(near))]
        pixel = [int(columns[chosen]), int(rows[chosen])]
        if pixel not in pixels:
            pixels.append(pixel)
            answers.append(round(float(found_m[chosen]), 5))
    return pixels, answers


def write_scenes(
    folder: Path,
    *,
    scenes: int,
    points: int,
    seed: int,
    name: str,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write `scenes` pictures and their records below `folder`; return the JSONL file's path.

    Pictures go to `images/<name>/NNNN.png`, records to `<name>.jsonl`, one picture a line with up
    to `points` labelled pixels. Every scene has its own generator, made of `seed`, `name` and its
    number: another seed or another name never repeats a scene, and more scenes never change the
    first ones.

    Args:
        folder: Where to write; it is made if missing.
        scenes: Number of pictures.
        points: Labelled pixels a picture.
        seed: Any integer from 0.
        name: Of the set, such as `train`.
        progress: Called with the number of pictures written, after each.
    """
    pictures = folder / "images" / name
    pictures.mkdir(parents=True, exist_ok=True)
    records = folder / f"{name}.jsonl"
    with records.open("w", encoding="utf-8") as lines:
        for index in range(scenes):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
            scene, pixels, answers = _labelled_scene(points, rng)
            picture = pictures / f"{index:04d}.png"
            Image.fromarray(scene.image).save(picture, compress_level=1)
            record = {
                "image": picture.relative_to(folder).as_posix(),
                "intrinsics": [*scene.camera.intrinsics, *scene.camera.size_wh],
                "pixel_coords": pixels,
                "depth": answers,
                "depth_kind": "distance",
                "scene": f"{scene.kind}-{name}-{seed}-{index:04d}",
                "camera": scene.camera_name,
            }
            lines.write(json.dumps(record) + "\n")
            if progress is not None:
                progress(index + 1)
    return records


def _labelled_scene(
    points: int, rng: np.random.Generator
) -> tuple[Scene, list[list[int]], list[float]]:
    """Return a scene that has at least one point to label (a rare scene has a box in the way)."""
    while True:
        scene = render_scene(rng)
        pixels, answers = pick_points(scene, points, rng)
        if pixels:
            return scene, pixels, answers


def _rays(camera: Camera, pitch: float) -> Floats:
    """Return (3, H, W) unit vectors in the world frame through the pixel centres."""
    width, height = camera.size_wh
    x = (np.arange(width) - camera.cx) / camera.fx
    y = (np.arange(height) - camera.cy) / camera.fy
    xs, ys = np.meshgrid(x, y)
    level = math.cos(pitch), math.sin(pitch)
    rays = np.stack([xs, ys * level[0] + level[1], level[0] - ys * level[1]])
    rays /= np.sqrt(1.0 + xs**2 + ys**2)
    return rays.astype(np.float32)


def _inside_crop(camera: Camera) -> NDArray[np.bool_]:
    """Return (H, W), true where a pixel lands well inside the central crop at FOCAL_PX."""
    inside: list[NDArray[np.bool_]] = []
    for size, focal in zip(camera.size_wh, (camera.fx, camera.fy), strict=True):
        scale = FOCAL_PX / focal
        normalised = (np.arange(size) + 0.5) * scale - 0.5
        middle = (size * scale - 1) / 2
        inside.append(np.abs(normalised - middle) <= CROP_PX / 2 - EDGE_PX - 1)
    return np.logical_and(inside[1][:, None], inside[0][None, :])


def _smooth(distance_m: Floats) -> NDArray[np.bool_]:
    """Return (H, W), true where the distance changes little over the pixel's 3 x 3 neighbours."""
    low, high = distance_m.copy(), distance_m.copy()
    for axis in (0, 1):
        for function, into in ((np.minimum, low), (np.maximum, high)):
            before, after = np.roll(into, 1, axis), np.roll(into, -1, axis)
            function(into, before, out=into)
            function(into, after, out=into)
    smooth: NDArray[np.bool_] = high < 1.3 * low
    return smooth
