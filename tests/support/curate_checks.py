"""What every dataset's test asks of its records: the scene's own distances, at their pixels."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from depthlm_plugin.cli import main
from support.scene import distance_at

FOLDER = ["--option", "depth_scale=1000", "--option", "depth_kind=z"]


def curate(capsys, dataset, root, out, *options, status=0):
    """Run the command; return its printed JSON (or None) and what it said."""
    arguments = [dataset, "--root", root, "--out", out, *options]
    ended = main(["curate", *map(str, arguments)])
    printed = capsys.readouterr()
    assert ended == status, printed.err
    return (json.loads(printed.out) if printed.out else None), printed.err


def read_records(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def assert_labels_the_scene(
    records, truth, out, *, worst=0.002, shift_px=0.0, few=0.02, distance_at=distance_at
):
    """Labels are distances of what their pixels see, and not of what pixels two away do.

    Args:
        records: Of the curation.
        truth: {frame id: (camera, pose)}: a `scene.Pinhole`, or whatever else has its attributes.
        out: Where image paths start from.
        worst: Relative error that is too much, of the median and of all but `few`.
        shift_px: How far the measured place may be from the labelled pixel's centre.
        few: The share of labels that may be off by more: what an occlusion test cannot see.
        distance_at: The scene's: a room, or `street.distance_at`.
    """
    assert {record["id"] for record in records} == truth.keys()
    right, beside = [], []
    for record in records:
        pinhole, pose = truth[record["id"]]
        stated = [pinhole.fx, pinhole.fy, pinhole.cx, pinhole.cy, pinhole.width, pinhole.height]
        np.testing.assert_allclose(record["intrinsics"], stated, atol=1e-6)
        with Image.open(out / record["image"]) as image:
            assert list(image.size) == record["intrinsics"][4:]
        assert record["depth_kind"] == "distance"
        u, v = np.array(record["pixel_coords"]).T
        depth = np.array(record["depth"])
        assert len({*map(tuple, record["pixel_coords"])}) == len(depth) > 0
        exact = distance_at(pinhole, pose, u, v)
        steps = np.linspace(-shift_px, shift_px, 5 if shift_px else 1)
        near = [distance_at(pinhole, pose, u + x, v + y) for x in steps for y in steps]
        right.append(np.min([np.abs(depth / one - 1) for one in near], axis=0))
        for x, y in ((4, 0), (-4, 0), (0, 4), (0, -4)):
            beside.append(np.abs(distance_at(pinhole, pose, u + x, v + y) / exact - 1))
    right = np.concatenate(right)
    assert np.median(right) < worst
    assert np.quantile(right, 1 - few) < worst
    # The scene can tell: four pixels away labels would be off by more than they are.
    assert np.mean(np.concatenate(beside)) > 3 * np.mean(right)


def assert_poses_agree(records, truth, *, within_px=1.0):
    """Points labelled in one picture fall, by the records' poses, where the scene's put them.

    The world of the records may be another than the scene's.
    """
    posed = [record for record in records if "pose" in record]
    assert len(posed) == len(records) > 1
    farthest, places = 0.0, 0
    for one in posed:
        camera, pose = truth[one["id"]]
        pixels = np.array(one["pixel_coords"])
        rays = camera.rays(*pixels.T)
        distance = np.array(one["depth"])
        points = rays / np.linalg.norm(rays, axis=-1, keepdims=True) * distance[:, None]
        for other in posed:
            seen, seen_pose = truth[other["id"]]
            stated = _carried(points, np.array(one["pose"]), np.array(other["pose"]))
            exact = _carried(points, pose, seen_pose)
            front = exact[:, 2] > 0.2
            u, v = (exact[front, :2] / exact[front, 2:]).T
            inside = np.abs(u * seen.fx) < seen.width
            inside &= np.abs(v * seen.fy) < seen.height
            moved = stated[front][inside]
            exact = exact[front][inside]
            assert (moved[:, 2] > 0).all()
            shift = (moved[:, :2] / moved[:, 2:] - exact[:, :2] / exact[:, 2:]) * (seen.fx, seen.fy)
            farthest = max(farthest, np.abs(shift).max(initial=0))
            places += len(shift) * (one is not other)
    assert places > 0  # some points are in two pictures
    assert farthest < within_px


def _carried(points, pose, other):
    return (points @ pose[:3, :3].T + pose[:3, 3] - other[:3, 3]) @ other[:3, :3]


def contents(out):
    """Return the bytes of every file that a curation wrote."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "raw" not in path.relative_to(out).parts
    }
