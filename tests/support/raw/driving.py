"""Argoverse 2, nuScenes and DDAD on disk, small, written from their documentation: see `raw`.

The vehicle drives 25 m/s and turns, and pictures and sweeps are taken at different times. Pictures
have a quarter of their real size, or `times` as much. What the records call the world is turned and
far away.
"""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import feather

from support import street
from support.enlarged import larger, photographed
from support.scene import Pinhole

PINHOLE = ("fx", "fy", "cx", "cy", "width", "height")
CITY = street.car_pose(5120.3, -2411.7, 30)  # of the street
AV2_LOG = "0a0af725-fbc3-41de-b969-3be718f694e2"
AV2_YAWS = {
    "ring_front_center": 0,
    "ring_front_left": 45,
    "ring_front_right": -45,
    "ring_rear_left": 153,
    "ring_rear_right": -153,
    "ring_side_left": 99,
    "ring_side_right": -99,
    "stereo_front_left": 0,
    "stereo_front_right": 0,
}
VLP_32C_DEG = np.array(  # from its manual, by increasing elevation
    [
        *(-25, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4, -3.667, -3.333, -3),
        *(-2.667, -2.333, -2, -1.667, -1.333, -1, -0.667, -0.333, 0, 0.333, 0.667, 1, 1.333, 1.667),
        *(2.333, 3.333, 4.667, 7, 10.333, 15),
    ]
)
AV2_START_NS = 315966070_500_000_000
AV2_SWEEPS_MS, AV2_PICTURES_MS = (0, 100), (45, 60)  # the first sweep's, the second sweep's


def vehicle(seconds, start=(0, 0, 0)):
    """Return ego to street: 25 m/s along a bend."""
    x, y, yaw = start
    return street.car_pose(x + 25 * seconds, y + 3 * seconds, yaw + 20 * seconds)


def put(pose, points):
    return points @ pose[:3, :3].T + pose[:3, 3]


def bonnet():
    """Return points (N, 3) on the vehicle itself, which its lidars see, in its frame."""
    x, y = np.mgrid[1.4:3.5:0.1, -0.5:0.5:0.1]
    return np.stack([x, y, np.full(x.shape, 1.15)], -1).reshape(-1, 3)


def seen_by_lidars(ego, lidars, columns=1500):
    """Return the points (N, 3) in the vehicle's frame of lidars (pose on it, elevations)."""
    sweeps = (put(mount, street.sweep(ego @ mount, angles, columns)) for mount, angles in lidars)
    return np.concatenate([*sweeps, bonnet()])


def save(path, camera, pose, times=1, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photographed(street.picture, camera, pose, times)).save(path, **options)


def _table(path, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(columns), path, compression="zstd")


def _transforms(poses):
    """Return the columns of rigid motions."""
    rows = np.array([[*street.quaternion(pose), *pose[:3, 3]] for pose in poses])
    names = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    return dict(zip(names, rows.T, strict=True))


