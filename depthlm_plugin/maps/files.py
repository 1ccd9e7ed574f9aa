"""Depth maps and point clouds as files that other programs read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ..errors import ConfigError
from ..records.atomic import whole_bytes
from .depth_map import FRAME, DepthMap

_MM = 1000.0
_MOST_MM = 65535  # of 16 bits
_NOTE = "depthlm"  # the PNG's text with what its numbers are
_DESCRIPTION = 270  # TIFF's ImageDescription


def save_png(depth: DepthMap, path: Path, quantity: str = "z") -> int:
    """Write a 16-bit PNG in millimetres, 0 where there is no depth.

    Returns:
        How many pixels are 0 because they are farther than 65.535 m.
    """
    values = np.nan_to_num(_chosen(depth, quantity)) * _MM
    too_far = values > _MOST_MM + 0.5
    stored = np.where(too_far, 0, np.rint(values)).astype(np.uint16)
    info = PngInfo()
    info.add_text(_NOTE, json.dumps(_note(quantity, "millimetre", 0, depth)))
    with whole_bytes(path) as stream:
        Image.fromarray(stored).save(stream, format="PNG", pnginfo=info)
    return int(too_far.sum())


def save_tiff(depth: DepthMap, path: Path, quantity: str = "z") -> None:
    """Write a 32-bit floating-point TIFF in metres, NaN where there is no depth."""
    tags = ImageFileDirectory_v2()
    tags[_DESCRIPTION] = json.dumps(_note(quantity, "metre", None, depth))
    with whole_bytes(path) as stream:
        Image.fromarray(_chosen(depth, quantity)).save(
            stream, format="TIFF", tiffinfo=tags, compression="tiff_adobe_deflate"
        )


def save_npz(depth: DepthMap, path: Path) -> None:
    """Write everything: z_m, distance_m, rays, K, lens, confidence, pixels, answers_z_m, frame.

    All float32 but K (float64), NaN where the lens has no ray. A point is a ray times its z_m.
    """
    camera = depth.camera
    intrinsics = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    lens = None if camera.lens is None else [camera.lens.model, *camera.lens.coefficients]
    with whole_bytes(path) as stream:
        np.savez_compressed(
            stream,
            z_m=depth.z_m,
            distance_m=depth.distance_m,
            rays=depth.rays,
            K=np.array(intrinsics),
            lens=np.array(json.dumps(lens)),
            confidence=depth.confidence,
            pixels=depth.pixels.astype(np.float32),
            answers_z_m=depth.answers_z_m.astype(np.float32),
            frame=np.array(FRAME),
        )


def save_cloud(depth: DepthMap, path: Path) -> None:
    """Write the coloured points, as the ending says: `.ply`, or `.glb`.

    A PLY is in the camera's frame (`FRAME`). A GLB has y up and looks along -z, as glTF wants:
    (x, -y, -z).

    Raises:
        ConfigError: Without the package `trimesh`.
    """
    try:
        import trimesh
    except ImportError as error:
        raise ConfigError(
            "point clouds need trimesh; install it with: pip install 'depthlm-plugin[cloud]'"
        ) from error
    there = np.isfinite(depth.z_m)
    points, colors = depth.points_m[there], depth.picture[there]
    kind = path.suffix.lower().removeprefix(".")
    if kind == "glb":
        points = points * np.array([1, -1, -1], np.float32)
    opaque = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], axis=1)
    cloud: Any = trimesh.PointCloud  # which has no types
    data = cloud(points, colors=opaque).export(file_type=kind)
    with whole_bytes(path) as stream:
        stream.write(data)


def _chosen(depth: DepthMap, quantity: str) -> NDArray[np.float32]:
    return depth.z_m if quantity == "z" else depth.distance_m


def _note(quantity: str, unit: str, absent: Any, depth: DepthMap) -> dict[str, Any]:
    return {
        "quantity": quantity,
        "unit": unit,
        "metres_per_unit": 1 / _MM if unit == "millimetre" else 1.0,
        "no_depth": absent,
        "intrinsics": [*depth.camera.intrinsics, *depth.camera.size_wh],
    }
