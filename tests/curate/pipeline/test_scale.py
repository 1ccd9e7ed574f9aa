"""Mistakes of scale are planted in recordings of the room, whose floor and distances are known."""

from functools import lru_cache

import numpy as np
import pytest
from PIL import Image
from support.curate_checks import FOLDER, curate
from support.raw.small import write_folder
from support.scene import Pinhole, distance_at, grid, looking, picture, z_at

from depthlm_plugin.curate.frames import Frame
from depthlm_plugin.curate.pipeline.duplicates import View, picture_hash
from depthlm_plugin.curate.pipeline.floor import camera_points, height_m
from depthlm_plugin.curate.pipeline.scale import check_scale
from depthlm_plugin.errors import RecordError
from depthlm_plugin.geometry.camera import Camera

PINHOLE = Pinhole(70.0, 70.0, 47.5, 35.5, 96, 72)
CAMERA = Camera(70.0, 70.0, 47.5, 35.5, (96, 72))
WALK = [
    looking(4 * np.sin(n / 9), 12 + np.cos(n / 5), (0.3 * np.sin(n / 5), 0.0, -2 + 0.04 * n))
    for n in range(40)
]  # forwards, 1.2 m above the floor


@lru_cache
def depths_m(kind):
    """Return the depth maps of the walk."""
    depth_at = z_at if kind == "z" else distance_at
    return [depth_at(PINHOLE, pose, *grid(96, 72)) for pose in WALK]


@lru_cache
def hashes():
    """Return the hashes of its pictures."""
    return [picture_hash(Image.fromarray(picture(PINHOLE, pose))) for pose in WALK]


def recording(depth_scale=1.0, step_scale=1.0, kind="z", white=False, noise=0.0, holes=0.0):
    """Return the frames of a walk: depths and translations may be of a wrong scale."""
    rng = np.random.default_rng(0)
    frames, views = [], []
    for number, pose in enumerate(WALK):
        depth_m = depths_m(kind)[number] * depth_scale
        depth_m *= 1 + noise * rng.standard_normal(depth_m.shape)
        depth_m[rng.random(depth_m.shape) < holes] = np.nan
        stated = pose.copy()
        stated[:3, 3] *= step_scale
        frames.append(Frame(b"", CAMERA, kind, depth_m=depth_m, pose=stated, scene="room"))
        views.append(
            View("0" * 64 if white else hashes()[number], "room", stated[:3].ravel().tolist())
        )
    return frames, views


def checked(frames, views):
    return check_scale(len(frames), views.__getitem__, frames.__getitem__)


@pytest.mark.parametrize(
    "how",
    [{}, {"kind": "distance"}, {"noise": 0.02}, {"holes": 0.8}],
    ids=["z", "distance", "noisy", "mostly holes"],
)
def test_right_metres_are_not_suspicious(how):
    evidence = checked(*recording(**how))
    floors_m = [found_m for found_m in evidence.heights_m if found_m is not None]
    assert len(floors_m) >= 4
    np.testing.assert_allclose(floors_m, 1.2, rtol=0.03)
    assert len(evidence.pairs) >= 4
    assert all(deviation < 0.03 for _, deviation in evidence.pairs)
    assert evidence.alike >= 3
    assert evidence.warnings() == []


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"depth_scale": 10}, ("cameras are 12 m above the floor",)),
        ({"depth_scale": 39.37}, ("cameras are 47.3 m above the floor",)),  # inches as metres
        ({"depth_scale": 0.0254}, ("cameras are 0.0305 m above the floor",)),
        ({"step_scale": 2}, ("depths of one scene disagree by",)),
        ({"step_scale": 1000}, ("look alike show nothing in common",)),  # poses in millimetres
    ],
    ids=["x 10", "inches", "metres as inches", "poses x 2", "poses in mm"],
)
def test_a_wrong_scale_is_suspicious(how, said):
    evidence = checked(*recording(**how))
    warnings = "\n".join(evidence.warnings())
    for words in said:
        assert words in warnings


def test_a_white_wall_is_no_evidence_against_poses():
    evidence = checked(*recording(step_scale=1000, white=True))
    assert (evidence.alike, evidence.apart) == (0, 0)


def seen(points):
    return height_m(np.asarray(points, float), np.random.default_rng(0))


def plane(normal, offset_m, rng, count=1500):
    """Return points of a plane, `normal` @ point = `offset_m`, in front of the camera."""
    rays = np.stack([*rng.uniform(-0.8, 0.8, (2, count)), np.ones(count)], 1)
    z_m = offset_m / (rays @ normal)
    return (rays * z_m[:, None])[(z_m > 0.1) & (z_m < 20)]


def test_no_clear_floor_is_no_height():
    rng = np.random.default_rng(0)
    floor = plane([0, 1, 0], 1.5, rng)
    wall = plane([0, 0, 1], 6.0, rng)
    wall = wall[wall[:, 1] < 1.5]
    assert seen(np.concatenate([floor, wall])) == pytest.approx(1.5, rel=0.01)
    assert seen(wall) is None
    assert seen(plane([0, -1, 0], 1.5, rng)) is None  # a ceiling
    assert seen(np.concatenate([floor[:60], wall])) is None  # hardly seen
    assert seen(plane([0, 0.6, 0.8], 3.0, rng)) is None  # a slope
    table = plane([0, 1, 0], 0.4, rng)
    assert seen(np.concatenate([table, floor[:400], wall])) is None  # over a floor
    assert seen(np.array([0, 0, 4]) + rng.normal(0, 1, (2000, 3))) is None  # bushes
    assert seen(np.empty((0, 3))) is None
    assert (
        camera_points(Frame(b"", CAMERA, "z", pixels=np.zeros((1, 2)), points_m=np.ones(1))).size
        == 0
    )


def test_frames_without_maps_or_poses_or_that_have_gone_are_no_evidence():
    frames, views = recording()
    points = Frame(b"", CAMERA, "z", pixels=np.zeros((1, 2)), points_m=np.ones(1))
    assert checked([points] * 40, views).heights_m == []
    assert checked(frames, [None] * 40).heights_m == []
    apart = [View(view.bits, str(n), view.pose) for n, view in enumerate(views)]
    assert checked(frames, apart).pairs == []
    assert checked(frames, [View(view.bits, "room") for view in views]).pairs == []

    def gone(place):
        raise RecordError("missing depth", "room", "gone")

    assert check_scale(40, views.__getitem__, gone).heights_m == []


@pytest.mark.slow
def test_how_many_frames_are_looked_at():
    frames, views = recording()
    for count, most in ((100, 12), (1500, 40)):
        asked = []

        def load(place, asked=asked):
            asked.append(place)
            return frames[place % 40]

        check_scale(count, lambda place: views[place % 40], load)
        assert 6 <= len(asked) <= most


@pytest.mark.slow
def test_the_card_and_stderr_say_it(tmp_path, capsys):
    write_folder(tmp_path / "raw", PINHOLE, WALK[::8])
    wrong = [word.replace("1000", "100") for word in FOLDER]
    _, said = curate(capsys, "folder", tmp_path / "raw", tmp_path / "out", *wrong, "--workers", 1)
    card = (tmp_path / "out" / "folder" / "README.md").read_text()
    assert "| Camera above the floor | 12" in card
    assert "**Suspicious scale: cameras are 12" in card
    assert "\nsuspicious scale: cameras are 12" in f"\n{said}"
