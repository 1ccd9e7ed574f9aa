"""Curation that writes pictures for training, and curation as Ray tasks."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from curate.pipeline.test_curation import FOLDER, contents
from PIL import Image, JpegImagePlugin
from support import killed
from support.curate_checks import assert_labels_the_scene, curate, read_records
from support.raw.small import write_folder, write_nyuv2, write_published
from support.scene import POSES, Pinhole, picture

from depthlm_plugin.cli import main
from depthlm_plugin.curate.pipeline.jpeg import carried, prepare
from depthlm_plugin.geometry.camera import Camera
from depthlm_plugin.geometry.lens import Lens

WIDE = Pinhole(152.0, 148.0, 95.0, 80.0, 200, 150)


def scaled(pinhole, focal_px):
    """Return the camera after resizing: centres (u + 0.5) s - 0.5, whole pixels inside."""
    x, y = focal_px / pinhole.fx, focal_px / pinhole.fy
    return Pinhole(
        focal_px,
        focal_px,
        (pinhole.cx + 0.5) * x - 0.5,
        (pinhole.cy + 0.5) * y - 0.5,
        int(pinhole.width * x),
        int(pinhole.height * y),
    )


@pytest.mark.parametrize(("focal_px", "made_px"), [(100, 100), (1000, 148)])
def test_pictures_for_training(tmp_path, capsys, focal_px, made_px):
    truth = write_folder(tmp_path / "raw", WIDE, POSES)
    out = tmp_path / "out"
    options = [*FOLDER, "--images", "jpeg", "--focal-px", focal_px, "--workers", 1]
    curate(capsys, "folder", tmp_path / "raw", out, *options)
    small = scaled(WIDE, made_px)
    records = read_records(out / "folder.jsonl")
    # A label is of the source pixel's centre, somewhere in the smaller picture's pixel.
    assert_labels_the_scene(
        records,
        {name: (small, pose) for name, (_, pose) in truth.items()},
        out,
        worst=0.004,
        shift_px=0.5,
    )
    for record in records:
        assert record["image"] == f"folder/images/{record['id']}.jpg"
        with Image.open(out / record["image"]) as image:
            assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
            wanted = Image.new("RGB", (8, 8))
            buffer = io.BytesIO()
            wanted.save(buffer, "JPEG", quality=95)
            assert image.quantization == Image.open(buffer).quantization
            shown = np.asarray(image).astype(float)
        exact = picture(small, truth[record["id"]][1]).astype(float)
        assert np.abs(shown - exact).mean() < 10  # its checker's edges are jagged
        moved = np.roll(exact, 2, axis=1)
        assert np.abs(shown - exact).mean() < np.abs(shown - moved).mean() / 1.5
    assert main(["validate", str(out / "folder.jsonl")]) == 0
    card = (out / "folder" / "README.md").read_text()
    assert f"JPEG, quality 95, 4:4:4, undistorted, fx = fy at {focal_px} px" in card


def test_many_labels_on_few_pixels_are_one_a_pixel(tmp_path, capsys):
    write_folder(tmp_path / "raw", WIDE, POSES[:1])
    options = [*FOLDER, "--points", 20000, "--images", "jpeg", "--focal-px", 40, "--workers", 1]
    curate(capsys, "folder", tmp_path / "raw", tmp_path / "out", *options)
    [record] = read_records(tmp_path / "out" / "folder.jsonl")
    assert len({*map(tuple, record["pixel_coords"])}) == len(record["depth"])
    assert 0.9 * 52 * 40 < len(record["depth"]) <= 52 * 40


def test_pictures_inside_files_too(tmp_path, capsys):
    truth = write_nyuv2(tmp_path / "raw", count=2, test=(1, 2))
    options = ["--images", "jpeg", "--focal-px", 300, "--workers", 1]
    curate(capsys, "nyuv2", tmp_path / "raw", tmp_path / "out", *options)
    records = read_records(tmp_path / "out" / "nyuv2_test.jsonl")
    small = {name: (scaled(pinhole, 300), pose) for name, (pinhole, pose) in truth.items()}
    assert_labels_the_scene(records, small, tmp_path / "out", shift_px=0.5)


def test_published_labels_keep_their_quantity(tmp_path, capsys):
    published = write_published(tmp_path / "raw")
    options = ["--images", "jpeg", "--focal-px", 70, "--option", "depth_kind=z", "--workers", 1]
    curate(capsys, "depthlm", tmp_path / "raw", tmp_path / "out", *options)
    [name] = json.loads((tmp_path / "out/dataset_info.json").read_text())
    for theirs, ours in zip(
        published, read_records(tmp_path / "out" / f"{name}.jsonl"), strict=True
    ):
        assert ours["depth_kind"] == "z"
        assert set(ours["depth"]) <= set(theirs["depth"])
        assert len(ours["depth"]) > 90


def test_a_lens_is_undone():
    lens = Lens("opencv", (-0.25, 0.05, 0.002, -0.001, 0.0))
    camera = Camera(150.0, 146.0, 97.0, 78.0, (200, 150), lens)
    v, u = np.mgrid[:150, :200]
    places = np.stack([u, v], -1).reshape(-1, 2)
    ideal = camera.undistort_pixels(places).reshape(150, 200, 2)
    straight = Pinhole(150.0, 146.0, 97.0, 78.0, 200, 150)
    # Distorted by looking up what the ideal picture, made large, shows there.
    fine = Pinhole(600.0, 584.0, 4 * 97.5 - 0.5 + 200, 4 * 78.5 - 0.5 + 200, 1200, 1000)
    shown = picture(fine, POSES[1])
    at = np.clip(np.round((ideal + 0.5) * 4 - 0.5 + 200).astype(int), 0, (1199, 999))
    data, target = prepare(Image.fromarray(shown[at[..., 1], at[..., 0]]), camera, 100.0)
    assert target.lens is None
    assert target.intrinsics[:2] == [100, 100]
    exact = picture(scaled(straight, 100), POSES[1]).astype(float)
    with Image.open(io.BytesIO(data)) as image:
        found = np.asarray(image).astype(float)
    assert np.abs(found - exact)[10:-10, 10:-10].mean() < 8
    pixels, kept = carried(places, camera, target)
    again = camera.project(target.unproject(pixels, np.ones(len(pixels))))
    # to within the half pixel that rounding took, of pixels 1.5 times as large, at the border more
    assert np.abs(again - places[kept]).max() < 1.2
    assert ((pixels >= 0) & (pixels < target.size_wh)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "png"], "--images is keep or jpeg, found 'png'"),
        (["--focal-px", "500"], "--focal-px is that of --images jpeg"),
        (["--images", "jpeg", "--focal-px", "0"], "must be a positive number of pixels, found 0"),
        (["--engine", "rya"], "unknown engine 'rya'; did you mean 'ray'?"),
    ],
)
def test_refusals(tmp_path, capsys, options, message):
    write_folder(tmp_path / "raw", WIDE, POSES[:1])
    _, said = curate(
        capsys, "folder", tmp_path / "raw", tmp_path / "out", *FOLDER, *options, status=1
    )
    assert message in said
    assert not (tmp_path / "out").exists()


def test_another_focal_length_is_another_configuration(tmp_path, capsys):
    write_folder(tmp_path / "raw", WIDE, POSES[:1])
    for focal_px, status in ((100, 0), (120, 1)):
        options = [*FOLDER, "--images", "jpeg", "--focal-px", focal_px, "--workers", 1]
        _, said = curate(
            capsys, "folder", tmp_path / "raw", tmp_path / "out", *options, status=status
        )
    assert 'images: "jpeg at 100 px" there, "jpeg at 120 px" now' in said


_BY_RAY = """
import sys
from pathlib import Path
from support import killed
from depthlm_plugin.curate.pipeline.curation import Settings, curate
from depthlm_plugin.curate.pipeline.workers import results
from depthlm_plugin.errors import DepthLMError

def refuse(what):
    raise DepthLMError(f"no {what}")

if __name__ == "__main__":
    root, out = map(Path, sys.argv[1:])
    job, output = killed.job_of(root, out)
    curate(job, output, None, Settings(workers=2, engine="ray", chunk_frames=1))
    try:
        list(results(refuse, [("room on the disk",)] * 3, 2, "ray"))
    except DepthLMError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_ray_tasks_write_the_same_bytes(tmp_path):
    root = tmp_path / "room"
    write_folder(root, WIDE, [*POSES, POSES[0]])
    killed.run(root, tmp_path / "here")
    script = tmp_path / "by_ray.py"
    script.write_text(_BY_RAY)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(script), str(root), str(tmp_path / "ray")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "ray") == contents(tmp_path / "here")
    assert done.stdout == "DepthLMError no room on the disk\n"
