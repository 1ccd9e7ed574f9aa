"""ETH3D and COLMAP on disk, small, written from their documentation: see `raw`."""

import struct
from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image

from support.scene import POSES, distance_at, grid, hits, looking, picture, z_at
from support.street import quaternion


@dataclass(frozen=True)
class Lensed:
    """A camera whose picture is bent: in the plane of rays, or, a fisheye, in that of angles."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int
    k: tuple = (0, 0, 0, 0)
    p: tuple = (0, 0)
    s: tuple = (0, 0)
    fisheye: bool = False

    def bend(self, a, b):
        (k1, k2, k3, k4), (p1, p2), (sx1, sy1) = self.k, self.p, self.s
        r2 = a**2 + b**2
        radial = k1 * r2 + k2 * r2**2 + k3 * r2**3 + k4 * r2**4
        return (
            a * radial + 2 * p1 * a * b + p2 * (r2 + 2 * a**2) + sx1 * r2,
            b * radial + 2 * p2 * a * b + p1 * (r2 + 2 * b**2) + sy1 * r2,
        )

    def rays(self, u, v):
        """Find what is bent to a pixel by putting the bend right again and again."""
        x = (np.asarray(u, float) - self.cx) / self.fx
        y = (np.asarray(v, float) - self.cy) / self.fy
        a, b = x, y
        for _ in range(500):
            more_x, more_y = self.bend(a, b)
            if np.hypot(a + more_x - x, b + more_y - y).max() < 1e-10:
                break
            a, b = x - more_x, y - more_y
        else:
            raise ValueError("the bend is too strong for this")
        if self.fisheye:
            angle = np.maximum(np.hypot(a, b), 1e-12)
            a, b = a * np.tan(angle) / angle, b * np.tan(angle) / angle
        return np.stack([a, b, np.ones_like(a)], -1)

    def place(self, points):
        """Return the pixels (N, 2) of points (N, 3) in front of it, in its own frame."""
        a, b = (points[:, :2] / points[:, 2:]).T
        if self.fisheye:
            radius = np.hypot(a, b)
            a, b = a * np.arctan(radius) / radius, b * np.arctan(radius) / radius
        more_a, more_b = self.bend(a, b)
        return np.stack([(a + more_a) * self.fx + self.cx, (b + more_b) * self.fy + self.cy], -1)


# The lens of ETH3D's camera, its last terms twenty times as strong so that none can be left out.
ETH3D_K = (0.21047, 0.21102, -0.158023, 0.406856)
ETH3D_CAMERAS = {
    0: Lensed(170.2, 168.9, 123.1, 78.4, 240, 160, ETH3D_K, (0.011, -0.013), (0.012, 0.015), True),
    3: Lensed(175.9, 176.4, 116.3, 84.7, 240, 160, ETH3D_K, (-0.012, 0.01), (-0.01, 0.014), True),
}
ETH3D_FRAMES = {  # scene, name: image id, camera id, pose
    ("courtyard", "DSC_0287"): (4, 3, POSES[1]),
    ("courtyard", "DSC_0286"): (9, 0, POSES[0]),
    ("office", "DSC_0286"): (1, 3, POSES[2]),
    ("office", "DSC_0219"): (2, 3, POSES[3]),
}


def extrinsics(pose):
    """Return a camera-to-world matrix as the world-to-camera quaternion (w first), translation."""
    turn = pose[:3, :3].T
    return [*quaternion(turn), *(-turn @ pose[:3, 3])]


def parameters(model, camera):
    """Return a camera's parameters in COLMAP's order; its first pixel's centre is (0.5, 0.5)."""
    (k1, k2, k3, k4), p, s = camera.k, camera.p, camera.s
    single = model.startswith("SIMPLE") or model in ("RADIAL", "RADIAL_FISHEYE")
    focal = [camera.fx] if single else [camera.fx, camera.fy]
    bend = {
        "SIMPLE_RADIAL": [k1],
        "RADIAL": [k1, k2],
        "OPENCV": [k1, k2, *p],
        "OPENCV_FISHEYE": [k1, k2, k3, k4],
        "SIMPLE_RADIAL_FISHEYE": [k1],
        "RADIAL_FISHEYE": [k1, k2],
        "THIN_PRISM_FISHEYE": [k1, k2, *p, k3, k4, *s],
        "FULL_OPENCV": [k1, k2, *p, 0, 0, 0, 0],
        "FOV": [0.9],
    }
    return [*focal, camera.cx + 0.5, camera.cy + 0.5, *bend.get(model, [])]


