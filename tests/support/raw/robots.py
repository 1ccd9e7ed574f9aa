"""Recordings in nerfstudio's and Open3D's formats, written from their code: see `raw`.

nerfstudio's principal point counts from the corner of the picture; its camera looks along -z, y is
up. Open3D's integers are pixel centres, its axes those of OpenCV.
"""

import json

import numpy as np
from PIL import Image

from support.raw.sfm import Lensed
from support.scene import POSES, Pinhole, grid, picture, z_at

OPENCV = Lensed(150.2, 148.7, 98.3, 71.6, 200, 150, (-0.11, 0.04, -0.01, 0), (0.003, -0.002))
FISHEYE = Lensed(121.0, 119.5, 96.4, 77.2, 200, 150, (-0.05, 0.02, -0.01, 0.004), fisheye=True)
HOLE = np.s_[40:60, 20:60]  # of depth: rows, columns of the picture


def intrinsics(camera):
    """Return a camera as nerfstudio's keys."""
    names = ("k1", "k2", "k3", "k4", "p1", "p2")
    bend = dict(zip(names, (*camera.k, *camera.p), strict=True))
    used = names[:4] if camera.fisheye else ("k1", "k2", "k3", "p1", "p2")
    return {
        "camera_model": "OPENCV_FISHEYE" if camera.fisheye else "OPENCV",
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx + 0.5,
        "cy": camera.cy + 0.5,
        "w": camera.width,
        "h": camera.height,
        **{name: bend[name] for name in used},
    }


def opengl(pose, unit_m=1.0):
    """Return a pose (x right, y down, z forward) as nerfstudio's matrix, in units of its world."""
    turned = pose @ np.diag([1, -1, -1, 1])
    turned[:3, 3] /= unit_m
    return turned.tolist()


def z_values(camera, pose, wh=None):
    """Return z (H, W), metres, at the centres of pixels of a map of another size; 0 in a hole."""
    width, height = wh or (camera.width, camera.height)
    u, v = grid(width, height)
    u, v = (u + 0.5) * camera.width / width - 0.5, (v + 0.5) * camera.height / height - 0.5
    z = z_at(camera, pose, u, v)
    rows, columns = HOLE
    z[(v >= rows.start) & (v < rows.stop) & (u >= columns.start) & (u < columns.stop)] = 0
    return z


def write_nerfstudio(root, camera=OPENCV, poses=POSES, *, depth="depth/{}.png", wh=None, more=None):
    """Write `transforms.json`, pictures and depth: millimetres in PNG, metres in NumPy's files."""
    truth, frames = {}, []
    for number, pose in enumerate(poses):
        name = f"images/frame_{number:05d}.png"
        frame = {"file_path": f"./{name}", "depth_file_path": depth.format(f"{number:05d}")}
        for key in frame:
            (root / frame[key]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(camera, pose)).save(root / name)
        z = z_values(camera, pose, wh)
        if depth.endswith(".npy"):
            np.save(root / frame["depth_file_path"], z.astype(np.float32))
        else:
            millimetres = np.round(z * 1000).astype(np.uint16)
            Image.fromarray(millimetres).save(root / frame["depth_file_path"])
        frames.append(frame | {"transform_matrix": opengl(pose)})
        truth[name] = camera, pose
    transforms = intrinsics(camera) | {"frames": frames[::-1]} | (more or {})
    (root / "transforms.json").write_text(json.dumps(transforms, indent=4))
    return truth


def edited(root, change, *, frame=None):
    """Change the values of `transforms.json`, or of one of its frames (of all: -1), on disk."""
    path = root / "transforms.json"
    transforms = json.loads(path.read_text())
    frames = transforms["frames"]
    for place in [transforms] if frame is None else frames if frame < 0 else [frames[frame]]:
        change(place)
    path.write_text(json.dumps(transforms))


REDWOOD = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)


def write_redwood(root, camera=REDWOOD, poses=POSES, *, scale=1000, colour="color/{:06d}.jpg"):
    """Write pictures, depth, `camera_intrinsic.json` and `trajectory.log`, as Open3D does."""
    truth = {}
    for folder in (root / "depth", (root / colour).parent):
        folder.mkdir(parents=True, exist_ok=True)
    for number, pose in enumerate(poses):
        Image.fromarray(picture(camera, pose)).save(root / colour.format(number))
        values = np.round(z_values(camera, pose) * scale).astype(np.uint16)
        name = (root / colour.format(number)).stem
        Image.fromarray(values).save(root / "depth" / f"{name}.png")
        truth[name] = camera, pose
    write_open3d_camera(root / "camera_intrinsic.json", camera)
    write_log(root / "trajectory.log", poses)
    return truth


def write_open3d_camera(path, camera, **more):
    """Write a PinholeCameraIntrinsic: its matrix goes column by column."""
    matrix = [camera.fx, 0, 0, 0, camera.fy, 0, camera.cx, camera.cy, 1]
    known = {"width": camera.width, "height": camera.height, "intrinsic_matrix": matrix}
    path.write_text(json.dumps(known | more))


def write_log(path, poses):
    lines = []
    for number, pose in enumerate(poses):
        lines.append(f"{number} {number} {number + 1}")
        lines += [" ".join(f"{value:.8f}" for value in row) for row in pose]
    path.write_text("\n".join(lines) + "\n")


FIXTURES = {"nerfstudio": (write_nerfstudio, []), "redwood": (write_redwood, [])}
