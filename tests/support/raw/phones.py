"""Recordings of iPhones with lidar on disk, small, written from their documentation: see `raw`."""

import io
import json
import zipfile

import numpy as np
from PIL import Image

from support.raw.handheld import (
    DEPTH_WH,
    HOLE,
    PHONE_WH,
    depth_z,
    phone,
    phone_pose,
    photograph,
)
from support.scene import Pinhole, grid, looking, picture, z_at
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


def odometry_line(number):
    """Return a row as OdometryEncoder.swift writes it: the rotation times (1, 0, 0, 0)."""
    transform = arkit_transform(number)
    turned = transform @ np.diag([1.0, -1, -1, 1])  # the quaternion ix = 1 turns about x by 180
    w, x, y, z = quaternion(turned)
    camera = phone(number)
    values = [*transform[:3, 3], x, y, z, w, camera.fx, camera.fy, camera.cx, camera.cy]
    words = ", ".join(f"{value:.9g}" for value in values)
    return f"{APP_START_S + number / 60}, {number:06d}, {words}, , "


def write_strayscanner(root, name="71de12f9", frames=11):
    """Write a recording, as newer versions of the app do; return what every tenth frame shows."""
    truth = {}
    folder = root / name
    for inner in ("depth", "confidence"):
        (folder / inner).mkdir(parents=True)
    write_app_video(folder / "rgb.mp4", map(photograph, range(frames)))
    head = "timestamp, frame, x, y, z, qx, qy, qz, qw"
    head += ", fx, fy, cx, cy, distortion_center_x, distortion_center_y"
    lines = [head, *map(odometry_line, range(frames))]
    (folder / "odometry.csv").write_text("\n".join(lines) + "\n")
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
            truth[f"{name}/{number:06d}"] = phone(number), phone_pose(number)
    return truth


Z_UP = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
WIDE = Pinhole(397.9, 397.9, 238.2, 182.1, 480, 360)
"""Of `wide` pictures, a quarter of their size in each direction."""
VIDEOS = {"41048190": "381531", "41048223": "381531"}
TRAJECTORY_S = 100.0


def scanned_pose(time_s):
    """Return where the camera is, in the scene's world."""
    return phone_pose(round((time_s - TRAJECTORY_S) * 10))


def write_arkitscenes(root, layout="3dod", videos=VIDEOS, seconds=1.1, fold="Validation"):
    """Write recordings {id: visit}; return what every tenth frame with a pose shows.

    Args:
        root: Where to.
        layout: `3dod`, `raw` (images 60 times a second, poses ten times) or `upsampling`.
        videos: The recordings.
        seconds: How long each is.
        fold: The folder of the split.
    """
    import scipy.spatial.transform as transform

    truth = {}
    lines = ["video_id,visit_id,fold,sky_direction"]
    for video, visit in videos.items():
        lines.append(f"{video},{visit},{fold},Left")
        place = root / fold / video
        folder = place / f"{video}_frames" if layout == "3dod" else place
        folder.mkdir(parents=True)
        if layout == "upsampling":
            truth |= _write_highres(folder, video)
            continue
        rate = 60 if layout == "raw" else 10
        trajectory = []
        for count in range(round(seconds * rate)):
            exact_s = TRAJECTORY_S + count / rate
            name = f"{video}_{exact_s:.3f}"
            posed = count % (rate // 10) == 0
            pose = scanned_pose(exact_s)
            if posed:
                to_camera = np.linalg.inv(Z_UP @ pose)
                turn = transform.Rotation.from_matrix(to_camera[:3, :3]).as_rotvec()
                values = " ".join(f"{value:.12g}" for value in (*turn, *to_camera[:3, 3]))
                trajectory.append(f"{exact_s + 2e-4:.8f} {values}")
            camera = lowres(exact_s)
            seen = pose if posed else pose @ looking(3, 0, (0, 0, 0))
            _write_frame(folder, name, camera, seen)
            if posed and (count // (rate // 10)) % 10 == 0:
                truth[f"{video}/{exact_s:.3f}"] = camera, pose
        (folder / "lowres_wide.traj").write_text("\n".join(trajectory) + "\n")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return truth


def lowres(time_s):
    """Return the camera of `lowres_wide` pictures: the focus moves."""
    return Pinhole(211.9 + (time_s - TRAJECTORY_S), 212.1, 127.8, 95.6, *DEPTH_WH)


def _write_frame(folder, name, camera, pose):
    z = z_at(camera, pose, *grid(*DEPTH_WH))
    z[HOLE] = 0
    images = {
        "lowres_wide": picture(camera, pose),
        "lowres_depth": np.round(z * 1000).astype(np.uint16),
        "confidence": confidence(),
    }
    for inner, pixels in images.items():
        (folder / inner).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / inner / f"{name}.png")
    _write_pincam(folder / "lowres_wide_intrinsics", name, camera)


def _write_pincam(folder, name, camera):
    folder.mkdir(exist_ok=True)
    values = camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy
    (folder / f"{name}.pincam").write_text(" ".join(f"{value:.9g}" for value in values))


def _write_highres(folder, video):
    truth = {}
    for number in range(11):
        name = f"{video}_{TRAJECTORY_S + number / 10:.3f}"
        pose = scanned_pose(TRAJECTORY_S + number / 10)
        z = z_at(WIDE, pose, *grid(WIDE.width, WIDE.height))
        z[100:120, 200:240] = 0
        for inner, pixels in (
            ("wide", picture(WIDE, pose)),
            ("highres_depth", np.round(z * 1000).astype(np.uint16)),
        ):
            (folder / inner).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / inner / f"{name}.png")
        _write_pincam(folder / "wide_intrinsics", name, WIDE)
        if number % 10 == 0:
            truth[f"{video}/{TRAJECTORY_S + number / 10:.3f}"] = WIDE, pose
    return truth


