import io
import json

import numpy as np
import pytest
from PIL import Image
from support import killed
from support.curate_checks import FOLDER, contents, curate, read_records
from support.raw.small import write_folder
from support.scene import POSES, Pinhole, looking, picture

from depthlm_plugin.curate.pipeline.curation import Settings, _config
from depthlm_plugin.curate.pipeline.curation import curate as run
from depthlm_plugin.curate.pipeline.duplicates import Seen, View, picture_hash
from depthlm_plugin.curate.pipeline.output import PARTS

CAMERA = Pinhole(300.0, 301.0, 160.4, 119.2, 320, 240)
SMALL = Pinhole(62.0, 61.0, 30.5, 24.0, 64, 48)
PICTURE = picture(CAMERA, POSES[0])
DROP = [*FOLDER, "--workers", 1, "--near-duplicates", "drop"]


def bits_apart(one, other):
    return (int(picture_hash(one), 16) ^ int(picture_hash(other), 16)).bit_count()


def noisy(pixels, levels):
    noise = np.random.default_rng(0).normal(0, levels, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def as_jpeg():
    data = io.BytesIO()
    Image.fromarray(PICTURE).save(data, "JPEG", quality=75)
    return Image.open(data).convert("RGB")


def passed_by(left):
    """Return the picture with someone in it, a tenth of its width."""
    pixels = PICTURE.copy()
    pixels[120:200, left : left + 32] = 40, 30, 60
    return Image.fromarray(pixels)


SAME = {
    "noise": noisy(PICTURE, 4),
    "JPEG": as_jpeg(),
    "twice the size": Image.fromarray(PICTURE).resize((640, 480), Image.Resampling.BICUBIC),
    "grey": Image.fromarray(PICTURE).convert("L"),
    "16 bits": Image.fromarray(
        np.asarray(Image.fromarray(PICTURE).convert("L")).astype(np.uint16) << 8
    ),
    "transparent": Image.fromarray(PICTURE).convert("RGBA"),
}
OTHER = {
    "turned by 1 degree": Image.fromarray(picture(CAMERA, looking(1, 5, (0, 0, 0)))),
    "moved by 10 cm": Image.fromarray(picture(CAMERA, looking(0, 5, (0.1, 0, 0)))),
    "mirrored": Image.fromarray(PICTURE[:, ::-1]),
    "other": Image.fromarray(picture(CAMERA, POSES[1])),
}


@pytest.mark.parametrize("how", SAME)
def test_the_same_picture_has_nearly_the_same_hash(how):
    assert bits_apart(Image.fromarray(PICTURE), SAME[how]) <= 10


def test_somebody_who_moves_before_a_camera_that_stands_still_makes_another_picture():
    assert bits_apart(passed_by(60), passed_by(200)) > 10


@pytest.mark.parametrize("how", OTHER)
def test_another_picture_has_another_hash(how):
    assert bits_apart(Image.fromarray(PICTURE), OTHER[how]) > 10


def view(bits=0, scene="a", pose=None):
    """Return a view whose hash has some bits set, at a pose (4, 4)."""
    pose = None if pose is None else pose[:3].ravel().tolist()
    return View(f"{(1 << bits) - 1:064x}", scene, pose)


@pytest.mark.parametrize(
    ("other", "repeats"),
    [
        (view(10, pose=POSES[0]), True),
        (view(11, pose=POSES[0]), False),  # the camera stands still, the scene moves
        (view(pose=looking(0, 5, (0, 0, 0.04))), True),
        (view(pose=looking(0, 5, (0, 0, 0.06))), False),  # a white wall, nearer
        (view(pose=looking(1.9, 5, (0, 0, 0))), True),
        (view(pose=looking(2.1, 5, (0, 0, 0))), False),
        (view(), True),  # where it was is not known
        (view(scene="b", pose=POSES[0]), False),
        (view(scene=None, pose=POSES[0]), False),
    ],
)
def test_the_rule(other, repeats):
    seen = Seen()
    assert not seen.repeats(view(pose=POSES[0]))
    assert seen.repeats(other) == repeats


def test_frames_are_compared_with_those_that_were_kept():
    """A slow walk is thinned out: what is left out does not carry the limit further."""
    seen = Seen()
    walk = [seen.repeats(view(pose=looking(0, 5, (0, 0, 0.03 * n)))) for n in range(7)]
    assert walk == [False, True, False, True, False, True, False]
    assert seen.repeats(view(pose=looking(0, 5, (0, 0, 0.06))))  # the third again, much later


@pytest.mark.slow
def test_only_the_last_of_a_scene_are_compared_with():
    seen = Seen()
    views = [View(np.random.default_rng(n).bytes(32).hex(), "a") for n in range(4097)]
    assert not any(map(seen.repeats, views))
    assert seen.repeats(views[-1])
    assert seen.repeats(views[1])
    assert not seen.repeats(views[0])


@pytest.fixture
def room(tmp_path):
    """Return the root of a folder: frames 1 and 5 show what 0 shows, 4 what 3 shows."""
    root = tmp_path / "room"
    write_folder(root, SMALL, [POSES[n] for n in (0, 0, 1, 2, 2, 0, 3)])
    noisy(picture(SMALL, POSES[0]), 1).save(root / "rgb" / "0005.png")
    return root


def kept(out, name="folder"):
    return [record["id"] for record in read_records(out / f"{name}.jsonl")]


def test_copies_are_left_out_and_counted(room, tmp_path, capsys):
    counts, said = curate(capsys, "folder", room, tmp_path / "out", *DROP, "--points", 20)
    assert kept(tmp_path / "out") == ["0000", "0002", "0003", "0006"]
    assert counts["left_out"] == {"near-duplicate": 3}
    assert (counts["frames"], counts["records"], counts["points"]) == (7, 4, 80)
    assert "3  near-duplicate (as its card announces)" in said
    card = (tmp_path / "out" / "folder" / "README.md").read_text()
    assert "| left out: near-duplicate | 3 |" in card
    assert "3 frames left out (42.9 %), like one before in its scene: at most 10 of 256" in card
    assert "by at most 0.05 m and their directions by 2 degrees" in card


@pytest.mark.slow
def test_they_are_counted_and_kept_by_default(room, tmp_path, capsys):
    curate(capsys, "folder", room, tmp_path / "out", *FOLDER, "--workers", 1)
    assert len(kept(tmp_path / "out")) == 7
    card = (tmp_path / "out" / "folder" / "README.md").read_text()
    assert "| Near-duplicates | 3 of 7 records (42.9 %), like one before" in card


@pytest.mark.slow
def test_a_pose_that_moved_keeps_frames_that_look_alike(room, tmp_path, capsys):
    (room / "poses").mkdir()
    for number in range(7):  # frame 5 was taken 20 cm from frame 0, says its pose
        pose = looking(0, 5, (0.2 * (number == 5), 0, 0))
        np.savetxt(room / "poses" / f"{number:04d}.txt", pose)
    options = [*DROP, "--option", "pose=poses/*.txt"]
    curate(capsys, "folder", room, tmp_path / "out", *options)
    assert kept(tmp_path / "out") == ["0000", "0002", "0003", "0005", "0006"]


@pytest.mark.slow
def test_pictures_of_frames_left_out_go_too(room, tmp_path, capsys):
    out = tmp_path / "out"
    curate(capsys, "folder", room, out, *DROP, "--images", "jpeg", "--focal-px", 60)
    assert sorted(path.stem for path in (out / "folder" / "images").iterdir()) == kept(out)


@pytest.mark.slow
def test_chunks_workers_and_resuming_change_no_byte(room, tmp_path):
    for name, settings in {
        "whole": Settings(),
        "chunks": Settings(chunk_frames=2),
        "workers": Settings(chunk_frames=1, workers=2),
        "resumed": Settings(chunk_frames=2),
    }.items():
        job, output = killed.job_of(room, tmp_path / name, drop_repeats=True)
        if name == "resumed":  # the second chunk was finished first, then all was killed
            output.claim(_config(job, None), room)
            items = list(job.reader.items())[2:4]
            outcomes, records = job.label(items)
            with output.chunks.opened():
                lines = [json.dumps(record) for record in records]
                output.chunks.write(1, items, outcomes, lines)
            assert list((output.folder / PARTS).glob("0*.jsonl"))
        run(job, output, None, settings)
    whole = contents(tmp_path / "whole")
    assert kept(tmp_path / "whole", "room") == ["0000", "0002", "0003", "0006"]
    for name in ("chunks", "workers", "resumed"):
        assert contents(tmp_path / name) == whole


def test_records_that_stay_as_they_are_are_not_left_out(tmp_path, capsys):
    _, said = curate(
        capsys, "depthlm", tmp_path, tmp_path / "out", "--near-duplicates", "drop", status=1
    )
    assert "--near-duplicates drop is not for depthlm, whose records stay as they are" in said
    _, said = curate(
        capsys, "folder", tmp_path, tmp_path / "out", "--near-duplicates", "yes", status=1
    )
    assert "--near-duplicates is keep or drop, found 'yes'" in said