def write_eth3d(root):
    """Distorted photographs, sparse z of their pixels as bare float32 in files called JPG."""
    truth = {}
    for (scene, name), (_, camera_id, pose) in ETH3D_FRAMES.items():
        camera = ETH3D_CAMERAS[camera_id]
        photos = root / scene / "images" / "dslr_images"
        depths = root / scene / "ground_truth_depth" / "dslr_images"
        for folder in (photos, depths):
            folder.mkdir(parents=True, exist_ok=True)
        u, v = grid(camera.width, camera.height)
        hit = (u * 7919 + v * 104729) % 5 == 0  # single points of a laser
        z = np.where(hit, z_at(camera, pose, u, v), np.inf)
        Image.fromarray(picture(camera, pose)).save(photos / f"{name}.JPG", "JPEG", quality=95)
        z.astype("<f4").tofile(depths / f"{name}.JPG")
        truth[f"{scene}/{name}"] = camera, pose
    for scene in ("courtyard", "office"):
        folder = root / scene / "dslr_calibration_jpg"
        folder.mkdir()
        lines = ["# Camera list with one line of data per camera:", "# Number of cameras: 2"]
        for number, camera in ETH3D_CAMERAS.items():
            values = " ".join(map(str, parameters("THIN_PRISM_FISHEYE", camera)))
            lines.append(f"{number} THIN_PRISM_FISHEYE {camera.width} {camera.height} {values}")
        (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
        lines = ["# Image list with two lines of data per image:", "# Number of images: 2"]
        for (place, name), (image_id, camera_id, pose) in ETH3D_FRAMES.items():
            if place == scene:
                values = " ".join(map(str, extrinsics(pose)))
                lines.append(f"{image_id} {values} {camera_id} dslr_images/{name}.JPG")
                lines.append("" if image_id in (4, 2) else "31.5 17.25 -1 101.75 66.5 12 8.5 9.5 3")
        (folder / "images.txt").write_text("\n".join(lines) + "\n")
        (folder / "points3D.txt").write_text("# 3D point list with one line of data per point:\n")
    return truth


COLMAP_NUMBERS = {
    "SIMPLE_PINHOLE": 0,
    "PINHOLE": 1,
    "SIMPLE_RADIAL": 2,
    "RADIAL": 3,
    "OPENCV": 4,
    "OPENCV_FISHEYE": 5,
    "FULL_OPENCV": 6,
    "FOV": 7,
    "SIMPLE_RADIAL_FISHEYE": 8,
    "RADIAL_FISHEYE": 9,
    "THIN_PRISM_FISHEYE": 10,
    "SIMPLE_FISHEYE": 14,
    "FISHEYE": 15,
}
_SIZE = 160, 120
_SINGLE = Lensed(118.4, 118.4, 83.3, 55.6, *_SIZE)
_DOUBLE = Lensed(118.4, 121.7, 83.3, 55.6, *_SIZE)
COLMAP_CAMERAS = {
    "SIMPLE_PINHOLE": _SINGLE,
    "PINHOLE": _DOUBLE,
    "SIMPLE_RADIAL": Lensed(118.4, 118.4, 83.3, 55.6, *_SIZE, (-0.11, 0, 0, 0)),
    "RADIAL": Lensed(118.4, 118.4, 83.3, 55.6, *_SIZE, (-0.2, 0.09, 0, 0)),
    "OPENCV": Lensed(118.4, 121.7, 83.3, 55.6, *_SIZE, (-0.2, 0.09, 0, 0), (0.011, -0.014)),
    "SIMPLE_FISHEYE": Lensed(118.4, 118.4, 83.3, 55.6, *_SIZE, fisheye=True),
    "FISHEYE": Lensed(118.4, 121.7, 83.3, 55.6, *_SIZE, fisheye=True),
    "SIMPLE_RADIAL_FISHEYE": Lensed(
        118.4, 118.4, 83.3, 55.6, *_SIZE, (0.14, 0, 0, 0), fisheye=True
    ),
    "RADIAL_FISHEYE": Lensed(118.4, 118.4, 83.3, 55.6, *_SIZE, (-0.11, 0.16, 0, 0), fisheye=True),
    "OPENCV_FISHEYE": Lensed(
        118.4, 121.7, 83.3, 55.6, *_SIZE, (-0.11, 0.16, -0.2, 0.3), fisheye=True
    ),
    "THIN_PRISM_FISHEYE": Lensed(
        118.4, 121.7, 83.3, 55.6, *_SIZE, ETH3D_K, (0.011, -0.014), (0.012, 0.015), True
    ),
}
OTHER = Lensed(131.2, 129.8, 74.9, 63.7, *_SIZE)  # of every second image: a PINHOLE
METRES = 0.4  # of a unit
_TURNED = looking(33, -21, (1.7, -0.4, 2.2))  # the model's world is no one's
_NEAR = [POSES[0].copy(), POSES[0].copy()]  # hardly moved: nothing can be triangulated with these
for _number, _pose in enumerate(_NEAR):
    _pose[_number, 3] += 0.006


def write_colmap(root, model="OPENCV", suffix=".bin", folder="sparse/0"):
    """Return the truth, {name: {pixel: distance}} of good points, and Counter of the others.

    Keypoints are exact and of no whole pixel. Besides good points there are wrong ones, of each
    kind that can be told, all too far by a third and more: with a keypoint beside its place; with
    large errors in the other images, which the point's mean error shows; seen in one image only;
    in images hardly apart.
    """
    rng = np.random.default_rng(5)
    names = ["left/b.png", "right/c.png", "left/d.png", "right/a.png", "left/e.png", "right/f.png"]
    poses = [*POSES, *_NEAR]
    camera = COLMAP_CAMERAS.get(model, _DOUBLE)
    truth = {name: ((camera, OTHER)[i % 2], poses[i]) for i, name in enumerate(names)}
    points = []  # [place, error, track]
    seen = {name: [((31.5, 17.25), -1)] * 2 for name in names}  # (keypoint, point)
    labels, dropped = {name: {} for name in names}, Counter()

    def observe(name, keypoint, number):
        points[number][2].append((names.index(name) + 10, len(seen[name])))
        seen[name].append((keypoint, number))

    def good(name, keypoint, number, distance):
        observe(name, keypoint, number)
        pixel = tuple(np.floor(keypoint).astype(int).tolist())
        dropped["behind another point"] += pixel in labels[name]
        labels[name][pixel] = min(distance, labels[name].get(pixel, np.inf))

    for name, (camera, pose) in truth.items():
        keypoints = rng.uniform((2, 2), np.array(_SIZE) - 2, (60, 2))
        keypoints[1:20:2] = np.floor(keypoints[:20:2]) + rng.uniform(0, 1, (10, 2))
        places, _ = hits(camera, pose, *(keypoints - 0.5).T)
        for first, place in zip(keypoints, places, strict=True):
            at = {other: _where(truth[other], place) for other in names if other != name}
            at = {name: first} | {other: found for other, found in at.items() if found is not None}
            if len(at) >= 3 and _narrowest([truth[other][1] for other in at], place) > 3:
                points.append([place, 0.4, []])
                for other, keypoint in at.items():
                    away = np.linalg.norm(place - truth[other][1][:3, 3])
                    good(other, keypoint, len(points) - 1, away)
        for kind, first in zip(
            np.arange(24) % 4, rng.uniform((9, 9), (150, 110), (24, 2)), strict=True
        ):
            place, _ = hits(camera, pose, *(first - 0.5))
            far = pose[:3, 3] + 1.4 * (place - pose[:3, 3])
            if kind == 0:
                points.append([far, 0.4, [(n + 10, 0) for n in range(3)]])
                observe(name, np.add(first, (0, 4)), len(points) - 1)
                dropped["reprojection error"] += 1
            elif kind == 1:
                points.append([far, 6.5, [(n + 10, 0) for n in range(3)]])
                observe(name, first, len(points) - 1)
                dropped["reprojection error"] += 1
            elif kind == 2:
                points.append([far, 0.4, []])
                observe(name, first, len(points) - 1)
                dropped["short track"] += 1
            elif name in (names[0], *names[4:]):
                points.append([far, 0.4, [(10, 0), (14, 0), (15, 0)]])
                observe(name, first, len(points) - 1)
                dropped["small triangulation angle"] += 1
    for name, (camera, pose) in truth.items():
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(camera, pose)).save(path)
    (root / folder).mkdir(parents=True)
    writer = {".bin": _write_binary, ".txt": _write_text}[suffix]
    writer(root / folder, model, truth[names[0]][0], names, poses, seen, points)
    return truth, labels, dropped


