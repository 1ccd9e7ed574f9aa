"""Taskonomy, HM3D, Matterport3D and Hypersim on disk, written from their documentation."""

import csv
import json
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from support.enlarged import enlarged, larger, photographed
from support.scene import POSES, Pinhole, distance_at, grid, hits, looking, picture, z_at
from support.street import quaternion

Y_UP = np.diag([1.0, -1.0, -1.0, 1.0])  # Blender's and OpenGL's camera axes: y up, z backward

TASKONOMY = {"train": ("almena", "cauthron"), "val": ("beechwood",), "test": ("ancor",)}
HM3D = {"train": ("00006-HkseAnWCgqk",), "val": ("00800-TEEsavR23oF",)}
HOLES = slice(20, 30)  # rows without depth
WRONG = np.s_[60:70, 40:50]  # depth that mask_valid excludes
SIDE = 128


def write_omnidata(root, component, splits, views=2, times=1):
    """`<domain>/<component>/<building>/point_<p>_view_<v>_domain_<domain>`; 1/512 m, 65535 none.

    Rotations are Euler angles: about the world's x, then y, then z.
    """
    truth = {}
    name = {"taskonomy": "point_info", "hm3d": "fixatedpose"}[component]
    for number, building in enumerate(sorted(sum(splits.values(), ()), reverse=True)):
        for view in range(views):
            fov = np.deg2rad(61 + 7 * view - 4 * number)
            focal = SIDE / 2 / np.tan(fov / 2)
            pinhole = larger(Pinhole(focal, focal, 63.5, 63.5, SIDE, SIDE), times)
            pose = POSES[(number + view) % len(POSES)]
            stem = f"point_{9 + view}_view_{view}"
            u, v = grid(pinhole.width, pinhole.height)
            z, distance = z_at(pinhole, pose, u, v), distance_at(pinhole, pose, u, v)
            images = {"rgb": photographed(picture, pinhole, pose, times)}
            for domain, metres in (("depth_zbuffer", z), ("depth_euclidean", distance)):
                units = np.round(metres * 512).astype(np.uint16)
                units[HOLES] = 65535
                units[WRONG] = 30000
                units[100:102] = 0
                images[domain] = units
            images["mask_valid"] = np.where(images["depth_zbuffer"] == 65535, 0, 255)
            images["mask_valid"][WRONG] = 0
            images["mask_valid"] = images["mask_valid"].astype(np.uint8)
            for domain, pixels in images.items():
                folder = root / domain / component / building
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / f"{stem}_domain_{domain}.png")
            points, _ = hits(pinhole, pose, [pinhole.cx], [pinhole.cy])
            turn = (pose @ Y_UP)[:3, :3]
            info = {
                "camera_distance": float(np.linalg.norm(points[0] - pose[:3, 3])),
                "camera_location": pose[:3, 3].tolist(),
                "camera_rotation_final": [
                    float(np.arctan2(turn[2, 1], turn[2, 2])),
                    float(-np.arcsin(turn[2, 0])),
                    float(np.arctan2(turn[1, 0], turn[0, 0])),
                ],
                "camera_uuid": "0000",
                "field_of_view_rads": float(fov),
                "obliqueness_angle": 0.41,
                "point_location": points[0].tolist(),
                "point_uuid": 9 + view,
                "resolution": pinhole.width,
            }
            if component == "hm3d":  # the older file of Taskonomy has Euler angles only
                info["camera_rotation_final_quaternion"] = quaternion(turn).tolist()
            (root / "rgb" / component / building / "Thumbs.db").write_bytes(b"not a picture")
            folder = root / "point_info" / component / building
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{stem}_domain_{name}.json").write_text(json.dumps(info))
            truth[f"{building}/{stem}"] = pinhole, pose
    rows = [(name, split) for split, names in splits.items() for name in names]
    if component == "hm3d":
        lines = ["scene,split,furnished", *(f"{name},{split},TRUE" for name, split in rows)]
        (root / "metadata.csv").write_text("\r\n".join(lines) + "\r\n")
    else:
        flags = [f"{name},{','.join(str(int(one == of)) for one in splits)}" for name, of in rows]
        lines = ["id,train,val,test", "notdownloaded,1,0,0", *flags]
        (root / "train_val_test_fullplus.csv").write_text("\n".join(lines) + "\n")
    return truth


