"""A map's recording for the Rerun viewer, read back by Rerun's own reader."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from depthlm_plugin import Camera
from depthlm_plugin.cameras.source import FoundCamera
from depthlm_plugin.errors import ConfigError
from depthlm_plugin.geometry.lens import Lens
from depthlm_plugin.maps.depth_map import DepthMap
from depthlm_plugin.maps.recording import save_recording

WIDTH, HEIGHT = 40, 30
K1 = -0.2


def wall(lens: Lens | None = None) -> DepthMap:
    """A wall that recedes to the right, 2.5 m and more away; one pixel has no depth."""
    camera = Camera(50.0, 40.0, 19.0, 14.0, (WIDTH, HEIGHT), lens)
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    z_m = (2.5 + 0.1 * x + 0.01 * y).astype(np.float32)
    z_m[3, 5] = np.nan
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    found = FoundCamera(camera, "camera", "given")
    pixels = np.array([[0.0, 0.0]])
    return DepthMap(found, picture, z_m, np.full_like(z_m, 0.1), pixels, np.array([2.5]))


@pytest.fixture
def said_of(tmp_path: Path) -> Callable[[DepthMap], dict[str, Any]]:
    """What a map's recording says of each component: `/entity Archetype:component`."""
    chunks = pytest.importorskip(
        "rerun.chunk", reason='rerun-sdk is not installed: pip install "depthlm-plugin[viewer]"'
    )

    def read(depth: DepthMap) -> dict[str, Any]:
        save_recording(depth, tmp_path / "room.rrd")
        said = {}
        for chunk in chunks.RrdReader(tmp_path / "room.rrd").stream():
            batch = chunk.to_record_batch()
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if ":" in name:
                    [said[f"{chunk.entity_path} {name}"]] = column.to_pylist()
        return said

    return read


def z_of(said: dict[str, Any]) -> Any:
    [stored] = said["/camera/z DepthImage:buffer"]
    return np.frombuffer(bytes(stored), np.float32).reshape(HEIGHT, WIDTH)


def picture_of(said: dict[str, Any]) -> Any:
    [stored] = said["/camera/picture Image:buffer"]
    return np.frombuffer(bytes(stored), np.uint8).reshape(HEIGHT, WIDTH, 3)


def test_camera_metres_and_points_are_those_of_the_map(said_of) -> None:
    depth = wall()
    said = said_of(depth)
    [by_columns] = said["/camera Pinhole:image_from_camera"]
    matrix = np.reshape(by_columns, (3, 3)).T
    assert matrix.tolist() == [[50, 0, 19], [0, 40, 14], [0, 0, 1]]
    assert said["/camera Pinhole:resolution"] == [[WIDTH, HEIGHT]]
    assert said["/camera/z DepthImage:meter"] == [1.0]
    z_m = z_of(said)
    assert z_m[20, 10] == pytest.approx(2.5 + 1.0 + 0.2)
    assert np.isnan(z_m[3, 5])
    assert np.array_equal(picture_of(said), depth.picture)
    # By hand, in a frame with x right, y down, z forward; the pixel without depth came before.
    points, place = said["/points Points3D:positions"], 20 * WIDTH + 10 - 1
    assert len(points) == WIDTH * HEIGHT - 1
    assert points[place] == pytest.approx([-9 / 50 * 3.7, 6 / 40 * 3.7, 3.7])
    red, green, blue = (int(value) for value in depth.picture[20, 10])
    assert said["/points Points3D:colors"][place] >> 8 == (red << 16) + (green << 8) + blue
    assert said["/ ViewCoordinates:xyz"] == [[3, 2, 5]]  # right, down, forward


def test_behind_a_lens_the_pinhole_is_shown(said_of) -> None:
    pytest.importorskip("cv2")
    depth = wall(Lens("opencv", (K1, 0.0, 0.0, 0.0)))
    said = said_of(depth)
    x, y = (35 - 19) / 50, (25 - 14) / 40
    bent = 1 + K1 * (x * x + y * y)
    column, row = round(19 + 50 * x * bent), round(14 + 40 * y * bent)
    assert (column, row) != (35, 25)
    assert z_of(said)[25, 35] == depth.z_m[row, column]
    assert not np.array_equal(picture_of(said), depth.picture)
    point = np.array(said["/points Points3D:positions"][row * WIDTH + column - 1])
    assert point == pytest.approx(depth.points_m[row, column], rel=1e-6)
    place = point[:2] / point[2] * [50, 40] + [19, 14]
    assert np.abs(place - [35, 25]).max() < 0.7  # a pixel's rounding, undistorted


def test_without_rerun_its_extra_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r'pip install "depthlm-plugin\[viewer\]"'):
        save_recording(wall(), tmp_path / "room.rrd")
    assert not list(tmp_path.iterdir())
