"""The Waymo Open Dataset v2 on disk, small, written from its documentation: see `raw`.

A vehicle drives straight and turns through the street while its lidar spins and its cameras, whose
columns are exposed one after the other, take pictures through lenses that distort.
"""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from support import street
from support.enlarged import enlarged, larger

SEGMENTS = {  # name: where it starts, and the times of its frames
    "10017090168044687777_6380_000_6400_000": ((0.0, 0.0, 10.0), (1553735853.462, 1553735853.562)),
    "1005081002024129653_5313_150_5333_150": ((-20.0, 2.0, -5.0), (1507143330.1,)),
}
WORLD_M = (-4069.03, 11526.31, 86.5)  # of the street's origin
SPEED_M_S, TURN_RAD_S = 25.0, 0.3
ROLL, PITCH = 0.04, -0.05  # of a road
READOUT_S, SHUTTER_S = 0.045, 0.002
# number: size, focal length, principal point from the corner, degrees to the left, where it is,
# direction of the shutter, time of the picture's pose after the frame's
CAMERAS = {
    1: ((480, 320), 514.0, (235.0, 160.5), 0.0, (1.54, -0.02, 1.5), 2, 0.004),
    2: ((480, 320), 512.0, (244.0, 158.0), 42.0, (1.49, 0.1, 2.1), 4, -0.06),
    4: ((480, 222), 510.0, (238.0, 80.0), 88.0, (1.43, 0.12, 2.1), 4, -0.045),
}
NAMES = {1: "FRONT", 2: "FRONT_LEFT", 4: "SIDE_LEFT"}
LENS = (-0.25, 0.08, 0.004, -0.006, 0.02)  # k1, k2, p1, p2, k3
# number: rows, columns, degrees to the left, where it is
LASERS = {
    1: (64, 900, 148.0, (1.43, 0.0, 2.18)),
    2: (60, 180, 2.0, (4.07, 0.0, 0.69)),
    3: (60, 180, 91.0, (3.24, 1.02, 0.98)),
}
TOP_BEAMS = np.deg2rad(-17.7 + np.concatenate([[0], np.cumsum(np.linspace(0.55, 0.1, 63))]))
LOW, HIGH = -1.2, 0.5
SPIN_S = 0.1


def turned(roll, pitch, yaw):
    """Return Rz(yaw) Ry(pitch) Rx(roll)."""
    (a, b, c), (d, e, f) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([(1, 0, 0), (0, a, -d), (0, d, a)])
    about_y = np.array([(b, 0, e), (0, 1, 0), (-e, 0, b)])
    about_z = np.array([(c, -f, 0), (f, c, 0), (0, 0, 1)])
    return about_z @ about_y @ about_x


@dataclass(frozen=True)
class Drive:
    x: float
    y: float
    yaw: float
    start_s: float

    @property
    def velocity(self):
        return SPEED_M_S * np.array([np.cos(self.yaw), np.sin(self.yaw), 0.0])

    def yaws(self, time_s):
        return self.yaw + TURN_RAD_S * (np.asarray(time_s, float) - self.start_s)

    def pose(self, time_s):
        """Return vehicle to street (..., 4, 4): x forward, y left, z up."""
        yaw = self.yaws(time_s)
        about_z = np.zeros((*yaw.shape, 3, 3))
        about_z[..., 0, 0] = about_z[..., 1, 1] = np.cos(yaw)
        about_z[..., 1, 0], about_z[..., 0, 1] = np.sin(yaw), -np.sin(yaw)
        about_z[..., 2, 2] = 1
        pose = np.zeros((*yaw.shape, 4, 4))
        pose[..., :3, :3] = about_z @ turned(ROLL, PITCH, 0)
        pose[..., :3, 3] = (self.x, self.y, 0.1)
        pose[..., :3, 3] += self.velocity * (np.asarray(time_s) - self.start_s)[..., None]
        pose[..., 3, 3] = 1
        return pose


