"""Datasets of the hub as its tools lay them out, and records as DepthVLM's scripts make them.

Every writer returns {frame id: (pinhole, pose)}: what the labels are checked against.
"""

import csv
import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from support.scene import POSES, Pinhole, grid, picture, z_at

ROOM = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)
CENTRED = Pinhole(190.25, 190.25, 119.5, 89.5, 240, 180)  # as DepthVLM's records let one assume
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(values, form="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form, **options)
    return buffer.getvalue()


def z_map(pinhole, pose, size_wh=None):
    """Return z (H, W) at the centres of a map's pixels, metres, whatever the map's size."""
    width, height = size_wh or (pinhole.width, pinhole.height)
    u, v = grid(width, height)
    u = (u + 0.5) * pinhole.width / width - 0.5
    v = (v + 0.5) * pinhole.height / height - 0.5
    return z_at(pinhole, pose, u, v)


def millimetres(z, hole=0):
    """Return 16-bit values with a block of `hole`."""
    values = np.round(z * 1000).astype(np.uint16)
    values[: len(values) // 8] = hole
    return values


def lists(values):
    """Return a column of nested lists of 32-bit numbers, as Array2D and Array3D are stored."""
    kind = pa.from_numpy_dtype(values[0].dtype)
    for _ in values[0].shape:
        kind = pa.list_(kind)
    return pa.array([value.tolist() for value in values], kind)


def image_column(data):
    return pa.array([{"bytes": one, "path": None} for one in data], PICTURE)


def rgbd_columns(pinhole=ROOM, poses=POSES):
    """Return the columns of a small RGB-D dataset: JPEG, 16-bit PNG, intrinsics and a room."""
    count = len(poses)
    return {
        "image": image_column([encoded(picture(pinhole, pose), "JPEG") for pose in poses]),
        "depth": image_column([encoded(millimetres(z_map(pinhole, pose))) for pose in poses]),
        "fx": pa.array([pinhole.fx] * count),
        "fy": pa.array([pinhole.fy] * count),
        "cx": pa.array([pinhole.cx] * count),
        "cy": pa.array([pinhole.cy] * count),
        "scene": pa.array([f"room_{number // 2}" for number in range(count)]),
        "timestamp": pa.array([10.5 + number for number in range(count)]),
        "camera_to_world": lists([pose.astype(np.float32) for pose in poses]),
        "caption": pa.array(["a room"] * count),
    }


def hub_table(columns):
    """Return a table whose schema has the metadata that the datasets library writes."""
    features = {
        name: {"_type": "Image"} if values.type == PICTURE else {"_type": "Value"}
        for name, values in columns.items()
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table(columns).replace_schema_metadata(metadata)


def write_shards(root, columns, split="train", shards=2, group_rows=1):
    """`data/<split>-00000-of-00002.parquet`, as the hub serves them."""
    (root / "data").mkdir(parents=True, exist_ok=True)
    table = hub_table(columns)
    rows = -(-len(table) // shards)
    names = []
    for number in range(shards):
        name = f"data/{split}-{number:05d}-of-{shards:05d}"
        part = table.slice(number * rows, rows)
        pq.write_table(part, root / f"{name}.parquet", row_group_size=group_rows)
        names += [f"{name}/{row:06d}" for row in range(len(part))]
    (root / "README.md").write_text("---\ntask_categories:\n- depth-estimation\n---\n")
    return names


def truth_of(names, pinhole=ROOM, poses=POSES):
    return {name: (pinhole, pose) for name, pose in zip(names, poses, strict=True)}


def write_to_disk(root, columns, split=None):
    """What `save_to_disk` leaves: IPC streams, not IPC files, and their description."""
    root.mkdir(parents=True)
    table = hub_table(columns)
    name = "data-00000-of-00001"
    with pa.ipc.new_stream(root / f"{name}.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=3)
    state = {"_data_files": [{"filename": f"{name}.arrow"}], "_split": split}
    (root / "state.json").write_text(json.dumps(state))
    (root / "dataset_info.json").write_text(json.dumps({"features": {}}))
    with pa.ipc.new_stream(root / "cache-0123456789abcdef.arrow", table.schema) as stream:
        stream.write_table(table.slice(0, 1))
    return [f"{name}/{row:06d}" for row in range(len(table))]


def write_image_folder(root, form="jsonl", pinhole=ROOM, poses=POSES):
    """`train/metadata.jsonl` or `.csv`, with the names of files beside it."""
    folder = root / "train"
    (folder / "depth").mkdir(parents=True)
    rows = []
    for number, pose in enumerate(poses):
        (folder / f"{number:04d}.jpg").write_bytes(encoded(picture(pinhole, pose), "JPEG"))
        depth = folder / "depth" / f"{number:04d}.png"
        depth.write_bytes(encoded(millimetres(z_map(pinhole, pose))))
        matrix = [[pinhole.fx, 0, pinhole.cx], [0, pinhole.fy, pinhole.cy], [0, 0, 1]]
        rows.append(
            {
                "file_name": f"{number:04d}.jpg",
                "depth_file_name": f"depth/{number:04d}.png",
                "K": matrix if form == "jsonl" else json.dumps(matrix),
            }
        )
    if form == "jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metadata.jsonl").write_text(text)
    else:
        with (folder / "metadata.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)
    return [f"train/metadata/{number:06d}" for number in range(len(poses))]


def write_depthvlm(
    root, *, name="scannetpp/scannetpp_val.jsonl", points=0, depth_wh=(60, 45), poses=POSES, keys=()
):
    """Records in `annotations/` of pictures and depth maps in `datasets/`, as its scripts do.

    `sample_points.py` draws pixels of the depth map, at the map's size, and rounds to four digits.
    """
    data = root / "datasets"
    truth, lines = {}, []
    rng = np.random.default_rng(3)
    (root / "annotations" / name).parent.mkdir(parents=True)
    for folder in ("rgb", "depth"):
        (data / folder).mkdir(parents=True)
    for number, pose in enumerate(poses):
        image = f"rgb/frame_{number:06d}.jpg"
        depth = f"depth/frame_{number:06d}.png"
        (data / image).write_bytes(encoded(picture(CENTRED, pose), "JPEG", quality=95))
        values = millimetres(z_map(CENTRED, pose, depth_wh))
        (data / depth).write_bytes(encoded(values))
        record = {
            "scene_id": f"scene_{number // 2}",
            "image": image,
            "depth_path": depth,
            "depth_scale": 1000.0,
            "original_rgb_size": [CENTRED.width, CENTRED.height],
            "original_depth_size": [*depth_wh],
            "original_fx": CENTRED.fx,
            "canonical_fx": 1000.0,
            "prompt": "Given this image, estimate the metric depth for every pixel.",
        }
        if points:
            rows, columns = np.nonzero(values)
            drawn = rng.choice(len(rows), points, replace=False)
            rows, columns = rows[drawn], columns[drawn]
            record["pixel_coords"] = np.stack([columns, rows], 1).tolist()
            record["depth"] = [round(float(value), 4) for value in values[rows, columns] / 1000]
            record["depth_type"] = "z_depth"
        record |= dict(keys)
        lines.append(record)
        truth[f"annotations/{name}:{number}"] = CENTRED, pose
    write_lines(root / "annotations" / name, lines)
    return truth


def write_lines(path, records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


FIXTURES = {
    "depthvlm": (
        write_depthvlm,
        [
            *("--option", "file=annotations/scannetpp/scannetpp_val.jsonl"),
            *("--option", "media_dir=datasets"),
        ],
    ),
    "huggingface": (
        lambda root: write_shards(root, rgbd_columns()),
        ["--option", "depth_scale=1000", "--option", "depth_kind=z"],
    ),
}