def write_argoverse2(
    root,
    split="train",
    log=AV2_LOG,
    cameras=tuple(AV2_YAWS)[:7],
    times=1,
    pictures_ms=AV2_PICTURES_MS,
):
    """Sweeps in the vehicle's frame as float16; a portrait camera in front; undistorted."""
    folder = root / split / log
    start = AV2_START_NS
    seen, truth = {}, {}
    for number, (name, yaw) in enumerate(AV2_YAWS.items()):
        size = (388, 512) if name == "ring_front_center" else (512, 388)
        middle = np.array(size) / 2 + (3.2, -7.4)
        seen[name] = (
            larger(Pinhole(421.5 + number, 421.5 + number, *middle, *size), times),
            street.mounted(yaw, (1.3 + 0.3 * np.cos(np.deg2rad(yaw)), 0.004 * yaw, 1.4)),
        )
    lens = {key: np.full(9, value) for key, value in (("k1", -0.3), ("k2", -0.2), ("k3", 0.1))}
    _table(
        folder / "calibration" / "intrinsics.feather",
        {"sensor_name": list(seen)}
        | {f"{key}_px": [getattr(one, key) for one, _ in seen.values()] for key in PINHOLE[:4]}
        | lens
        | {
            f"{key}_px": np.array([getattr(one, key) for one, _ in seen.values()], np.uint16)
            for key in ("height", "width")
        },
    )
    lidars = (
        (street.car_pose(1.35, 0, 0, 1.64), VLP_32C_DEG),
        (street.car_pose(1.35, 0, 180, 1.55), -VLP_32C_DEG),  # upside down
    )
    mounts = {name: mount for name, (_, mount) in seen.items()}
    mounts = {"up_lidar": lidars[0][0], "down_lidar": lidars[1][0]} | mounts
    _table(
        folder / "calibration" / "egovehicle_SE3_sensor.feather",
        {"sensor_name": list(mounts)} | _transforms(mounts.values()),
    )
    times_ms = sorted({*AV2_SWEEPS_MS, *pictures_ms, *range(-50, 200, 7)})
    _table(
        folder / "city_SE3_egovehicle.feather",
        {"timestamp_ns": np.array([start + ms * 1_000_000 for ms in times_ms])}
        | _transforms([CITY @ vehicle(ms / 1000) for ms in times_ms]),
    )
    for ms in AV2_SWEEPS_MS:
        points = seen_by_lidars(vehicle(ms / 1000), lidars)
        xyz = {key: points[:, axis].astype(np.float16) for axis, key in enumerate("xyz")}
        kinds = {"intensity": np.uint8, "laser_number": np.uint8, "offset_ns": np.int32}
        rest = {key: np.arange(len(points)).astype(kind) for key, kind in kinds.items()}
        _table(folder / "sensors/lidar" / f"{start + ms * 1_000_000}.feather", xyz | rest)
    for name in cameras:
        camera, mount = seen[name]
        for ms in pictures_ms:
            time = start + ms * 1_000_000
            pose = vehicle(ms / 1000) @ mount
            save(folder / "sensors/cameras" / name / f"{time}.jpg", camera, pose, times, quality=92)
            truth[f"{log}/{name}/{time}"] = camera, pose
    return truth


NUSC_YAWS = {
    "CAM_FRONT": 0,
    "CAM_FRONT_LEFT": 55,
    "CAM_FRONT_RIGHT": -55,
    "CAM_BACK": 180,
    "CAM_BACK_LEFT": 108,
    "CAM_BACK_RIGHT": -108,
}
NUSC_TABLES = [
    "attribute",
    "calibrated_sensor",
    "category",
    "ego_pose",
    "instance",
    "log",
    "map",
    "sample",
    "sample_annotation",
    "sample_data",
    "scene",
    "sensor",
    "visibility",
]


