"""ScanNet++ and TUM RGB-D on disk, small, written from their documentation: see `raw`."""

import io
import json
import zlib
from functools import lru_cache

import numpy as np
from PIL import Image

from support.scene import POSES, Pinhole, grid, picture, z_at
from support.street import quaternion

PHONE_WH, DEPTH_WH = (1920, 1440), (256, 192)
MASKED = (603, 300), (907, 700)  # left top, right bottom; 40 pixels further right with each frame
HOLE = np.s_[150:160, 20:60]  # of depth: rows, columns


def phone(number):
    """Return the camera of a frame: the focus moves."""
    return Pinhole(1430.0 + number, 1431.0 + number, 959.5, 719.25, *PHONE_WH)


def phone_pose(number):
    """Return where a frame is: neighbours are near each other, those ten apart elsewhere."""
    pose = POSES[number // 10 % len(POSES)].copy()
    pose[:3, 3] += np.array([0.05, 0.02, -0.04]) * (number % 10)
    return pose


def depth_z(number):
    """Return z (192, 256) at the centres of the depth pixels, each 7.5 pixels wide; 0 in a hole."""
    camera, scale = phone(number), PHONE_WH[0] / DEPTH_WH[0]
    centre = [(value + 0.5) / scale - 0.5 for value in (camera.cx, camera.cy)]
    small = Pinhole(camera.fx / scale, camera.fy / scale, *centre, *DEPTH_WH)
    z = z_at(small, phone_pose(number), *grid(*DEPTH_WH))
    z[HOLE] = 0
    return z


def photograph(number):
    """Return the picture of a frame, its number in eight squares along the upper border."""
    camera = phone(number)
    centre = [(value + 0.5) / 4 - 0.5 for value in (camera.cx, camera.cy)]
    quarter = Pinhole(camera.fx / 4, camera.fy / 4, *centre, 480, 360)
    return numbered(
        picture(quarter, phone_pose(number)).repeat(4, axis=0).repeat(4, axis=1), number
    )


def numbered(pixels, number):
    """Return a picture, at least 512x64, with a number in squares: white is 1, black 0."""
    for bit in range(8):
        pixels[:64, 64 * bit : 64 * (bit + 1)] = 255 * (number >> bit & 1)
    return pixels


def number_in(pixels):
    """Return the number that `numbered` drew."""
    return sum(int(np.mean(pixels[32, 64 * bit + 32]) > 128) << bit for bit in range(8))


def mask(number):
    """Return 255 where a picture is kept, 0 where it is anonymised."""
    values = np.full(PHONE_WH[::-1], 255, np.uint8)
    (left, top), (right, bottom) = MASKED
    values[top:bottom, left + 40 * number : right + 40 * number] = 0
    return values


def write_video(path, pictures, codec="libx264", pixel_format="yuv420p", options=None):
    """Write pictures (H, W, 3) or (H, W) as a video with keyframes and frames out of order."""
    import av

    settings = {"preset": "ultrafast", "bf": "2", "g": "6", "crf": "20", "b-adapt": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=60, options=settings | (options or {}))
        for pixels in pictures:
            stream.height, stream.width = pixels.shape[:2]
            stream.pix_fmt = pixel_format
            kind = "rgb24" if pixels.ndim == 3 else "gray"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=kind)))
        container.mux(stream.encode())


def depth_bin(kind, frames):
    """Return `depth.bin` in one of its encodings: `lz4`, `deflate` (by records) or `stream`."""
    import lz4.block

    if kind == "stream":
        return _deflated(np.stack(frames).astype("<f4").tobytes())
    data = io.BytesIO()
    for z in frames:
        if kind == "lz4":
            millimetres = np.round(z * 1000).astype("<u2").tobytes()
            record = lz4.block.compress(millimetres, store_size=False)
        else:
            record = _deflated(z.astype("<f4").tobytes())
        data.write(len(record).to_bytes(4, "little") + record)
    return data.getvalue()