@dataclass(frozen=True, eq=False)
class Shot:
    """A picture: a camera behind a lens, on its way. Pixels are counted from their centres."""

    drive: Drive
    mount: np.ndarray  # camera (right, down, forward) to vehicle
    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    shutter: int
    pose_s: float
    trigger_s: float

    def rays(self, u, v):
        seen = np.stack([(u - self.cx) / self.fx, (v - self.cy) / self.fy], -1)
        ideal = seen
        for _ in range(25):
            ideal = ideal + seen - distorted(ideal)
        return np.concatenate([ideal, np.ones((*ideal.shape[:-1], 1))], -1)

    def times(self, u):
        part = (np.asarray(u) + 0.5) / self.width
        part = 1 - part if self.shutter == 4 else part
        return self.trigger_s + SHUTTER_S / 2 + part * READOUT_S

    def poses(self, times_s):
        return self.drive.pose(times_s) @ self.mount

    def hits(self, u, v):
        """Return what pixels see when they are exposed (..., 3), and how far it is then (...)."""
        rays = self.rays(u, v)
        rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        poses = self.poses(self.times(u))
        rays = (poses[..., :3, :3] @ rays[..., None])[..., 0]
        distance = street.cast(poses[..., :3, 3], rays)
        return poses[..., :3, 3] + rays * distance[..., None], distance

    def project(self, points):
        """Return where points (N, 3) of the street are seen (N, 2), and whether in the picture."""
        times = np.full(len(points), self.pose_s)
        for _ in range(6):
            poses = self.poses(times)
            there = points - poses[:, :3, 3]
            x, y, z = (poses[:, :3, :3].transpose(0, 2, 1) @ there[..., None])[..., 0].T
            front = z > 0.1
            ideal = np.stack([x, y], -1) / np.where(front, z, 1)[:, None]
            front &= np.hypot(*ideal.T) < 0.9  # the lens's polynomial turns round beyond
            ideal = np.where(front[:, None], ideal, 0)
            places = distorted(ideal) * (self.fx, self.fy) + (self.cx, self.cy)
            times = self.times(np.clip(places[:, 0], -60, self.width + 60))
        inside = (places >= -0.5) & (places < (self.width - 0.5, self.height - 0.5))
        return places, front & inside.all(1)


def distorted(ideal):
    k1, k2, p1, p2, k3 = LENS
    x, y = ideal[..., 0], ideal[..., 1]
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        -1,
    )


def distance_at(shot, pose, u, v):
    """Return how far what pixels see is from where the camera was at the picture's pose."""
    return np.linalg.norm(shot.hits(u, v)[0] - pose[:3, 3], axis=-1)


def write_waymo(root, split="training", segments=tuple(SEGMENTS), times=1):
    """One file a component and segment, rows in another order in each.

    Pictures and the columns of the lidars are `times` as many; four is about their real size.
    """
    truth = {}
    for number, segment in enumerate(segments):
        (x, y, yaw), frames = SEGMENTS[segment]
        drive = Drive(x, y, np.deg2rad(yaw), frames[0])
        tables = {name: [] for name in SCHEMAS}
        for camera in CAMERAS:
            tables["camera_calibration"].append(_camera_calibration(segment, camera, times))
        for laser in LASERS:
            tables["lidar_calibration"].append(_laser_calibration(segment, laser))
        for frame_s in frames:
            # The key is the time when the lidar started to turn; the pose is from its middle.
            keys = segment, round((frame_s - SPIN_S / 2) * 1e6)
            tables["vehicle_pose"].append((*keys, _stored(drive.pose(frame_s))))
            small = {camera: _shot(camera, drive, frame_s) for camera in CAMERAS}
            shots = {camera: larger(shot, times) for camera, shot in small.items()}
            for camera, shot in shots.items():
                tables["camera_image"].append((*keys, camera, *_image_row(small[camera], times)))
                truth[f"{keys[0]}/{keys[1]}/{NAMES[camera]}"] = shot, shot.poses(shot.pose_s)
            for laser in LASERS:
                ranges, points, angles = _swept(laser, drive, frame_s, times)
                cells = _image(np.where(ranges > 75, -1, ranges), 0.3, 0.1, 0)
                echo = _image(np.where(ranges > 75, -1, ranges / 2), 0.1, 0.1, 0)
                tables["lidar"].append((*keys, laser, *cells, *echo))
                given, shape = _projected(np.where(ranges[..., None] > 75, np.nan, points), shots)
                both = given, shape, given + 7, shape  # the second return is another thing
                tables["lidar_camera_projection"].append((*keys, laser, *both))
                if laser == 1:
                    tables["lidar_pose"].append((*keys, laser, *angles))
        for order, (name, rows) in enumerate(tables.items()):
            shuffled = np.random.default_rng([number, order]).permutation(len(rows))
            _write(root / split / name / f"{segment}.parquet", name, [rows[n] for n in shuffled])
    return truth