# house: the tripod's cameras: fx, fy, and the principal point where rows count from the bottom
HOUSES = {
    "17DRP5sb8fy": ((1076.45, 1077.19, 631.116, 551.202), (1070.01, 1071.38, 635.509, 472.999)),
    "2t7WUuJeko7": ((1074.56, 1074.73, 639.97, 508.007),),
}
PANO = "03a8325e3b054e3fad7e1e7091f9d28"


def write_matterport3d(root, times=1):
    """`.conf` files, y up: rows counted from the bottom, poses of cameras that look along -z.

    Its arithmetic: a picture of 1024 rows whose pixel centres are 0 to 1023 has row r from the top
    at 1023 - r from the bottom.
    """
    truth = {}
    for number, (house, cameras) in enumerate(HOUSES.items()):
        base = root / house / house  # as unzipping it nests it
        for kind in ("color_images", "depth_images", "camera_parameters"):
            (base / f"undistorted_{kind}").mkdir(parents=True)
        lines = ["dataset matterport", f"n_images {2 * len(cameras)}"]
        lines += ["depth_directory undistorted_depth_images"]
        lines += ["color_directory undistorted_color_images", ""]
        for index, (fx, fy, cx, cy) in enumerate(cameras):
            pinhole = Pinhole(fx, fy, cx, 1023 - cy, 1280, 1024)
            lines.append(f"intrinsics_matrix {fx} 0 {cx}  0 {fy} {cy}  0 0 1")
            for yaw in (1, 0):
                pose = POSES[(number + 2 * index + yaw) % len(POSES)]
                depth, photo = (f"{PANO}{number}_{kind}{index}_{yaw}" for kind in "di")
                u, v = grid(1280, 1024)
                units = np.round(z_at(pinhole, pose, u, v) * 4000).astype(np.uint16)
                units[200:300] = 0
                path = base / "undistorted_depth_images" / f"{depth}.png"
                Image.fromarray(units).save(path, compress_level=1)
                image = Image.fromarray(photographed(picture, pinhole, pose, times))
                image.save(base / "undistorted_color_images" / f"{photo}.jpg", quality=90)
                matrix = " ".join(f"{value:.9g}" for value in (pose @ Y_UP).ravel())
                lines.append(f"scan {depth}.png {photo}.jpg {matrix}")
                truth[f"{house}/{photo}"] = pinhole, pose
            lines.append("")
        conf = base / "undistorted_camera_parameters" / f"{house}.conf"
        conf.write_text("\n".join(lines) + "\n")
    return truth


@dataclass(frozen=True)
class Rendered:
    """A Hypersim camera: rays = M (u, v, 1) in axes x right, y up, z backward; u, v in [-1, 1]."""

    matrix: np.ndarray
    width: int
    height: int

    def rays(self, u, v):
        across = (2 * np.asarray(u, float) + 1) / self.width - 1
        up = 1 - (2 * np.asarray(v, float) + 1) / self.height
        places = np.stack([across, up, np.ones_like(across)], -1)
        return places @ self.matrix.T * (1, -1, -1)


TANGENT = np.tan(np.deg2rad(30))
PLAIN = np.diag([TANGENT, TANGENT * 0.75, -1.0])


def tilted(fx, fy, cx, cy, degrees):
    """Return the M_cam_from_uv of a pinhole whose picture is turned about the x axis.

    (u, v, 1) -> pixel -> ray of the turned pinhole, y down -> y up -> the scene's camera axes.
    """
    pixel = np.array([[128, 0, 127.5], [0, -96, 95.5], [0, 0, 1.0]])
    ray = np.array([[1 / fx, 0, -cx / fx], [0, 1 / fy, -cy / fy], [0, 0, 1.0]])
    return turn_about_x(degrees)[:3, :3] @ np.diag([1.0, -1, -1]) @ ray @ pixel * 1.006


