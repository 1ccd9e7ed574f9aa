"""RGB-D folders in the layouts of other datasets: ScanNet v2, Replica, 7-Scenes, Stray Scanner.

Every writer returns {frame id: (pinhole, pose)}: what the labels are checked against.
"""

import json

import numpy as np
from PIL import Image

from support.scene import POSES, Pinhole, grid, picture, z_at

# As published; the video encoder cut four rows of 1296x972, so that shapes differ.
SCANNET = (
    Pinhole(1170.187988, 1170.187988, 647.75, 483.75, 1296, 968),
    Pinhole(577.870605, 577.870605, 319.5, 239.5, 640, 480),
)
SMALL = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)


def _save(path, values, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **options)


def _z(pinhole, pose, scale):
    z = z_at(pinhole, pose, *grid(pinhole.width, pinhole.height))
    return np.round(z * scale).astype(np.uint16)


def _matrix(pinhole):
    matrix = np.eye(4)
    matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2] = (
        *(pinhole.fx, pinhole.fy),
        *(pinhole.cx, pinhole.cy),
    )
    return matrix


def write_scannet(root, colour=SCANNET[0], depth=SCANNET[1], poses=POSES):
    """color/N.jpg, depth/N.png of another size and camera, intrinsic/, pose/N.txt; one is lost."""
    truth = {}
    for folder in ("intrinsic", "pose"):
        (root / folder).mkdir(parents=True)
    np.savetxt(root / "intrinsic" / "intrinsic_color.txt", _matrix(colour), "%f")
    np.savetxt(root / "intrinsic" / "intrinsic_depth.txt", _matrix(depth), "%f")
    for number, pose in enumerate(poses):
        _save(root / "color" / f"{number}.jpg", picture(colour, pose))
        _save(root / "depth" / f"{number}.png", _z(depth, pose, 1000))
        lost = number == len(poses) - 1 and number > 0
        np.savetxt(root / "pose" / f"{number}.txt", np.full((4, 4), -np.inf) if lost else pose)
        truth[str(number)] = colour, pose
    return truth


def write_replica(root, poses=POSES):
    """results/frame000000.jpg, results/depth000000.png, a line of traj.txt for each."""
    truth = {}
    for number, pose in enumerate(poses):
        _save(root / "results" / f"frame{number:06d}.jpg", picture(SMALL, pose))
        _save(root / "results" / f"depth{number:06d}.png", _z(SMALL, pose, 6553.5))
        truth[f"{number:06d}"] = SMALL, pose
    rows = [" ".join(f"{value:.18e}" for value in pose.ravel()) for pose in poses]
    (root / "traj.txt").write_text("\n".join(rows) + "\n")
    camera = {"w": 200, "h": 150, "fx": SMALL.fx, "fy": SMALL.fy, "cx": SMALL.cx, "cy": SMALL.cy}
    (root / "cam_params.json").write_text(json.dumps({"camera": camera | {"scale": 6553.5}}))
    return truth


def write_seven_scenes(root, sequences=("seq-01", "seq-02"), poses=POSES):
    """seq-NN/frame-NNNNNN.{color.png,depth.png,pose.txt}, 65535 where there is no depth.

    Here depth is registered to the pictures, which it is not as distributed.
    """
    truth = {}
    for index, pose in enumerate(poses):
        sequence, number = sequences[index % len(sequences)], index // len(sequences)
        base = root / sequence / f"frame-{number:06d}"
        depth = _z(SMALL, pose, 1000)
        depth[:30] = 65535
        _save(base.with_name(f"{base.name}.color.png"), picture(SMALL, pose))
        _save(base.with_name(f"{base.name}.depth.png"), depth)
        np.savetxt(base.with_name(f"{base.name}.pose.txt"), pose)
        truth[f"{sequence[4:]}/{number:06d}"] = SMALL, pose
    return truth


def write_stray(root, depth_wh=(50, 37), poses=POSES[:2]):
    """rgb.mp4 (here no video), depth/000000.png, confidence/, camera_matrix.csv, odometry.csv."""
    pinhole = Pinhole(152.0, 152.0, 99.0, 74.0, 200, 148)
    truth = {}
    for number, pose in enumerate(poses):
        u, v = grid(*depth_wh)
        u, v = (u + 0.5) * 200 / depth_wh[0] - 0.5, (v + 0.5) * 148 / depth_wh[1] - 0.5
        values = np.round(z_at(pinhole, pose, u, v) * 1000).astype(np.uint16)
        _save(root / "depth" / f"{number:06d}.png", values)
        _save(root / "confidence" / f"{number:06d}.png", np.full(values.shape, 2, np.uint8))
        truth[f"{number:06d}"] = pinhole, pose
    np.savetxt(root / "camera_matrix.csv", _matrix(pinhole)[:3, :3], "%.6f", delimiter=", ")
    (root / "rgb.mp4").write_bytes(b"\0\0\0\x18ftyp")
    (root / "odometry.csv").write_text("timestamp, frame, x, y, z, qx, qy, qz, qw\n")
    return truth