def _shot(camera, drive, frame_s):
    (width, height), focal, (cx, cy), left_deg, at, shutter, late_s = CAMERAS[camera]
    pose_s = frame_s + late_s
    return Shot(
        drive,
        street.mounted(left_deg, at),
        *(focal, focal + 1, cx - 0.5, cy - 0.5, width, height, shutter),
        pose_s,
        pose_s - 0.021,
    )


def _stored(pose):
    """Return 16 numbers of a pose in the dataset's world."""
    shifted = np.array(pose)
    shifted[:3, 3] += WORLD_M
    return shifted.ravel().tolist()


def _camera_calibration(segment, camera, times):
    (width, height), focal, centre, left_deg, at, shutter, _ = CAMERAS[camera]
    # x forward, y left, z up are z, -x, -y of a camera that looks along z
    turn = street.mounted(left_deg, at)
    turn[:3, :3] = np.stack([turn[:3, 2], -turn[:3, 0], -turn[:3, 1]], 1)
    sizes = (focal, focal + 1, *centre, width, height)
    fx, fy, cx, cy, width, height = (size * times for size in sizes)
    pose = turn.ravel().tolist()
    return segment, camera, fx, fy, cx, cy, *LENS, pose, width, height, shutter


def _image_row(shot, times):
    v, u = np.mgrid[: shot.height, : shot.width]
    points, distance = shot.hits(u, v)
    weave = np.mod(np.floor(points + 0.01).sum(-1), 2)
    shade = np.clip(1.2 - distance / 100, 0.3, 1)[..., None]
    colours = np.where(weave[..., None] > 0, (190.0, 180.0, 160.0), (80.0, 95.0, 120.0)) * shade
    data = io.BytesIO()
    pixels = enlarged(colours.astype(np.uint8), times)
    Image.fromarray(pixels).save(data, "JPEG", quality=90)
    pose = shot.drive.pose(shot.pose_s)
    angular = pose[:3, :3].T @ (0, 0, TURN_RAD_S)  # in the vehicle's frame; linear in the world's
    times = SHUTTER_S, shot.trigger_s, shot.trigger_s + SHUTTER_S + READOUT_S
    stored = _stored(pose)
    return data.getvalue(), stored, *shot.drive.velocity, *angular, shot.pose_s, *times


def _mount(laser):
    *_, left_deg, at = LASERS[laser]
    mount = np.eye(4)
    mount[:3, :3], mount[:3, 3] = turned(0.02, -0.01, np.deg2rad(left_deg)), at
    return mount


def _laser_calibration(segment, laser):
    beams = TOP_BEAMS.tolist() if laser == 1 else None
    low, high = (TOP_BEAMS[0], TOP_BEAMS[-1]) if laser == 1 else (LOW, HIGH)
    return segment, laser, _mount(laser).ravel().tolist(), low, high, beams


def _swept(laser, drive, frame_s, times):
    """Return the ranges (H, W), the points (H, W, 3) of the street, the poses of TOP's cells."""
    height, width = LASERS[laser][0], LASERS[laser][1] * times
    mount = _mount(laser)
    if laser == 1:
        inclination = TOP_BEAMS[::-1]
    else:
        inclination = HIGH - (HIGH - LOW) * (np.arange(height) + 0.5) / height
    # From straight behind clockwise, as the vehicle sees it.
    heading = np.pi - 2 * np.pi * (np.arange(width) + 0.5) / width
    azimuth = heading - np.arctan2(mount[1, 0], mount[0, 0])
    i, a = np.meshgrid(inclination, azimuth, indexing="ij")
    rays = np.stack([np.cos(a) * np.cos(i), np.sin(a) * np.cos(i), np.sin(i)], -1)
    times = np.full(width, frame_s)
    if laser == 1:  # the others' images are made of one moment
        times = frame_s - SPIN_S / 2 + SPIN_S * np.arange(width) / width
    there = drive.pose(times) @ mount
    rays = np.einsum("wjk,hwk->hwj", there[:, :3, :3], rays)
    starts = np.broadcast_to(there[:, :3, 3], rays.shape)
    ranges = street.cast(starts, rays)
    yaw = drive.yaws(times)
    angles = np.stack([np.full(width, ROLL), np.full(width, PITCH), yaw], -1)
    places = drive.pose(times)[:, :3, 3] + WORLD_M
    cells = np.broadcast_to(np.concatenate([angles, places], -1), (height, width, 6))
    return ranges, starts + rays * ranges[..., None], _flat(cells)


