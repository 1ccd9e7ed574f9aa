"""Stereo pairs of the room, painted so that every place of it looks different."""

import numpy as np
from PIL import Image

from support.scene import POSES, Pinhole, grid, hits

LEFT = Pinhole(220.0, 220.0, 121.3, 88.6, 240, 180)
BASELINE_M = 0.2
_CELLS_M = (0.5, 0.17, 0.06)  # sizes of the paint's spots


def paint(points):
    """Return the brightness (...), 0 to 1, of places (..., 3): smooth noise of three sizes."""
    total = np.zeros(points.shape[:-1])
    for cell_m in _CELLS_M:
        scaled = points / cell_m
        corner = np.floor(scaled).astype(np.int64)
        part = scaled - corner
        for offset in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(offset, part, 1 - part), axis=-1)
            hashed = (corner + offset) @ (73856093, 19349663, 83492791) + int(1000 * cell_m)
            hashed = hashed * 2654435761 % (1 << 32)
            hashed = (hashed ^ (hashed >> 15)) * 2246822519 % (1 << 32)
            total += weight * ((hashed >> 16) % 1024)
    return total / (1023 * len(_CELLS_M))


def seen(pinhole, pose, u, v):
    """Return the picture (..., 3), uint8, of places of the pinhole's image."""
    bright = np.clip((paint(hits(pinhole, pose, u, v)[0]) - 0.5) * 2.2 + 0.5, 0.15, 1)
    return (bright[..., None] * (250, 240, 225)).astype(np.uint8)


def beside(pose, baseline_m=BASELINE_M):
    """Return the pose of a camera to the right, which looks the same way."""
    moved = pose.copy()
    moved[:3, 3] += baseline_m * pose[:3, 0]
    return moved


def write_pairs(root, poses=POSES[:2], left="left/{}.png", right="right/{}.png", right_cx=None):
    """Write rectified pairs, without a calibration; return the truth of the left pictures."""
    cx = LEFT.cx if right_cx is None else right_cx
    other = Pinhole(LEFT.fx, LEFT.fy, cx, LEFT.cy, LEFT.width, LEFT.height)
    truth = {}
    u, v = grid(LEFT.width, LEFT.height)
    for number, pose in enumerate(poses):
        for place, camera, at in ((left, LEFT, pose), (right, other, beside(pose))):
            path = root / place.format(f"{number:06d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(seen(camera, at, u, v)).save(path)
        truth[f"{number:06d}"] = LEFT, pose
    return truth


class Bent:
    """A camera whose lens distorts as OpenCV's does: rays of pixels by OpenCV itself."""

    def __init__(self, pinhole, coefficients):
        self.matrix = np.array(
            [(pinhole.fx, 0, pinhole.cx), (0, pinhole.fy, pinhole.cy), (0, 0, 1)]
        )
        self.coefficients = np.array(coefficients)

    def rays(self, u, v):
        import cv2

        pixels = np.stack([u, v], -1).reshape(-1, 1, 2).astype(float)
        rays = cv2.undistortPoints(pixels, self.matrix, self.coefficients)
        return np.concatenate([rays[:, 0], np.ones((len(rays), 1))], 1).reshape(*u.shape, 3)


def write_unrectified(root, poses=POSES[:1]):
    """Write pairs of two bent cameras that stand askew, and OpenCV's `stereo.yml` of them.

    Returns the truth of the left pictures once rectified: camera, and pose turned by R1.
    """
    import cv2

    left, right = Bent(LEFT, (-0.12, 0.05, 0.002, -0.001, 0)), Bent(LEFT, (-0.1, 0.03, 0, 0.001, 0))
    turn, _ = cv2.Rodrigues(np.radians([1.5, -1.0, 2.0]))
    shift = np.array([[-BASELINE_M], [0.006], [0.004]])
    size_wh = LEFT.width, LEFT.height
    both = (left.matrix, left.coefficients, right.matrix, right.coefficients)
    r1, _, p1, *_ = cv2.stereoRectify(*both, size_wh, turn, shift, alpha=0)
    file = cv2.FileStorage(str(root / "stereo.yml"), cv2.FILE_STORAGE_WRITE)
    for name, matrix in zip(("M1", "D1", "M2", "D2", "R", "T"), (*both, turn, shift), strict=True):
        file.write(name, matrix)
    file.release()
    to_right = np.eye(4)
    to_right[:3, :3], to_right[:3, 3:] = turn, shift
    truth = {}
    u, v = grid(*size_wh)
    for number, pose in enumerate(poses):
        for folder, camera, at in (
            ("left", left, pose),
            ("right", right, pose @ np.linalg.inv(to_right)),
        ):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(seen(camera, at, u, v)).save(root / folder / f"{number:06d}.png")
        turned = pose.copy()
        turned[:3, :3] = pose[:3, :3] @ r1.T
        rectified = Pinhole(p1[0, 0], p1[1, 1], p1[0, 2], p1[1, 2], *size_wh)
        truth[f"{number:06d}"] = rectified, turned
    return truth


def projections():
    """Return the projections (3, 4) of the left and the right camera."""
    left = np.array([(LEFT.fx, 0, LEFT.cx, 0), (0, LEFT.fy, LEFT.cy, 0), (0, 0, 1, 0)])
    right = left.copy()
    right[0, 3] = -LEFT.fx * BASELINE_M
    return left, right


def write_kitti(root, poses=POSES[:2]):
    """KITTI's object layout: image_2/, image_3/, calib/N.txt; P3 is beside P2, both moved."""
    truth = write_pairs(root, poses, "image_2/{}.png", "image_3/{}.png")
    (root / "calib").mkdir()
    left, right = projections()
    for name in truth:
        lines = [f"P{number}: {' '.join(['1'] * 12)}" for number in (0, 1)]
        for number, matrix in ((2, left), (3, right)):
            moved = matrix + np.array([(0, 0, 0, 44.9)] + [(0, 0, 0, 0)] * 2)
            lines.append(f"P{number}: {' '.join(f'{value:.12e}' for value in moved.ravel())}")
        lines.append(f"R0_rect: {' '.join(['1'] * 9)}")
        (root / "calib" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return truth


FIXTURES = {"stereo": (write_kitti, [])}
