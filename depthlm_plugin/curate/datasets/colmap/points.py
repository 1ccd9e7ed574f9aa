"""Points of COLMAP's sparse models: a few of millions by their ids, and how they were found."""

from __future__ import annotations

import struct
from array import array
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....cameras.colmap import COUNT, mapped, parsing, read_images
from ....errors import DepthLMError
from ....geometry.arrays import Floats
from ....geometry.rigid import inverse

_POINT = struct.Struct("<Q3d3xdQ")  # id, place, colour, error, track length; then the track
_ID_AND_LENGTH = struct.Struct("<Q35xQ")


class Points(NamedTuple):
    """Points of a model, in the order in which they were asked for.

    Attributes:
        places: Where they are (N, 3), in the model's unit and frame.
        errors_px: Their mean reprojection errors (N,), pixels.
        owner: The point, from 0, that each entry of `images` belongs to (M,).
        images: Ids of images (M,): those with `owner == n` are the track of point n, the images
            in which it was observed.
    """

    places: Floats
    errors_px: Floats
    owner: NDArray[np.int64]
    images: NDArray[np.int64]


def read_points(path: Path, ids: NDArray[np.int64]) -> Points:
    """Return points of a file by their ids (N,); only those are ever in memory.

    Raises:
        DepthLMError: For a damaged file, or one that has not all of them.
    """
    known, starts = _index_points(path)
    at = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    if not len(known) or (known[at] != ids).any():
        raise DepthLMError(
            f"{path} has not all of the points that the images of the model observe; are its files"
            " of one reconstruction?"
        )
    places, errors_px, tracks = [], [], []
    with parsing(path, "points"), mapped(path) as data:
        for start in starts[at].tolist():
            if path.suffix == ".txt":
                data.seek(start)
                _, *xyz, _, _, _, error = map(float, (words := data.readline().split())[:8])
                track = [int(word) for word in words[8::2]]
            else:
                _, *xyz, error, length = _POINT.unpack_from(data, start)
                pairs = struct.unpack_from(f"<{2 * length}I", data, start + _POINT.size)
                track = [*pairs[::2]]
            places.append(xyz)
            errors_px.append(error)
            tracks.append(track)
    owner = np.repeat(np.arange(len(tracks)), [len(track) for track in tracks])
    images = np.fromiter(chain.from_iterable(tracks), dtype=np.int64)
    return Points(np.array(places), np.array(errors_px), owner, images)


@lru_cache(maxsize=1)
def _index_points(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of all points, in their order, and the bytes where they begin."""
    ids, starts = array("q"), array("q")
    with parsing(path, "points"), mapped(path) as data:
        if path.suffix == ".txt":
            start = 0
            while line := data.readline():
                if line.strip() and not line.startswith(b"#"):
                    ids.append(int(line[: line.index(b" ")]))
                    starts.append(start)
                start += len(line)
        else:
            start = COUNT.size
            for _ in range(*COUNT.unpack_from(data)):
                point_id, length = _ID_AND_LENGTH.unpack_from(data, start)
                ids.append(point_id)
                starts.append(start)
                start += _POINT.size + 8 * length
            if start > len(data):
                raise ValueError("it ends in a track")
    order = np.argsort(np.frombuffer(ids, np.int64))
    return np.frombuffer(ids, np.int64)[order], np.frombuffer(starts, np.int64)[order]


def angles_deg(points: Points, centre: Floats, images: Path) -> Floats:
    """Return the largest angle (N,) at each point between the ray to a camera and another's.

    Args:
        points: The points.
        centre: Where the camera is (3,), in the model's frame.
        images: The model's file of images, which says where the others are.
    """
    known, centres = _centres(images)
    at = np.minimum(np.searchsorted(known, points.images), len(known) - 1)
    there = known[at] == points.images  # an image can have been taken out of a model
    owner = points.owner[there]
    ray = _unit(centre - points.places)[owner]
    other_ray = _unit(centres[at[there]] - points.places[owner])
    # Half the angle, by its sine: the cosine of a small angle has lost it.
    chord = np.linalg.norm(ray - other_ray, axis=1)
    angles = np.zeros(len(points.places))
    np.maximum.at(angles, owner, np.rad2deg(2 * np.arcsin(np.clip(chord / 2, 0, 1))))
    return angles


def _unit(vectors: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    result: Floats = vectors / np.maximum(length, 1e-300)
    return result


@lru_cache(maxsize=1)
def _centres(path: Path) -> tuple[NDArray[np.int64], Floats]:
    """Return the ids of a model's images, in their order, and the cameras' centres (N, 3)."""
    stored = sorted(read_images(path), key=lambda image: image.image_id)
    centres = [inverse(image.world_to_camera())[:3, 3] for image in stored]
    return np.array([image.image_id for image in stored]), np.array(centres)
