"""Waymo Open Dataset, Perception: street scenes with five lidars, version 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ....errors import ConfigError, RecordError
from ....geometry.arrays import Floats
from ....geometry.camera import Camera
from ....geometry.lens import Lens
from ....geometry.rigid import inverse, moved
from ...formats.lidar import visible
from ...frames import Frame, Item
from ...reading import Official, Reader, missing
from .range_image import cloud
from .rows import COMPONENTS, Row, read_keys, rows_of_frame, rows_of_segment

_CAMERAS = {1: "FRONT", 2: "FRONT_LEFT", 3: "FRONT_RIGHT", 4: "SIDE_LEFT", 5: "SIDE_RIGHT"}
# Beams of the lidar on the roof are up to 0.55 degrees apart, those of the others 0.6; and along a
# beam returns are 0.14 and about 0.3. The cameras are on the roof too.
_ABOVE_RAD, _ACROSS_RAD = np.deg2rad((0.6, 0.3))
_ASTRAY = 0.01  # of the picture's width: where both are right they agree within a pixel
_FORWARD_LEFT_UP: Floats = np.array(
    [(0, 0, 1, 0), (-1, 0, 0, 0), (0, -1, 0, 0), (0, 0, 0, 1)], dtype=np.float64
)  # a camera's axes there, from right, down, forward
# Axis of the pixel by which the time of exposure goes, and whether it goes backwards.
_SHUTTERS = {1: (1, False), 2: (0, False), 3: (1, True), 4: (0, True)}


@dataclass(frozen=True)
class Waymo(Reader):
    """Waymo Open Dataset, Perception v2: five cameras and lidars at 10 Hz (Sun et al., 2020).

    Source: waymo.com/open, after registration: of the bucket `waymo_open_dataset_v_2_0_1` the
    folders `camera_image`, `camera_calibration`, `lidar`, `lidar_calibration`,
    `lidar_camera_projection`, `lidar_pose` and `vehicle_pose` of each split, one Parquet file a
    segment (0.6 GB).

    Licence: Waymo Dataset License Agreement: non-commercial; the data, so the pictures that are
    written here too, must not be redistributed.

    Camera: `opencv`, the calibration of the segment; pictures stay distorted, 1920x1280, 1920x886
    at the sides. Published for pixels counted from their edges: a centre here is half a pixel less.
    `--option every=N` takes each N-th frame of a segment, of all five cameras.

    Depth: distance, of the first returns of all five lidars, at the pixels that
    `lidar_camera_projection` gives them, to where the camera was at `pose_timestamp` (seconds since
    1970, the record's `timestamp`), without those hidden from it. The shutter is rolling, 45 ms
    from side to side: a pixel at the border saw its point up to 22 ms earlier or later. A frame is
    refused when the projection is not ours of the same points, 1 % of the width off in the median.
    What moves by itself is where the lidar met it.

    Units: float32 metres. `speed_m_s` is the vehicle's speed.

    Invalid: a range of 0 or less; and points nearer than 1 m, which are the vehicle itself.

    Split: `training` (default; 798 segments), `validation` (202) or `testing` (150), folders of the
    download. Scenes are segments.
    """

    every: int = 1

    SPLITS: ClassVar[tuple[str, ...]] = ("training", "validation", "testing")
    STORED_DEPTH: ClassVar[str] = "five lidars, m"
    CALIBRATED: ClassVar[bool] = True
    MOTION: ClassVar[tuple[str, ...]] = ("pose", "timestamp", "speed_m_s")
    OFFICIAL: ClassVar[Official] = Official(
        "distance",
        split="training",
        note="Their labels are 27 to 62 pixels away from where they belong, because the map that"
        " undistorts pictures was applied to pixels backwards; they have the points of the lidar on"
        " the roof only, hidden ones too, and the distance to where the camera was at the time of"
        " the lidar's frame, not of the picture. None of this is repeated, and pictures are neither"
        " undistorted nor resized. Which pixels were drawn was not published.",
    )

    def items(self) -> Iterator[Item]:
        """Yield the pictures as `<segment>/<frame_timestamp_micros>/<camera>`, in this order."""
        if self.every < 1:
            raise ConfigError(f"--option every={self.every}: expected 1 or more")
        split = self.root / str(self.split)
        files = sorted((split / "camera_image").glob("*.parquet"))
        lacking = [name for name in COMPONENTS if not (split / name).is_dir()]
        if not files or lacking:
            looked_for = f"{self.split}/{lacking[0] if lacking else 'camera_image'}/*.parquet"
            raise missing(self.root, "the Waymo Open Dataset, version 2", looked_for)
        for file in files:
            frames: dict[int, list[int]] = {}
            for frame, camera in read_keys(file):
                frames.setdefault(frame, []).append(camera)
            for frame in sorted(frames)[:: self.every]:
                for camera in sorted(frames[frame]):
                    name = _CAMERAS.get(camera, str(camera))
                    yield Item(f"{file.stem}/{frame}/{name}", (file.stem, frame, camera))

    def load(self, item: Item) -> Frame:
        """Return a picture with the points of its frame that its camera sees."""
        where = f"waymo {item.frame_id}"
        split = self.root / str(self.split)
        segment, frame, number = item.at
        calibrations = rows_of_segment(split, "camera_calibration", segment, where)
        if number not in calibrations:
            raise RecordError(
                "bad calibration",
                where,
                f"camera_calibration has no camera {number}; fetch the file of the segment again",
            )
        calibration = calibrations[number]
        shot = rows_of_frame(split, "camera_image", segment, frame, where)[number]
        camera = _camera(calibration)
        mount = _pose(calibration["extrinsic.transform"]) @ _FORWARD_LEFT_UP
        vehicle = _pose(shot["pose.transform"])
        points_m, seen_by, places = cloud(split, segment, frame)
        cell, which = np.nonzero(seen_by == number)
        pixels = places[cell, which]
        inside = ((pixels >= 0) & (pixels < camera.size_wh)).all(axis=1)
        pixels = pixels[inside]
        points_m = moved(inverse(vehicle), points_m[cell][inside])  # at the time of the pose
        astray_px = _astray_px(points_m, pixels, camera, mount, shot, calibration)
        if astray_px > _ASTRAY * camera.size_wh[0]:
            raise RecordError(
                "projection disagrees",
                where,
                f"half of the lidar's points fall {astray_px:.0f} or more pixels away from where"
                " lidar_camera_projection puts them; are all files of the segment from one"
                " download?",
            )
        distance_m = np.linalg.norm(points_m - mount[:3, 3], axis=1)
        pixels, distance_m, dropped = visible(
            pixels,
            distance_m,
            camera,
            np.full(len(pixels), _ABOVE_RAD),
            np.full(len(pixels), _ACROSS_RAD),
        )
        if outside := int((~inside).sum()):
            dropped["outside the picture"] = outside
        velocity = [shot[f"velocity.linear_velocity.{axis}"] for axis in "xyz"]
        return Frame(
            shot["image"],
            camera,
            "distance",
            pixels=pixels,
            points_m=distance_m,
            scene=segment,
            camera_name=_CAMERAS.get(number, str(number)),
            timestamp=shot["pose_timestamp"],
            pose=vehicle @ mount,
            dropped=dropped,
            extra={"speed_m_s": round(float(np.linalg.norm(velocity)), 3)},
        )


def _pose(transform: NDArray[np.float64]) -> Floats:
    return transform.reshape(4, 4)


def _camera(row: Row) -> Camera:
    fx, fy, cx, cy = (row[f"intrinsic.{name}"] for name in ("f_u", "f_v", "c_u", "c_v"))
    lens = Lens(
        "opencv", tuple(row[f"intrinsic.{name}"] for name in ("k1", "k2", "p1", "p2", "k3"))
    )
    intrinsics = [fx, fy, cx - 0.5, cy - 0.5, row["width"], row["height"]]
    return Camera.from_intrinsics(intrinsics, lens)


def _astray_px(
    points_m: Floats,
    pixels: NDArray[np.int64],
    camera: Camera,
    mount: Floats,
    shot: Row,
    calibration: Row,
) -> float:
    """Return how far, in the median, points fall from their published pixels; 0 without any.

    Args:
        points_m: Points (N, 3) in the vehicle's frame at the time of the picture's pose, metres.
        pixels: Their published pixels (N, 2).
        camera: The camera, with its lens.
        mount: Its pose on the vehicle (4, 4).
        shot: The picture's row.
        calibration: The camera's row.
    """
    if not len(pixels):
        return 0.0
    # The vehicle's frame when the pixels were exposed, to first order.
    seconds = _exposed_after_pose(pixels, camera, shot, calibration)[:, None]
    linear, angular = (
        np.array([shot[f"velocity.{kind}_velocity.{axis}"] for axis in "xyz"], np.float64)
        for kind in ("linear", "angular")
    )
    points_m = points_m - seconds * (linear @ _pose(shot["pose.transform"])[:3, :3])
    points_m = points_m - seconds * np.cross(angular, points_m)
    x, y, z = moved(inverse(mount), points_m).T
    off_px = np.full(len(pixels), np.inf)
    front = z > 0
    assert camera.lens is not None
    rays, _ = camera.lens.try_distort(np.stack([x, y], axis=1)[front] / z[front, None])
    places = rays * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    off_px[front] = np.nan_to_num(np.abs(places - pixels[front]).max(axis=1), nan=np.inf)
    return float(np.median(off_px))


def _exposed_after_pose(
    pixels: NDArray[np.int64], camera: Camera, shot: Row, calibration: Row
) -> Floats:
    """Return how long after the picture's pose pixels (N, 2) were exposed (N,), seconds."""
    shutter, trigger, done = (
        shot[f"rolling_shutter_params.{name}"]
        for name in ("shutter", "camera_trigger_time", "camera_readout_done_time")
    )
    direction = calibration["rolling_shutter_direction"]
    if direction not in _SHUTTERS:
        return np.zeros(len(pixels))
    axis, backwards = _SHUTTERS[direction]
    part = (pixels[:, axis] + 0.5) / camera.size_wh[axis]
    if backwards:
        part = 1 - part
    first = trigger + shutter / 2 - shot["pose_timestamp"]
    result: Floats = first + part * (done - trigger - shutter)
    return result
