"""What every dataset's test asks of its records: the scene's own distances, at their pixels."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from curate_fixtures.scene import distance_at
from depthlm_plugin.cli import main


def curate(capsys, dataset, root, out, *options, status=0):
    """Run the command; return its printed JSON (or None) and what it said."""
    found = main(["curate", dataset, "--root", str(root), "--out", str(out), *map(str, options)])
    printed = capsys.readouterr()
    assert found == status, printed.err
    return (json.loads(printed.out) if printed.out else None), printed.err


def read_records(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def assert_labels_the_scene(records, truth, out, *, worst=0.002, shift_px=0.0):
    """Labels are distances of what their pixels see, and not of what pixels two away do.

    Args:
        records: Of the curation.
        truth: {frame id: (pinhole, pose)}.
        out: Where image paths start from.
        worst: Relative error that is too much, of the median and of all but a fiftieth.
        shift_px: How far the measured place may be from the labelled pixel's centre.
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
    assert np.quantile(right, 0.98) < worst
    # The scene can tell: four pixels away labels would be off by more than they are.
    assert np.mean(np.concatenate(beside)) > 3 * np.mean(right)