def _deflated(data):
    packer = zlib.compressobj(level=1, wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def write_scannetpp(root, scenes=None, form="extracted", depth="lz4", frames=25):
    """Write scans {id: split}, `extracted` by the toolkit or `raw`; return what tenth frames show.

    Extracted are frames 0, 10, 11 and 20.
    """
    truth = {}
    scenes = scenes or {"7b6477cb95": "val"}
    for split in ("train", "val"):
        (root / "splits").mkdir(parents=True, exist_ok=True)
        named = [scene for scene, of in scenes.items() if of == split]
        (root / "splits" / f"nvs_sem_{split}.txt").write_text("".join(f"{n}\n" for n in named))
    for scene in scenes:
        folder = root / "data" / scene / "iphone"
        folder.mkdir(parents=True)
        write_captures(folder, frames)
        write_colmap(folder, range(0, frames, 5))
        if form == "extracted":
            for inner in ("rgb", "rgb_masks", "depth"):
                (folder / inner).mkdir()
            for number in (20, 11, 10, 0):
                name = f"frame_{number:06d}"
                Image.fromarray(photograph(number)).save(folder / "rgb" / f"{name}.jpg", quality=90)
                Image.fromarray(mask(number)).save(folder / "rgb_masks" / f"{name}.png")
                millimetres = np.round(depth_z(number) * 1000).astype(np.uint16)
                Image.fromarray(millimetres).save(folder / "depth" / f"{name}.png")
        else:
            write_video(folder / "rgb.mkv", map(photograph, range(frames)))
            write_video(folder / "rgb_mask.mkv", map(mask, range(frames)), options={"crf": "40"})
            (folder / "depth.bin").write_bytes(depth_bin(depth, list(map(depth_z, range(frames)))))
        for number in range(0, frames, 10):
            truth[f"{scene}/frame_{number:06d}"] = phone(number), phone_pose(number)
    return truth


def write_captures(folder, frames, axes=(1, 1, 1)):
    """Write the JSON file; the world of the phone's own `pose` is another, with y up."""
    captures = {}
    for number in range(frames):
        camera, pose = phone(number), phone_pose(number) @ np.diag([*axes, 1])
        arkit = np.diag([1, -1, -1, 1]) @ phone_pose(number) @ np.diag([1, -1, -1, 1])
        captures[f"frame_{number:06d}"] = {
            "timestamp": 5231.25 + number / 60,
            "pose": arkit.tolist(),
            "intrinsic": [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]],
            "imu": {"rotate": [0.1, 0.2, 0.3], "acceleration": [0, 0, -1]},
            "aligned_pose": pose.tolist(),
        }
    (folder / "pose_intrinsic_imu.json").write_text(json.dumps(captures))


def write_colmap(folder, numbers):
    """Write world-to-camera poses of some frames; lines of keypoints may be empty."""
    lines = ["# Image list with two lines of data per image:"]
    lines += ["#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME", "#   POINTS2D[] as ..."]
    for image_id, number in enumerate(numbers, start=1):
        to_camera = np.linalg.inv(phone_pose(number))
        place = [*quaternion(to_camera), *to_camera[:3, 3]]
        words = " ".join(f"{value:.12g}" for value in place)
        lines.append(f"{image_id} {words} 1 frame_{number:06d}.jpg")
        lines.append("" if number == 5 else "12.5 13.5 -1 100.25 7.75 33")
    (folder / "colmap").mkdir(exist_ok=True)
    (folder / "colmap" / "images.txt").write_text("\n".join(lines) + "\n")


class Kinect(Pinhole):
    """A camera whose picture is distorted: its rays are those of OpenCV's model, turned round."""

    lens = None

    def rays(self, u, v):
        straight = super().rays(u, v)
        if self.lens is None:
            return straight
        x, y = _straightened(self.lens, straight[..., 0].tobytes(), straight[..., 1].tobytes())
        return np.stack([x, y, np.ones_like(x)], -1).reshape(straight.shape)


