"""SUN RGB-D and KITTI on disk, small, written from their documentation: see `raw`."""

import numpy as np
from PIL import Image

from support.enlarged import larger, photographed
from support.scene import POSES, Pinhole, grid, picture, z_at

# Folder of a frame: its picture, its depth image, the camera as MATLAB counts pixels, the size.
XTION = (570.3, 570.3, 310.0, 225.0), (591, 441)
KINECT_2 = (529.5, 529.5, 365.0, 262.0), (730, 530)
REALSENSE = (691.6, 691.6, 362.8, 264.8), (681, 531)
NYU = (518.9, 519.5, 284.6, 208.7), (561, 427)
SUN_FRAMES = {
    "kv1/NYUdata/NYU0001": ("NYU0001", "NYU0001", *NYU),
    "kv2/kinect2data/000002_2014-05-26": ("0000103", "0000103", *KINECT_2),
    "realsense/sa/2014_10-1": ("0000028", "0000028", *REALSENSE),
    "xtion/sun3ddata/hotel/room_1/frame_7": ("0000014-000446800", "0000013-000432787", *XTION),
    "xtion/sun3ddata/hotel/room_1/frame_8": ("0000015-000446900", "0000014-000432887", *XTION),
}


def write_sunrgbd(root, test=("kv1/NYUdata/NYU0001", "realsense/sa/2014_10-1")):
    """Millimetres rotated left by three bits; the principal point counts pixels from 1."""
    from scipy.io import savemat

    truth = {}
    for number, (name, (photo, depth, camera, size)) in enumerate(SUN_FRAMES.items()):
        fx, fy, cx, cy = camera
        pinhole = Pinhole(fx, fy, cx - 1, cy - 1, *size)
        pose = POSES[number % len(POSES)]
        folder = root / "SUNRGBD" / name
        for inner in ("image", "depth", "depth_bfx", "fullres/image", "fullres/depth_bfx"):
            (folder / inner).mkdir(parents=True)
        u, v = grid(*size)
        millimetres = np.round(z_at(pinhole, pose, u, v) * 1000).astype(int)
        holes = (v > 100) & (v < 160)
        for inner, values in (
            ("depth_bfx", millimetres),
            ("depth", np.where(holes, 0, millimetres)),
        ):
            rotated = ((values << 3) | (values >> 13)) & 0xFFFF
            Image.fromarray(rotated.astype(np.uint16)).save(folder / inner / f"{depth}.png")
        Image.fromarray(picture(pinhole, pose)).save(folder / "image" / f"{photo}.jpg", quality=95)
        rows = f"{fx} 0.000000 {cx}\n0.000000 {fy} {cy}\n0.000000 0.000000 1.000000\n"
        (folder / "intrinsics.txt").write_text(rows if number % 2 else rows.replace("\n", " "))
        (folder / "scene.txt").write_text("bedroom")
        truth[name] = pinhole, pose
    lists = {"alltest": test, "alltrain": [name for name in SUN_FRAMES if name not in test]}
    place = root / "SUNRGBDtoolbox" / "traintestSUNRGBD"
    place.mkdir(parents=True)
    cells = {
        key: np.array([f"/n/fs/sun3d/data/SUNRGBD/{name}/" for name in names], object)[None]
        for key, names in lists.items()
    }
    savemat(place / "allsplit.mat", cells)
    return truth