def write_nuscenes(
    root, version="v1.0-mini", scenes=("scene-0061", "scene-0103"), samples=2, times=1
):
    """Tables of one row a line and field; the lidar's own axes; keyframes among sweeps."""
    tables = {name: [] for name in NUSC_TABLES}
    truth = {}
    ground = np.eye(4)
    ground[:2] = CITY[:2]
    lidar = street.car_pose(0.94, 0, -90, 1.84)
    channels = {"RADAR_FRONT": (None, lidar), "LIDAR_TOP": (None, lidar)}
    for number, (name, yaw) in enumerate(NUSC_YAWS.items()):
        focal = 202.3 if name == "CAM_BACK" else 316.6 + number
        camera = larger(Pinhole(focal, focal, 203.9, 108.2, 400, 225), times)
        place = (0.9 + 0.7 * np.cos(np.deg2rad(yaw)), 0.003 * yaw, 1.5)
        channels[name] = camera, street.mounted(yaw, place)
    for name, (camera, _) in channels.items():
        kind = "camera" if camera else name.split("_")[0].lower()
        tables["sensor"].append({"token": f"s{name}", "channel": name, "modality": kind})
    for scene in scenes:
        token = f"token of {scene}"
        named = {"token": token, "name": scene, "log_token": "log1", "description": "{Street}, [x]"}
        tables["scene"].append(named)
        for name, (camera, mount) in channels.items():
            k = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]] if camera else []
            row = {"token": f"{scene} {name}", "sensor_token": f"s{name}", "camera_intrinsic": k}
            tables["calibrated_sensor"].append(row | _nusc_motion(mount))
        for index in range(samples):
            sample = f"{scene} sample {index}"
            time = 1532402927_647951 + int(scene[-4:]) * 20_000_000 + index * 500_000
            row = {"token": sample, "timestamp": time, "scene_token": token}
            tables["sample"].append(row)
            for number, (name, (camera, mount)) in enumerate(channels.items()):
                for key_frame in (True, False):
                    taken = time - (0 if camera is None else 25_000 + 5_000 * number)
                    taken -= 0 if key_frame else 50_000
                    start = (-3 * index, 0.5 * (int(scene[-4:]) % 3), 0)
                    ego = vehicle((taken - time) / 1e6, start)
                    suffix = "jpg" if camera else "pcd.bin" if "LIDAR" in name else "pcd"
                    place = "samples" if key_frame else "sweeps"
                    file = f"{place}/{name}/n015-2018__{name}__{taken}.{suffix}"
                    data = f"{sample} {name} {key_frame}"
                    tables["sample_data"].append(
                        {
                            "token": data,
                            "sample_token": sample,
                            "ego_pose_token": data,
                            "calibrated_sensor_token": f"{scene} {name}",
                            "timestamp": taken,
                            "fileformat": suffix.split(".")[0],
                            "is_key_frame": key_frame,
                            "height": camera.height if camera else 0,
                            "width": camera.width if camera else 0,
                            "filename": file,
                            "prev": "",
                            "next": "",
                        }
                    )
                    row = {"token": data, "timestamp": taken} | _nusc_motion(ground @ ego)
                    tables["ego_pose"].append(row)
                    if camera and key_frame:
                        save(root / file, camera, ego @ mount, times, quality=92)
                        truth[f"{scene}/{name}/{taken}"] = camera, ego @ mount
                    elif name == "LIDAR_TOP" and key_frame:
                        lidars = [(mount, np.linspace(-30, 10, 32))]
                        points = seen_by_lidars(ego, lidars, 1084)
                        _write_pcd_bin(root / file, put(np.linalg.inv(mount), points))
    folder = root / version
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))
    return truth


def _nusc_motion(pose):
    return {"rotation": street.quaternion(pose).tolist(), "translation": pose[:3, 3].tolist()}


def _write_pcd_bin(path, points):
    path.parent.mkdir(parents=True, exist_ok=True)
    rest = np.stack([np.full(len(points), 17), np.arange(len(points)) % 32], 1)
    np.concatenate([points, rest], 1).astype(np.float32).tofile(path)


DDAD_YAWS = {"CAMERA_01": 0, "CAMERA_05": 65}