def _image(ranges, *others):
    cells = np.broadcast_arrays(ranges, *others)
    return _flat(np.stack(cells, -1))


def _flat(cells):
    return cells.astype(np.float32).ravel(), list(cells.shape)


def _projected(points, shots):
    """Return camera, x, y of the first two cameras that see each cell; whole numbers."""
    height, width, _ = points.shape
    points = points.reshape(-1, 3)
    valid = ~np.isnan(points[:, 0])
    cells = np.zeros((len(points), 6))
    for camera, shot in sorted(shots.items()):
        places, inside = shot.project(np.where(valid[:, None], points, 0))
        seen = np.flatnonzero(inside & valid)
        first = seen[cells[seen, 0] == 0]
        second = seen[(cells[seen, 0] > 0) & (cells[seen, 3] == 0)]
        for rows, start in ((second, 3), (first, 0)):
            cells[rows, start] = camera
            cells[rows, start + 1 : start + 3] = np.floor(places[rows] + 0.5)
    return _flat(cells.reshape(height, width, 6))


def _named(component, kinds):
    return [(f"[{component}].{name}", kind) for kind, names in kinds for name in names]


D, F, INT8 = pa.float64(), pa.float32(), pa.int8()
POSE = pa.list_(D, 16)
SEGMENT, FRAME = (
    ("key.segment_context_name", pa.string()),
    ("key.frame_timestamp_micros", pa.int64()),
)
CAMERA, LASER = ("key.camera_name", INT8), ("key.laser_name", INT8)
VELOCITY = [f"velocity.{kind}_velocity.{axis}" for kind in ("linear", "angular") for axis in "xyz"]
SHUTTER = ("shutter", "camera_trigger_time", "camera_readout_done_time")


def _returns(component, *numbers):
    kinds = ("values", pa.list_(F)), ("shape", pa.list_(pa.int32(), 3))
    return [
        (f"[{component}].range_image_return{number}.{name}", kind)
        for number in numbers
        for name, kind in kinds
    ]


SCHEMAS = {
    "camera_image": [
        *(SEGMENT, FRAME, CAMERA),
        *_named(
            "CameraImageComponent",
            [
                (pa.binary(), ["image"]),
                (POSE, ["pose.transform"]),
                (F, VELOCITY[:3]),
                (D, VELOCITY[3:]),
                (D, ["pose_timestamp"]),
                (D, [f"rolling_shutter_params.{name}" for name in SHUTTER]),
            ],
        ),
    ],
    "camera_calibration": [
        *(SEGMENT, CAMERA),
        *_named(
            "CameraCalibrationComponent",
            [
                (D, [f"intrinsic.{name}" for name in ("f_u", "f_v", "c_u", "c_v")]),
                (D, [f"intrinsic.{name}" for name in ("k1", "k2", "p1", "p2", "k3")]),
                (POSE, ["extrinsic.transform"]),
                (pa.int32(), ["width", "height"]),
                (INT8, ["rolling_shutter_direction"]),
            ],
        ),
    ],
    "lidar": [SEGMENT, FRAME, LASER, *_returns("LiDARComponent", 1, 2)],
    "lidar_calibration": [
        *(SEGMENT, LASER),
        *_named(
            "LiDARCalibrationComponent",
            [
                (POSE, ["extrinsic.transform"]),
                (D, ["beam_inclination.min", "beam_inclination.max"]),
                (pa.list_(D), ["beam_inclination.values"]),
            ],
        ),
    ],
    "lidar_camera_projection": [
        *(SEGMENT, FRAME, LASER),
        *_returns("LiDARCameraProjectionComponent", 1, 2),
    ],
    "lidar_pose": [SEGMENT, FRAME, LASER, *_returns("LiDARPoseComponent", 1)],
    "vehicle_pose": [
        *(SEGMENT, FRAME),
        ("[VehiclePoseComponent].world_from_vehicle.transform", POSE),
    ],
}


def _write(path, component, rows):
    fields = [("index", pa.string()), *SCHEMAS[component]]
    rows = [(f"{row[0]};{number}", *row) for number, row in enumerate(rows)]
    columns = zip(*rows, strict=True)
    arrays = [pa.array(list(one), kind) for one, (_, kind) in zip(columns, fields, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(arrays, schema=pa.schema(fields))
    pq.write_table(table, path, row_group_size=4)  # a segment's quarter, in the real ones


FIXTURES = {"waymo": (write_waymo, [])}
