"""Recordings of iPhones with lidar on disk, small, written from their documentation: see `raw`."""

import numpy as np
from PIL import Image

from support.raw.handheld import DEPTH_WH, PHONE_WH, depth_z, phone, phone_pose, photograph
from support.street import quaternion

UNSURE = np.s_[
    110:150, 100:200
]  # of depth: rows, columns; medium there, low in the left half of it
Y_UP = np.diag([1.0, -1, -1, 1])  # the scene's axes to ARKit's: x right, y up, z back
APP_START_S = 71204.125


def confidence():
    """Return ARKit's confidence (192, 256): 0, 1 or 2."""
    values = np.full(DEPTH_WH[::-1], 2, np.uint8)
    values[UNSURE] = 1
    values[110:150, 100:150] = 0
    return values


def arkit_transform(number):
    """Return ARCamera.transform: camera to world, the camera looking along -z, y up, as ARKit's."""
    return Y_UP @ phone_pose(number) @ Y_UP


def write_app_video(path, pictures):
    """Write HEVC as the app does: frame k is shown at (k - 1) / 60 s, the first one never."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx265",
            rate=60,
            options={"preset": "ultrafast", "x265-params": "bframes=2:keyint=8:log-level=none"},
        )
        stream.width, stream.height = PHONE_WH
        stream.pix_fmt = "yuv420p"

        def mux(packets):
            for packet in packets:
                step = round(1 / (60 * packet.time_base))
                packet.pts, packet.dts = packet.pts - step, packet.dts - step
                container.mux(packet)

        for pixels in pictures:
            mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        mux(stream.encode())


def odometry_line(number, per_frame):
    """Return a row as OdometryEncoder.swift writes it: the rotation times (1, 0, 0, 0)."""
    transform = arkit_transform(number)
    turned = transform @ np.diag([1.0, -1, -1, 1])  # the quaternion ix = 1 turns about x by 180
    w, x, y, z = quaternion(turned)
    values = [*transform[:3, 3], x, y, z, w]
    if per_frame:
        camera = phone(number)
        values += [camera.fx, camera.fy, camera.cx, camera.cy]
    words = ", ".join(f"{value:.9g}" for value in values)
    return f"{APP_START_S + number / 60}, {number:06d}, {words}" + ", , " * per_frame


def write_strayscanner(root, recordings=("71de12f9",), frames=11, per_frame=True):
    """Write recordings; return what every tenth frame shows.

    Args:
        root: Where to.
        recordings: Their names.
        frames: How many each has.
        per_frame: Whether as newer versions of the app, with the intrinsics of each frame.
    """
    truth = {}
    for name in recordings:
        folder = root / name
        for inner in ("depth", "confidence"):
            (folder / inner).mkdir(parents=True)
        write_app_video(folder / "rgb.mp4", map(photograph, range(frames)))
        head = "timestamp, frame, x, y, z, qx, qy, qz, qw"
        if per_frame:
            head += ", fx, fy, cx, cy, distortion_center_x, distortion_center_y"
        lines = [odometry_line(number, per_frame) for number in range(frames)]
        (folder / "odometry.csv").write_text("\n".join([head, *lines]) + "\n")
        last = phone(frames - 1)
        matrix = [[last.fx, 0, last.cx], [0, last.fy, last.cy], [0, 0, 1]]
        rows = "\n".join(", ".join(f"{value:.9g}" for value in row) for row in matrix)
        (folder / "camera_matrix.csv").write_text(rows)
        head = "timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z"
        (folder / "imu.csv").write_text(f"{head}\n{APP_START_S}, 0, -1, 0, 0, 0, 0\n")
        for number in range(frames):
            millimetres = np.round(depth_z(number) * 1000).astype(np.uint16)
            Image.fromarray(millimetres).save(folder / "depth" / f"{number:06d}.png")
            Image.fromarray(confidence()).save(folder / "confidence" / f"{number:06d}.png")
            if number % 10 == 0:
                camera = phone(number) if per_frame else last
                truth[f"{name}/{number:06d}"] = camera, phone_pose(number)
    return truth


FIXTURES = {"strayscanner": (write_strayscanner, [])}