def body_top(width=484):
    """Return the rows (W,) from which on a painted body hides the picture, 304 beside it."""
    return np.minimum(215 + np.arange(width) // 4, 304)


def paint_body(path, index):
    """Paint the vehicle into a picture: metal that mirrors something else in each of them."""
    pixels = np.array(Image.open(path))
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    shade = 150 + 60 * np.sin(columns / 23 + 2.1 * index) * np.cos(rows / 17 + 1.3 * index)
    body = rows >= body_top(pixels.shape[1])
    pixels[body] = shade[body, None].astype(np.uint8)
    Image.fromarray(pixels).save(path)


def write_ddad(root, samples=2, late_s=0.040, start=(0, 0, 0), painted=(), times=1):
    """Messages whose zeros are left out; poses at the time of each datum; two kinds of npz.

    Args:
        root: Where it is written.
        samples: Of each scene, a tenth of a second apart.
        late_s: How long after the pictures the sweep is taken.
        start: As `vehicle`.
        painted: Cameras that see the vehicle's body.
        times: How many times as large pictures are; four is their real size.
    """
    truth = {"train": {}, "val": {}}
    splits = {}
    for key, split, name in (("0", "train", "000007"), ("1", "val", "000150")):
        folder = root / name
        scene = {"name": name, "data": [], "samples": []}
        file = f"scene_{'5c' * 20}.json"
        calibration = {"names": ["LIDAR"], "intrinsics": [{}], "extrinsics": [{"rotation": {}}]}
        cameras = {}
        for number, (camera_name, yaw) in enumerate(DDAD_YAWS.items()):
            camera = larger(Pinhole(545.5 + number, 545.9, 235.2, 153.8, 484, 304), times)
            mount = street.mounted(yaw, (1.4, 0.01 * yaw, 1.55))
            cameras[camera_name] = camera, mount
            row = {key: getattr(camera, key) for key in PINHOLE[:4]} | {"skew": 0}
            calibration["names"].append(camera_name)
            calibration["intrinsics"].append(_without_zeros(row))
            calibration["extrinsics"].append(_dgp_pose(mount))
        (folder / "calibration").mkdir(parents=True)
        (folder / "calibration" / "ab12.json").write_text(json.dumps(calibration))
        for index in range(samples):
            swept = datetime(2019, 5, 1, 17, 26, 40, 123456, UTC) + timedelta(seconds=0.1 * index)
            keys = []
            for camera_name, (camera, mount) in cameras.items():
                taken = swept - timedelta(seconds=late_s)
                pose = vehicle(0.1 * index - late_s, start) @ mount
                stamp = _stamp(taken)
                filename = f"rgb/{camera_name}/{stamp}.png"
                save(folder / filename, camera, pose, times)
                if camera_name in painted:
                    paint_body(folder / filename, index)
                truth[split][f"{name}/{camera_name}/{stamp}"] = camera, pose
                image = {"filename": filename, "height": camera.height, "width": camera.width}
                image |= {"channels": 3, "pose": _dgp_pose(pose), "annotations": {}, "metadata": {}}
                keys.append(f"{camera_name} {index}")
                scene["data"].append(_datum(keys[-1], camera_name, taken, {"image": image}))
            filename = f"point_cloud/LIDAR/{_stamp(swept)}.npz"
            ego = vehicle(0.1 * index, start)
            lidars = [(street.car_pose(1, 0, 0, 1.8), np.linspace(-22, 8, 64))]
            _write_npz(folder / filename, seen_by_lidars(ego, lidars), structured=index == 1)
            cloud = {
                "filename": filename,
                "point_format": ["X", "Y", "Z", "INTENSITY"],
                "pose": _dgp_pose(ego),
            }
            keys.append(f"LIDAR {index}")
            scene["data"].append(_datum(keys[-1], "LIDAR", swept, {"point_cloud": cloud}))
            sample = {
                "id": {"index": str(index), "timestamp": _iso(swept)},
                "datum_keys": keys[::-1],
                "calibration_key": "ab12",
            }
            scene["samples"].append(sample)
        scene["data"].reverse()
        (folder / file).write_text(json.dumps(scene))
        splits[key] = {"filenames": [f"{name}/{file}"]}
    root.joinpath("ddad.json").write_text(json.dumps({"metadata": {}, "scene_splits": splits}))
    return truth


def _datum(key, name, time, inner):
    return {"key": key, "id": {"name": name, "timestamp": _iso(time)}, "datum": inner}


def _iso(time):
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _stamp(time):
    return f"{round(time.timestamp() * 1e6)}0"


def _dgp_pose(pose):
    rotation = dict(zip(("qw", "qx", "qy", "qz"), street.quaternion(pose).tolist(), strict=True))
    translation = dict(zip("xyz", pose[:3, 3].tolist(), strict=True))
    return {"rotation": _without_zeros(rotation), "translation": _without_zeros(translation)}


def _without_zeros(message):
    return {key: value for key, value in message.items() if value != 0}


def _write_npz(path, points, *, structured):
    path.parent.mkdir(parents=True, exist_ok=True)
    points = np.concatenate([points, np.zeros((500, 3))])  # beams that met nothing
    rows = np.concatenate([points, np.ones((len(points), 1))], 1)
    if structured:
        kinds = [(name, np.float32) for name in ("X", "Y", "Z", "INTENSITY")]
        rows = np.array([tuple(row) for row in rows.tolist()], dtype=kinds)
    np.savez_compressed(path, data=rows)


FIXTURES = {
    "argoverse2": (write_argoverse2, ["--option", "cameras=ring_front_center"]),
    "ddad": (write_ddad, []),
    "nuscenes": (write_nuscenes, []),
}