def _where(seen, place):
    """Return the corner-counted place in a picture of a point of the world, None if it is not."""
    camera, pose = seen
    own = (place - pose[:3, 3]) @ pose[:3, :3]
    if own[2] < 0.2 or np.hypot(*own[:2]) > 1.1 * own[2]:
        return None
    [pixel] = camera.place(own[None])
    if not ((pixel > 1) & (pixel < np.array(_SIZE) - 2)).all():
        return None
    distance = distance_at(camera, pose, *pixel)
    return pixel + 0.5 if abs(distance / np.linalg.norm(own) - 1) < 1e-3 else None


def _narrowest(poses, place):
    """Return the smallest, of the cameras, of the largest angle to another's ray, degrees."""
    rays = np.array([pose[:3, 3] - place for pose in poses])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return np.rad2deg(np.arccos(np.clip(rays @ rays.T, -1, 1))).max(1).min()


def _stored_pose(pose):
    stored = np.linalg.inv(_TURNED) @ pose
    stored[:3, 3] /= METRES
    return extrinsics(stored)


def _stored_place(place):
    return (np.linalg.inv(_TURNED) @ [*place, 1])[:3] / METRES


def _write_binary(folder, model, camera, names, poses, seen, points):
    with (folder / "cameras.bin").open("wb") as file:
        file.write(struct.pack("<Q", 2))
        for number, (name, one) in {7: (model, camera), 2: ("PINHOLE", OTHER)}.items():
            file.write(struct.pack("<iiQQ", number, COLMAP_NUMBERS[name], one.width, one.height))
            values = parameters(name, one)
            file.write(struct.pack(f"<{len(values)}d", *values))
    with (folder / "images.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(names)))
        for number, name in enumerate(names):
            file.write(struct.pack("<i7d", number + 10, *_stored_pose(poses[number])))
            file.write(struct.pack("<i", (7, 2)[number % 2]) + name.encode() + b"\0")
            file.write(struct.pack("<Q", len(seen[name])))
            for (x, y), point in seen[name]:
                file.write(struct.pack("<ddq", x, y, 3 * point + 100 if point >= 0 else -1))
    with (folder / "points3D.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(points)))
        for number, (place, error, track) in reversed([*enumerate(points)]):
            file.write(struct.pack("<Q3d", 3 * number + 100, *_stored_place(place)))
            file.write(struct.pack("<3Bd", 200, 0, 255, error))
            file.write(struct.pack("<Q", len(track)))
            for image, index in track:
                file.write(struct.pack("<ii", image, index))


def _write_text(folder, model, camera, names, poses, seen, points):
    lines = ["# Camera list with one line of data per camera:"]
    for number, (name, one) in {7: (model, camera), 2: ("PINHOLE", OTHER)}.items():
        values = " ".join(map(repr, parameters(name, one)))
        lines.append(f"{number} {name} {one.width} {one.height} {values}")
    (folder / "cameras.txt").write_text("\n".join(lines) + "\n")
    lines = ["# Image list with two lines of data per image:", "#   IMAGE_ID, QW, QX, ..."]
    for number, name in enumerate(names):
        values = " ".join(str(float(value)) for value in _stored_pose(poses[number]))
        lines.append(f"{number + 10} {values} {(7, 2)[number % 2]} {name}")
        rows = [(*k, 3 * point + 100 if point >= 0 else -1) for k, point in seen[name]]
        lines.append(" ".join(f"{x!s} {y!s} {point}" for x, y, point in rows))
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    lines = ["# 3D point list with one line of data per point:"]
    for number, (place, error, track) in reversed([*enumerate(points)]):
        values = " ".join(str(float(value)) for value in _stored_place(place))
        pairs = " ".join(f"{image} {index}" for image, index in track)
        lines.append(f"{3 * number + 100} {values} 200 0 255 {error} {pairs}")
    (folder / "points3D.txt").write_text("\n".join(lines) + "\n")


FIXTURES = {
    "colmap": (write_colmap, ["--option", f"scale={METRES}"]),
    "eth3d": (write_eth3d, []),
}