UPRIGHT = {"h": 960, "w": 720, "dh": 256, "dw": 192}
HOLE_R3D = np.s_[200:220, 100:140]
UNSURE_R3D = np.s_[150:190, 20:60]  # in the left half low, else medium


def upright(number):
    """Return the camera of a frame of Record3D, of a phone held upright: the focus moves."""
    return Pinhole(680.0 + number, 680.0 + number, 359.2, 480.7, UPRIGHT["w"], UPRIGHT["h"])


def smaller(camera, times):
    """Return the camera of its pictures made smaller."""
    centre = [(value + 0.5) / times - 0.5 for value in (camera.cx, camera.cy)]
    size_wh = round(camera.width / times), round(camera.height / times)
    return Pinhole(camera.fx / times, camera.fy / times, *centre, *size_wh)


def write_record3d(root, name="2024-06-01--10-30-00", frames=11):
    """Write a recording, as newer versions of the app do; return what every tenth frame shows."""
    import lzfse

    truth = {}
    start, cameras = np.linalg.inv(phone_pose(0)), [upright(number) for number in range(frames)]
    first = cameras[0]
    metadata = {
        **UPRIGHT,
        "fps": 30,
        "K": [first.fx, 0, 0, 0, first.fy, 0, first.cx, first.cy, 1],  # by columns
        "perFrameIntrinsicCoeffs": [[one.fx, one.fy, one.cx, one.cy] for one in cameras],
        "initPose": [0, 0, 0, 1, 0, 0, 0],
        "frameTimestamps": [number / 30 for number in range(frames)],
        "poses": [],
    }
    levels = np.full((256, 192), 2, np.uint8)
    levels[UNSURE_R3D] = 1
    levels[UNSURE_R3D[0], 20:40] = 0
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / f"{name}.r3d", "w") as archive:
        for number, camera in enumerate(cameras):
            pose = phone_pose(number)
            # x right, y up, z back; the world begins at the first frame.
            opengl = Y_UP @ start @ pose @ Y_UP
            w, x, y, z = quaternion(opengl)
            metadata["poses"].append([x, y, z, w, *opengl[:3, 3]])
            z_m = z_at(smaller(camera, 3.75), pose, *grid(192, 256)).astype("<f4")
            z_m[HOLE_R3D] = 0
            jpeg = io.BytesIO()
            pixels = picture(smaller(camera, 4), pose).repeat(4, axis=0).repeat(4, axis=1)
            Image.fromarray(pixels).save(jpeg, "JPEG", quality=90)
            archive.writestr(f"rgbd/{number}.jpg", jpeg.getvalue())
            archive.writestr(f"rgbd/{number}.depth", lzfse.compress(z_m.tobytes()))
            archive.writestr(f"rgbd/{number}.conf", lzfse.compress(levels.tobytes()))
            if number % 10 == 0:
                truth[f"{name}/{number}"] = camera, pose
        archive.writestr("metadata", json.dumps(metadata))
        archive.writestr("icon", jpeg.getvalue())
    return truth


FIXTURES = {
    "strayscanner": (write_strayscanner, []),
    "arkitscenes": (write_arkitscenes, []),
    "record3d": (write_record3d, []),
}
