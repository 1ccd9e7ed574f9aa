"""SUN RGB-D and KITTI on disk, small, written from their documentation: see `raw`."""

import numpy as np
from PIL import Image

from curate_fixtures.scene import POSES, Pinhole, grid, picture, z_at

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


def write_kitti(root):
    """Raw drives with their calibration, sparse depth maps of 1/256 m, and Eigen's list."""
    date, drive = "2011_09_26", "2011_09_26_drive_0002_sync"
    size = (310, 94)
    truth, lines = {}, []
    calib = ["calib_time: 09-Jan-2012 13:57:47"]
    for camera, part, fx in (("image_02", "train", 180.5), ("image_03", "train", 181.5)):
        pinhole = Pinhole(fx, 180.5, 152.4, 43.2, *size)
        calib.append(f"P_rect_{camera[-2:]}: {fx} 0 152.4 44.85 0 180.5 43.2 0.2163 0 0 1 0.00274")
        photos = root / date / drive / camera / "data"
        depths = root / part / drive / "proj_depth" / "groundtruth" / camera
        photos.mkdir(parents=True)
        depths.mkdir(parents=True)
        for number, pose in enumerate(POSES[:2], start=5):
            u, v = grid(*size)
            hit = (np.arange(u.size).reshape(u.shape) * 7919 % 20 == 0) & (v > 20)  # sparse
            z = np.where(hit, np.round(z_at(pinhole, pose, u, v) * 256), 0)
            Image.fromarray(picture(pinhole, pose)).save(photos / f"{number:010d}.png")
            Image.fromarray(z.astype(np.uint16)).save(depths / f"{number:010d}.png")
            truth[f"{drive}/{camera}/{number:010d}"] = pinhole, pose
            if camera == "image_02":
                inside = f"{drive}/proj_depth/groundtruth/{camera}/{number:010d}.png"
                lines.append(f"{date}/{drive}/{camera}/data/{number:010d}.png {inside} {fx}")
    lines.append(f"{date}/{drive}/image_02/data/0000000000.png None {180.5}")
    (root / date / "calib_cam_to_cam.txt").write_text("\n".join(calib) + "\n")
    (root / "eigen_test_files_with_gt.txt").write_text("\n".join(lines) + "\n")
    return truth
