"""A depth map as a recording for the Rerun viewer: its camera, picture, depth and points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ConfigError
from ..geometry.camera import Camera
from ..records.atomic import whole_bytes
from ..views.undistort import undistort_image
from .densify import Reals
from .depth_map import DepthMap

_CAMERA, _PICTURE, _DEPTH, _POINTS = "camera", "camera/picture", "camera/z", "points"
_FARTHEST = 99.0  # percentile of depth that has the last colour


def save_recording(depth: DepthMap, path: Path) -> None:
    """Write a `.rrd`: what `rerun FILE.rrd` shows, without a timeline.

    camera: the pinhole with the map's K. camera/picture: RGB (H, W, 3). camera/z: z-depth (H, W),
    metres, NaN where there is none. points: the coloured points of all pixels that have depth, in
    the frame that `FRAME` names, which is the recording's too. Behind a lens, picture and z-depth
    are undistorted, those of the pinhole, which may see less; the points are all there.

    Raises:
        ConfigError: Without the package `rerun`.
    """
    try:
        import rerun
        from rerun import blueprint
    except ImportError as error:
        raise ConfigError(
            "a recording needs Rerun, which cannot be imported"
            f' ({error}): pip install "depthlm-plugin[viewer]"'
        ) from error
    camera, there = depth.camera, np.isfinite(depth.z_m)
    matrix = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    said = {
        "/": rerun.ViewCoordinates.RDF,
        _CAMERA: rerun.Pinhole(image_from_camera=matrix, resolution=camera.size_wh),
        _PICTURE: rerun.Image(undistort_image(depth.picture, camera)),
        # The viewer would guess that metres below 255 are the bytes of a picture.
        _DEPTH: rerun.DepthImage(
            _undistorted(depth.z_m, camera),
            meter=1.0,
            depth_range=[0, np.percentile(depth.z_m[there], _FARTHEST)],
        ),
        _POINTS: rerun.Points3D(depth.points_m[there], colors=depth.picture[there]),
    }
    # In space z-depth would be drawn as further points, at the same places.
    space = blueprint.Spatial3DView(origin="/", contents=[_CAMERA, _PICTURE, _POINTS])
    pictures = [
        blueprint.Spatial2DView(origin=_CAMERA, contents=[one]) for one in (_PICTURE, _DEPTH)
    ]
    views = blueprint.Horizontal(space, blueprint.Vertical(*pictures), column_shares=[2, 1])
    recording = rerun.RecordingStream("depthlm")
    memory = recording.memory_recording()
    recording.send_recording_name(path.stem)
    recording.send_blueprint(blueprint.Blueprint(views))
    for entity, archetype in said.items():
        recording.log(entity, archetype, static=True)
    with whole_bytes(path) as stream:
        stream.write(memory.drain_as_bytes())


def _undistorted(z_m: Reals, camera: Camera) -> Reals:
    """Return the z-depth (H, W) that the pinhole would see: that of the nearest pixel.

    The mean of two surfaces would be none.
    """
    if camera.lens is None:
        return z_m
    height, width = z_m.shape
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    places, seen = camera.try_project(camera.pinhole.unproject(pixels, np.ones(len(pixels))))
    columns, rows = np.floor(places[seen] + 0.5).astype(np.int64).T
    result = np.full(z_m.size, np.nan, np.float32)
    result[seen] = z_m[rows, columns]
    return result.reshape(z_m.shape)
