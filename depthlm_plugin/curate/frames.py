"""What a reader yields: items to load, and frames with metric depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError, did_you_mean
from ..geometry.arrays import Floats
from ..geometry.camera import DEPTH_KINDS, Camera
from ..geometry.rigid import check_pose

_BORDER_PX = 0.5  # of a depth map: by how much one edge may miss the picture's where others agree


@dataclass(frozen=True, slots=True)
class Item:
    """A frame that can be loaded; items are cheap, since all are listed and sent to workers.

    Attributes:
        frame_id: Its name, unique in the dataset; it seeds its samples and names it in errors.
        at: Whatever the reader needs to load it and can be pickled.
        problem: Why it cannot be loaded, if the list of frames says so already: the reason and the
            message of a `RecordError`.
    """

    frame_id: str
    at: Any = None
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model said of pixels that were drawn of a picture.

    Attributes:
        labelled: Which of the pixels have a label (N,).
        depth_m: The depths (M,) of these, metres.
        each: What the record says of every one of these besides, by key: M values.
        dropped: The others, by reason.
    """

    labelled: NDArray[np.bool_]
    depth_m: Floats
    each: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture with its camera and metric depth: a map, single points, or whoever is asked.

    Attributes:
        image: Path of a picture below the reader's root, used where it is; or the bytes of an
            encoded picture (PNG, JPEG), which are written beside the records.
        camera: Its camera, where integers are pixel centres, with its lens if it has one.
        depth_kind: What the depths are: `z` along the principal axis, or `distance` to the centre.
        depth_m: Map (H, W), floating-point metres; NaN, infinite or not positive where there is no
            depth. Of the picture's size, or smaller and covering the same field of view.
        pixels: Labelled pixels (N, 2) of the picture as (x, y), instead of a map.
        points_m: The depths (N,) of these pixels, metres.
        scene: What must not be on two sides of a split, such as a room, a log or a building.
        camera_name: Which of the dataset's cameras took it.
        timestamp: When it was taken, in the dataset's own unit and type.
        pose: Camera to world (4, 4), metres, OpenCV axes (x right, y down, z forward).
        dropped: Points that the reader left out, by reason.
        lacking: What frames of the dataset have as a rule and this one has not, and why, as `pose
            (...)`; it is counted.
        noted: What the card is to say of it, in words that many frames share; they are counted.
        extra: Further keys of the record.
        ask: Whoever gives the depths of pixels (N, 2) that are drawn of the picture, instead of
            a map or points.

    Raises:
        GeometryError: For shapes, types or values that are not those.
    """

    image: Path | bytes
    camera: Camera
    depth_kind: str
    depth_m: NDArray[np.floating[Any]] | None = None
    pixels: NDArray[Any] | None = None
    points_m: NDArray[np.floating[Any]] | None = None
    scene: str | None = None
    camera_name: str | None = None
    timestamp: float | int | None = None
    pose: Floats | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    noted: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    ask: Callable[[NDArray[np.int64]], Answers] | None = None

    def __post_init__(self) -> None:
        if self.depth_kind not in DEPTH_KINDS:
            raise GeometryError(
                f"unknown depth_kind {self.depth_kind!r}"
                f"{did_you_mean(self.depth_kind, list(DEPTH_KINDS))}"
            )
        if [self.depth_m is None, self.points_m is None, self.ask is None].count(False) != 1:
            raise GeometryError("a frame has one of a depth map, points and whoever is asked")
        if self.depth_m is not None:
            self._check_map(self.depth_m)
        if self.points_m is not None:
            self._check_points(self.points_m)
        if self.pose is not None:
            check_pose(self.pose)

    def _check_map(self, depth_m: NDArray[Any]) -> None:
        _check_metres(depth_m)
        width, height = self.camera.size_wh
        if depth_m.ndim != 2 or not depth_m.size:
            raise GeometryError(f"a depth map has the shape (H, W), found {depth_m.shape}")
        if not same_field((width, height), (depth_m.shape[1], depth_m.shape[0])):
            raise GeometryError(
                f"the depth map is {depth_m.shape[1]}x{depth_m.shape[0]} but its picture"
                f" {width}x{height}; expected the same size, or a smaller map of the same shape"
            )

    def _check_points(self, points_m: NDArray[Any]) -> None:
        _check_metres(points_m)
        shape = None if self.pixels is None else self.pixels.shape
        if points_m.ndim != 1 or shape != (len(points_m), 2):
            raise GeometryError(
                f"points are pixels (N, 2) and depths (N,), found {shape} and {points_m.shape}"
            )

    def measured(self) -> tuple[NDArray[np.int64], Floats]:
        """Return all labelled pixels (N, 2) inside the picture and their valid depths (N,), metres.

        A depth of a smaller map belongs to the centre of its pixel: to the picture's pixel there.
        """
        return self.at(self.places())

    def places(self) -> NDArray[np.int64]:
        """Return what `measured` returns the pixels and depths of, as numbers (N,) for `at`.

        They are far less to make and to shuffle.
        """
        depth_m = self.points_m if self.depth_m is None else self.depth_m
        assert depth_m is not None
        good = np.isfinite(depth_m) & (depth_m > 0)
        if self.pixels is not None:
            pixels = _rounded(self.pixels)
            good &= ((pixels >= 0) & (pixels < self.camera.size_wh)).all(axis=1)
        return np.flatnonzero(good)

    def at(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
        """Return the pixels (N, 2) and depths (N,), metres, of some of `places` (N,)."""
        if self.depth_m is not None:
            rows, columns = np.divmod(places, self.depth_m.shape[1])
            return self.to_picture(rows, columns), self.depth_m[rows, columns].astype(np.float64)
        assert self.pixels is not None
        assert self.points_m is not None
        return _rounded(self.pixels[places]), self.points_m[places].astype(np.float64)

    def to_picture(self, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.int64]:
        """Return the picture's pixels (N, 2) nearest to the centres of pixels of the depth map."""
        assert self.depth_m is not None
        width, height = self.camera.size_wh
        map_height, map_width = self.depth_m.shape
        pixels = np.stack([columns, rows], axis=1)
        if (map_width, map_height) == (width, height):
            return pixels.astype(np.int64)
        # Design §4: u' = (u + 0.5) s - 0.5, rounded with halves up.
        scale_xy = np.array([width / map_width, height / map_height])
        scaled: NDArray[np.int64] = np.floor((pixels + 0.5) * scale_xy).astype(np.int64)
        return scaled

    def to_map(self, pixels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the pixels (N, 2), as (column, row), of the depth map that hold the picture's."""
        assert self.depth_m is not None
        map_height, map_width = self.depth_m.shape
        map_wh = np.array([map_width, map_height])
        inside = np.floor((pixels + 0.5) * map_wh / self.camera.size_wh).astype(np.int64)
        result: NDArray[np.int64] = np.clip(inside, 0, map_wh - 1)
        return result


def _rounded(pixels: NDArray[Any]) -> NDArray[np.int64]:
    rounded: NDArray[np.int64] = np.floor(pixels + 0.5).astype(np.int64)
    return rounded


def same_field(size_wh: tuple[int, int], map_wh: tuple[int, int]) -> bool:
    """Return whether a depth map can be a picture made smaller, both axes alike.

    ScanNet's 640x480 is not of 1296x968: four rows were cut, and scaled labels would be 2 px off.
    """
    scale_x, scale_y = size_wh[0] / map_wh[0], size_wh[1] / map_wh[1]
    shift_px = abs(scale_x / scale_y - 1) * max(map_wh) / 2
    return min(scale_x, scale_y) >= 1 and shift_px <= _BORDER_PX


def _check_metres(depth: NDArray[Any]) -> None:
    if not np.issubdtype(depth.dtype, np.floating):
        raise GeometryError(
            f"depth must be floating-point metres, found {depth.dtype}; divide by the units a metre"
        )
