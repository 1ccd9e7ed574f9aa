"""ARKitScenes against the scene that its fixtures show."""

import shutil

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import assert_labels_the_scene, assert_poses_agree, curate, read_records
from support.raw.handheld import HOLE
from support.raw.phones import UNSURE, VIDEOS, write_arkitscenes

pytestmark = pytest.mark.slow  # seconds each

SOME = ["--workers", 1, "--points", 300]
HIGHRES = ["--option", "depth=highres"]
ONE, TWO = VIDEOS


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of two recordings, and what their tenth frames show."""
    root = tmp_path_factory.mktemp("arkitscenes") / "raw"
    return root, write_arkitscenes(root)


@pytest.fixture
def copied(written, tmp_path):
    """The same, to be broken."""
    shutil.copytree(written[0], tmp_path / "raw")
    return tmp_path / "raw", written[1]


def frames(root, video=ONE):
    return root / "Validation" / video / f"{video}_frames"


def labelled(record, place):
    """Return how many labels of a record are within rows and columns of its picture."""
    u, v = np.array(record["pixel_coords"]).T
    inside = (v >= place[0].start) & (v < place[0].stop)
    return int((inside & (u >= place[1].start) & (u < place[1].stop)).sum())


@pytest.mark.parametrize("layout", ["3dod", "raw"])
def test_arkitscenes(tmp_path, capsys, layout):
    videos = VIDEOS if layout == "3dod" else {ONE: VIDEOS[ONE]}
    truth = write_arkitscenes(tmp_path / "raw", layout, videos)
    given = ["--points", 3000, "--workers", 1]
    counts, _ = curate(capsys, "arkitscenes", tmp_path / "raw", tmp_path, *given)
    records = read_records(tmp_path / "arkitscenes_val.jsonl")
    assert [record["id"] for record in records] == sorted(truth)
    assert_labels_the_scene(records, truth, tmp_path)
    assert_poses_agree(records, truth)  # none between two poses, ten of them a second
    assert counts["noted"] == {"sky_direction Left": len(records)}
    assert counts["dropped"].keys() == {"low confidence", "far", "depth edge"}
    for record in records:
        video, time = record["id"].split("/")
        assert record["scene"] == VIDEOS[video]  # which both recordings are of
        assert record["timestamp"] == float(time)
        assert np.array(record["pose"])[2] @ [0, -1, 0, 0] > 0.9  # the world's z is up
        assert len(record["depth"]) == 3000
        assert labelled(record, UNSURE) == labelled(record, HOLE) == 0


def test_depth_of_the_laser_scanner(tmp_path, capsys):
    truth = write_arkitscenes(tmp_path / "raw", "upsampling", fold="Training")
    given = ["--points", 3000, "--split", "train", "--workers", 1]
    counts, _ = curate(capsys, "arkitscenes", tmp_path / "raw", tmp_path, *HIGHRES, *given)
    records = read_records(tmp_path / "arkitscenes_train.jsonl")
    assert [record["id"] for record in records] == sorted(truth)
    assert_labels_the_scene(records, truth, tmp_path)
    assert counts["dropped"] == {}  # far or at an edge
    assert not any("pose" in record for record in records)


def test_what_is_left_out_is_a_choice(copied, tmp_path, capsys):
    root, _ = copied
    shutil.rmtree(frames(root) / "confidence")
    given = ["confidence=0", "edges=keep", "farthest_m=9", "every=3"]
    options = [word for option in given for word in ("--option", option)]
    sheer = ["--points", 50000, "--limit", 2, "--workers", 1]
    counts, _ = curate(capsys, "arkitscenes", root, tmp_path, *options, *sheer)
    records = read_records(tmp_path / "arkitscenes_val.jsonl")
    assert [record["id"] for record in records] == [f"{ONE}/100.000", f"{ONE}/100.300"]
    assert counts["dropped"] == {}
    hole = (HOLE[0].stop - HOLE[0].start) * (HOLE[1].stop - HOLE[1].start)
    assert counts["points"] == 2 * (256 * 192 - hole)


def test_times_without_an_image_or_a_pose_are_no_frames(copied, tmp_path, capsys):
    root, _ = copied
    first = sorted(path.name for path in (frames(root) / "lowres_depth").iterdir())
    (frames(root) / "lowres_depth" / first[0]).unlink()
    path = frames(root, TWO) / "lowres_wide.traj"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    pincam = frames(root) / "lowres_wide_intrinsics" / f"{ONE}_100.100.pincam"
    pincam.rename(pincam.with_name(f"{ONE}_100.101.pincam"))  # rounded otherwise
    curate(capsys, "arkitscenes", root, tmp_path, *SOME)
    records = read_records(tmp_path / "arkitscenes_val.jsonl")
    assert [record["id"] for record in records] == [f"{ONE}/100.100", f"{TWO}/100.100"]


def test_recordings_without_poses_and_metadata(copied, tmp_path, capsys):
    root, truth = copied
    (root / "metadata.csv").unlink()
    (frames(root) / "lowres_wide.traj").unlink()
    curate(capsys, "arkitscenes", root, tmp_path, *SOME)
    records = read_records(tmp_path / "arkitscenes_val.jsonl")
    assert [record["scene"] for record in records] == [ONE, ONE, TWO, TWO]
    assert ["pose" in record for record in records] == [False, False, True, True]
    assert_labels_the_scene(records, truth, tmp_path)


def without(name):
    return lambda folder: shutil.rmtree(folder / name)


def texts(pattern, text):
    def change(folder):
        for path in folder.glob(pattern):
            path.write_text(text)

    return change


def sideways(folder):
    for path in (folder / "lowres_depth").iterdir():
        Image.fromarray(np.ones((256, 192), np.uint16)).save(path)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (without("confidence"), "confidence/ does not exist; fetch it, unpack it; --option confid"),
        (without("lowres_depth"), "lowres_depth/ does not exist; fetch it"),
        (without("lowres_wide_intrinsics"), "100.000.pincam (width height fx fy cx cy) does not"),
        (texts("lowres_wide.traj", "1 2 3"), "lowres_wide.traj:1: expected seven numbers, time"),
        (texts("lowres_wide.traj", "1 0 0 0 0 0 0"), "has no time at which there are images of"),
        (texts("*/*.pincam", "640 480 500 500 320 240"), "is of 640x480 pixels, its picture 256x"),
        (texts("*/*.pincam", "256 192 500 500 320 240"), "expected those of a picture of 256x192"),
        (texts("*/*.pincam", "256 192 500 500"), "holds 4 numbers, expected the 6 of width height"),
        (sideways, "is 192x256, expected 256x192"),
    ],
)
def test_what_cannot_be_right_is_refused_and_the_others_are_done(
    copied, tmp_path, capsys, change, found
):
    root, _ = copied
    change(frames(root))
    _, said = curate(capsys, "arkitscenes", root, tmp_path, *SOME, status=1)
    assert found in said
    records = read_records(tmp_path / "arkitscenes_val.jsonl")
    assert [record["id"] for record in records] == [f"{TWO}/100.000", f"{TWO}/101.000"]


def test_options_and_roots_that_cannot_be(written, tmp_path, capsys):
    root, _ = written
    given = ["--option", "depth=high"]
    _, said = curate(capsys, "arkitscenes", root, tmp_path, *given, status=1)
    assert "unknown depth 'high'; did you mean 'highres'?" in said
    _, said = curate(capsys, "arkitscenes", root / "Validation", tmp_path, status=1)
    assert "looked for Validation/ (the folder 3dod, raw or upsampling)" in said
    _, said = curate(capsys, "arkitscenes", root, tmp_path, *HIGHRES, status=1)
    assert "wide/ does not exist; fetch it, unpack it" in said
