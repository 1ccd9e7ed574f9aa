"""Raw datasets on disk, small but for their sizes real, written from their documentation.

Every writer returns {frame id: (pinhole, pose)}: what the labels are checked against.
"""

import json
from functools import partial

import numpy as np
from PIL import Image

from support.scene import POSES, Pinhole, distance_at, grid, picture, z_at


def write_ibims1(root, names=("corridor_01", "corridor_02", "office_01"), holes=True):
    """`ibims1_core_raw`: depth = round(z * 65535 / 50); masks are non-zero on good pixels."""
    truth = {}
    for folder in ("rgb", "depth", "calib", "mask_invalid", "mask_transp"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(names):
        pinhole = Pinhole(559.62 - number, 558.14, 361.87, 241.99, 640, 480)
        pose = POSES[number % len(POSES)]
        u, v = grid(640, 480)
        depth = np.round(z_at(pinhole, pose, u, v) * 65535 / 50).astype(np.uint16)
        valid, opaque = np.full((2, 480, 640), 255, np.uint8)
        if holes:
            depth[100:140, 200:300] = 0  # no return
            depth[300:320, :] = 65000  # wrong, and said to be
            valid[300:320, :] = 0
            depth[:, 400:420] = 60000  # through glass
            opaque[:, 400:420] = 0
        Image.fromarray(picture(pinhole, pose)).save(root / "rgb" / f"{name}.png")
        Image.fromarray(depth).save(root / "depth" / f"{name}.png")
        Image.fromarray(valid).save(root / "mask_invalid" / f"{name}.png")
        Image.fromarray(opaque).save(root / "mask_transp" / f"{name}.png")
        values = f"{pinhole.fx:.2f},{pinhole.fy:.2f},{pinhole.cx:.2f},{pinhole.cy:.2f}\n"
        (root / "calib" / f"{name}.txt").write_text(values)
        truth[name] = pinhole, pose
    (root / "imagelist.txt").write_text("\n".join(names) + "\n")
    (root / "rgb" / "Thumbs.db").write_bytes(b"not a picture")
    return truth


def ibims1_is_bad(u, v):
    """Return whether a pixel was given no depth, or a wrong one that the masks exclude."""
    return (
        (np.isin(v, range(100, 140)) & np.isin(u, range(200, 300)))
        | np.isin(v, range(300, 320))
        | np.isin(u, range(400, 420))
    )


def write_nyuv2(root, count=4, test=(2, 4)):
    """The labelled .mat: MATLAB writes columns first, so HDF5 shows (N, 3, W, H) and (N, W, H).

    MATLAB's first pixel is 1, so the published principal point (325.58, 253.74) is there 0-based
    one less.
    """
    import h5py
    from scipy.io import savemat

    root.mkdir(parents=True, exist_ok=True)
    pinhole = Pinhole(518.857901, 519.469611, 324.582449, 252.736166, 640, 480)
    truth = {}
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w", userblock_size=512) as file:
        images = file.create_dataset("images", (count, 3, 640, 480), np.uint8)
        depths = file.create_dataset("depths", (count, 640, 480), np.float32)
        raw = file.create_dataset("rawDepths", (count, 640, 480), np.float32)
        scenes = file.create_dataset("scenes", (1, count), h5py.ref_dtype)
        u, v = grid(640, 480)
        for index in range(count):
            pose = POSES[index % len(POSES)]
            z = z_at(pinhole, pose, u, v).astype(np.float32)
            image = picture(pinhole, pose)
            image[:8], image[-8:], image[:, :8], image[:, -8:] = 255, 255, 255, 255
            images[index] = image.transpose(2, 1, 0)
            depths[index] = z.T
            raw[index] = np.where((v > 200) & (v < 260), 0, z).T
            letters = np.array([[ord(letter)] for letter in f"kitchen_{index // 2:04d}"], np.uint16)
            file.create_dataset(f"#refs#/{index}", data=letters)
            scenes[0, index] = file[f"#refs#/{index}"].ref
            truth[f"{index + 1:04d}"] = pinhole, pose
    train = [number for number in range(1, count + 1) if number not in test]
    indices = {"trainNdxs": train, "testNdxs": list(test)}
    savemat(
        root / "splits.mat",
        {key: np.array(value, np.uint16)[:, None] for key, value in indices.items()},
    )
    return truth


def write_diode(root, split="val"):
    """`<split>/<place>/scene_/scan_/`: z in metres as (768, 1024, 1), masks of 1 where valid."""
    pinhole = Pinhole(886.81, 927.06, 512, 384, 1024, 768)
    truth = {}
    u, v = grid(1024, 768)
    for number, place in enumerate(("indoors", "outdoor")):
        folder = root / split / place / f"scene_{19 + number:05d}" / "scan_00183"
        folder.mkdir(parents=True)
        name = f"{19 + number:05d}_00183_{place}_000_010"
        z = z_at(pinhole, POSES[number], u, v).astype(np.float32)
        mask = np.where((u > 100) & (v > 50), 1, 0)
        z[mask == 0] = 77
        Image.fromarray(picture(pinhole, POSES[number])).save(folder / f"{name}.png")
        np.save(folder / f"{name}_depth.npy", z[..., None])
        np.save(folder / f"{name}_depth_mask.npy", mask.astype(np.float32))
        truth[f"{place}/{folder.parent.name}/scan_00183/{name}"] = pinhole, POSES[number]
    return truth


def write_folder(root, pinhole, poses, *, scale=1000, kind="z", depth_wh=None):
    """rgb/NNNN.png and depth/NNNN.png with values of 1 / `scale` metres, and intrinsics.json.

    A smaller depth image has its centres where resizing puts them: (u + 0.5) W / w - 0.5.
    """
    for folder in ("rgb", "depth"):
        (root / folder).mkdir(parents=True)
    width, height = depth_wh or (pinhole.width, pinhole.height)
    u, v = grid(width, height)
    u = (u + 0.5) * pinhole.width / width - 0.5
    v = (v + 0.5) * pinhole.height / height - 0.5
    truth = {}
    for number, pose in enumerate(poses):
        metres = (z_at if kind == "z" else distance_at)(pinhole, pose, u, v)
        name = f"{number:04d}.png"
        Image.fromarray(picture(pinhole, pose)).save(root / "rgb" / name)
        Image.fromarray(np.round(metres * scale).astype(np.uint16)).save(root / "depth" / name)
        truth[f"{number:04d}"] = pinhole, pose
    camera = {"fx": pinhole.fx, "fy": pinhole.fy, "cx": pinhole.cx, "cy": pinhole.cy}
    camera |= {"width": pinhole.width, "height": pinhole.height}
    (root / "intrinsics.json").write_text(json.dumps(camera))
    return truth


def write_published(root, count=6, points=100):
    """Records of the published form: z without saying so, one line a picture."""
    (root / "rgb").mkdir(parents=True)
    pinhole = Pinhole(140.3, 139.1, 83.4, 61.2, 160, 120)
    rng = np.random.default_rng(5)
    lines = []
    for number in range(count):
        pose = POSES[number % len(POSES)]
        Image.fromarray(picture(pinhole, pose)).save(root / "rgb" / f"{number}.png")
        flat = rng.choice((160 - 20) * (120 - 20), points, replace=False)
        u, v = flat % 140 + 10, flat // 140 + 10
        steps = np.round(z_at(pinhole, pose, u, v) * 65535 / 50)
        record = {
            "image": f"rgb/{number}.png",
            "intrinsics": [pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy, 160, 120],
            "pixel_coords": np.stack([u, v], 1).tolist(),
            "depth": (steps * 50 / 65535).tolist(),
        }
        lines.append(json.dumps(record))
    (root / "set_val.jsonl").write_text("\n".join(lines) + "\n")
    return [json.loads(line) for line in lines]


_ROOM = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)
FIXTURES = {
    "depthlm": (write_published, ["--option", "depth_kind=z"]),
    "diode": (write_diode, []),
    "folder": (
        partial(write_folder, pinhole=_ROOM, poses=POSES),
        ["--option", "depth_scale=1000", "--option", "depth_kind=z"],
    ),
    "ibims1": (write_ibims1, []),
    "nyuv2": (write_nyuv2, []),
}