@lru_cache(maxsize=8)  # two thirds of the time of a sequence: its pictures share a camera
def _straightened(lens, seen_x, seen_y):
    """Return x and y of rays whose distorted ones are these, the bytes of float64 arrays."""
    k1, k2, p1, p2, k3 = lens
    seen_x, seen_y = np.frombuffer(seen_x), np.frombuffer(seen_y)
    x, y = seen_x.copy(), seen_y.copy()
    for _ in range(30):
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        moved_x = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        moved_y = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        # Half steps, because whole ones swing at the corners.
        x = 0.5 * x + 0.5 * (seen_x - moved_x) / radial
        y = 0.5 * y + 0.5 * (seen_y - moved_y) / radial
    return x, y


class Freiburg1(Kinect):
    lens = 0.2624, -0.9531, -0.0054, 0.0026, 1.1633


class Freiburg2(Kinect):
    lens = 0.2312, -0.7849, -0.0033, -0.0001, 0.9172


FREIBURG = {
    "rgbd_dataset_freiburg1_desk": Freiburg1(517.3, 516.5, 318.6, 255.3, 640, 480),
    "rgbd_dataset_freiburg2_xyz": Freiburg2(520.9, 521.0, 325.1, 249.7, 640, 480),
    "rgbd_dataset_freiburg3_long_office_household": Kinect(535.4, 539.2, 320.1, 247.6, 640, 480),
}
START_S = 1305031102.175304
TURNING = POSES[1][:3, :3].T @ POSES[0][:3, :3]  # some 20 degrees


def kinect_pose(seconds):
    """Return the camera's pose at a time: it moves by 0.4 m and turns by 20 degrees a second."""
    import scipy.spatial.transform as transform

    axis_angle = transform.Rotation.from_matrix(TURNING).as_rotvec()
    pose = POSES[0].copy()
    turned = transform.Rotation.from_rotvec(axis_angle * seconds).as_matrix()
    pose[:3, :3] = pose[:3, :3] @ turned
    pose[:3, 3] += np.array([0.3, -0.1, 0.25]) * seconds
    return pose


def write_tum(root, sequences=FREIBURG, count=3):
    """Write sequences whose depth images are taken 7 ms after the pictures, and their world.

    The second picture has no depth image, an additional depth image no picture; the poses, every
    9 ms, stop before the last picture.
    """
    truth = {}
    for name, camera in sequences.items():
        folder = root / name
        for inner in ("rgb", "depth"):
            (folder / inner).mkdir(parents=True)
        lists = {"rgb": [], "depth": []}
        for number in range(count + 1):
            time = START_S + 0.4 * number
            stem = f"{time:.6f}"
            lists["rgb"].append(f"{stem} rgb/{stem}.png")
            pose = kinect_pose(time - START_S)
            Image.fromarray(picture(camera, pose)).save(folder / "rgb" / f"{stem}.png")
            later = time + (0.007 if number != 1 else 0.05)
            stem = f"{later:.6f}"
            lists["depth"].append(f"{stem} depth/{stem}.png")
            z = z_at(camera, pose, *grid(640, 480))
            z[200:230, 100:200] = 0
            if number == 1:
                z[:] = 1  # of nothing that a picture shows
            Image.fromarray(np.round(z * 5000).astype(np.uint16)).save(
                folder / "depth" / f"{stem}.png"
            )
            if number != 1:
                truth[f"{name}/{time:.6f}"] = camera, pose
        for kind, lines in lists.items():
            head = f"# {kind} images\n# file: 'rgbd_dataset.bag'\n# timestamp filename\n"
            (folder / f"{kind}.txt").write_text(head + "\n".join(lines) + "\n")
        poses = ["# ground truth trajectory", "# file: 'x.bag'", "# timestamp tx ty tz qx qy qz qw"]
        for seconds in np.arange(-0.05, 0.4 * count - 0.1, 0.009):
            pose = kinect_pose(seconds)
            w, x, y, z = quaternion(pose) * (-1) ** (len(poses) % 2)  # either sign is the same
            place = " ".join(f"{value:.6f}" for value in (*pose[:3, 3], x, y, z, w))
            poses.append(f"{START_S + seconds:.4f} {place}")
        (folder / "groundtruth.txt").write_text("\n".join(poses) + "\n")
    return truth


FIXTURES = {"scannetpp": (write_scannetpp, []), "tum": (write_tum, [])}
