"""Sparse models of COLMAP: pictures, cameras and triangulated points, made metric by a scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....cameras.colmap import (
    ModelFiles,
    find_model,
    images_with_cameras,
    read_observations,
)
from ....errors import ConfigError, RecordError
from ....geometry.arrays import Floats
from ....geometry.camera import Camera
from ....geometry.rigid import inverse, moved
from ...frames import Frame, Item
from ...reading import Reader, missing
from .points import angles_deg, read_points

_MODELS = ("sparse/0", "sparse")


@dataclass(frozen=True)
class ColmapModel(Reader):
    """A sparse model of COLMAP: your own pictures, made metric by a scale that you state.

    Source: your own reconstruction, or anyone's: pictures in `images/` (`--option images=FOLDER`)
    and `cameras`, `images`, `points3D` in `sparse/0/` or `sparse/` (`--option model=FOLDER`), as
    `.bin`, which is preferred, or `.txt`. Further files, as rigs and frames, are not needed.

    Licence: yours to state.

    Camera: of each picture, with its lens: SIMPLE_PINHOLE, PINHOLE; SIMPLE_RADIAL, RADIAL, OPENCV;
    the same with _FISHEYE, SIMPLE_FISHEYE, FISHEYE; THIN_PRISM_FISHEYE. Pictures of others, as
    FULL_OPENCV and FOV, are left out: undistort them first (`colmap image_undistorter`). Pixels
    count from corners there: the first centre is (0.5, 0.5).

    Depth: distance of the camera to triangulated points, at the pixels where they were observed.
    Of two points on one pixel the nearer. A point's place in the picture is known to
    `max_error_px` and half a pixel: a label may be that of the surface so far beside its pixel.

    Units: COLMAP's are arbitrary: `--option scale=METRES` must be given, the metres of one unit.

    Invalid: observations with a reprojection error, their own or the mean of their point, from
    `--option max_error_px=2`; points found in fewer than `min_track=3` images, or under an angle
    below `min_angle_deg=1.5` between the rays of this picture and any other.

    Split: none; use `depthlm split`. The whole model is one scene, named as the root.
    """

    scale: float | None = None
    model: str | None = None
    images: str = "images"
    max_error_px: float = 2.0
    min_track: int = 3
    min_angle_deg: float = 1.5

    STORED_DEPTH: ClassVar[str] = "points, by your scale"
    MOTION: ClassVar[tuple[str, ...]] = ("pose",)

    def items(self) -> Iterator[Item]:
        """Yield the images of the model by their names."""
        files = self._files()
        if files is None or not (self.root / self.images).is_dir():
            places = " or ".join(f"{model}/" for model in self._models())
            raise missing(
                self.root,
                "a COLMAP reconstruction",
                f"cameras, images and points3D (.bin or .txt) in {places} (--option model=FOLDER)"
                f" and pictures in {self.images}/ (--option images=FOLDER)",
            )
        self._check()
        for image, camera in images_with_cameras(files.images, files.cameras):
            yield Item(image.name, (image, camera))

    def load(self, item: Item) -> Frame:
        """Return a picture with the distances of the points observed in it."""
        image, stored = item.at
        where = f"colmap {item.frame_id}"
        files = self._files()
        assert files is not None
        assert self.scale is not None
        camera = stored.camera()
        world_to_camera = image.world_to_camera()
        keypoints, ids = read_observations(files.images, image)
        if not len(ids):
            raise RecordError("no points", where, "no 3-D point of the model was observed in it")
        points = read_points(files.points, ids)
        seen = moved(world_to_camera, points.places)
        pose = inverse(world_to_camera)
        keypoints = keypoints - 0.5
        pixels = np.floor(keypoints + 0.5).astype(np.int64)
        error_px = np.hypot(*(_projected(camera, seen) - keypoints).T)
        passed = {
            "reprojection error": np.maximum(error_px, points.errors_px) < self.max_error_px,
            "short track": np.bincount(points.owner, minlength=len(ids)) >= self.min_track,
            "small triangulation angle": angles_deg(points, pose[:3, 3], files.images)
            >= self.min_angle_deg,
            "outside the picture": ((pixels >= 0) & (pixels < camera.size_wh)).all(axis=1),
        }
        good = np.ones(len(ids), dtype=np.bool_)
        dropped = {}
        for reason, passing in passed.items():
            dropped[reason] = int((good & ~passing).sum())
            good &= passing
        if not good.any():
            counts = ", ".join(f"{count} {reason}" for reason, count in dropped.items() if count)
            raise RecordError(
                "no points", where, f"none of {len(ids)} observations is a label: {counts}"
            )
        pixels, distance_m = pixels[good], np.linalg.norm(seen[good], axis=1) * self.scale
        nearest = np.lexsort((distance_m, pixels[:, 0], pixels[:, 1]))
        nearest = nearest[np.unique(pixels[nearest], axis=0, return_index=True)[1]]
        dropped["behind another point"] = len(pixels) - len(nearest)
        pose[:3, 3] *= self.scale
        return Frame(
            self.root / self.images / image.name,
            camera,
            "distance",
            pixels=pixels[nearest],
            points_m=distance_m[nearest],
            scene=self.root.resolve().name,
            camera_name=str(image.camera_id),
            pose=pose,
            dropped={reason: count for reason, count in dropped.items() if count},
        )

    def _models(self) -> tuple[str, ...]:
        return _MODELS if self.model is None else (self.model,)

    def _files(self) -> ModelFiles | None:
        candidates = (find_model(self.root / model) for model in self._models())
        files = next((files for files in candidates if files is not None), None)
        if files is not None:
            for path in (files.cameras, files.images, files.points):
                self.below(path, "--option model" if self.model else "colmap")
        return files

    def _check(self) -> None:
        if self.scale is None or not 0 < self.scale < math.inf:
            raise ConfigError(
                "give --option scale=METRES, the metres of one unit of the model, which COLMAP"
                " chooses as it likes: divide a length that you measured by that between the same"
                " two points of the model (or two camera centres); 1 for a model that was aligned"
                f" to metres (colmap model_aligner); found {self.scale}"
            )
        self.below(self.root / self.images, "--option images")


def _projected(camera: Camera, points: Floats) -> Floats:
    """Return the places (N, 2) of points (N, 3) in the picture, NaN for those that have none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rays = np.where(points[:, 2:] > 0, points[:, :2] / points[:, 2:], np.nan)
    if camera.lens is not None:
        rays, _ = camera.lens.try_distort(rays)
    places: Floats = rays * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return places