def turn_about_x(degrees):
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    result = np.eye(4)
    result[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    return result


TILTED = 223.1, 221.7, 125.5, 70.3
NOMINAL_PX = 128 / TANGENT
# M_cam_from_uv; the same as a pinhole's fx, fy, cx, cy at 256x192; its turn about x, degrees
HYPERSIM = {
    "ai_001_001": (PLAIN, (NOMINAL_PX, NOMINAL_PX, 127.5, 95.5), 0.0),
    "ai_019_006": (tilted(*TILTED, 6.5), TILTED, 6.5),
}
SKEWED = np.array([[TANGENT, 0.05, 0], [0, TANGENT * 0.75, 0], [0, 0, -1.0]])


def write_hypersim(root, units=0.0254, times=1):
    """Distances in half precision, NaN in windows; the camera of each scene; splits of pictures."""
    import h5py

    truth, splits = {}, []
    for scene, (matrix, (fx, fy, cx, cy), degrees) in HYPERSIM.items():
        images, detail = root / scene / "images", root / scene / "_detail" / "cam_00"
        preview = images / "scene_cam_00_final_preview"
        geometry = images / "scene_cam_00_geometry_hdf5"
        for folder in (preview, geometry, detail):
            folder.mkdir(parents=True)
        small, rendered = (Rendered(matrix, 256 * by, 192 * by) for by in (1, times))
        u, v = grid(rendered.width, rendered.height)
        frames, poses = (3, 0, 7), []
        for place, frame in enumerate(frames):
            pose = POSES[place] if scene == "ai_001_001" else looking(5 * place, 4, (0.2, 0, 0))
            distance = distance_at(rendered, pose, u, v).astype(np.float16)
            distance[40:60, 100:180] = np.nan
            image = Image.fromarray(enlarged(picture(small, pose), times))
            image.save(preview / f"frame.{frame:04d}.tonemap.jpg", quality=90)
            image.save(preview / f"frame.{frame:04d}.color.jpg")
            with h5py.File(geometry / f"frame.{frame:04d}.depth_meters.hdf5", "w") as file:
                file["dataset"] = distance
            # The pinhole's axes: the scene's camera, turned with its picture.
            turned = pose @ Y_UP @ turn_about_x(degrees) @ Y_UP
            pinhole = larger(Pinhole(fx, fy, cx, cy, 256, 192), times)
            truth[f"{scene}/cam_00/{frame:04d}"] = pinhole, turned
            poses.append(pose @ Y_UP)
            part = "train" if scene == "ai_001_001" else "test"
            splits.append((scene, "cam_00", frame, "True", "", part))
        poses = np.array(poses)
        arrays = {"positions": poses[:, :3, 3] / units, "orientations": poses[:, :3, :3]}
        for name, values in (arrays | {"frame_indices": np.array(frames)}).items():
            with h5py.File(detail / f"camera_keyframe_{name}.hdf5", "w") as file:
                file["dataset"] = values
        (detail.parent / "metadata_scene.csv").write_text(
            f"parameter_name,parameter_value\nmeters_per_asset_unit,{units}\n"
        )
    splits.append(("ai_001_001", "cam_00", 1, "False", "CONTENT FLAGGED FOR REMOVAL", ""))
    columns = ["scene_name", "camera_name", "frame_id", "included_in_public_release"]
    columns += ["exclude_reason", "split_partition_name"]
    with (root / "metadata_images_split_scene_v1.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *splits])
    write_cameras(root, {scene: matrix for scene, (matrix, _, _) in HYPERSIM.items()})
    return truth


def write_cameras(root, matrices):
    columns = ["scene_name", "settings_output_img_height", "settings_output_img_width"]
    columns += ["settings_units_info_meters_scale", "camera_physical_lens_tex"]
    columns += [f"M_cam_from_uv_{i}{j}" for i in range(3) for j in range(3)]
    rows = [
        [scene, 768.0, 1024.0, 0.0254, "AColor(0, 0, 0, 0)", *matrix.ravel().tolist()]
        for scene, matrix in matrices.items()
    ]
    with (root / "metadata_camera_parameters.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


FIXTURES = {
    "hm3d": (partial(write_omnidata, component="hm3d", splits=HM3D), []),
    "hypersim": (write_hypersim, ["--split", "all"]),
    "matterport3d": (write_matterport3d, []),
    "taskonomy": (partial(write_omnidata, component="taskonomy", splits=TASKONOMY), []),
}