def _small_turn(*degrees):
    """Return the rotation about x, then y, then z."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees)):
        one = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one[a, a] = one[b, b] = np.cos(angle)
        one[b, a], one[a, b] = np.sin(angle), -np.sin(angle)
        turn = one @ turn
    return turn


# KITTI: inertial unit to lidar to camera 0, which is turned a little to become a rectified one.
KITTI_IMU_TO_VELO = _small_turn(0.3, -0.4, 0.8), (-0.81, 0.32, -0.80)
KITTI_VELO_TO_CAM = (
    np.array([(0, -1, 0), (0, 0, -1), (1, 0, 0)]) @ _small_turn(0.5, 0.7, -0.6),
    (-0.004, -0.076, -0.27),
)
KITTI_RECTIFY = _small_turn(-0.9, 0.5, 0.4)
KITTI_BESIDE = {"image_02": (0.06, -0.0004, 0.0027), "image_03": (-0.47, 0.002, 0.0027)}
KITTI_FIRST = 49.0, 8.4, 112.8  # latitude, longitude, altitude of the drive's first packet
KITTI_EARTH_M = 6378137.0


def write_kitti(root, oxts=True, times=1):
    """Raw drives with their calibration, sparse depth maps of 1/256 m, and Eigen's list.

    The poses are image_02's, as GPS and inertia packets, 30 numbers each.
    """
    date, drive = "2011_09_26", "2011_09_26_drive_0002_sync"
    truth, lines = {}, []
    rectify = " ".join(f"{one:.12e}" for one in KITTI_RECTIFY.ravel())
    calib = ["calib_time: 09-Jan-2012 13:57:47", f"R_rect_00: {rectify}"]
    for camera, part, fx in (("image_02", "train", 180.5), ("image_03", "train", 181.5)):
        pinhole = larger(Pinhole(fx, 180.5, 152.4, 43.2, 310, 94), times)
        fx, fy, cx, cy = pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy
        matrix = np.array([(fx, 0, cx), (0, fy, cy), (0, 0, 1)])
        rows = np.column_stack([matrix, matrix @ KITTI_BESIDE[camera]])
        calib.append(f"P_rect_{camera[-2:]}: " + " ".join(f"{one:.12g}" for one in rows.ravel()))
        photos = root / date / drive / camera / "data"
        depths = root / part / drive / "proj_depth" / "groundtruth" / camera
        photos.mkdir(parents=True)
        depths.mkdir(parents=True)
        for number, left in enumerate(POSES[:2], start=5):
            pose = left @ _beside("image_02") @ np.linalg.inv(_beside(camera))
            u, v = grid(pinhole.width, pinhole.height)
            hit = (np.arange(u.size).reshape(u.shape) * 7919 % 20 == 0) & (v > 20)  # sparse
            z = np.where(hit, np.round(z_at(pinhole, pose, u, v) * 256), 0)
            Image.fromarray(photographed(picture, pinhole, pose, times)).save(
                photos / f"{number:010d}.png"
            )
            Image.fromarray(z.astype(np.uint16)).save(depths / f"{number:010d}.png")
            truth[f"{drive}/{camera}/{number:010d}"] = pinhole, pose
            if camera == "image_02":
                inside = f"{drive}/proj_depth/groundtruth/{camera}/{number:010d}.png"
                lines.append(f"{date}/{drive}/{camera}/data/{number:010d}.png {inside} {fx}")
        if oxts:
            _write_times(photos.parent, 0)
    lines.append(f"{date}/{drive}/image_02/data/0000000000.png None {180.5 * times}")
    (root / date / "calib_cam_to_cam.txt").write_text("\n".join(calib) + "\n")
    (root / "eigen_test_files_with_gt.txt").write_text("\n".join(lines) + "\n")
    if oxts:
        _write_oxts(root / date, drive)
    return truth


def _beside(camera):
    pose = np.eye(4)
    pose[:3, 3] = KITTI_BESIDE[camera]
    return pose


def _write_times(folder, late_ms):
    folder.mkdir(parents=True, exist_ok=True)
    start = np.datetime64("2011-09-26T13:02:25.964389445")
    times = [start + np.timedelta64(103 * n + late_ms, "ms") for n in range(8)]
    text = "\n".join(str(time).replace("T", " ") for time in times)
    (folder / "timestamps.txt").write_text(text + "\n")


def _write_oxts(date, drive):
    to_camera = _beside("image_02")
    for name, (turn, shift) in (
        (None, (KITTI_RECTIFY, (0, 0, 0))),
        ("velo_to_cam", KITTI_VELO_TO_CAM),
        ("imu_to_velo", KITTI_IMU_TO_VELO),
    ):
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = turn, shift
        to_camera = to_camera @ step
        if name:
            numbers = [" ".join(f"{one:.12e}" for one in np.ravel(part)) for part in (turn, shift)]
            (date / f"calib_{name}.txt").write_text(
                f"calib_time: 15-Mar-2012 11:37:16\nR: {numbers[0]}\nT: {numbers[1]}\n"
            )
    folder = date / drive / "oxts" / "data"
    folder.mkdir(parents=True)
    _write_times(folder.parent, 4)
    east_north_up = np.array([(1, 0, 0), (0, 0, 1), (0, -1, 0)])  # of x right, y down, z forward
    latitude, longitude, altitude = KITTI_FIRST
    for number in range(8):
        pose = POSES[number - 5 if number in (5, 6) else 2] @ to_camera
        (turn, place) = east_north_up @ pose[:3, :3], east_north_up @ pose[:3, 3]
        # Mercator, true to scale at the first packet's latitude.
        radius = KITTI_EARTH_M * np.cos(np.deg2rad(latitude))
        north = radius * np.log(np.tan(np.deg2rad(45 + latitude / 2))) + place[1] * (number > 0)
        packet = np.zeros(30)
        packet[0] = np.rad2deg(2 * np.arctan(np.exp(north / radius))) - 90
        packet[1] = longitude + np.rad2deg(place[0] / radius) * (number > 0)
        packet[2] = altitude + place[2] * (number > 0)
        packet[3] = np.arctan2(turn[2, 1], turn[2, 2])
        packet[4] = -np.arcsin(turn[2, 0])
        packet[5] = np.arctan2(turn[1, 0], turn[0, 0])
        packet[8:11] = 7.25 + number, 0.05, -0.01  # forwards, leftwards, up
        along = packet[8] * np.exp(1j * packet[5]) + packet[9] * 1j * np.exp(1j * packet[5])
        packet[6], packet[7] = along.imag, along.real
        packet[25:] = 4, 10, 4, 4, 0
        text = " ".join(f"{one:.15g}" for one in packet)
        (folder / f"{number:010d}.txt").write_text(text + "\n")


FIXTURES = {
    "kitti": (write_kitti, []),
    "nyuv2_sunrgbd": (write_sunrgbd, []),
    "sunrgbd": (write_sunrgbd, []),
}
